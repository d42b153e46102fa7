"""A property that one side lacks is on in the other, and no compat entry of the machine type switches it off."""

VERDICT = "unknown"
WHY = (
    "A new property with default on is new behaviour. Machine types of older versions must keep the old behaviour, by "
    "a compat entry; the entries of this machine type have none for the property."
)
EXAMPLE = "a feature bit of a virtio device that is on by default, and was left out of hw_compat"
REMEDY = (
    "Add a compat entry that switches it off to the machine types of older versions, unless the guest can't notice."
)
REFERENCES = ("QEMU 10.0.13 hw/core/machine.c hw_compat_7_2, docs/devel/migration/compatibility.rst",)
MESSAGE = "{property} is on in the {side}, under {machine}; the other side has no such property"

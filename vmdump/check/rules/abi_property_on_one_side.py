"""Only one of the devices has a property, and its value may change the device."""

VERDICT = "conditional"
WHY = (
    "A new property with a value other than off, 0 or empty, which no compat property of the machine type sets, may "
    "change the device under the guest."
)
EXAMPLE = "fd-bootchk of pc machines is new in QEMU 8.2, and on"
REMEDY = "Add a compat property that turns it off to the older machine types, if the guest can notice it."
CONDITION = "the device behaves unlike one without {name}"
REFERENCES = ("QEMU 10.0.13 docs/devel/migration/compatibility.rst",)
MESSAGE = "only the {side} has {name}, which is {value}"

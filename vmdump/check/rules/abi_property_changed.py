"""A realized device of one machine type has a different value of a property."""

VERDICT = "breaks"
WHY = (
    "A machine type promises the guest the same device in all versions of QEMU. A default that changes without a "
    "compat property changes the device under a running guest when the VM migrates, or at its next start."
)
EXAMPLE = "nec-usb-xhci.streams is false under pc-q35-7.2 of QEMU 7.2, and true under pc-q35-7.2 of QEMU 10.0"
REMEDY = (
    "Add a compat property with the old value to the older machine types, or set it with -global DRIVER.NAME=VALUE."
)
REFERENCES = ("QEMU 10.0.13 hw/core/machine.c hw_compat_7_2", "QEMU 10.0.13 docs/devel/migration/compatibility.rst")
MESSAGE = "{name} is {old} in the source and {new} in the destination"

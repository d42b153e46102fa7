"""A field of the device's state has a different value after reset."""

VERDICT = "conditional"
WHY = "The guest finds a different value in a register when it starts, or when it resets the device."
EXAMPLE = "e1000e's core.phy[6] is 0x0004 in QEMU 7.2 and 0x0005 in 10.0"
REMEDY = "Let a property choose the value, with the old one in the older machine types."
CONDITION = "the guest starts, or resets the device, in the destination"
REFERENCES = ("QEMU 10.0.13 docs/devel/reset.rst",)
MESSAGE = "{field} is {old} in the source and {new} in the destination"

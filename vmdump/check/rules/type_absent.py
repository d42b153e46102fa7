"""The destination has no such device, under any name."""

VERDICT = "absent"
WHY = "Nothing there has a section of this name. A destination can't be started with the device in the first place."
EXAMPLE = "bcm2835-otp of QEMU 10.0 is not in 7.2"
REMEDY = (
    "None, for who does not use the device. A board that creates it on its own needs a machine type that leaves it out."
)
REFERENCES = ("QEMU 10.0.13 migration/savevm.c find_se",)
MESSAGE = "the destination has neither the type {type} nor a section '{section}'{note}"
ERROR = "{unknown_section}"

"""The destination has neither the type nor its section."""

VERDICT = "absent"
WHY = "No section there has this name. A destination cannot be started with the device in the first place."
EXAMPLE = "bcm2835-otp of QEMU 10.0 does not exist in 7.2"
REMEDY = (
    "None needed if the VM does not use the device. A board that always creates it needs a machine type that leaves "
    "it out."
)
REFERENCES = ("QEMU 10.0.13 migration/savevm.c find_se",)
MESSAGE = "the destination has neither the type {type} nor a section '{section}'{note}"
ERROR = "{unknown_section}"

"""The destination has no section of a name that the source's own code sends."""

VERDICT = "breaks"
WHY = (
    "What is registered by the board, by QEMU's core or inside of a device is no device that a user leaves out of a "
    "VM. A destination of the same machine type starts without it, and then meets a section that it does not know."
)
EXAMPLE = (
    "s390_css, which the board of s390-ccw-virtio always registered: QEMU 9.1.0 did not, and refused every VM of 9.0 "
    "(issue 2704)"
)
REMEDY = "Register the section again, at least for machine types of the versions that sent it."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c find_se, vmstate_register_with_alias_id",)
MESSAGE = "the destination has no section '{section}', which the source sends ({how})"
ERROR = "{unknown_section}"
CONDITION = "the VM sends {section} ({how})"

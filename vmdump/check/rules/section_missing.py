"""The destination does not register a section that the source's own code sends."""

VERDICT = "breaks"
WHY = (
    "A section registered by the board, by QEMU's core or inside a device is not a device that users can leave out of "
    "a VM. A destination of the same machine type starts without it, and then refuses the unknown section."
)
EXAMPLE = (
    "s390_css, which the s390-ccw-virtio board used to register: QEMU 9.1.0 did not, and refused every VM from 9.0 "
    "(issue 2704)"
)
REMEDY = "Register the section again, at least for machine types of the versions that sent it."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c find_se, vmstate_register_with_alias_id",)
MESSAGE = "the destination has no section '{section}', which the source sends ({how})"
ERROR = "{unknown_section}"
CONDITION = "the VM sends {section} ({how})"

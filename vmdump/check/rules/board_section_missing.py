"""The destination's VM lacks a section that every VM of the machine type sends."""

VERDICT = "breaks"
WHY = (
    "Both sides were booted in the emulator with the same machine type and no further devices. The board registers "
    "the section in the source only, under no name or alias of the destination, so the destination refuses it in every "
    "migration."
)
EXAMPLE = (
    "s390_css, which the s390-ccw-virtio board used to register: QEMU 9.1.0 did not, and refused every VM from 9.0 "
    "(issue 2704)"
)
REMEDY = "Register the section again, at least for machine types of the versions that sent it."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c find_se, vmstate_register_with_alias_id",)
MESSAGE = "every VM of {machine} sends section '{section}', instance {instance}, which the destination's VM lacks"
ERROR = "{unknown_section}"

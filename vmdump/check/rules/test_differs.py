"""The source sends a field that the destination does not read, or the other way round, as their tests differ."""

VERDICT = "breaks"
WHY = (
    "Both sides have the field with a test, but in VMs of the machine type the tests return different results. Both "
    "read configuration alone, so they do so in every VM with these properties: a compat entry is missing or "
    "superfluous."
)
EXAMPLE = "a field guarded by a property that one QEMU switches off for pc-q35-7.2, and the other forgot"
REMEDY = "Make the compat entries of the machine type equal, or start both sides with one value of the property."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_field_exists, hw/core/machine.c",)
MESSAGE = "under {machine}, {answer}, but {other_answer}"
ERROR = "{missing_footer}"

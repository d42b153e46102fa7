"""The source sends a field that the destination does not read."""

VERDICT = "breaks"
WHY = (
    "The stream carries no field names. The destination reads the bytes of the field as the next field, so all later "
    "fields are read from the wrong offset, and the section does not end where the destination expects its footer."
)
EXAMPLE = (
    "allwinner-sdhost of QEMU 10.0 sends sample_delay, which 7.2 does not know: `Missing section footer for "
    "allwinner-sdhost`"
)
REMEDY = "Replace a removed field with VMSTATE_UNUSED of the same size."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state, migration/savevm.c check_section_footer",)
MESSAGE = "the source sends {field} ({source}), which the destination does not read"
ERROR = "{missing_footer}"

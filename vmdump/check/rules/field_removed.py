"""The source sends a field that the destination does not read."""

VERDICT = "breaks"
WHY = (
    "Nothing on the wire names a field. Its bytes are taken for the next field's, and the end of the section is no "
    "longer where it is expected."
)
EXAMPLE = (
    "allwinner-sdhost of QEMU 10.0 sends sample_delay, which 7.2 does not know: `Missing section footer for "
    "allwinner-sdhost`"
)
REMEDY = "Leave VMSTATE_UNUSED of the same size in place of a field that is removed."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state, migration/savevm.c check_section_footer",)
MESSAGE = "the source sends {field} ({source}), which the destination does not read"
ERROR = "{missing_footer}"

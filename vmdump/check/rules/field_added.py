"""The destination reads a field that the source does not send."""

VERDICT = "breaks"
WHY = (
    "Nothing on the wire names a field. The destination takes its bytes from what comes next, and the end of the "
    "section is no longer where it is expected."
)
EXAMPLE = (
    "allwinner-sdhost: QEMU 10.0 reads sample_delay, which 7.2 does not send: `Missing section footer for "
    "allwinner-sdhost`"
)
REMEDY = (
    "Put the field into a subsection, or give it a version_id above the old version, or a test with a compat property."
)
REMEDY_NESTED = (
    "Put the field into a subsection, or give it a test: one with a compat property, or one that asks for the version"
    " of the section. A version_id guards nothing here, as the version of a nested struct does not travel."
)
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state, migration/savevm.c check_section_footer",)
MESSAGE = "the destination reads {field} ({destination}), which the source does not send"
ERROR = "{missing_footer}"

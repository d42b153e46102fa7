"""The destination reads a field that the source does not send."""

VERDICT = "breaks"
WHY = (
    "The stream carries no field names. The destination reads the field from the bytes that come next, so all later "
    "fields are read from the wrong offset, and the section does not end where the destination expects its footer."
)
EXAMPLE = (
    "allwinner-sdhost: QEMU 10.0 reads sample_delay, which 7.2 does not send: `Missing section footer for "
    "allwinner-sdhost`"
)
REMEDY = (
    "Move the field to a subsection, give it a version_id above the old version, or guard it with a test of a compat "
    "property."
)
REMEDY_NESTED = (
    "Move the field to a subsection, or guard it with a test of a compat property or of the section's version. A "
    "version_id has no effect here, because the version of a nested struct is not sent."
)
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state, migration/savevm.c check_section_footer",)
MESSAGE = "the destination reads {field} ({destination}), which the source does not send"
ERROR = "{missing_footer}"

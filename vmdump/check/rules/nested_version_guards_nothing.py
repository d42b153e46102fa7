"""A field was added to a struct with a version that guards nothing."""

VERDICT = "breaks"
WHY = (
    "The version of a nested struct does not travel: the destination reads the struct in the version of its own "
    "description, so a field with version_id above the source's is read all the same."
)
EXAMPLE = "esp, which is nested in pciespscsi: raising its version_id does not keep an old stream's bytes apart"
REMEDY = "Guard the field with a test that asks for the version of the section, or put it into a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state (VMS_STRUCT)",)
MESSAGE = (
    "the destination reads {field} ({destination}), although {description} has version {version} in the source: "
    "version_id {gate} of a field in a nested struct guards nothing"
)
ERROR = "{missing_footer}"

"""The destination reads a new field of a nested struct although its version_id is above the source's version."""

VERDICT = "breaks"
WHY = (
    "The version of a nested struct is not sent. The destination reads the struct in the version of its own "
    "description, including fields whose version_id is above the source's version."
)
EXAMPLE = (
    "esp, nested in pciespscsi: raising the version_id of esp does not keep its new fields from being read from an "
    "older stream"
)
REMEDY = "Guard the field with a test of the section's version, or move it to a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state (VMS_STRUCT)",)
MESSAGE = (
    "the destination reads {field} ({destination}), although {description} has version {version} in the source: "
    "version_id {gate} guards nothing in a nested struct"
)
ERROR = "{missing_footer}"

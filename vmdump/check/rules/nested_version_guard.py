"""A field of a nested struct is guarded by its version_id only, which has no effect."""

VERDICT = "safe"
LEVEL = "notice"
WHY = (
    "The version of a nested struct is not sent. The destination reads the field even if the stream comes from an "
    "older QEMU that does not have it."
)
EXAMPLE = "VMSTATE_UINT8_V(x, Part, 2) in a description of version_id 2 that is nested with VMSTATE_STRUCT"
REMEDY = "Guard the field with a test of the section's version, or move it to a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state (VMS_STRUCT)",)
MESSAGE = (
    "{field} is guarded by version_id {gate} of {description}, which is nested: the guard has no effect, because the "
    "version of a nested struct is not sent"
)

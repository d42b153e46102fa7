"""A field of a nested struct is guarded by the struct's version alone."""

VERDICT = "safe"
LEVEL = "notice"
WHY = (
    "The version of a nested struct does not travel: a stream of an older QEMU, without the field, is read as if it "
    "had it."
)
EXAMPLE = "VMSTATE_UINT8_V(x, Part, 2) in a description of version_id 2 that is used by VMSTATE_STRUCT"
REMEDY = "Guard the field with a test that asks for the section's version, or put it into a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state (VMS_STRUCT)",)
MESSAGE = (
    "{field} has version_id {gate} of {description}, which is nested: that guards nothing, as its version does not "
    "travel"
)

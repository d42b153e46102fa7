"""A field is never sent, because its version_id is above that of its description."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = (
    "QEMU skips a field whose version_id is above the version that it saves or loads, so every migration loses the "
    "field's value."
)
EXAMPLE = "VMSTATE_UINT32_V(x, State, 2) in a description of version_id 1"
REMEDY = "Raise the description's version_id, or remove the field."
REMEDY_NESTED = "Remove the field, or move it to a subsection: the version of a nested struct is not sent."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_field_exists",)
MESSAGE = "{field} is never sent: its version_id {gate} is above version {version} of {description}"

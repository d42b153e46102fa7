"""A field whose version_id is above its description's."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = "It is never sent and never read, although the list shows it."
EXAMPLE = "VMSTATE_UINT32_V(x, State, 2) in a description of version_id 1"
REMEDY = "Raise the description's version_id, or take the field out."
REMEDY_NESTED = "Take the field out, or put it into a subsection: the version of a nested struct does not travel."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_field_exists",)
MESSAGE = "{field} never travels: its version_id {gate} is above version {version} of {description}"

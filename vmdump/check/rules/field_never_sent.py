"""One side leaves a field out, whose version_id is above its description's."""

VERDICT = "breaks"
WHY = (
    "A field without a test travels when its version_id is not above the version that is sent. Above the "
    "description's own version_id it never travels, although the list shows it."
)
EXAMPLE = "a field with VMSTATE_UINT32_V(x, State, 2) in a description that was left at version_id 1"
REMEDY = "Raise the description's version_id together with the field's."
REMEDY_NESTED = (
    "Put the field into a subsection, or give it a test in place of the version_id: the version of a nested struct "
    "does not travel."
)
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_field_exists",)
MESSAGE = (
    "{difference}: on one side its version_id {gate} is above version {version} of {description}, so it is not in the "
    "stream there"
)
ERROR = "{missing_footer}"

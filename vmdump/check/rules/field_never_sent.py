"""One side skips a field that the other sends or reads, because of its version_id."""

VERDICT = "breaks"
WHY = (
    "A field without a test is sent only if its version_id is not above the version of its description. Above that it "
    "is never sent, although the description lists it."
)
EXAMPLE = "VMSTATE_UINT32_V(x, State, 2) in a description that is still at version_id 1"
REMEDY = "Raise the description's version_id together with the field's."
REMEDY_NESTED = (
    "Move the field to a subsection, or give it a test in place of the version_id: the version of a nested struct is "
    "not sent."
)
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_field_exists",)
MESSAGE = (
    "{difference}: on one side its version_id {gate} is above version {version} of {description}, so that side skips it"
)
ERROR = "{missing_footer}"

"""Differences that cancel each other out: the same bytes in all, and other values."""

VERDICT = "breaks"
WHY = (
    "The end of the section is where it is expected, so no error tells; what stands between the differences is read "
    "from the wrong place."
)
EXAMPLE = "a field of 4 bytes added at the begin, and one of 4 bytes removed at the end"
REMEDY = "Put VMSTATE_UNUSED where a field was, and new ones into a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = (
    "{difference}; as all differences of {section} add up to no bytes, the load succeeds, with wrong values in the "
    "fields between them"
)

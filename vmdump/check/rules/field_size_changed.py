"""A field has a different size in the destination."""

VERDICT = "breaks"
WHY = (
    "The destination reads as many bytes as its own description declares, so everything after the field is read from "
    "the wrong offset."
)
EXAMPLE = "a counter that grew from uint32 to uint64"
REMEDY = "Keep the old field for old versions, and send the wider one in a subsection."
REMEDY_NESTED = "Keep the field, and send the wider one in a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = "{difference}"
ERROR = "{missing_footer}"

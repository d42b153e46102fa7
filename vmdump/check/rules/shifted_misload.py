"""The differences add up to zero bytes, so the load succeeds with wrong values."""

VERDICT = "breaks"
WHY = (
    "The section ends where the destination expects its footer, so QEMU reports no error. The fields between the "
    "differences are read from the wrong offset."
)
EXAMPLE = "a 4-byte field added at the start of a description, and another one removed from its end"
REMEDY = "Replace removed fields with VMSTATE_UNUSED, and send new fields in a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = (
    "{difference}; all differences of {section} add up to zero bytes, so the load succeeds, with wrong values in the "
    "fields between them"
)

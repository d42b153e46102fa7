"""A struct's version says that its bytes have changed; it does not travel, and its fields do not show what has."""

VERDICT = "conditional"
WHY = (
    "The version of a nested struct is not enforced: one that the destination would refuse is read all the same. "
    "Where a VMStateInfo's code writes the values, the descriptions do not show whether the bytes are others."
)
EXAMPLE = "cpu/tlb of MIPS: version 2 in QEMU 7.2, 3 at least in 10.0, whose put_tlb writes four bytes more (MMID)"
REMEDY = "Raise the version of the section, or put what is new into a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state (VMS_STRUCT)",)
MESSAGE = (
    "{description} has version {version} in the source, and the destination reads it as its own version {local} "
    "(minimum {minimum}): if its {info} now writes other bytes, the load fails or reads wrong values"
)
ERROR = "{missing_footer}"
CONDITION = "the two sides' code for {field} does not agree"

"""A nested struct has an incompatible version, which QEMU does not check."""

VERDICT = "conditional"
WHY = (
    "The version of a nested struct is neither sent nor checked: the destination reads a struct that it would refuse "
    "as a section. If the code of a VMStateInfo writes the values, the descriptions do not show whether the bytes "
    "differ."
)
EXAMPLE = (
    "cpu/tlb of MIPS: version 2 in QEMU 7.2, minimum version 3 in 10.0, whose put_tlb writes four more bytes (MMID)"
)
REMEDY = "Raise the version of the section, or move the new state to a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state (VMS_STRUCT)",)
MESSAGE = (
    "the destination reads version {version} of {description} as its own version {local} (minimum {minimum}): if the "
    "encoding of {info} changed, the load fails or reads wrong values"
)
ERROR = "{missing_footer}"
CONDITION = "the encodings of {field} differ"

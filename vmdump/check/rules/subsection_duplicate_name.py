"""The destination reads a subsection as another one of the same name."""

VERDICT = "breaks"
WHY = (
    "The destination looks up a subsection by name and always finds the first, so it reads the state of the second "
    "into the fields of the first."
)
EXAMPLE = (
    "cpu of PowerPC in QEMU 7.2, with a BookE CPU: vmstate_tlbemb sends cpu/tlb6xx, which the destination reads as "
    "vmstate_tlb6xx"
)
REMEDY = "Give each subsection a unique name, and let needed() keep the old name for old machine types."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_get_subsection",)
MESSAGE = (
    "the destination reads this {subsection} into the fields of its first subsection of that name; if the sizes "
    "match, the load succeeds with wrong values"
)
ERROR = "{missing_footer}"

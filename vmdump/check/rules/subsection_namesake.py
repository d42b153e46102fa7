"""A subsection has a name that another one before it has, and is read as that one."""

VERDICT = "breaks"
WHY = (
    "The destination looks a subsection up by its name, and takes the first of the list. What the second of that name "
    "sends is read as the first."
)
EXAMPLE = (
    "cpu of PowerPC in QEMU 7.2, with a BookE CPU: cpu/tlb6xx is sent by vmstate_tlbemb, and read as vmstate_tlb6xx"
)
REMEDY = "Name them apart; a needed that lets old machine types send the old name."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_get_subsection",)
MESSAGE = (
    "the destination reads this {subsection} as the first of its subsections of that name, into the fields of that "
    "one; where their bytes are as many, the load succeeds, with wrong values"
)
ERROR = "{missing_footer}"

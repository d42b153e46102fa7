"""Two subsections of a description have the same name, so the second is read as the first."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = (
    "The destination looks up a subsection by name and always finds the first, so it reads the state of the second "
    "into the fields of the first."
)
EXAMPLE = "cpu of PowerPC until QEMU 9.0: vmstate_tlb6xx and vmstate_tlbemb are both named cpu/tlb6xx"
REMEDY = "Give each subsection a unique name."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_get_subsection",)
MESSAGE = "{description} has two subsections named {subsection}; the destination reads both as the first"

"""Two subsections of one name in one description."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = "The first is found, always: what the second sends is read as the first."
EXAMPLE = "cpu of PowerPC until QEMU 9.0: vmstate_tlbemb is called cpu/tlb6xx, as vmstate_tlb6xx is"
REMEDY = "Name them apart."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_get_subsection",)
MESSAGE = "{description} has two subsections called {subsection}; the first is found for both"

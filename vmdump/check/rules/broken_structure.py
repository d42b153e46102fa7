"""A list of fields or subsections has no terminator, or a description contains itself."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = "QEMU runs past the end of the list or recurses without end: it crashes when it migrates or dumps the device."
EXAMPLE = "vmstate_pmu of PowerPC in QEMU 5.2: its subsections lack the NULL terminator"
REMEDY = "End a list of fields with VMSTATE_END_OF_LIST(), a list of subsections with NULL."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_save_state_v",)
MESSAGE = "{what}"

"""A list of fields or subsections that has no end, or a description that contains itself."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = "QEMU reads past the end of the list, or without an end: it crashes when it migrates or dumps."
EXAMPLE = "vmstate_pmu of PowerPC in QEMU 5.2: its subsections lack the NULL"
REMEDY = "End the list with VMSTATE_END_OF_LIST() or NULL."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_save_state_v",)
MESSAGE = "{what}"

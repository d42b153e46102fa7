"""The destination has a subsection that the source does not send."""

VERDICT = "safe"
WHY = "A destination does not require any subsection."
EXAMPLE = "smmuv3/gbpa of QEMU 10.0, in a migration from 7.2"
REMEDY = "None needed."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load",)
MESSAGE = "the source never sends {subsection}; its fields keep the values that they have after reset"

"""The destination knows a subsection that the source does not send."""

VERDICT = "safe"
WHY = "A subsection that is not sent is not missed."
EXAMPLE = "smmuv3/gbpa of QEMU 10.0, in a migration from 7.2"
REMEDY = "None."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load",)
MESSAGE = "the source never sends {subsection}; the device keeps what it has after its reset"

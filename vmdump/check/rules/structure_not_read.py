"""A part of the description could not be read as it stands in the binary."""

VERDICT = "unknown"
WHY = (
    "A list without an end, a description without a name or one that contains itself was cut off where it was found. "
    "What stands behind it was not compared; a QEMU that migrates it may crash."
)
EXAMPLE = "vmstate_pmu of PowerPC in QEMU 5.2: its subsections lack the NULL"
REMEDY = "See what `vmdump lint` says of the binary."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_save_state_v",)
MESSAGE = "not compared: {what}"

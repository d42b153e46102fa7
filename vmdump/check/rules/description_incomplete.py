"""Part of a description could not be read from the binary, and was not compared."""

VERDICT = "unknown"
WHY = (
    "A list without a terminator, a description without a name or one that contains itself was cut off at that point. "
    "What follows was not compared, and QEMU may crash when it migrates the device."
)
EXAMPLE = "vmstate_pmu of PowerPC in QEMU 5.2: its subsections lack the NULL terminator"
REMEDY = "Run `vmdump lint` on the binary for details."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_save_state_v",)
MESSAGE = "not compared: {what}"

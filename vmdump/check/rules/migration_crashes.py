"""QEMU crashes in a migration that was tried in the emulator."""

VERDICT = "breaks"
WHY = "QEMU's own code aborted, or accessed memory that it does not have, while it saved or loaded this VM."
EXAMPLE = "sd-card-spi of QEMU 10.0: Assertion `!FIELD_EX32(sd->ocr, OCR, CARD_POWER_UP)' failed"
REMEDY = "Unplug the device before the migration; report the crash to QEMU."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_state, qemu_savevm_state_header",)
MESSAGE = "the {side} crashes: {cause}"

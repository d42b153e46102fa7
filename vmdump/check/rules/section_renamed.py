"""The device's section has another name in the destination."""

VERDICT = "breaks"
WHY = (
    "A section is found by its description's name, which is all of a device that travels; the destination has none "
    "of the old name."
)
EXAMPLE = "npcm7xx-gcr: its description is called npcm7xx-gcr in QEMU 7.2 and npcm-gcr in 10.0"
REMEDY = "Keep the description's name for ever, whatever becomes of the type's."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c find_se",)
MESSAGE = "the destination knows the device's section only as '{there}'"
ERROR = "{unknown_section}"

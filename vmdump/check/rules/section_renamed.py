"""The device's section has a different name in the destination."""

VERDICT = "breaks"
WHY = (
    "The destination finds a section by the name of its description; the type's name is not sent. It has no section "
    "of the old name."
)
EXAMPLE = "npcm7xx-gcr: its description is named npcm7xx-gcr in QEMU 7.2 and npcm-gcr in 10.0"
REMEDY = "Never rename a description, even if its type is renamed."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c find_se",)
MESSAGE = "the destination has the device's section only under the name '{there}'"
ERROR = "{unknown_section}"

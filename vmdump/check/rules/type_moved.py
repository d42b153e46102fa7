"""Another type or a standalone VMSD of the destination has the section."""

VERDICT = "safe"
WHY = (
    "The name of a type is not sent. The destination finds the section by name, so vmdump compares it with the "
    "section of that name."
)
EXAMPLE = "aspeed.sdhci-ast2400 of QEMU 10.0 is loaded as aspeed.sdhci of 7.2, whose section has the same name"
REMEDY = "None needed."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c find_se",)
MESSAGE = "the section is loaded by {there}"

"""Another type of the destination, or a description on no device class, has the section."""

VERDICT = "safe"
WHY = "A type's name does not travel. The section meets what has its name, and is compared with that."
EXAMPLE = "aspeed.sdhci-ast2400 of QEMU 10.0 meets aspeed.sdhci of 7.2, whose section has the same name"
REMEDY = "None."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c find_se",)
MESSAGE = "the section meets that of {there}"

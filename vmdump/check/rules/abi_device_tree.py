"""A machine of the same type has a device on one side only."""

VERDICT = "breaks"
WHY = "The guest loses a device, or finds one that it did not have; the device's section has no counterpart."
EXAMPLE = "an IOMMU that the board creates in one version only"
REMEDY = "Create the device depending on a property, and turn it off in the older machine types."
REFERENCES = ("QEMU 10.0.13 docs/devel/migration/compatibility.rst",)
MESSAGE = "only the {side} has {device}"

"""Only one of the devices has a property; its value leaves the device unchanged."""

VERDICT = "safe"
WHY = "The property is off, 0 or empty, or a compat property of the machine type sets it to what it was before."
EXAMPLE = "x-pcie-ext-tag is new in QEMU 10.0, and pc-q35-7.2 sets it to false"
REMEDY = "None."
REFERENCES = ("QEMU 10.0.13 hw/core/machine.c hw_compat_9_2",)
MESSAGE = "only the {side} has {name}, which is {value}"

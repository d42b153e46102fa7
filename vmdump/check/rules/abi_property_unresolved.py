"""A property of a realized device has different values, of which one leaves the choice to QEMU."""

VERDICT = "conditional"
WHY = "Values such as auto and -1 are not the device's own: its code chooses what the guest sees."
EXAMPLE = "rombar of PCI devices is 1 in QEMU 7.2 and -1 in 10.0; both mean that the ROM has a BAR"
REMEDY = "Compare what the device makes of the value, or set it explicitly on both sides."
CONDITION = "the device takes {old} and {new} to mean different things"
REFERENCES = ("QEMU 10.0.13 hw/pci/pci.c pci_add_option_rom",)
MESSAGE = "{name} is {old} in the source and {new} in the destination"

"""The PCI configuration space of a device differs after reset."""

VERDICT = "breaks"
WHY = (
    "The guest's driver reads ids, BARs and capabilities from it. The destination refuses a stream whose read-only "
    "bytes differ from its own."
)
EXAMPLE = "AER's uncorrectable error mask differs without x-pcie-err-unc-mask=off: `Failed to load PCIDevice:config`"
REMEDY = "Set the property that changes it in a compat property of the older machine types."
REFERENCES = ("QEMU 10.0.13 hw/pci/pci.c get_pci_config_device",)
MESSAGE = "config[{offset:#x}] is {old} in the source and {new} in the destination{register}"

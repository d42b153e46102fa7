"""A load hook that only the destination has returns success for every state."""

VERDICT = "safe"
WHY = (
    "The machine code of the hook has no branches, and sets its result to 0 before it returns, so it can't refuse what "
    "the source sends."
)
EXAMPLE = "post_load of PCIDevice, which QEMU 10.0 has and 7.2 does not: it updates memory mappings and returns 0"
REMEDY = "None needed."
REFERENCES = ("QEMU 10.0.13 hw/pci/pci.c vmstate_pci_device",)
MESSAGE = "only the destination has {hook} of {description}, which returns 0 for every state"

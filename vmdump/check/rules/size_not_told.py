"""A field of which a dump tells no size."""

VERDICT = "unknown"
WHY = (
    "QEMU's own dump tells of a field its size in memory alone. Where that is 0, code writes the field, or the device "
    "says at run time how long it is."
)
EXAMPLE = "virtio of every virtio device; msix of a PCI device"
REMEDY = "Check the binaries in place of their dumps: they tell what kind of field it is."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c dump_vmstate_vmsf",)
MESSAGE = "not compared: the dumps tell no size of {field}; code writes it, or its length is known at run time only"

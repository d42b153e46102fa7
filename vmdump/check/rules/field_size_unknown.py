"""A field could not be compared, because its size is missing from the dumps."""

VERDICT = "unknown"
WHY = (
    "-dump-vmstate prints only a field's size in memory. If that is 0, code writes the field, or its length is known "
    "only at run time."
)
EXAMPLE = "virtio of every virtio device; msix of PCI devices"
REMEDY = "Check the QEMU binaries instead of their dumps: binaries show what kind of field it is."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c dump_vmstate_vmsf",)
MESSAGE = "not compared: the dumps have no size for {field}; code writes it, or its length is known only at run time"

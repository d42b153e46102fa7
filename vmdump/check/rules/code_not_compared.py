"""A field is written and read by code that no description shows."""

VERDICT = "unknown"
WHY = (
    "A VMStateInfo of a device's own has two functions, put and get. What put writes, and what get refuses, stands in "
    "their code alone: two QEMUs with the same name for it may disagree."
)
EXAMPLE = (
    "virtio of every virtio device: QEMU 11.1 refuses a vring.num that 10.0 sends, `VQ 0 vring.num 1024 exceeds "
    "allocated max 8`"
)
REMEDY = "Compare put and get of the two QEMUs, or migrate a VM that has the device."
REFERENCES = (
    "QEMU 10.0.13 include/migration/vmstate.h struct VMStateInfo",
    "QEMU 10.0.13 hw/virtio/virtio.c virtio_load",
)
MESSAGE = "not compared: {field} is written and read by the code of the VMStateInfo '{info}'"

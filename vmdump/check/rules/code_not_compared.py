"""A field is saved and loaded by code, which cannot be compared."""

VERDICT = "unknown"
WHY = (
    "A VMStateInfo defined by a device has its own put and get functions. Only their code shows what put writes and "
    "what get rejects, so two QEMUs may disagree although their VMStateInfo has the same name."
)
EXAMPLE = (
    "the virtio field of every virtio device: QEMU 10.0 sends a vring.num that 11.1 rejects with `VQ 0 vring.num 1024 "
    "exceeds allocated max 8`"
)
REMEDY = "Compare the put and get functions of both QEMUs, or migrate a VM that has the device."
REFERENCES = (
    "QEMU 10.0.13 include/migration/vmstate.h struct VMStateInfo",
    "QEMU 10.0.13 hw/virtio/virtio.c virtio_load",
)
MESSAGE = "not compared: {field} is saved and loaded by the code of VMStateInfo '{info}'"

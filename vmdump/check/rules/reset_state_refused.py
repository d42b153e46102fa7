"""The destination's code refuses the state that every VM with the device sends after reset."""

VERDICT = "breaks"
WHY = (
    "Two VMs of the machine type were booted in the emulator with the same device. What the source's code saves, the "
    "destination's code refuses, although it loads its own state: values are checked that no description shows."
)
EXAMPLE = (
    "every virtio device from QEMU 10.0 to 11.1: the source sends queues of 1024 entries, and the destination refuses "
    "more than it has allocated"
)
REMEDY = "Accept the values that older versions send, or set the property that changes them with a compat entry."
REFERENCES = ("QEMU 10.0.13 hw/virtio/virtio.c virtio_load",)
MESSAGE = "under {machine}, the destination refuses the state at reset of a VM with {arguments}"
ERROR = "{refusal}"

"""The source refuses to migrate a VM with this device; the destination does not."""

VERDICT = "breaks"
WHY = "QEMU asks its devices before anything is sent, and one of them does not support migration."
EXAMPLE = "ivshmem-plain as peer"
REMEDY = "Unplug the device before the migration."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_state, qemu_savevm_state_header",)
MESSAGE = "the source refuses to migrate: {cause}"

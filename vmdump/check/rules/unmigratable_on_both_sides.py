"""Both sides say that the device can't be migrated, so nothing of it is compared."""

VERDICT = "unknown"
WHY = (
    "A description with unmigratable blocks every migration of a VM that has the device. That was so before: the "
    "change of QEMU breaks nothing. Whether the state could be loaded is not known, as it is never sent."
)
EXAMPLE = "nvme of QEMU 7.2 and of 10.0"
REMEDY = "Unplug the device before the migration."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_savevm_state_blocked",)
MESSAGE = "not compared: both sides refuse to migrate a VM with this device"

"""Both sides refuse to migrate a VM with this device, so its state was not compared."""

VERDICT = "unknown"
WHY = (
    "A description with .unmigratable set blocks every migration of a VM that has the device. Both QEMUs set it, so "
    "the change of version breaks nothing. Whether the state would load is unknown, because it is never sent."
)
EXAMPLE = "nvme of QEMU 7.2 and of 10.0"
REMEDY = "Unplug the device before the migration."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_savevm_state_blocked",)
MESSAGE = "not compared: both sides refuse to migrate a VM with this device"

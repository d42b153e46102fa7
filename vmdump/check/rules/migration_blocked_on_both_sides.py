"""Both QEMUs refuse to migrate a VM with this device, so nothing was sent."""

VERDICT = "unknown"
WHY = (
    "The change of version breaks nothing, since the device supports migration in neither. Whether its state would "
    "load is unknown."
)
EXAMPLE = "nvme of QEMU 7.2 and of 10.0"
REMEDY = "Unplug the device before the migration."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_state, qemu_savevm_state_header",)
MESSAGE = "both sides refuse to migrate: {cause}"

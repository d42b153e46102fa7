"""The destination refuses to load a VM with this device."""

VERDICT = "breaks"
WHY = (
    "Before QEMU loads anything, it checks its own devices: one with .unmigratable set blocks the load of the whole VM."
)
EXAMPLE = "a device that is unmigratable since a later version"
REMEDY = "Unplug the device before the migration."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_state, qemu_savevm_state_blocked",)
MESSAGE = "the destination refuses to load a VM with this device"
ERROR = "{unmigratable}"

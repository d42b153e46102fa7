"""The source refuses to migrate a VM with this device."""

VERDICT = "breaks"
WHY = (
    "A description with .unmigratable set blocks every migration of a VM that has the device, before anything is "
    "sent. In the destination it is not set."
)
EXAMPLE = "vhost-user-fs of QEMU 7.2"
REMEDY = "Unplug the device before the migration."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_savevm_state_blocked",)
MESSAGE = "the source refuses to migrate a VM with this device"
ERROR = "{unmigratable}"
PRINTED_BY = "source"

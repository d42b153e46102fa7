"""The destination lacks the machine type, the device or a property of the VM."""

VERDICT = "absent"
WHY = "The destination has to be started with the command line of the source, and does not know a part of it."
EXAMPLE = "hv-balloon of QEMU 10.0 in 7.2"
REMEDY = "Unplug the device before the migration, or choose another machine type."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_state, qemu_savevm_state_header",)
MESSAGE = "the destination lacks it: {cause}"

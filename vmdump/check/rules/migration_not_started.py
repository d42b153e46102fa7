"""The source does not create this VM in the emulator, so nothing was migrated."""

VERDICT = "unknown"
WHY = "The device needs a bus, a property or a backend that the machine lacks, or a resource of the host."
EXAMPLE = "m25p80 in a machine without SSI bus"
REMEDY = "Give vmdump migrate the arguments that the device needs after --."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_state, qemu_savevm_state_header",)
MESSAGE = "not migrated: the source does not start: {cause}"

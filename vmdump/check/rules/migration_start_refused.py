"""The destination does not start with the command line of the source."""

VERDICT = "breaks"
WHY = (
    "The VM exists in the source. The destination knows the machine type and the device, and refuses to create them, "
    "so that nothing can be loaded."
)
EXAMPLE = "a property that became mandatory"
REMEDY = "Give the VM a command line that both accept."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_state, qemu_savevm_state_header",)
MESSAGE = "the destination does not start: {cause}"

"""The destination loads the VM, in a migration that was tried in the emulator."""

VERDICT = "safe"
WHY = (
    "The source saved the VM just after reset, and the destination's own code loaded it. The state of a running guest "
    "may contain more."
)
EXAMPLE = "e1000e under pc-q35-7.2 between QEMU 7.2 and 10.0"
REMEDY = "None is needed."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_state, qemu_savevm_state_header",)
MESSAGE = "the destination loads it{changed}"

"""The destination refuses what the source sends, in a migration that was tried in the emulator."""

VERDICT = "breaks"
WHY = (
    "Both QEMUs ran their own code: the source saved the VM just after reset, the destination loaded it and refused a "
    "section. No rule is involved: a real migration of this VM fails with the same lines."
)
EXAMPLE = "am53c974 of QEMU 11.1 in 10.0: Missing section footer for 0000:00:01.0/pciespscsi"
REMEDY = (
    "vmdump check names the field and why it differs; unplug the device, or use a machine type that both sides "
    "implement alike."
)
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_state, qemu_savevm_state_header",)
MESSAGE = "the destination refuses {what}: {cause}"

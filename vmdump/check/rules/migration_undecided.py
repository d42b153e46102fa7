"""The emulator cannot determine the outcome of a migration."""

VERDICT = "unknown"
WHY = "QEMU called functions of the host that the emulator lacks, or exceeded a limit."
EXAMPLE = "qxl, which needs libspice-server"
REMEDY = "Unpack the libraries that the QEMU needs into its tree; allow more time with --timeout."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_state, qemu_savevm_state_header",)
MESSAGE = "not decided: {cause}"

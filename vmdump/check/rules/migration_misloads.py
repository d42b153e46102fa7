"""The destination loads a field with a value other than the one sent, in a migration that was tried in the emulator."""

VERDICT = "breaks"
WHY = (
    "What the destination has loaded was saved again. The field has a different value, although the destination keeps "
    "the "
    "sent value if it comes in a stream of its own: both sides read the same bytes differently."
)
EXAMPLE = "two fields of one size that have changed places"
REMEDY = "Keep the order and the meaning of fields, or raise the version of the section."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_state, qemu_savevm_state_header",)
MESSAGE = "the destination loads {field} as {saved}; {sent} was sent"

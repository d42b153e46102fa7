"""The destination skips a field that the source sends."""

VERDICT = "safe"
WHY = "VMSTATE_UNUSED in place of a removed field keeps all other fields at their offsets."
EXAMPLE = "pl011: readbuff of QEMU 10.0 is unused in 7.2"
REMEDY = "None needed."
REFERENCES = ("QEMU 10.0.13 migration/vmstate-types.c get_unused_buffer",)
MESSAGE = "the destination skips the bytes of {field}"

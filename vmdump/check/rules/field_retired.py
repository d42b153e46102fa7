"""The destination reads over a field that the source sends."""

VERDICT = "safe"
WHY = "VMSTATE_UNUSED takes the place of a field that is no longer needed."
EXAMPLE = "pl011: readbuff of QEMU 10.0 is unused in 7.2"
REMEDY = "None."
REFERENCES = ("QEMU 10.0.13 migration/vmstate-types.c get_unused_buffer",)
MESSAGE = "the destination reads over {field}"

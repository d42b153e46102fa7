"""The destination reads a field from bytes that the source does not use."""

VERDICT = "safe"
WHY = "VMSTATE_UNUSED sends zeros, so the field is loaded as 0."
EXAMPLE = "pl011: readbuff is a field in QEMU 10.0 and unused bytes in 7.2"
REMEDY = "None needed if 0 is a valid value."
REFERENCES = ("QEMU 10.0.13 migration/vmstate-types.c put_unused_buffer",)
MESSAGE = "the destination reads {other} from unused bytes of the source, which are zero"

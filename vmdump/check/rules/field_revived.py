"""The destination reads a field from bytes that the source does not use."""

VERDICT = "safe"
WHY = "VMSTATE_UNUSED sends zeros."
EXAMPLE = "pl011: readbuff of QEMU 10.0 is unused in 7.2"
REMEDY = "None, if 0 is a good value."
REFERENCES = ("QEMU 10.0.13 migration/vmstate-types.c put_unused_buffer",)
MESSAGE = "the destination reads {other} from unused bytes of the source, which are zeros"

"""A number on one side is a raw buffer on the other, so its bytes arrive in the wrong order."""

VERDICT = "breaks"
WHY = (
    "Numbers are sent in big-endian order, buffers as they are in memory. On a little-endian host the bytes of each "
    "number arrive reversed, and QEMU reports no error."
)
EXAMPLE = "VMSTATE_UINT32_ARRAY(regs, State, 4) changed to VMSTATE_BUFFER(regs, State)"
REMEDY = "Never change the VMStateInfo of a field."
REFERENCES = ("QEMU 10.0.13 migration/vmstate-types.c put_buffer, put_uint32",)
MESSAGE = "{difference}: its bytes arrive in the wrong order, and QEMU reports no error"

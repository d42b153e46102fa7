"""A number on one side is plain memory on the other."""

VERDICT = "breaks"
WHY = (
    "Numbers travel with the big end first, buffers as they lie in memory. On a little-endian host all bytes arrive "
    "in the wrong order, and no error tells."
)
EXAMPLE = "VMSTATE_UINT32_ARRAY(regs, State, 4) that became VMSTATE_BUFFER(regs, State)"
REMEDY = "Keep the VMStateInfo of a field for ever."
REFERENCES = ("QEMU 10.0.13 migration/vmstate-types.c put_buffer, put_uint32",)
MESSAGE = "{difference}: its bytes arrive in the wrong order, and QEMU prints no error"

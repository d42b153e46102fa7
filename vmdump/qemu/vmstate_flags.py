"""Numbers of QEMU's ``enum VMStateFlags``, without the VMS_ prefix; `vmdump.vmstate.VMStateFlags` documents them.

Plain ints: importing an enum, or the model, takes longer than a whole check.

Source: QEMU 8.2.2 include/migration/vmstate.h. ARRAY_OF_POINTER_AUTO_ALLOC is QEMU 11's, whose own number, 0x10000, is
VMS_END in 8.2.
"""

SINGLE = 0x1
POINTER = 0x2
ARRAY = 0x4
STRUCT = 0x8
VARRAY_INT32 = 0x10
BUFFER = 0x20
ARRAY_OF_POINTER = 0x40
VARRAY_UINT16 = 0x80
VBUFFER = 0x100
MULTIPLY = 0x200
VARRAY_UINT8 = 0x400
VARRAY_UINT32 = 0x800
MUST_EXIST = 0x1000
ALLOC = 0x2000
MULTIPLY_ELEMENTS = 0x4000
VSTRUCT = 0x8000
END = 0x10000
ARRAY_OF_POINTER_AUTO_ALLOC = 0x20000

#: Any flag that takes the number of elements from a member.
VARRAY = VARRAY_INT32 | VARRAY_UINT8 | VARRAY_UINT16 | VARRAY_UINT32

"""FIFO of bytes, embedded in many devices: VMSTATE_FIFO8.

Demonstrates a buffer whose size is a member of the struct.

Source: QEMU 10.0 include/qemu/fifo8.h, util/fifo8.c.
"""

from ctypes import POINTER, Structure, c_uint8, c_uint32

from vmdump.vmstate import (
    VMSTATE_STRUCT_TEST,
    VMSTATE_UINT32,
    VMSTATE_VBUFFER_UINT32,
    FieldTest,
    VMStateDescription,
    VMStateField,
)


class Fifo8(Structure):
    """A ring buffer: ``num`` of ``capacity`` bytes are in use, from ``data[head]`` on."""

    _fields_ = [
        ("data", POINTER(c_uint8)),
        ("capacity", c_uint32),
        ("head", c_uint32),
        ("num", c_uint32),
    ]


def fifo8_is_empty(fifo: Fifo8) -> bool:
    return bool(fifo.num == 0)


vmstate_fifo8 = VMStateDescription(
    "Fifo8",
    version_id=1,
    minimum_version_id=1,
    fields=(
        # The size is the value of capacity at run time, so the dump prints 0.
        VMSTATE_VBUFFER_UINT32("data", Fifo8, 1, None, "capacity"),
        VMSTATE_UINT32("head", Fifo8),
        VMSTATE_UINT32("num", Fifo8),
    ),
)


def VMSTATE_FIFO8_TEST(_field: str, _state: type[Structure] | None, _test: FieldTest) -> VMStateField:
    """Return the field of a Fifo8 that is sent if the test returns true."""
    return VMSTATE_STRUCT_TEST(_field, _state, _test, 0, vmstate_fifo8, Fifo8)


def VMSTATE_FIFO8(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of a Fifo8."""
    return VMSTATE_FIFO8_TEST(_field, _state, None)

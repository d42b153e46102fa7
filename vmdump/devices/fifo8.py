"""A FIFO of bytes, embedded in many a device: VMSTATE_FIFO8.

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
    """``num`` of at most ``capacity`` bytes, in a ring that starts at ``data[head]``."""

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
        # As many bytes as the run-time value of capacity says. So the dump knows no size, and prints 0.
        VMSTATE_VBUFFER_UINT32("data", Fifo8, 1, None, "capacity"),
        VMSTATE_UINT32("head", Fifo8),
        VMSTATE_UINT32("num", Fifo8),
    ),
)


def VMSTATE_FIFO8_TEST(_field: str, _state: type[Structure] | None, _test: FieldTest) -> VMStateField:
    """A member of type Fifo8 that is there when the test says so."""
    return VMSTATE_STRUCT_TEST(_field, _state, _test, 0, vmstate_fifo8, Fifo8)


def VMSTATE_FIFO8(_field: str, _state: type[Structure] | None) -> VMStateField:
    """A member of type Fifo8."""
    return VMSTATE_FIFO8_TEST(_field, _state, None)

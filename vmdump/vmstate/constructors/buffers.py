"""Buffers of bytes, of a fixed size or of a size that is a member of the state."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_int32, c_uint8, c_uint32

from vmdump.qemu import vmstate_flags
from vmdump.vmstate.constructors.state_types import named
from vmdump.vmstate.model import FieldTest, VMStateField, VMStateInfo, vmstate_info_bitmap, vmstate_info_buffer
from vmdump.vmstate.type_check import (
    CType,
    State,
    offsetof,
    sizeof_field,
    vmstate_offset_sub_array,
    vmstate_offset_value,
)

# Plain ints: see VMStateField.flags.
_POINTER = vmstate_flags.POINTER
_ALLOC = vmstate_flags.ALLOC
_BUFFER = vmstate_flags.BUFFER
_BUFFER_POINTER = _BUFFER | _POINTER
_VBUFFER = vmstate_flags.VBUFFER | _POINTER
_VBUFFER_MULTIPLY = _VBUFFER | vmstate_flags.MULTIPLY


# Buffers of bytes.


def VMSTATE_STATIC_BUFFER(
    _field: str, _state: State, _version: int, _test: FieldTest, _start: int, _size: int
) -> VMStateField:
    """Bytes ``_start`` to ``_size - 1`` of a ``uint8_t _field[]``. Flags: BUFFER. Size: ``_size - _start`` bytes.

    >>> from ctypes import Structure
    >>> class SCSIState(Structure):
    ...     _fields_ = [("cmdlen", c_uint32), ("cmdbuf", c_uint8 * 32)]
    >>> rest = VMSTATE_STATIC_BUFFER("cmdbuf", SCSIState, 0, None, 16, 32)
    >>> rest.offset, rest.size
    (20, 16)
    """
    offset = vmstate_offset_sub_array(_state, _field, c_uint8, _start, _size - _start)
    return VMStateField(_field, offset, _size - _start, 0, _BUFFER, _version, 0, vmstate_info_buffer, None, _test)


def VMSTATE_BUFFER(_f: str, _s: State) -> VMStateField:
    """All of a ``uint8_t _f[]``. Flags: BUFFER. Size: the array's, in bytes; requires the struct.

    >>> from ctypes import Structure
    >>> class NVRAMState(Structure):
    ...     _fields_ = [("addr", c_uint32), ("regs", c_uint8 * 16)]
    >>> VMSTATE_BUFFER("regs", NVRAMState).size
    16
    """
    return VMSTATE_STATIC_BUFFER(_f, _s, 0, None, 0, sizeof_field(_s, _f))


def VMSTATE_BUFFER_V(_f: str, _s: State, _v: int) -> VMStateField:
    """All of a ``uint8_t _f[]``, since version ``_v``. Flags: BUFFER. Size: the array's, in bytes."""
    return VMSTATE_STATIC_BUFFER(_f, _s, _v, None, 0, sizeof_field(_s, _f))


def VMSTATE_BUFFER_TEST(_f: str, _s: State, _test: FieldTest) -> VMStateField:
    """All of a ``uint8_t _f[]``, conditional. Flags: BUFFER. Size: the array's, in bytes."""
    return VMSTATE_STATIC_BUFFER(_f, _s, 0, _test, 0, sizeof_field(_s, _f))


def VMSTATE_PARTIAL_BUFFER(_f: str, _s: State, _size: int) -> VMStateField:
    """The first ``_size`` bytes of a ``uint8_t _f[]``. Flags: BUFFER. Size: ``_size``."""
    return VMSTATE_STATIC_BUFFER(_f, _s, 0, None, 0, _size)


def VMSTATE_BUFFER_START_MIDDLE_V(_f: str, _s: State, _start: int, _v: int) -> VMStateField:
    """Bytes ``_start`` to the end of a ``uint8_t _f[]``, since version ``_v``. Flags: BUFFER. Size: their number."""
    return VMSTATE_STATIC_BUFFER(_f, _s, _v, None, _start, sizeof_field(_s, _f))


def VMSTATE_BUFFER_START_MIDDLE(_f: str, _s: State, _start: int) -> VMStateField:
    """Bytes ``_start`` to the end of a ``uint8_t _f[]``. Flags: BUFFER. Size: their number."""
    return VMSTATE_STATIC_BUFFER(_f, _s, 0, None, _start, sizeof_field(_s, _f))


def VMSTATE_BUFFER_UNSAFE_INFO_TEST(
    _field: str, _state: State, _test: FieldTest, _version: int, _info: VMStateInfo, _size: int
) -> VMStateField:
    """``_size`` bytes at a member of any type, conditional. Flags: BUFFER. Size: ``_size``."""
    return VMStateField(_field, offsetof(_state, _field), _size, 0, _BUFFER, _version, 0, _info, None, _test)


def VMSTATE_BUFFER_UNSAFE_INFO(
    _field: str, _state: State, _version: int, _info: VMStateInfo, _size: int
) -> VMStateField:
    """``_size`` bytes at a member of any type. Flags: BUFFER. Size: ``_size``."""
    return VMSTATE_BUFFER_UNSAFE_INFO_TEST(_field, _state, None, _version, _info, _size)


def VMSTATE_BUFFER_UNSAFE(_field: str, _state: State, _version: int, _size: int) -> VMStateField:
    """``_size`` bytes at a member of any type, sent as a buffer. Flags: BUFFER. Size: ``_size``."""
    return VMSTATE_BUFFER_UNSAFE_INFO_TEST(_field, _state, None, _version, vmstate_info_buffer, _size)


def VMSTATE_BUFFER_POINTER_UNSAFE(_field: str, _state: State, _version: int, _size: int) -> VMStateField:
    """``_size`` bytes behind a pointer of any type. Flags: BUFFER, POINTER. Size: ``_size``."""
    offset = offsetof(_state, _field)
    return VMStateField(_field, offset, _size, 0, _BUFFER_POINTER, _version, 0, vmstate_info_buffer)


# Buffers whose size is a member.


def _vbuffer(name: str, size_type: CType, flags: int) -> Callable[[str, State, int, FieldTest, str], VMStateField]:
    """A buffer behind a pointer of any type whose size in bytes is the member ``_field_size``.

    The size is a uint32_t, for VBUFFER an int32_t. Flags: VBUFFER, POINTER; ALLOC if loading allocates the memory.
    Size: 0, as it is unknown.

    >>> from ctypes import POINTER, Structure
    >>> class FlashState(Structure):
    ...     _fields_ = [("size", c_int32), ("storage", POINTER(c_uint8))]
    >>> VMSTATE_VBUFFER("storage", FlashState, 1, None, "size").size_offset
    0
    """

    def vbuffer(_field: str, _state: State, _version: int, _test: FieldTest, _field_size: str) -> VMStateField:
        """The buffer, since version ``_version``, conditional."""
        offset, size_offset = offsetof(_state, _field), vmstate_offset_value(_state, _field_size, size_type)
        return VMStateField(
            _field, offset, 0, 0, flags, _version, 0, vmstate_info_buffer, None, _test, size_offset=size_offset
        )

    return named(name, vbuffer)


VMSTATE_VBUFFER = _vbuffer("VMSTATE_VBUFFER", c_int32, _VBUFFER)
VMSTATE_VBUFFER_UINT32 = _vbuffer("VMSTATE_VBUFFER_UINT32", c_uint32, _VBUFFER)
VMSTATE_VBUFFER_ALLOC_UINT32 = _vbuffer("VMSTATE_VBUFFER_ALLOC_UINT32", c_uint32, _VBUFFER | _ALLOC)


def VMSTATE_VBUFFER_MULTIPLY(
    _field: str, _state: State, _version: int, _test: FieldTest, _field_size: str, _multiply: int
) -> VMStateField:
    """A buffer behind a pointer of any type whose size in bytes is a uint32_t member multiplied by ``_multiply``.

    Flags: VBUFFER, POINTER, MULTIPLY. Size: the factor.
    """
    offset, size_offset = offsetof(_state, _field), vmstate_offset_value(_state, _field_size, c_uint32)
    info, flags = vmstate_info_buffer, _VBUFFER_MULTIPLY
    return VMStateField(_field, offset, _multiply, 0, flags, _version, 0, info, None, _test, size_offset=size_offset)


def VMSTATE_PARTIAL_VBUFFER(_f: str, _s: State, _size: str) -> VMStateField:
    """A buffer behind a pointer whose size is the int32_t member ``_size``. Flags: VBUFFER, POINTER. Size: 0."""
    return VMSTATE_VBUFFER(_f, _s, 0, None, _size)


def VMSTATE_PARTIAL_VBUFFER_UINT32(_f: str, _s: State, _size: str) -> VMStateField:
    """A buffer behind a pointer whose size is the uint32_t member ``_size``. Flags: VBUFFER, POINTER. Size: 0."""
    return VMSTATE_VBUFFER_UINT32(_f, _s, 0, None, _size)


def VMSTATE_BITMAP_TEST(_field: str, _state: State, _test: FieldTest, _version: int, _field_size: str) -> VMStateField:
    """A bitmap behind a pointer, conditional; size in bits: an int32_t member. Flags: VBUFFER, POINTER. Size: 0."""
    offset, size_offset = offsetof(_state, _field), vmstate_offset_value(_state, _field_size, c_int32)
    return VMStateField(
        _field, offset, 0, 0, _VBUFFER, _version, 0, vmstate_info_bitmap, None, _test, size_offset=size_offset
    )


def VMSTATE_BITMAP(_field: str, _state: State, _version: int, _field_size: str) -> VMStateField:
    """A bitmap behind a pointer; size in bits: an int32_t member. Flags: VBUFFER, POINTER. Size: 0."""
    return VMSTATE_BITMAP_TEST(_field, _state, None, _version, _field_size)

"""Arrays of values, of a fixed length or of a length that is a member of the state."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import POINTER, c_bool, c_int16, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64

from vmdump.qemu import vmstate_flags
from vmdump.vmstate.constructors.state_types import CPU_DoubleU, QEMUTimer, named
from vmdump.vmstate.model import (
    VMStateField,
    VMStateInfo,
    vmstate_info_bool,
    vmstate_info_cpudouble,
    vmstate_info_int16,
    vmstate_info_int32,
    vmstate_info_int64,
    vmstate_info_timer,
    vmstate_info_uint8,
    vmstate_info_uint16,
    vmstate_info_uint32,
    vmstate_info_uint64,
)
from vmdump.vmstate.type_check import (
    CType,
    State,
    sizeof,
    vmstate_offset_array,
    vmstate_offset_pointer,
    vmstate_offset_sub_array,
    vmstate_offset_value,
    vmstate_offset_varray,
)

# Plain ints: see VMStateField.flags.
_POINTER = vmstate_flags.POINTER
_ALLOC = vmstate_flags.ALLOC
_ARRAY = vmstate_flags.ARRAY
_VARRAY_INT32 = vmstate_flags.VARRAY_INT32
_VARRAY_UINT16 = vmstate_flags.VARRAY_UINT16
_VARRAY_UINT32 = vmstate_flags.VARRAY_UINT32
_VARRAY_MULTIPLY = vmstate_flags.VARRAY_UINT32 | vmstate_flags.MULTIPLY_ELEMENTS
_ARRAY_OF_POINTER = _ARRAY | vmstate_flags.ARRAY_OF_POINTER


# Arrays of a fixed length.


def VMSTATE_ARRAY(
    _field: str, _state: State, _num: int, _version: int, _info: VMStateInfo, _type: CType
) -> VMStateField:
    """A ``_type _field[_num]``. Flags: ARRAY. Size: an element's.

    >>> from ctypes import Structure
    >>> class ChipState(Structure):
    ...     _fields_ = [("mode", c_uint8), ("delay", QEMUTimer * 4)]
    >>> VMSTATE_ARRAY("delay", ChipState, 4, 0, vmstate_info_timer, QEMUTimer).num
    4
    """
    offset = vmstate_offset_array(_state, _field, _type, _num)
    return VMStateField(_field, offset, sizeof(_type), _num, _ARRAY, _version, 0, _info)


def VMSTATE_SUB_ARRAY(
    _field: str, _state: State, _start: int, _num: int, _version: int, _info: VMStateInfo, _type: CType
) -> VMStateField:
    """Elements ``_start`` to ``_start + _num - 1`` of a ``_type _field[]``. Flags: ARRAY. Size: an element's."""
    offset = vmstate_offset_sub_array(_state, _field, _type, _start, _num)
    return VMStateField(_field, offset, sizeof(_type), _num, _ARRAY, _version, 0, _info)


def VMSTATE_2DARRAY(
    _field: str, _state: State, _n1: int, _n2: int, _version: int, _info: VMStateInfo, _type: CType
) -> VMStateField:
    """A ``_type _field[_n1][_n2]``, which goes as one array of ``_n1 * _n2``. Flags: ARRAY. Size: an element's."""
    offset = vmstate_offset_array(_state, _field, _type, _n1, _n2)
    return VMStateField(_field, offset, sizeof(_type), _n1 * _n2, _ARRAY, _version, 0, _info)


def _array(
    name: str, info: VMStateInfo, ctype: CType
) -> tuple[Callable[[str, State, int], VMStateField], Callable[[str, State, int, int], VMStateField]]:
    """An array of ``_n`` elements of the C type in the name: unconditional, or since a version (``_V``).

    Flags: ARRAY. Size: an element's.

    >>> from ctypes import Structure
    >>> class NVRAMState(Structure):
    ...     _fields_ = [("addr", c_uint32), ("regs", c_uint8 * 16)]
    >>> VMSTATE_UINT8_ARRAY_V("regs", NVRAMState, 16, 2)
    VMStateField('regs', offset=4, size=1, num=16, flags=ARRAY, version_id=2, info='uint8')
    """
    size = sizeof(ctype)

    def plain(_f: str, _s: State, _n: int) -> VMStateField:
        """The array, unconditional."""
        return VMStateField(_f, vmstate_offset_array(_s, _f, ctype, _n), size, _n, _ARRAY, 0, 0, info)

    def since_version(_f: str, _s: State, _n: int, _v: int) -> VMStateField:
        """The array, since version ``_v``."""
        return VMStateField(_f, vmstate_offset_array(_s, _f, ctype, _n), size, _n, _ARRAY, _v, 0, info)

    return named(name, plain), named(f"{name}_V", since_version)


VMSTATE_BOOL_ARRAY, VMSTATE_BOOL_ARRAY_V = _array("VMSTATE_BOOL_ARRAY", vmstate_info_bool, c_bool)
VMSTATE_INT16_ARRAY, VMSTATE_INT16_ARRAY_V = _array("VMSTATE_INT16_ARRAY", vmstate_info_int16, c_int16)
VMSTATE_INT32_ARRAY, VMSTATE_INT32_ARRAY_V = _array("VMSTATE_INT32_ARRAY", vmstate_info_int32, c_int32)
VMSTATE_INT64_ARRAY, VMSTATE_INT64_ARRAY_V = _array("VMSTATE_INT64_ARRAY", vmstate_info_int64, c_int64)
VMSTATE_UINT8_ARRAY, VMSTATE_UINT8_ARRAY_V = _array("VMSTATE_UINT8_ARRAY", vmstate_info_uint8, c_uint8)
VMSTATE_UINT16_ARRAY, VMSTATE_UINT16_ARRAY_V = _array("VMSTATE_UINT16_ARRAY", vmstate_info_uint16, c_uint16)
VMSTATE_UINT32_ARRAY, VMSTATE_UINT32_ARRAY_V = _array("VMSTATE_UINT32_ARRAY", vmstate_info_uint32, c_uint32)
VMSTATE_UINT64_ARRAY, VMSTATE_UINT64_ARRAY_V = _array("VMSTATE_UINT64_ARRAY", vmstate_info_uint64, c_uint64)
VMSTATE_CPUDOUBLE_ARRAY, VMSTATE_CPUDOUBLE_ARRAY_V = _array(
    "VMSTATE_CPUDOUBLE_ARRAY", vmstate_info_cpudouble, CPU_DoubleU
)
VMSTATE_TIMER_ARRAY = _array("VMSTATE_TIMER_ARRAY", vmstate_info_timer, QEMUTimer)[0]


def _sub_array(name: str, info: VMStateInfo, ctype: CType) -> Callable[[str, State, int, int], VMStateField]:
    """``_num`` elements of an array of the C type in the name, from index ``_start`` on.

    Flags: ARRAY. Size: an element's.

    >>> from ctypes import Structure
    >>> class NICState(Structure):
    ...     _fields_ = [("mac_reg", c_uint32 * 64)]
    >>> VMSTATE_UINT32_SUB_ARRAY("mac_reg", NICState, 16, 32).offset
    64
    """

    def plain(_f: str, _s: State, _start: int, _num: int) -> VMStateField:
        """The sub-array."""
        return VMSTATE_SUB_ARRAY(_f, _s, _start, _num, 0, info, ctype)

    return named(name, plain)


VMSTATE_BOOL_SUB_ARRAY = _sub_array("VMSTATE_BOOL_SUB_ARRAY", vmstate_info_bool, c_bool)
VMSTATE_UINT8_SUB_ARRAY = _sub_array("VMSTATE_UINT8_SUB_ARRAY", vmstate_info_uint8, c_uint8)
VMSTATE_UINT16_SUB_ARRAY = _sub_array("VMSTATE_UINT16_SUB_ARRAY", vmstate_info_uint16, c_uint16)
VMSTATE_UINT32_SUB_ARRAY = _sub_array("VMSTATE_UINT32_SUB_ARRAY", vmstate_info_uint32, c_uint32)
VMSTATE_UINT64_SUB_ARRAY = _sub_array("VMSTATE_UINT64_SUB_ARRAY", vmstate_info_uint64, c_uint64)


def _2darray(
    name: str, info: VMStateInfo, ctype: CType
) -> tuple[Callable[[str, State, int, int], VMStateField], Callable[[str, State, int, int, int], VMStateField]]:
    """An array ``[_n1][_n2]`` of the C type in the name: unconditional, or since a version (``_V``).

    Flags: ARRAY. Size: an element's; ``num`` counts all elements.

    >>> from ctypes import Structure
    >>> class LaneState(Structure):
    ...     _fields_ = [("lane", c_uint16 * 3 * 2)]
    >>> VMSTATE_UINT16_2DARRAY("lane", LaneState, 2, 3).num
    6
    """

    def plain(_f: str, _s: State, _n1: int, _n2: int) -> VMStateField:
        """The array, unconditional."""
        return VMSTATE_2DARRAY(_f, _s, _n1, _n2, 0, info, ctype)

    def since_version(_f: str, _s: State, _n1: int, _n2: int, _v: int) -> VMStateField:
        """The array, since version ``_v``."""
        return VMSTATE_2DARRAY(_f, _s, _n1, _n2, _v, info, ctype)

    return named(name, plain), named(f"{name}_V", since_version)


VMSTATE_UINT8_2DARRAY, VMSTATE_UINT8_2DARRAY_V = _2darray("VMSTATE_UINT8_2DARRAY", vmstate_info_uint8, c_uint8)
VMSTATE_UINT16_2DARRAY, VMSTATE_UINT16_2DARRAY_V = _2darray("VMSTATE_UINT16_2DARRAY", vmstate_info_uint16, c_uint16)
VMSTATE_UINT32_2DARRAY, VMSTATE_UINT32_2DARRAY_V = _2darray("VMSTATE_UINT32_2DARRAY", vmstate_info_uint32, c_uint32)
VMSTATE_UINT64_2DARRAY, VMSTATE_UINT64_2DARRAY_V = _2darray("VMSTATE_UINT64_2DARRAY", vmstate_info_uint64, c_uint64)


def VMSTATE_ARRAY_OF_POINTER(
    _field: str, _state: State, _num: int, _version: int, _info: VMStateInfo, _type: CType
) -> VMStateField:
    """A ``_type _field[_num]`` of a pointer type. Flags: ARRAY, ARRAY_OF_POINTER. Size: a pointer's."""
    offset = vmstate_offset_array(_state, _field, _type, _num)
    return VMStateField(_field, offset, sizeof(_type), _num, _ARRAY_OF_POINTER, _version, 0, _info)


def VMSTATE_TIMER_PTR_ARRAY(_f: str, _s: State, _n: int) -> VMStateField:
    """A ``QEMUTimer *_f[_n]``. Flags: ARRAY, ARRAY_OF_POINTER. Size: a pointer's."""
    return VMSTATE_ARRAY_OF_POINTER(_f, _s, _n, 0, vmstate_info_timer, POINTER(QEMUTimer))


# Arrays whose length is a member.


def _varray(
    name: str, offset_of: Callable[[State, str, CType], int | None], count_type: CType, flags: int
) -> Callable[[str, State, str, int, VMStateInfo, CType], VMStateField]:
    """An array whose length is the member ``_field_num``, of the type in the macro's name.

    The field is a ``_type *``, for UNSAFE a ``_type []``. Flags: VARRAY_* of the length's type; POINTER unless UNSAFE;
    ALLOC if loading allocates the elements. Size: an element's. The dump does not print the length.

    >>> from ctypes import Structure
    >>> from vmdump.vmstate import VMStateFlags
    >>> class RingState(Structure):
    ...     _fields_ = [("len", c_uint32), ("ring", POINTER(c_uint16))]
    >>> ring = VMSTATE_VARRAY_UINT32("ring", RingState, "len", 0, vmstate_info_uint16, c_uint16)
    >>> ring.offset, ring.size, ring.num, ring.num_offset, VMStateFlags(ring.flags)
    (8, 2, 0, 0, <VMStateFlags.POINTER|VARRAY_UINT32: 2050>)
    """

    def varray(
        _field: str, _state: State, _field_num: str, _version: int, _info: VMStateInfo, _type: CType
    ) -> VMStateField:
        """The array, since version ``_version``."""
        offset = offset_of(_state, _field, _type)
        num_offset = vmstate_offset_value(_state, _field_num, count_type)
        return VMStateField(_field, offset, sizeof(_type), 0, flags, _version, 0, _info, num_offset=num_offset)

    return named(name, varray)


VMSTATE_VARRAY_INT32 = _varray("VMSTATE_VARRAY_INT32", vmstate_offset_pointer, c_int32, _VARRAY_INT32 | _POINTER)
VMSTATE_VARRAY_UINT32 = _varray("VMSTATE_VARRAY_UINT32", vmstate_offset_pointer, c_uint32, _VARRAY_UINT32 | _POINTER)
VMSTATE_VARRAY_UINT32_ALLOC = _varray(
    "VMSTATE_VARRAY_UINT32_ALLOC", vmstate_offset_pointer, c_uint32, _VARRAY_UINT32 | _POINTER | _ALLOC
)
VMSTATE_VARRAY_UINT16_ALLOC = _varray(
    "VMSTATE_VARRAY_UINT16_ALLOC", vmstate_offset_pointer, c_uint16, _VARRAY_UINT16 | _POINTER | _ALLOC
)
VMSTATE_VARRAY_UINT16_UNSAFE = _varray("VMSTATE_VARRAY_UINT16_UNSAFE", vmstate_offset_varray, c_uint16, _VARRAY_UINT16)


def VMSTATE_ARRAY_INT32_UNSAFE(
    _field: str, _state: State, _field_num: str, _info: VMStateInfo, _type: CType
) -> VMStateField:
    """A ``_type _field[]`` whose length is an int32_t member. Flags: VARRAY_INT32. Size: an element's."""
    offset = vmstate_offset_varray(_state, _field, _type)
    num_offset = vmstate_offset_value(_state, _field_num, c_int32)
    return VMStateField(_field, offset, sizeof(_type), 0, _VARRAY_INT32, 0, 0, _info, num_offset=num_offset)


def VMSTATE_VARRAY_MULTIPLY(
    _field: str, _state: State, _field_num: str, _multiply: int, _info: VMStateInfo, _type: CType
) -> VMStateField:
    """A ``_type _field[]`` whose length is a uint32_t member multiplied by ``_multiply``.

    Flags: VARRAY_UINT32, MULTIPLY_ELEMENTS. Size: an element's; ``num``: the factor.
    """
    offset = vmstate_offset_varray(_state, _field, _type)
    num_offset = vmstate_offset_value(_state, _field_num, c_uint32)
    flags = _VARRAY_MULTIPLY
    return VMStateField(_field, offset, sizeof(_type), _multiply, flags, 0, 0, _info, num_offset=num_offset)

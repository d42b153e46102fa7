"""The VMSTATE_* constructors: a function for each macro of QEMU's vmstate.h, with the same name and parameters.

Member names are strings and types are ctypes types:

>>> class NVRAMState(Structure):
...     _fields_ = [("addr", c_uint32), ("regs", c_uint8 * 16)]
>>> VMSTATE_UINT8("regs[3]", NVRAMState).offset
7

Parameters have the names of the macros':

- ``_field``, ``_f``: C designator of the member: ``"addr"``, ``"queue.rptr"``, ``"regs[3]"``. Also the field's name.
- ``_state``, ``_s``: the ctypes.Structure that holds the state. It provides offsets and types, which are checked as by
  QEMU's compiler. None: the struct is unknown; no offset, no check.
- ``_type``: ctypes type of one element, or its size in bytes.
- ``_version``, ``_v``: first version of the description that has the field.
- ``_test``, ``_t``: the field is sent if ``test(state, version_id)`` returns true; None: always.
- ``_num``, ``_n``, ``_n1``, ``_n2``: numbers of elements. ``_field_num``: the member that holds the number of elements.
  ``_field_size``: the member that holds the size.
- ``_info``: encoding of one element. ``_vmsd``: description of one element.
- ``_size``, ``_start`` of buffers: in bytes. ``_start`` of arrays: index of the first element.

In the docstrings, "Size" is the size of one element in bytes. All constructors raise VMStateError if the member does
not exist or has another type. Quirks of QEMU's macros are preserved, because they affect the stream.

Source: QEMU 8.2.2 include/migration/vmstate.h, and 10.0.13's for VMSTATE_FD.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import (
    POINTER,
    Structure,
    Union,
    c_bool,
    c_double,
    c_int8,
    c_int16,
    c_int32,
    c_int64,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import TypeVar

from vmdump.qemu import vmstate_flags
from vmdump.vmstate.model import (
    FieldTest,
    VMStateDescription,
    VMStateField,
    VMStateInfo,
    vmstate_info_bitmap,
    vmstate_info_bool,
    vmstate_info_buffer,
    vmstate_info_cpudouble,
    vmstate_info_fd,
    vmstate_info_gtree,
    vmstate_info_int8,
    vmstate_info_int16,
    vmstate_info_int32,
    vmstate_info_int32_equal,
    vmstate_info_int32_le,
    vmstate_info_int64,
    vmstate_info_qlist,
    vmstate_info_qtailq,
    vmstate_info_timer,
    vmstate_info_tmp,
    vmstate_info_uint8,
    vmstate_info_uint8_equal,
    vmstate_info_uint16,
    vmstate_info_uint16_equal,
    vmstate_info_uint32,
    vmstate_info_uint32_equal,
    vmstate_info_uint64,
    vmstate_info_uint64_equal,
    vmstate_info_unused_buffer,
)
from vmdump.vmstate.type_check import (
    CType,
    State,
    check_tmp_parent,
    offset_in_element,
    offsetof,
    sizeof,
    sizeof_field,
    vmstate_offset_array,
    vmstate_offset_pointer,
    vmstate_offset_sub_array,
    vmstate_offset_value,
    vmstate_offset_varray,
)

# Plain ints: see VMStateField.flags.
_SINGLE = vmstate_flags.SINGLE
_POINTER = vmstate_flags.POINTER
_ALLOC = vmstate_flags.ALLOC
_ARRAY = vmstate_flags.ARRAY
_STRUCT = vmstate_flags.STRUCT
_VSTRUCT = vmstate_flags.VSTRUCT
_BUFFER = vmstate_flags.BUFFER
_VARRAY_INT32 = vmstate_flags.VARRAY_INT32
_VARRAY_UINT8 = vmstate_flags.VARRAY_UINT8
_VARRAY_UINT16 = vmstate_flags.VARRAY_UINT16
_VARRAY_UINT32 = vmstate_flags.VARRAY_UINT32
_VARRAY_MULTIPLY = vmstate_flags.VARRAY_UINT32 | vmstate_flags.MULTIPLY_ELEMENTS
_SINGLE_POINTER = _SINGLE | _POINTER
_ARRAY_OF_POINTER = _ARRAY | vmstate_flags.ARRAY_OF_POINTER
_STRUCT_POINTER = _STRUCT | _POINTER
_STRUCT_ARRAY = _STRUCT | _ARRAY
_STRUCT_ARRAY_POINTER = _STRUCT | _ARRAY | _POINTER
_STRUCT_ARRAY_OF_POINTER = _STRUCT | _ARRAY_OF_POINTER
_BUFFER_POINTER = _BUFFER | _POINTER
_VBUFFER = vmstate_flags.VBUFFER | _POINTER
_VBUFFER_MULTIPLY = _VBUFFER | vmstate_flags.MULTIPLY
_UNUSED_VARRAY = _VARRAY_UINT32 | _BUFFER
_VALIDATE = _ARRAY | vmstate_flags.MUST_EXIST

_SIZEOF_POINTER = sizeof(c_void_p)


class QEMUTimer(Structure):
    """A timer in a state struct: 48 bytes on a 64-bit host. expire_time is in nanoseconds, -1 if it is not armed.

    Source: QEMU 8.2.2 include/qemu/timer.h.
    """

    _fields_ = (("expire_time", c_int64), ("opaque", c_uint64 * 5))


class CPU_DoubleU(Union):  # noqa: N801
    """A floating-point register as double or integer. Source: QEMU 8.2.2 include/qemu/cpu-float.h."""

    _fields_ = (("d", c_double), ("ll", c_uint64))


_Function = TypeVar("_Function", bound=Callable[..., VMStateField])


def _named(name: str, function: _Function) -> _Function:
    """Set a generated function's name to the macro's, which help(), tracebacks and errors show."""
    function.__name__ = function.__qualname__ = name
    function.__code__ = function.__code__.replace(co_name=name, co_qualname=name)
    return function


# --- One value ---------------------------------------------------------------------------------------------------


def VMSTATE_SINGLE_FULL(
    _field: str, _state: State, _test: FieldTest, _version: int, _info: VMStateInfo, _type: CType, _err_hint: str | None
) -> VMStateField:
    """A member of ``_type``. Flags: SINGLE. Size: the type's. ``_err_hint``: EQUAL prints it on a mismatch."""
    offset = vmstate_offset_value(_state, _field, _type)
    return VMStateField(_field, offset, sizeof(_type), 0, _SINGLE, _version, 0, _info, None, _test, err_hint=_err_hint)


def VMSTATE_SINGLE_TEST(
    _field: str, _state: State, _test: FieldTest, _version: int, _info: VMStateInfo, _type: CType
) -> VMStateField:
    """A member of ``_type``, conditional. Flags: SINGLE. Size: the type's."""
    offset = vmstate_offset_value(_state, _field, _type)
    return VMStateField(_field, offset, sizeof(_type), 0, _SINGLE, _version, 0, _info, None, _test)


def VMSTATE_SINGLE(_field: str, _state: State, _version: int, _info: VMStateInfo, _type: CType) -> VMStateField:
    """A member of ``_type``. Flags: SINGLE. Size: the type's.

    >>> class ChipState(Structure):
    ...     _fields_ = [("chip", c_uint8 * 3)]
    >>> VMSTATE_SINGLE("chip", ChipState, 2, VMStateInfo("chip"), c_uint8 * 3).size
    3
    """
    return VMSTATE_SINGLE_TEST(_field, _state, None, _version, _info, _type)


def _scalar(
    name: str, info: VMStateInfo, ctype: CType
) -> tuple[
    Callable[[str, State], VMStateField],
    Callable[[str, State, int], VMStateField],
    Callable[[str, State, FieldTest], VMStateField],
]:
    """A member of the C type in the name: unconditional, since a version (``_V``), or conditional (``_TEST``).

    Flags: SINGLE. Size: the type's.

    >>> class NVRAMState(Structure):
    ...     _fields_ = [("addr", c_uint32), ("dirty", c_bool)]
    >>> VMSTATE_BOOL_V("dirty", NVRAMState, 2)
    VMStateField('dirty', offset=4, size=1, flags=SINGLE, version_id=2, info='bool')
    >>> VMSTATE_UINT32_TEST("addr", NVRAMState, lambda state, version_id: version_id < 2).info.name
    'uint32'
    """
    size = sizeof(ctype)  # the most frequent constructors: they call VMStateField directly

    def plain(_f: str, _s: State) -> VMStateField:
        """The member, unconditional."""
        return VMStateField(_f, vmstate_offset_value(_s, _f, ctype), size, 0, _SINGLE, 0, 0, info)

    def since_version(_f: str, _s: State, _v: int) -> VMStateField:
        """The member, since version ``_v``."""
        return VMStateField(_f, vmstate_offset_value(_s, _f, ctype), size, 0, _SINGLE, _v, 0, info)

    def conditional(_f: str, _s: State, _t: FieldTest) -> VMStateField:
        """The member, conditional."""
        return VMStateField(_f, vmstate_offset_value(_s, _f, ctype), size, 0, _SINGLE, 0, 0, info, None, _t)

    return _named(name, plain), _named(f"{name}_V", since_version), _named(f"{name}_TEST", conditional)


VMSTATE_BOOL, VMSTATE_BOOL_V, VMSTATE_BOOL_TEST = _scalar("VMSTATE_BOOL", vmstate_info_bool, c_bool)
VMSTATE_INT8, VMSTATE_INT8_V, VMSTATE_INT8_TEST = _scalar("VMSTATE_INT8", vmstate_info_int8, c_int8)
VMSTATE_INT16, VMSTATE_INT16_V, VMSTATE_INT16_TEST = _scalar("VMSTATE_INT16", vmstate_info_int16, c_int16)
VMSTATE_INT32, VMSTATE_INT32_V, VMSTATE_INT32_TEST = _scalar("VMSTATE_INT32", vmstate_info_int32, c_int32)
VMSTATE_INT64, VMSTATE_INT64_V, VMSTATE_INT64_TEST = _scalar("VMSTATE_INT64", vmstate_info_int64, c_int64)
VMSTATE_UINT8, VMSTATE_UINT8_V, VMSTATE_UINT8_TEST = _scalar("VMSTATE_UINT8", vmstate_info_uint8, c_uint8)
VMSTATE_UINT16, VMSTATE_UINT16_V, VMSTATE_UINT16_TEST = _scalar("VMSTATE_UINT16", vmstate_info_uint16, c_uint16)
VMSTATE_UINT32, VMSTATE_UINT32_V, VMSTATE_UINT32_TEST = _scalar("VMSTATE_UINT32", vmstate_info_uint32, c_uint32)
VMSTATE_UINT64, VMSTATE_UINT64_V, VMSTATE_UINT64_TEST = _scalar("VMSTATE_UINT64", vmstate_info_uint64, c_uint64)
VMSTATE_TIMER, VMSTATE_TIMER_V, VMSTATE_TIMER_TEST = _scalar("VMSTATE_TIMER", vmstate_info_timer, QEMUTimer)
# A file descriptor, sent over a socket. New in QEMU 10.0.
VMSTATE_FD, VMSTATE_FD_V, VMSTATE_FD_TEST = _scalar("VMSTATE_FD", vmstate_info_fd, c_int32)
# __u8 to __u64 of Linux headers.
VMSTATE_U8, VMSTATE_U8_V = _scalar("VMSTATE_U8", vmstate_info_uint8, c_uint8)[:2]
VMSTATE_U16, VMSTATE_U16_V = _scalar("VMSTATE_U16", vmstate_info_uint16, c_uint16)[:2]
VMSTATE_U32, VMSTATE_U32_V = _scalar("VMSTATE_U32", vmstate_info_uint32, c_uint32)[:2]
VMSTATE_U64, VMSTATE_U64_V = _scalar("VMSTATE_U64", vmstate_info_uint64, c_uint64)[:2]


def _equal(
    name: str, info: VMStateInfo, ctype: CType
) -> tuple[Callable[[str, State, str | None], VMStateField], Callable[[str, State, int, str | None], VMStateField]]:
    """A member whose value must be equal in the destination; otherwise loading fails and prints the hint.

    Flags: SINGLE. Size: the type's.

    >>> class RAMState(Structure):
    ...     _fields_ = [("pages", c_uint64)]
    >>> VMSTATE_UINT64_EQUAL("pages", RAMState, "the RAM sizes differ").err_hint
    'the RAM sizes differ'
    """

    def plain(_f: str, _s: State, _err_hint: str | None) -> VMStateField:
        """The member, unconditional."""
        return VMSTATE_SINGLE_FULL(_f, _s, None, 0, info, ctype, _err_hint)

    def since_version(_f: str, _s: State, _v: int, _err_hint: str | None) -> VMStateField:
        """The member, since version ``_v``."""
        return VMSTATE_SINGLE_FULL(_f, _s, None, _v, info, ctype, _err_hint)

    return _named(name, plain), _named(f"{name}_V", since_version)


VMSTATE_UINT8_EQUAL = _equal("VMSTATE_UINT8_EQUAL", vmstate_info_uint8_equal, c_uint8)[0]
VMSTATE_UINT16_EQUAL, VMSTATE_UINT16_EQUAL_V = _equal("VMSTATE_UINT16_EQUAL", vmstate_info_uint16_equal, c_uint16)
VMSTATE_INT32_EQUAL = _equal("VMSTATE_INT32_EQUAL", vmstate_info_int32_equal, c_int32)[0]
VMSTATE_UINT32_EQUAL, VMSTATE_UINT32_EQUAL_V = _equal("VMSTATE_UINT32_EQUAL", vmstate_info_uint32_equal, c_uint32)
VMSTATE_UINT64_EQUAL, VMSTATE_UINT64_EQUAL_V = _equal("VMSTATE_UINT64_EQUAL", vmstate_info_uint64_equal, c_uint64)


def VMSTATE_INT32_POSITIVE_LE(_f: str, _s: State) -> VMStateField:
    """An int32_t. Loading fails if it is negative or exceeds the destination's value. Flags: SINGLE."""
    return VMSTATE_SINGLE(_f, _s, 0, vmstate_info_int32_le, c_int32)


# --- A pointer to one value --------------------------------------------------------------------------------------


def VMSTATE_POINTER(_field: str, _state: State, _version: int, _info: VMStateInfo, _type: CType) -> VMStateField:
    """A member of the pointer type ``_type``. Flags: SINGLE, POINTER. Size: the pointer's.

    >>> class RTCState(Structure):
    ...     _fields_ = [("timer", POINTER(QEMUTimer))]
    >>> VMSTATE_POINTER("timer", RTCState, 0, vmstate_info_timer, POINTER(QEMUTimer)).size
    8
    """
    offset = vmstate_offset_value(_state, _field, _type)
    return VMStateField(_field, offset, sizeof(_type), 0, _SINGLE_POINTER, _version, 0, _info)


def VMSTATE_POINTER_TEST(
    _field: str, _state: State, _test: FieldTest, _info: VMStateInfo, _type: CType
) -> VMStateField:
    """A member of the pointer type ``_type``, conditional. Flags: SINGLE, POINTER. Size: the pointer's."""
    offset = vmstate_offset_value(_state, _field, _type)
    return VMStateField(_field, offset, sizeof(_type), 0, _SINGLE_POINTER, 0, 0, _info, None, _test)


def VMSTATE_TIMER_PTR(_f: str, _s: State) -> VMStateField:
    """A QEMUTimer *. Flags: SINGLE, POINTER. Size: the pointer's."""
    return VMSTATE_POINTER(_f, _s, 0, vmstate_info_timer, POINTER(QEMUTimer))


def VMSTATE_TIMER_PTR_V(_f: str, _s: State, _v: int) -> VMStateField:
    """A QEMUTimer *, from version ``_v`` on. Flags: SINGLE, POINTER. Size: the pointer's."""
    return VMSTATE_POINTER(_f, _s, _v, vmstate_info_timer, POINTER(QEMUTimer))


def VMSTATE_TIMER_PTR_TEST(_f: str, _s: State, _test: FieldTest) -> VMStateField:
    """A QEMUTimer *, conditional. Flags: SINGLE, POINTER. Size: the pointer's."""
    return VMSTATE_POINTER_TEST(_f, _s, _test, vmstate_info_timer, POINTER(QEMUTimer))


# --- Arrays of a fixed length ------------------------------------------------------------------------------------


def VMSTATE_ARRAY(
    _field: str, _state: State, _num: int, _version: int, _info: VMStateInfo, _type: CType
) -> VMStateField:
    """A ``_type _field[_num]``. Flags: ARRAY. Size: an element's.

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

    return _named(name, plain), _named(f"{name}_V", since_version)


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

    >>> class NICState(Structure):
    ...     _fields_ = [("mac_reg", c_uint32 * 64)]
    >>> VMSTATE_UINT32_SUB_ARRAY("mac_reg", NICState, 16, 32).offset
    64
    """

    def plain(_f: str, _s: State, _start: int, _num: int) -> VMStateField:
        """The sub-array."""
        return VMSTATE_SUB_ARRAY(_f, _s, _start, _num, 0, info, ctype)

    return _named(name, plain)


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

    return _named(name, plain), _named(f"{name}_V", since_version)


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


# --- Arrays whose length is a member -----------------------------------------------------------------------------


def _varray(
    name: str, offset_of: Callable[[State, str, CType], int | None], count_type: CType, flags: int
) -> Callable[[str, State, str, int, VMStateInfo, CType], VMStateField]:
    """An array whose length is the member ``_field_num``, of the type in the macro's name.

    The field is a ``_type *``, for UNSAFE a ``_type []``. Flags: VARRAY_* of the length's type; POINTER unless UNSAFE;
    ALLOC if loading allocates the elements. Size: an element's. The dump does not print the length.

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

    return _named(name, varray)


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


# --- Structs within structs --------------------------------------------------------------------------------------


def VMSTATE_VSTRUCT_TEST(
    _field: str,
    _state: State,
    _test: FieldTest,
    _version: int,
    _vmsd: VMStateDescription,
    _type: CType,
    _struct_version: int,
) -> VMStateField:
    """A struct ``_type`` migrated as version ``_struct_version``, conditional. Flags: VSTRUCT. Size: the struct's."""
    offset = vmstate_offset_value(_state, _field, _type)
    return VMStateField(_field, offset, sizeof(_type), 0, _VSTRUCT, _version, _struct_version, None, _vmsd, _test)


def VMSTATE_VSTRUCT(
    _field: str, _state: State, _vmsd: VMStateDescription, _type: CType, _struct_version: int
) -> VMStateField:
    """A struct ``_type`` migrated as version ``_struct_version``. Flags: VSTRUCT. Size: the struct's."""
    return VMSTATE_VSTRUCT_TEST(_field, _state, None, 0, _vmsd, _type, _struct_version)


def VMSTATE_VSTRUCT_V(
    _field: str, _state: State, _version: int, _vmsd: VMStateDescription, _type: CType, _struct_version: int
) -> VMStateField:
    """A struct ``_type`` migrated as version ``_struct_version``. Flags: VSTRUCT. Size: the struct's."""
    return VMSTATE_VSTRUCT_TEST(_field, _state, None, _version, _vmsd, _type, _struct_version)


def VMSTATE_STRUCT_TEST(
    _field: str, _state: State, _test: FieldTest, _version: int, _vmsd: VMStateDescription, _type: CType
) -> VMStateField:
    """A struct ``_type``, conditional. Flags: STRUCT. Size: the struct's."""
    offset = vmstate_offset_value(_state, _field, _type)
    return VMStateField(_field, offset, sizeof(_type), 0, _STRUCT, _version, 0, None, _vmsd, _test)


def VMSTATE_STRUCT(_field: str, _state: State, _version: int, _vmsd: VMStateDescription, _type: CType) -> VMStateField:
    """A struct ``_type``. Flags: STRUCT. Size: the struct's.

    ``_version``: first version of the enclosing description that has the field. The struct's fields are selected by the
    version of the enclosing description; use VMSTATE_VSTRUCT to set another one.

    >>> class FIFO(Structure):
    ...     _fields_ = [("len", c_uint8), ("data", c_uint8 * 16)]
    >>> class UARTState(Structure):
    ...     _fields_ = [("ctl", c_uint8), ("rx", FIFO)]
    >>> vmstate_fifo = VMStateDescription("fifo", fields=[VMSTATE_UINT8("len", FIFO), VMSTATE_BUFFER("data", FIFO)])
    >>> VMSTATE_STRUCT("rx", UARTState, 0, vmstate_fifo, FIFO).size
    17
    """
    return VMSTATE_STRUCT_TEST(_field, _state, None, _version, _vmsd, _type)


def VMSTATE_STRUCT_POINTER_TEST_V(
    _field: str, _state: State, _test: FieldTest, _version: int, _vmsd: VMStateDescription, _type: CType
) -> VMStateField:
    """A ``_type *`` to a struct, conditional. Flags: STRUCT, POINTER. Size: the pointer's, not the struct's."""
    offset = vmstate_offset_pointer(_state, _field, _type)
    return VMStateField(_field, offset, _SIZEOF_POINTER, 0, _STRUCT_POINTER, _version, 0, None, _vmsd, _test)


def VMSTATE_STRUCT_POINTER_TEST(
    _field: str, _state: State, _test: FieldTest, _vmsd: VMStateDescription, _type: CType
) -> VMStateField:
    """A ``_type *`` to a struct, conditional. Flags: STRUCT, POINTER. Size: the pointer's, not the struct's."""
    return VMSTATE_STRUCT_POINTER_TEST_V(_field, _state, _test, 0, _vmsd, _type)


def VMSTATE_STRUCT_POINTER_V(
    _field: str, _state: State, _version: int, _vmsd: VMStateDescription, _type: CType
) -> VMStateField:
    """A ``_type *`` to a struct. Flags: STRUCT, POINTER. Size: the pointer's, not the struct's."""
    return VMSTATE_STRUCT_POINTER_TEST_V(_field, _state, None, _version, _vmsd, _type)


def VMSTATE_STRUCT_POINTER(_field: str, _state: State, _vmsd: VMStateDescription, _type: CType) -> VMStateField:
    """A ``_type *`` to a struct. Flags: STRUCT, POINTER. Size: the pointer's, not the struct's."""
    return VMSTATE_STRUCT_POINTER_TEST_V(_field, _state, None, 0, _vmsd, _type)


def VMSTATE_STRUCT_ARRAY_TEST(
    _field: str, _state: State, _num: int, _test: FieldTest, _version: int, _vmsd: VMStateDescription, _type: CType
) -> VMStateField:
    """A struct array ``_type _field[_num]``, conditional. Flags: STRUCT, ARRAY. Size: an element's."""
    offset = vmstate_offset_array(_state, _field, _type, _num)
    return VMStateField(_field, offset, sizeof(_type), _num, _STRUCT_ARRAY, _version, 0, None, _vmsd, _test)


def VMSTATE_STRUCT_ARRAY(
    _field: str, _state: State, _num: int, _version: int, _vmsd: VMStateDescription, _type: CType
) -> VMStateField:
    """A struct array ``_type _field[_num]``. Flags: STRUCT, ARRAY. Size: an element's.

    >>> class Channel(Structure):
    ...     _fields_ = [("count", c_int32), ("mode", c_uint8)]
    >>> class PITState(Structure):
    ...     _fields_ = [("channels", Channel * 3)]
    >>> vmstate_channel = VMStateDescription("channel", fields=[VMSTATE_INT32("count", Channel)])
    >>> channels = VMSTATE_STRUCT_ARRAY("channels", PITState, 3, 2, vmstate_channel, Channel)
    >>> channels.num, channels.size
    (3, 8)
    """
    return VMSTATE_STRUCT_ARRAY_TEST(_field, _state, _num, None, _version, _vmsd, _type)


def VMSTATE_STRUCT_2DARRAY_TEST(
    _field: str,
    _state: State,
    _n1: int,
    _n2: int,
    _test: FieldTest,
    _version: int,
    _vmsd: VMStateDescription,
    _type: CType,
) -> VMStateField:
    """A struct array ``_type _field[_n1][_n2]``, conditional. Flags: STRUCT, ARRAY. Size: an element's."""
    offset = vmstate_offset_array(_state, _field, _type, _n1, _n2)
    return VMStateField(_field, offset, sizeof(_type), _n1 * _n2, _STRUCT_ARRAY, _version, 0, None, _vmsd, _test)


def VMSTATE_STRUCT_2DARRAY(
    _field: str, _state: State, _n1: int, _n2: int, _version: int, _vmsd: VMStateDescription, _type: CType
) -> VMStateField:
    """A struct array ``_type _field[_n1][_n2]``. Flags: STRUCT, ARRAY. Size: an element's."""
    return VMSTATE_STRUCT_2DARRAY_TEST(_field, _state, _n1, _n2, None, _version, _vmsd, _type)


def VMSTATE_STRUCT_SUB_ARRAY(
    _field: str, _state: State, _start: int, _num: int, _version: int, _vmsd: VMStateDescription, _type: CType
) -> VMStateField:
    """Elements ``_start`` to ``_start + _num - 1`` of a struct array. Flags: STRUCT, ARRAY. Size: an element's."""
    offset = vmstate_offset_sub_array(_state, _field, _type, _start, _num)
    return VMStateField(_field, offset, sizeof(_type), _num, _STRUCT_ARRAY, _version, 0, None, _vmsd)


def VMSTATE_ARRAY_OF_POINTER_TO_STRUCT(
    _f: str, _s: State, _n: int, _v: int, _vmsd: VMStateDescription, _type: CType
) -> VMStateField:
    """A ``_type *_f[_n]`` to structs. Flags: ARRAY, STRUCT, ARRAY_OF_POINTER. Size: a pointer's."""
    offset = vmstate_offset_array(_s, _f, _SIZEOF_POINTER if isinstance(_type, int) else POINTER(_type), _n)
    return VMStateField(_f, offset, _SIZEOF_POINTER, _n, _STRUCT_ARRAY_OF_POINTER, _v, 0, None, _vmsd)


def VMSTATE_STRUCT_VARRAY_POINTER_KNOWN(
    _field: str, _state: State, _num: int, _version: int, _vmsd: VMStateDescription, _type: CType
) -> VMStateField:
    """A pointer of any type to ``_num`` structs ``_type``.

    Flags: STRUCT, ARRAY, POINTER. Size: an element's.
    """
    offset = offsetof(_state, _field)
    return VMStateField(_field, offset, sizeof(_type), _num, _STRUCT_ARRAY_POINTER, _version, 0, None, _vmsd)


def _struct_varray(
    name: str, offset_of: Callable[[State, str, CType], int | None], count_type: CType, flags: int
) -> Callable[[str, State, str, int, VMStateDescription, CType], VMStateField]:
    """An array of structs ``_type`` whose length is the member ``_field_num``.

    The field is a ``_type []`` and the length has the type in the macro's name; for ALLOC a ``_type *`` and an int32_t.
    Flags: STRUCT, VARRAY_* of the length's type; for ALLOC also ALLOC, POINTER. Size: an element's.

    >>> from vmdump.vmstate import VMStateFlags
    >>> class Entry(Structure):
    ...     _fields_ = [("addr", c_uint64), ("len", c_uint32)]
    >>> class DMAState(Structure):
    ...     _fields_ = [("used", c_uint8), ("entries", Entry * 8)]
    >>> vmstate_entry = VMStateDescription("entry", fields=[VMSTATE_UINT64("addr", Entry)])
    >>> VMStateFlags(VMSTATE_STRUCT_VARRAY_UINT8("entries", DMAState, "used", 0, vmstate_entry, Entry).flags)
    <VMStateFlags.STRUCT|VARRAY_UINT8: 1032>
    """

    def struct_varray(
        _field: str, _state: State, _field_num: str, _version: int, _vmsd: VMStateDescription, _type: CType
    ) -> VMStateField:
        """The array, since version ``_version``."""
        offset = offset_of(_state, _field, _type)
        num_offset = vmstate_offset_value(_state, _field_num, count_type)
        return VMStateField(_field, offset, sizeof(_type), 0, flags, _version, 0, None, _vmsd, num_offset=num_offset)

    return _named(name, struct_varray)


VMSTATE_STRUCT_VARRAY_UINT8 = _struct_varray(
    "VMSTATE_STRUCT_VARRAY_UINT8", vmstate_offset_varray, c_uint8, _STRUCT | _VARRAY_UINT8
)
VMSTATE_STRUCT_VARRAY_INT32 = _struct_varray(
    "VMSTATE_STRUCT_VARRAY_INT32", vmstate_offset_varray, c_int32, _STRUCT | _VARRAY_INT32
)
VMSTATE_STRUCT_VARRAY_UINT32 = _struct_varray(
    "VMSTATE_STRUCT_VARRAY_UINT32", vmstate_offset_varray, c_uint32, _STRUCT | _VARRAY_UINT32
)
VMSTATE_STRUCT_VARRAY_ALLOC = _struct_varray(
    "VMSTATE_STRUCT_VARRAY_ALLOC", vmstate_offset_pointer, c_int32, _STRUCT_POINTER | _VARRAY_INT32 | _ALLOC
)


def _struct_varray_pointer(
    name: str, count_type: CType, flags: int
) -> Callable[[str, State, str, VMStateDescription, CType], VMStateField]:
    """A ``_type *`` to an array of structs whose length is the member ``_field_num``, of the type in the macro's name.

    Flags: STRUCT, POINTER, VARRAY_* of the length's type; UINT32 sets VARRAY_INT32, as in QEMU. Size: an element's.

    >>> from vmdump.vmstate import VMStateFlags
    >>> class Entry(Structure):
    ...     _fields_ = [("addr", c_uint64), ("len", c_uint32)]
    >>> class DMAState(Structure):
    ...     _fields_ = [("used", c_uint32), ("entries", POINTER(Entry))]
    >>> vmstate_entry = VMStateDescription("entry", fields=[VMSTATE_UINT64("addr", Entry)])
    >>> VMStateFlags(VMSTATE_STRUCT_VARRAY_POINTER_UINT32("entries", DMAState, "used", vmstate_entry, Entry).flags)
    <VMStateFlags.POINTER|STRUCT|VARRAY_INT32: 26>
    """

    def struct_varray_pointer(
        _field: str, _state: State, _field_num: str, _vmsd: VMStateDescription, _type: CType
    ) -> VMStateField:
        """The array, unconditional."""
        offset = vmstate_offset_pointer(_state, _field, _type)
        num_offset = vmstate_offset_value(_state, _field_num, count_type)
        return VMStateField(_field, offset, sizeof(_type), 0, flags, 0, 0, None, _vmsd, num_offset=num_offset)

    return _named(name, struct_varray_pointer)


VMSTATE_STRUCT_VARRAY_POINTER_INT32 = _struct_varray_pointer(
    "VMSTATE_STRUCT_VARRAY_POINTER_INT32", c_int32, _STRUCT_POINTER | _VARRAY_INT32
)
VMSTATE_STRUCT_VARRAY_POINTER_UINT32 = _struct_varray_pointer(
    "VMSTATE_STRUCT_VARRAY_POINTER_UINT32", c_uint32, _STRUCT_POINTER | _VARRAY_INT32
)
VMSTATE_STRUCT_VARRAY_POINTER_UINT16 = _struct_varray_pointer(
    "VMSTATE_STRUCT_VARRAY_POINTER_UINT16", c_uint16, _STRUCT_POINTER | _VARRAY_UINT16
)


# --- Buffers of bytes --------------------------------------------------------------------------------------------


def VMSTATE_STATIC_BUFFER(
    _field: str, _state: State, _version: int, _test: FieldTest, _start: int, _size: int
) -> VMStateField:
    """Bytes ``_start`` to ``_size - 1`` of a ``uint8_t _field[]``. Flags: BUFFER. Size: ``_size - _start`` bytes.

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


# --- Buffers whose size is a member ------------------------------------------------------------------------------


def _vbuffer(name: str, size_type: CType, flags: int) -> Callable[[str, State, int, FieldTest, str], VMStateField]:
    """A buffer behind a pointer of any type whose size in bytes is the member ``_field_size``.

    The size is a uint32_t, for VBUFFER an int32_t. Flags: VBUFFER, POINTER; ALLOC if loading allocates the memory.
    Size: 0, as it is unknown.

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

    return _named(name, vbuffer)


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


# --- Bytes without a member --------------------------------------------------------------------------------------


def VMSTATE_UNUSED_BUFFER(_test: FieldTest, _version: int, _size: int) -> VMStateField:
    """``_size`` bytes of a removed field: saved as zeros, ignored when loaded. Flags: BUFFER. Name: unused."""
    return VMStateField("unused", 0, _size, 0, _BUFFER, _version, 0, vmstate_info_unused_buffer, None, _test)


def VMSTATE_UNUSED(_size: int) -> VMStateField:
    """``_size`` bytes of a removed field. The size is that in the stream: 1 for a bool.

    >>> VMSTATE_UNUSED(4).name
    'unused'
    """
    return VMSTATE_UNUSED_BUFFER(None, 0, _size)


def VMSTATE_UNUSED_V(_v: int, _size: int) -> VMStateField:
    """``_size`` bytes of a removed field, since version ``_v``."""
    return VMSTATE_UNUSED_BUFFER(None, _v, _size)


def VMSTATE_UNUSED_TEST(_test: FieldTest, _size: int) -> VMStateField:
    """``_size`` bytes of a removed field, conditional."""
    return VMSTATE_UNUSED_BUFFER(_test, 0, _size)


def VMSTATE_UNUSED_VARRAY_UINT32(
    _state: State, _test: FieldTest, _version: int, _field_num: str, _size: int
) -> VMStateField:
    """Unused bytes: ``_size`` multiplied by a uint32_t member. Flags: VARRAY_UINT32, BUFFER. Size: ``_size``."""
    num_offset = vmstate_offset_value(_state, _field_num, c_uint32)
    flags = _UNUSED_VARRAY
    return VMStateField(
        "unused", 0, _size, 0, flags, _version, 0, vmstate_info_unused_buffer, None, _test, num_offset=num_offset
    )


def VMSTATE_VALIDATE(_name: str, _test: FieldTest) -> VMStateField:
    """An assertion: saving and loading fail if the test returns false. Flags: ARRAY, MUST_EXIST. Not in dumps.

    >>> VMSTATE_VALIDATE("len fits", lambda state, version_id: state.len <= 16).num
    0
    """
    return VMStateField(_name, 0, flags=_VALIDATE, field_exists=_test)


def VMSTATE_WITH_TMP_TEST(_state: State, _test: FieldTest, _tmp_type: CType, _vmsd: VMStateDescription) -> VMStateField:
    """A struct ``_tmp_type`` that exists only during a migration, conditional.

    ``_vmsd`` describes it; its first member must be a ``_state *parent``. No flags. Size: the struct's. Name: tmp.
    """
    if not isinstance(_tmp_type, int):
        check_tmp_parent(_tmp_type, _state)
    return VMStateField("tmp", 0, sizeof(_tmp_type), 0, 0, 0, 0, vmstate_info_tmp, _vmsd, _test)


def VMSTATE_WITH_TMP(_state: State, _tmp_type: CType, _vmsd: VMStateDescription) -> VMStateField:
    """A struct ``_tmp_type`` that exists only during a migration; its first member must be a ``_state *parent``.

    >>> class NICState(Structure):
    ...     _fields_ = [("mac", c_uint8 * 6)]
    >>> class NICTmp(Structure):
    ...     _fields_ = [("parent", POINTER(NICState)), ("queues", c_uint16)]
    >>> vmstate_tmp = VMStateDescription("nic-tmp", fields=[VMSTATE_UINT16("queues", NICTmp)])
    >>> VMSTATE_WITH_TMP(NICState, NICTmp, vmstate_tmp).size
    16
    """
    return VMSTATE_WITH_TMP_TEST(_state, None, _tmp_type, _vmsd)


# --- Lists and trees ---------------------------------------------------------------------------------------------


def VMSTATE_QTAILQ_V(
    _field: str, _state: State, _version: int, _vmsd: VMStateDescription, _type: CType, _next: str
) -> VMStateField:
    """A QTAILQ of structs ``_type``, linked by their member ``_next``. No flags. Size: an element's.

    ``start``: offset of ``_next``; 0 if ``_type`` is given as a size.
    """
    offset, start = offsetof(_state, _field), offset_in_element(_type, _next)
    return VMStateField(_field, offset, sizeof(_type), 0, 0, _version, 0, vmstate_info_qtailq, _vmsd, start=start)


def VMSTATE_QLIST_V(
    _field: str, _state: State, _version: int, _vmsd: VMStateDescription, _type: CType, _next: str
) -> VMStateField:
    """A QLIST of structs ``_type``, linked by their member ``_next``. No flags. Size: an element's.

    ``start``: offset of ``_next``; 0 if ``_type`` is given as a size.
    """
    offset, start = offsetof(_state, _field), offset_in_element(_type, _next)
    return VMStateField(_field, offset, sizeof(_type), 0, 0, _version, 0, vmstate_info_qlist, _vmsd, start=start)


def VMSTATE_GTREE_V(
    _field: str,
    _state: State,
    _version: int,
    _vmsd: VMStateDescription | Sequence[VMStateDescription],
    _key_type: CType,
    _val_type: CType,
) -> VMStateField:
    """A GTree from structs ``_key_type`` to structs ``_val_type``. No flags. Size: a value's; ``start``: a key's.

    ``_vmsd``: descriptions of value and key, in this order. The field keeps the first only, as the dump does.
    """
    value = _vmsd if isinstance(_vmsd, VMStateDescription) else _vmsd[0]
    offset, start = offsetof(_state, _field), sizeof(_key_type)
    return VMStateField(_field, offset, sizeof(_val_type), 0, 0, _version, 0, vmstate_info_gtree, value, start=start)


def VMSTATE_GTREE_DIRECT_KEY_V(
    _field: str, _state: State, _version: int, _vmsd: VMStateDescription, _val_type: CType
) -> VMStateField:
    """A GTree from numbers to structs ``_val_type``. No flags. Size: a value's; ``start``: 0."""
    return VMSTATE_GTREE_V(_field, _state, _version, _vmsd, 0, _val_type)


# --- The end -----------------------------------------------------------------------------------------------------


_END_OF_LIST = VMStateField(None, 0, flags=vmstate_flags.END)


def VMSTATE_END_OF_LIST() -> VMStateField:
    """Terminator of a list of fields, which VMStateDescription removes. Flags: END."""
    return _END_OF_LIST

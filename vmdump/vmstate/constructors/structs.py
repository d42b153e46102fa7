"""Structs within structs, pointers to structs, and arrays of structs, whose fields a nested description has."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import POINTER, c_int32, c_uint8, c_uint16, c_uint32, c_void_p

from vmdump.qemu import vmstate_flags
from vmdump.vmstate.constructors.state_types import named
from vmdump.vmstate.model import FieldTest, VMStateDescription, VMStateField
from vmdump.vmstate.type_check import (
    CType,
    State,
    offsetof,
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
_STRUCT = vmstate_flags.STRUCT
_VSTRUCT = vmstate_flags.VSTRUCT
_VARRAY_INT32 = vmstate_flags.VARRAY_INT32
_VARRAY_UINT8 = vmstate_flags.VARRAY_UINT8
_VARRAY_UINT16 = vmstate_flags.VARRAY_UINT16
_VARRAY_UINT32 = vmstate_flags.VARRAY_UINT32
_ARRAY_OF_POINTER = _ARRAY | vmstate_flags.ARRAY_OF_POINTER
_STRUCT_POINTER = _STRUCT | _POINTER
_STRUCT_ARRAY = _STRUCT | _ARRAY
_STRUCT_ARRAY_POINTER = _STRUCT | _ARRAY | _POINTER
_STRUCT_ARRAY_OF_POINTER = _STRUCT | _ARRAY_OF_POINTER
_SIZEOF_POINTER = sizeof(c_void_p)


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

    >>> from ctypes import Structure
    >>> from vmdump.vmstate import VMSTATE_BUFFER, VMSTATE_UINT8
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

    >>> from ctypes import Structure
    >>> from vmdump.vmstate import VMSTATE_INT32
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

    >>> from ctypes import Structure, c_uint64
    >>> from vmdump.vmstate import VMSTATE_UINT64, VMStateFlags
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

    return named(name, struct_varray)


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

    >>> from ctypes import Structure, c_uint64
    >>> from vmdump.vmstate import VMSTATE_UINT64, VMStateFlags
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

    return named(name, struct_varray_pointer)


VMSTATE_STRUCT_VARRAY_POINTER_INT32 = _struct_varray_pointer(
    "VMSTATE_STRUCT_VARRAY_POINTER_INT32", c_int32, _STRUCT_POINTER | _VARRAY_INT32
)
VMSTATE_STRUCT_VARRAY_POINTER_UINT32 = _struct_varray_pointer(
    "VMSTATE_STRUCT_VARRAY_POINTER_UINT32", c_uint32, _STRUCT_POINTER | _VARRAY_INT32
)
VMSTATE_STRUCT_VARRAY_POINTER_UINT16 = _struct_varray_pointer(
    "VMSTATE_STRUCT_VARRAY_POINTER_UINT16", c_uint16, _STRUCT_POINTER | _VARRAY_UINT16
)

"""Fields that are no member of the state: unused bytes, assertions, temporary structs, the end of a list."""

from __future__ import annotations

from ctypes import c_uint32

from vmdump.qemu import vmstate_flags
from vmdump.vmstate.model import (
    FieldTest,
    VMStateDescription,
    VMStateField,
    vmstate_info_tmp,
    vmstate_info_unused_buffer,
)
from vmdump.vmstate.type_check import CType, State, check_tmp_parent, sizeof, vmstate_offset_value

# Plain ints: see VMStateField.flags.
_ARRAY = vmstate_flags.ARRAY
_BUFFER = vmstate_flags.BUFFER
_VARRAY_UINT32 = vmstate_flags.VARRAY_UINT32
_UNUSED_VARRAY = _VARRAY_UINT32 | _BUFFER
_VALIDATE = _ARRAY | vmstate_flags.MUST_EXIST


# Bytes without a member.


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

    >>> from ctypes import POINTER, Structure, c_uint16, c_uint8
    >>> from vmdump.vmstate import VMSTATE_UINT16
    >>> class NICState(Structure):
    ...     _fields_ = [("mac", c_uint8 * 6)]
    >>> class NICTmp(Structure):
    ...     _fields_ = [("parent", POINTER(NICState)), ("queues", c_uint16)]
    >>> vmstate_tmp = VMStateDescription("nic-tmp", fields=[VMSTATE_UINT16("queues", NICTmp)])
    >>> VMSTATE_WITH_TMP(NICState, NICTmp, vmstate_tmp).size
    16
    """
    return VMSTATE_WITH_TMP_TEST(_state, None, _tmp_type, _vmsd)


# The end of a list.


_END_OF_LIST = VMStateField(None, 0, flags=vmstate_flags.END)


def VMSTATE_END_OF_LIST() -> VMStateField:
    """Terminator of a list of fields, which VMStateDescription removes. Flags: END."""
    return _END_OF_LIST

"""One value, or a pointer to one: VMSTATE_SINGLE, VMSTATE_UINT32, VMSTATE_POINTER, VMSTATE_TIMER_PTR and so on."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import POINTER, c_bool, c_int8, c_int16, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64

from vmdump.qemu import vmstate_flags
from vmdump.vmstate.constructors.state_types import QEMUTimer, named
from vmdump.vmstate.model import (
    FieldTest,
    VMStateField,
    VMStateInfo,
    vmstate_info_bool,
    vmstate_info_fd,
    vmstate_info_int8,
    vmstate_info_int16,
    vmstate_info_int32,
    vmstate_info_int32_equal,
    vmstate_info_int32_le,
    vmstate_info_int64,
    vmstate_info_timer,
    vmstate_info_uint8,
    vmstate_info_uint8_equal,
    vmstate_info_uint16,
    vmstate_info_uint16_equal,
    vmstate_info_uint32,
    vmstate_info_uint32_equal,
    vmstate_info_uint64,
    vmstate_info_uint64_equal,
)
from vmdump.vmstate.type_check import CType, State, sizeof, vmstate_offset_value

# Plain ints: see VMStateField.flags.
_SINGLE = vmstate_flags.SINGLE
_POINTER = vmstate_flags.POINTER
_SINGLE_POINTER = _SINGLE | _POINTER


# One value.


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

    >>> from ctypes import Structure
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

    >>> from ctypes import Structure
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

    return named(name, plain), named(f"{name}_V", since_version), named(f"{name}_TEST", conditional)


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

    >>> from ctypes import Structure
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

    return named(name, plain), named(f"{name}_V", since_version)


VMSTATE_UINT8_EQUAL = _equal("VMSTATE_UINT8_EQUAL", vmstate_info_uint8_equal, c_uint8)[0]
VMSTATE_UINT16_EQUAL, VMSTATE_UINT16_EQUAL_V = _equal("VMSTATE_UINT16_EQUAL", vmstate_info_uint16_equal, c_uint16)
VMSTATE_INT32_EQUAL = _equal("VMSTATE_INT32_EQUAL", vmstate_info_int32_equal, c_int32)[0]
VMSTATE_UINT32_EQUAL, VMSTATE_UINT32_EQUAL_V = _equal("VMSTATE_UINT32_EQUAL", vmstate_info_uint32_equal, c_uint32)
VMSTATE_UINT64_EQUAL, VMSTATE_UINT64_EQUAL_V = _equal("VMSTATE_UINT64_EQUAL", vmstate_info_uint64_equal, c_uint64)


def VMSTATE_INT32_POSITIVE_LE(_f: str, _s: State) -> VMStateField:
    """An int32_t. Loading fails if it is negative or exceeds the destination's value. Flags: SINGLE."""
    return VMSTATE_SINGLE(_f, _s, 0, vmstate_info_int32_le, c_int32)


# A pointer to one value.


def VMSTATE_POINTER(_field: str, _state: State, _version: int, _info: VMStateInfo, _type: CType) -> VMStateField:
    """A member of the pointer type ``_type``. Flags: SINGLE, POINTER. Size: the pointer's.

    >>> from ctypes import Structure
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

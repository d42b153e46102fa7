"""Offsets and types of the members of ctypes structs.

In QEMU the compiler checks types: each macro adds a type_check() to an offsetof(), which does not compile if the member
has another type than the macro expects. Here the struct is a ctypes.Structure, and creating the field raises
VMStateError. Without a struct (None) nothing is checked and the offset is None.

Types match if their kind (bool, signed, unsigned, char, float, struct, pointer), size and, for arrays, length are
equal. So c_ulong and c_ulonglong match on hosts where both have 8 bytes; c_bool and c_uint8 never match. If a type
is given as an int, its size in bytes, only the size is checked.

Source: QEMU 8.2.2 include/migration/vmstate.h (vmstate_offset_*), include/qemu/compiler.h (type_check, typeof_field).
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from typing import Any, TypeAlias

from vmdump.errors import VMStateError

CType: TypeAlias = type[Any] | int
"""A C type: a ctypes type, or a size in bytes."""

State: TypeAlias = type[ctypes.Structure] | type[ctypes.Union] | None
"""The struct that holds a device's state; None if it is unknown."""

_ARRAY: Any = ctypes.Array  # Any: their attributes _type_ and _length_ belong to the subclasses
_POINTER: Any = ctypes._Pointer
_STRUCT = (ctypes.Structure, ctypes.Union)


def sizeof(_type: CType) -> int:
    """Return the size of a C type in bytes."""
    return _type if isinstance(_type, int) else ctypes.sizeof(_type)


class _Members(dict[str, tuple[int, Any]]):
    """Offset and type of the members of a struct by C designator: ``regs``, ``queue.rptr``, ``lane[2].ctl``.

    Nested members are added on first use.
    """

    def __init__(self, state: type[Any]) -> None:
        super().__init__()
        self.state = state
        for cls in reversed(state.__mro__):
            anonymous = cls.__dict__.get("_anonymous_", ())
            for name, ctype, *bits in cls.__dict__.get("_fields_", ()):
                if bits:  # C takes no offset of a bit-field
                    continue
                offset = cls.__dict__[name].offset
                self[name] = offset, ctype
                if name in anonymous:
                    self.update((inner, (offset + at, type_)) for inner, (at, type_) in _STRUCTS[ctype].items())

    def __missing__(self, field: str) -> tuple[int, Any]:
        offset, ctype = 0, self.state
        for step in field.replace("[", ".[").split("."):
            if step.startswith("[") and step.endswith("]") and issubclass(ctype, _ARRAY):
                index = self._index(field, step[1:-1])
                if index >= ctype._length_:
                    raise _refused(self.state, field, f"index {index} is outside of {c_name(ctype)}")
                ctype = ctype._type_
                offset += index * ctypes.sizeof(ctype)
            elif issubclass(ctype, _STRUCT) and step in _STRUCTS[ctype]:
                at, ctype = _STRUCTS[ctype][step]
                offset += at
            else:
                raise _refused(self.state, field, f"{c_name(ctype)} has no member {step}")
        self[field] = offset, ctype
        return offset, ctype

    def _index(self, field: str, index: str) -> int:
        """Return the value of an index: a number, or the name of an int attribute of the struct (``mac_reg[CTRL]``)."""
        if index[:1].isdecimal():
            with suppress(ValueError):
                return int(index, 0)
        number = getattr(self.state, index, None)
        if not isinstance(number, int) or number < 0:
            raise _refused(
                self.state, field, f"index {index} is unknown; set {c_name(self.state)}.{index} to its number"
            )
        return number


class _Structs(dict[Any, _Members]):
    """Members by struct. It keeps the types alive, as ctypes' own caches do."""

    def __missing__(self, state: Any) -> _Members:
        if not (isinstance(state, type) and issubclass(state, _STRUCT)):
            raise VMStateError(f"{_macro()}: {state!r} is not a struct; give a ctypes.Structure, or None")
        members = _Members(state)
        if members:  # else _fields_ may be assigned later
            self[state] = members
        return members


_STRUCTS = _Structs()


def agree(a: Any, b: CType) -> bool:
    """Return whether a member's type ``a`` matches the macro's type ``b``."""
    if a is b:
        return True
    if isinstance(b, int):
        return ctypes.sizeof(a) == b
    if issubclass(a, _ARRAY):
        return issubclass(b, _ARRAY) and a._length_ == b._length_ and agree(a._type_, b._type_)
    if issubclass(a, _POINTER):
        return issubclass(b, _POINTER) and agree(a._type_, b._type_)
    kind = _kind(a)
    return kind is not None and kind == _kind(b) and ctypes.sizeof(a) == ctypes.sizeof(b)


_KINDS = {
    **dict.fromkeys("bhilq", "int"),
    **dict.fromkeys("BHILQ", "uint"),
    **dict.fromkeys("fdg", "float"),
    "?": "bool",
    "c": "char",
    "u": "wchar_t",
    "P": "void *",
    "z": "char *",
    "Z": "wchar_t *",
}


def _kind(ctype: Any) -> str | None:
    code = getattr(ctype, "_type_", None)
    return _KINDS.get(code) if isinstance(code, str) else None


def c_name(ctype: CType) -> str:
    """Return the C spelling of a type.

    >>> c_name(ctypes.c_ubyte * 16), c_name(ctypes.POINTER(ctypes.c_long)), c_name(12)
    ('uint8_t[16]', 'int64_t *', '12 bytes')
    """
    if isinstance(ctype, int):
        return f"{ctype} bytes"
    if issubclass(ctype, _ARRAY):
        element, lengths = _element(ctype)
        return c_name(element) + "".join(f"[{length}]" for length in lengths)
    if issubclass(ctype, _POINTER):
        target = c_name(ctype._type_)
        return f"{target}*" if target.endswith("*") else f"{target} *"
    kind = _kind(ctype)
    if kind in ("int", "uint"):
        return f"{kind}{8 * ctypes.sizeof(ctype)}_t"
    if kind == "float":
        return {4: "float", 8: "double"}.get(ctypes.sizeof(ctype), "long double")
    return kind or ctype.__name__


def _element(ctype: Any) -> tuple[Any, list[int]]:
    """Return the element type and the dimensions of an array; for another type, the type itself and no dimensions."""
    lengths = []
    while issubclass(ctype, _ARRAY):
        lengths.append(ctype._length_)
        ctype = ctype._type_
    return ctype, lengths


def offsetof(_state: State, _field: str) -> int | None:
    """Return the offset of a member of any type, in bytes.

    Raises:
        VMStateError: there is no such member. All functions below raise it, too.

    >>> class NVRAMState(ctypes.Structure):
    ...     _fields_ = [("addr", ctypes.c_uint32), ("regs", ctypes.c_uint8 * 16)]
    >>> offsetof(NVRAMState, "regs[3]")
    7
    """
    return None if _state is None else _STRUCTS[_state][_field][0]


def vmstate_offset_value(_state: State, _field: str, _type: CType) -> int | None:
    """Return the offset of a ``_type _field``.

    >>> class NVRAMState(ctypes.Structure):
    ...     _fields_ = [("addr", ctypes.c_uint32), ("regs", ctypes.c_uint8 * 16)]
    >>> vmstate_offset_value(NVRAMState, "regs", ctypes.c_uint32)
    Traceback (most recent call last):
    vmdump.errors.VMStateError: vmstate_offset("regs", NVRAMState): member is uint8_t[16], not uint32_t
    """
    if _state is None:
        return None
    offset, member = _STRUCTS[_state][_field]
    if member is not _type and not agree(member, _type):
        raise _mismatch(_state, _field, member, c_name(_type))
    return offset


def vmstate_offset_pointer(_state: State, _field: str, _type: CType) -> int | None:
    """Return the offset of a ``_type *_field``. ``void *`` matches if the target's type is given as a size."""
    if _state is None:
        return None
    offset, member = _STRUCTS[_state][_field]
    if issubclass(member, _POINTER):
        agrees = agree(member._type_, _type)
    else:
        agrees = isinstance(_type, int) and member is ctypes.c_void_p
    if not agrees:
        raise _mismatch(_state, _field, member, f"{c_name(_type)} *")
    return offset


#: Cache: member type, element type and lengths of arrays that match.
_ARRAYS: set[tuple[Any, CType, tuple[int, ...]]] = set()


def vmstate_offset_array(_state: State, _field: str, _type: CType, *_num: int) -> int | None:
    """Return the offset of a ``_type _field[_num]`` or, with two numbers, of a ``_type _field[_n1][_n2]``."""
    if _state is None:
        return None
    offset, member = _STRUCTS[_state][_field]
    if (member, _type, _num) in _ARRAYS:
        return offset
    element = member
    for length in _num:
        if not issubclass(element, _ARRAY) or element._length_ != length:
            break
        element = element._type_
    else:
        if element is _type or agree(element, _type):
            _ARRAYS.add((member, _type, _num))
            return offset
    raise _mismatch(_state, _field, member, c_name(_type) + "".join(f"[{length}]" for length in _num))


def vmstate_offset_varray(_state: State, _field: str, _type: CType) -> int | None:
    """Return the offset of a ``_type _field[N]`` of any length N."""
    if _state is None:
        return None
    offset, member = _STRUCTS[_state][_field]
    if not (issubclass(member, _ARRAY) and agree(member._type_, _type)):
        raise _mismatch(_state, _field, member, f"{c_name(_type)}[]")
    return offset


def vmstate_offset_sub_array(_state: State, _field: str, _type: CType, _start: int, _num: int) -> int | None:
    """Return the offset of ``_field[_start]`` in a ``_type _field[N]``.

    In addition to the type, which QEMU's macro checks, the ``_num`` elements must be within the array.
    """
    offset = vmstate_offset_varray(_state, _field, _type)
    if offset is None:
        return None
    member, end = _STRUCTS[_state][_field][1], _start + _num
    if not 0 <= _start <= end <= member._length_:
        raise _refused(_state, _field, f"[{_start}:{end}] is not within {c_name(member)}")
    return offset + _start * sizeof(_type)


def sizeof_field(_state: State, _field: str) -> int:
    """Return the size of a member in bytes. Raises VMStateError without a struct."""
    if _state is None:
        raise _refused(_state, _field, "the field's size is the member's, which requires the struct")
    return ctypes.sizeof(_STRUCTS[_state][_field][1])


def offset_in_element(_type: CType, _next: str) -> int:
    """Return the offset of a list entry in an element; 0 if the element's type is given as a size."""
    return 0 if isinstance(_type, int) else _STRUCTS[_type][_next][0]


def check_tmp_parent(_tmp_type: type[Any], _state: State) -> None:
    """Raise VMStateError if the first member of a temporary struct is not a ``_state *parent``."""
    if _state is not None and vmstate_offset_pointer(_tmp_type, "parent", _state) != 0:
        raise _refused(_tmp_type, "parent", "it must be the first member")


def _macro() -> str:
    """Return the name of the outermost VMSTATE_* function on the stack."""
    name, frame = "vmstate_offset", sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name.startswith("VMSTATE_"):
            name = frame.f_code.co_name
    return name


def _refused(state: State, field: str, reason: str) -> VMStateError:
    return VMStateError(f'{_macro()}("{field}", {state and state.__name__}): {reason}')


def _mismatch(state: State, field: str, member: Any, wanted: str) -> VMStateError:
    return _refused(state, field, f"member is {c_name(member)}, not {wanted}{_remedy(member)}")


_STEMS = {
    "bool": "BOOL",
    "QEMUTimer": "TIMER",
    "QEMUTimer *": "TIMER_PTR",
    **{f"int{bits}_t": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}_t": f"UINT{bits}" for bits in (8, 16, 32, 64)},
}


def _remedy(member: Any) -> str:
    """Return a hint at the constructor for the member's type, if the called one names a type in its name."""
    macro = _macro().removesuffix("_V").removesuffix("_TEST")
    element, lengths = _element(member)
    stem = _STEMS.get(c_name(element))
    if stem is None or macro.split("_")[1] not in _STEMS.values() or "SUB_ARRAY" in macro:
        return ""
    if len(lengths) > 2 or (len(lengths) == 2 and not stem.startswith("UINT")) or (lengths and stem == "INT8"):
        return ""  # QEMU has no such macro
    fitting = f"VMSTATE_{stem}{('', '_ARRAY', '_2DARRAY')[len(lengths)]}"
    return "" if macro == fitting else f"; use {fitting}"

"""Partial declarations of C structs.

A description needs only the members that it migrates, and the sizes of nested structs, which dumps print. The built-in
devices therefore omit all other members; `sized` pads a struct to its size in QEMU on a 64-bit host where dumps print
it. Offsets differ from QEMU's, but dumps do not contain offsets. If you have the real struct, declare all members.
"""

from collections.abc import Callable
from ctypes import Structure, c_uint8, c_uint64, sizeof
from typing import TypeVar

from vmdump.errors import VMStateError

S = TypeVar("S", bound=Structure)


def opaque(name: str, size: int) -> type[Structure]:
    """Return a C struct of ``size`` bytes without named members, aligned like a struct that contains pointers.

    >>> DeviceState = opaque("DeviceState", 152)
    >>> DeviceState.__name__, sizeof(DeviceState)
    ('DeviceState', 152)
    """
    return type(name, (Structure,), {"_fields_": [("opaque", c_uint64 * (size // sizeof(c_uint64)))]})


def sized(size: int) -> Callable[[type[S]], type[S]]:
    """Return a decorator that pads a partially declared struct to ``size`` bytes.

    Raises:
        VMStateError: the declared members need more bytes, or the struct's alignment does not allow this size.

    >>> @sized(40)
    ... class Registers(Structure):
    ...     _fields_ = [("now", c_uint64), ("mode", c_uint8)]
    >>> sizeof(Registers), Registers.mode.offset
    (40, 8)
    """

    def append_rest(struct: type[S]) -> type[S]:
        rest = size - sizeof(struct)
        if rest < 0:
            raise VMStateError(f"{struct.__name__}: the declared members need {sizeof(struct)} bytes, more than {size}")
        namespace = {"__doc__": struct.__doc__, "__module__": struct.__module__, "_fields_": [("rest", c_uint8 * rest)]}
        whole: type[S] = type(struct.__name__, (struct,), namespace)
        if sizeof(whole) != size:
            raise VMStateError(f"{struct.__name__}: its alignment makes it {sizeof(whole)} bytes, not {size}")
        return whole

    return append_rest

"""How the built-in devices declare the C structs that they migrate from.

A description needs the members that it names, and of a nested struct its size, which a dump prints. So what isn't
migrated is left out here, and `sized` makes a struct as large as it is in QEMU on a 64-bit host, where that shows.
The offsets are therefore not QEMU's; no dump has them. An author who has the real struct at hand declares it whole.
"""

from collections.abc import Callable
from ctypes import Structure, c_uint8, c_uint64, sizeof
from typing import TypeVar

from vmdump.errors import VMStateError

S = TypeVar("S", bound=Structure)


def opaque(name: str, size: int) -> type[Structure]:
    """Returns a C struct of which only the size in bytes is of interest, aligned as one with pointers in it.

    >>> DeviceState = opaque("DeviceState", 152)
    >>> DeviceState.__name__, sizeof(DeviceState)
    ('DeviceState', 152)
    """
    return type(name, (Structure,), {"_fields_": [("opaque", c_uint64 * (size // sizeof(c_uint64)))]})


def sized(size: int) -> Callable[[type[S]], type[S]]:
    """Decorates a struct whose members are not all declared: appends what is missing of its ``size`` in bytes.

    Raises VMStateError when the declared members need more, or alignment does not let the struct end at ``size``.

    >>> @sized(40)
    ... class Registers(Structure):
    ...     _fields_ = [("now", c_uint64), ("mode", c_uint8)]
    >>> sizeof(Registers), Registers.mode.offset
    (40, 8)
    """

    def append_rest(struct: type[S]) -> type[S]:
        rest = size - sizeof(struct)
        if rest < 0:
            raise VMStateError(f"{struct.__name__}: its members need {sizeof(struct)} bytes, not {size}")
        namespace = {"__doc__": struct.__doc__, "__module__": struct.__module__, "_fields_": [("rest", c_uint8 * rest)]}
        whole: type[S] = type(struct.__name__, (struct,), namespace)
        if sizeof(whole) != size:
            raise VMStateError(f"{struct.__name__}: aligned, it has {sizeof(whole)} bytes, not {size}")
        return whole

    return append_rest

"""C types of QEMU that are members of states, and the names of generated constructors."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import Structure, Union, c_double, c_int64, c_uint64
from typing import TypeVar

from vmdump.vmstate.model import VMStateField


class QEMUTimer(Structure):
    """A timer in a state struct: 48 bytes on a 64-bit host. expire_time is in nanoseconds, -1 if it is not armed.

    Source: QEMU 8.2.2 include/qemu/timer.h.
    """

    _fields_ = (("expire_time", c_int64), ("opaque", c_uint64 * 5))


class CPU_DoubleU(Union):  # noqa: N801
    """A floating-point register as double or integer. Source: QEMU 8.2.2 include/qemu/cpu-float.h."""

    _fields_ = (("d", c_double), ("ll", c_uint64))


_Function = TypeVar("_Function", bound=Callable[..., VMStateField])


def named(name: str, function: _Function) -> _Function:
    """Set a generated function's name to the macro's, which help(), tracebacks and errors show."""
    function.__name__ = function.__qualname__ = name
    function.__code__ = function.__code__.replace(co_name=name, co_qualname=name)
    return function

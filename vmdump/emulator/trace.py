"""Traces of functions that an emulated QEMU calls through pointers: results, and the memory that they read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from vmdump._core import ffi, lib
from vmdump.emulator.guest import Guest
from vmdump.errors import SourceError

#: Limit of collected objects. The largest boards have some thousands.
_OBJECTS = 1 << 16


class TracedCall(NamedTuple):
    """A call of a probed function.

    Attributes:
        slot: address of the function pointer.
        opaque: its first argument.
        argument: its second argument.
        result: whether it returned true.
        reads: address and size of each read, without its own stack frame.
        obstacle: why its result may depend on more than the reads; None: it does not.
        called_with: first argument of the host function that it called, if this is the obstacle.
    """

    slot: int
    opaque: int
    argument: int
    result: bool
    reads: tuple[tuple[int, int], ...]
    obstacle: str | None
    called_with: int = 0


class Tracer:
    """Records the calls of function pointers in a guest's memory. Use it as a context manager.

    Inside the block the guest runs about twice as slowly; at its end the pointers are restored.
    """

    def __init__(self, guest: Guest, slots: Iterable[int]) -> None:
        """``slots``: addresses of the function pointers."""
        self._guest, self._slots = guest, list(slots)

    def __enter__(self) -> Tracer:
        native = self._guest.native
        if lib.vmd_guest_trace_begin(native):
            raise SourceError(f"{self._guest.name}: functions can't be traced: Unicorn refuses the hook")
        for slot in self._slots:
            if lib.vmd_guest_trace_probe(native, slot):
                break  # calls of the remaining functions are not recorded, so nothing is concluded from them
        return self

    def __exit__(self, *_: object) -> None:
        lib.vmd_guest_trace_end(self._guest.native)

    def set_constant_table(self, table: int) -> None:
        """Do not regard lookups in a hash table as an obstacle; for all traces of the guest."""
        lib.vmd_guest_trace_set_constant_table(self._guest.native, table)

    def take(self) -> list[TracedCall]:
        """Return the calls since the last take, and forget them."""
        native = self._guest.native
        calls, reads = ffi.new("const struct vmd_trace_call **"), ffi.new("const struct vmd_trace_read **")
        count = lib.vmd_guest_trace_calls(native, calls)
        lib.vmd_guest_trace_reads(native, reads)
        taken = [_call_of(calls[0][index], reads[0]) for index in range(count)]
        lib.vmd_guest_trace_forget(native)
        return taken


def _call_of(call: Any, reads: Any) -> TracedCall:
    found = dict.fromkeys(
        (int(reads[index].address), int(reads[index].size))
        for index in range(call.first_read, call.first_read + call.n_reads)
    )
    obstacle = None
    if call.called:
        obstacle = f"it calls {ffi.string(call.called).decode(errors='backslashreplace')}"
    elif call.is_unsteady:
        obstacle = "two calls returned different results"
    elif call.is_truncated:
        obstacle = "it reads more memory than is traced"
    return TracedCall(
        call.slot, call.opaque, call.argument, bool(call.result), tuple(found), obstacle, call.called_with
    )


def collect(guest: Guest, function: int, *first: int) -> list[int]:
    """Call a function (*first, callback, NULL) of the guest; return the first argument of each call of the callback."""
    callback = int(lib.vmd_guest_collector(guest.native))
    found = ffi.new("uint64_t[]", _OBJECTS)
    with contextlib.suppress(SourceError):
        guest.call(function, *first, callback, 0)
    count = lib.vmd_guest_collected(guest.native, found, _OBJECTS)
    return ffi.unpack(found, count) if count else []

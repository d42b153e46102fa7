"""Partial disassembly, to find functions in binaries without symbols: loaded addresses, calls, function starts.

The instructions are those of the guest's host, see hosts/model.py. Results may be false positives; callers must
validate what they point to.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice

from vmdump.emulator.hosts.model import BEFORE_CALL
from vmdump.emulator.objects.model import MappedObject

#: Limit of address loads. The largest QEMU has 200,000.
_LOADS_MAX = 1 << 20

#: Limit of calls and jumps. The largest QEMU has 270,000.
_CALLS_MAX = 1 << 20

#: Limit of the size of a function in bytes. The largest one of a QEMU has 127 KB.
_FUNCTION_SIZE_MAX = 1 << 20


class Code:
    """Code of a mapped object. Addresses are the guest's."""

    def __init__(self, mapped: MappedObject) -> None:
        self.mapped, self.guest = mapped, mapped.guest
        self._host = mapped.guest.host
        self._loaded = [(segment.start, segment.loaded) for segment in mapped.segments]
        self._starts = self._all_starts(mapped.function_starts())
        self._known = frozenset(self._starts)

    def _all_starts(self, listed: list[int]) -> list[int]:
        """Add the functions that are called, for hosts whose objects do not list all."""
        if not listed or self._host.called is None:
            return listed
        start, end = listed[0], listed[-1]
        called = islice(self._host.called(start, self.guest.read(start, end - start)), _CALLS_MAX)
        return sorted({*listed, *(target for target in called if start <= target < end)})

    @cached_property
    def _segments(self) -> list[tuple[int, bytes]]:
        return [(address, self.guest.read(address, size)) for address, size in self._loaded]

    def strings(self, text: bytes) -> set[int]:
        """Return the addresses of a string, including suffixes of longer strings, which linkers merge."""
        return {
            address + match.start()
            for address, data in self._segments
            for match in re.finditer(re.escape(text + b"\0"), data)
        }

    def string_around(self, text: bytes) -> set[int]:
        """Return the start addresses of strings that contain a text."""
        found = set()
        for address, data in self._segments:
            start = end = 0
            for match in re.finditer(re.escape(text), data):
                start = data.rfind(b"\0", end, match.start()) + 1 or start
                end = match.end()
                found.add(address + start)
        return found

    def function(self, address: int) -> tuple[int, int] | None:
        """Return start and end of the function that contains an address."""
        index = bisect_right(self._starts, address)
        if not 0 < index < len(self._starts):
            return None
        start, end = self._starts[index - 1 : index + 1]
        return (start, end) if end - start <= _FUNCTION_SIZE_MAX else None

    def functions_that_load(self, targets: set[int]) -> set[tuple[int, int]]:
        """Return the functions that load the address of one of the targets."""
        functions = {self.function(at) for at, target in self._all_loads if target in targets}
        return {function for function in functions if function}

    def count_strings(self, texts: Sequence[bytes]) -> Counter[int]:
        """Return how many of these strings each function loads the address of, by the function's start."""
        pattern = re.compile(b"(?:%s)\\0" % b"|".join(map(re.escape, texts)))
        strings = {
            address + match.start(): match[0] for address, data in self._segments for match in pattern.finditer(data)
        }
        found = {(self.function(at), strings[target]) for at, target in self._all_loads if target in strings}
        return Counter(function[0] for function, _ in found if function)

    @cached_property
    def _all_loads(self) -> list[tuple[int, int]]:
        """Pairs of the address of an instruction and the address that it loads."""
        if not self._starts:
            return []
        start, end = self._starts[0], self._starts[-1]
        return list(islice(self._loads(start, self.guest.read(start, end - start)), _LOADS_MAX))

    def _loads(self, address: int, data: bytes) -> Iterator[tuple[int, int]]:
        yield from self._host.loads(address, data)
        if place := self.guest.place:
            yield from (load for load in self._host.absolute_loads(address, data) if load[1] in place)

    def loads(self, function: tuple[int, int]) -> Iterator[int]:
        """Iterate over the addresses that a function loads."""
        start, end = function
        return (target for _, target in self._loads(start, self.guest.read(start, end - start)))

    def calls(self, function: tuple[int, int], *, second_is_1: bool = False, is_last: bool = False) -> Iterator[int]:
        """Iterate over direct call and jump targets of a function.

        second_is_1: only if the second argument is 1; is_last: only if it is also the last one.
        """
        start, end = function
        data = self.guest.read(start, end - start)
        for at, target in self._host.calls(start, data):
            before = data[max(at - start - BEFORE_CALL, 0) : at - start]
            if (
                target in self._known
                and not (second_is_1 and not self._host.sets_second_to_1(before))
                and not (is_last and self._host.sets_third(before))
            ):
                yield target

    def callers(self, target: int) -> set[tuple[int, int]]:
        """Return the functions that call a function, or jump to it, directly."""
        functions = {self.function(at) for at in self._all_calls.get(target, ())}
        return {function for function in functions if function and function[0] != target}

    @cached_property
    def _all_calls(self) -> dict[int, list[int]]:
        """Addresses of calls and jumps by the start of the function that they enter."""
        calls: dict[int, list[int]] = {}
        if self._starts:
            start, end = self._starts[0], self._starts[-1]
            for at, target in islice(self._host.calls(start, self.guest.read(start, end - start)), _CALLS_MAX):
                if target in self._known:
                    calls.setdefault(target, []).append(at)
        return calls

    def byte_reads(self, function: tuple[int, int]) -> Iterator[int]:
        """Iterate over the register offsets at which a function reads bytes."""
        start, end = function
        data = self.guest.read(start, end - start)
        return self._host.byte_reads(data)

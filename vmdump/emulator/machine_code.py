"""Machine code, as far as it takes to find functions in a binary that exports none: which addresses an instruction
loads, which functions it calls, where functions begin. Of both hosts only the forms that compilers make for that.

A byte sequence may look like an instruction and be none; so who asks must check what the answers point to.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import islice

from vmdump.emulator.elf import ElfFile
from vmdump.emulator.guest import Guest

_PT_LOAD, _PT_GNU_EH_FRAME = 1, 0x6474E550

#: .eh_frame_hdr as linkers make it: version 1, a count of 4 bytes, a table of 4-byte offsets from the header's start.
_EH_FRAME_HDR = b"\x01\x1b\x03\x3b"

#: lea disp32(%rip), %REG; call and jmp rel32; cmpb $NUMBER, disp32(%REG) and movzbl disp32(%REG), %REG; mov $1, %esi.
_LEA = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]")
_CALL = re.compile(rb"[\xe8\xe9]")
_READ = re.compile(rb"(?:\x80[\xb8-\xbf]|\x0f\xb6[\x80-\xbf])(.{4})", re.DOTALL)
_ONE_X86_64 = b"\xbe\1\0\0\0"

#: mov w1, #1.
_ONE_AARCH64 = 0x52800021

#: How many bytes of instructions an argument and its call may be apart.
_ARGUMENT_WITHIN = 24


#: How many loads of addresses are looked at. The largest QEMU has 200,000.
_LOADS_MAX = 1 << 20


class Code:
    """The functions of an object that is mapped. Addresses are the guest's."""

    def __init__(self, guest: Guest, elf: ElfFile, bias: int) -> None:
        self.guest, self.elf, self.bias = guest, elf, bias
        self._x86_64 = elf.e_machine == 62
        self._loaded = [(bias + segment.vaddr, segment.filesz) for segment in elf.of_type(_PT_LOAD)]
        self._starts = _function_starts(guest, elf, bias)
        self._known = frozenset(self._starts)

    @cached_property
    def _segments(self) -> list[tuple[int, bytes]]:
        return [(address, self.guest.read(address, size)) for address, size in self._loaded]

    def strings(self, text: bytes) -> set[int]:
        """Where strings that end in text begin to be text: linkers let strings share their ends."""
        return {
            address + match.start()
            for address, data in self._segments
            for match in re.finditer(re.escape(text + b"\0"), data)
        }

    def string_around(self, text: bytes) -> set[int]:
        """Where strings that contain text begin."""
        return {
            address + data.rfind(b"\0", 0, match.start()) + 1
            for address, data in self._segments
            for match in re.finditer(re.escape(text), data)
        }

    def function(self, address: int) -> tuple[int, int] | None:
        """Where the function that contains address begins and ends."""
        index = bisect_right(self._starts, address)
        if not 0 < index < len(self._starts):
            return None
        return self._starts[index - 1], self._starts[index]

    def functions_that_load(self, targets: set[int]) -> set[tuple[int, int]]:
        """The functions that load the address of one of the targets."""
        functions = {self.function(at) for at, target in self._all_loads if target in targets}
        return {function for function in functions if function}

    @cached_property
    def _all_loads(self) -> list[tuple[int, int]]:
        """Where an address is loaded, and which."""
        if not self._starts:
            return []
        start, end = self._starts[0], self._starts[-1]
        return list(islice(self._loads(start, self.guest.read(start, end - start)), _LOADS_MAX))

    def loads(self, function: tuple[int, int]) -> Iterator[int]:
        """The addresses that a function loads."""
        start, end = function
        return (target for _, target in self._loads(start, self.guest.read(start, end - start)))

    def calls(self, function: tuple[int, int], *, second_is_1: bool = False) -> Iterator[int]:
        """The functions that a function calls, or jumps to, directly; only where the second argument is 1, if so."""
        start, end = function
        data = self.guest.read(start, end - start)
        for at, target in _relative(_CALL, start, data) if self._x86_64 else _calls_aarch64(start, data):
            if target in self._known and not (second_is_1 and not self._has_1(data[: at - start])):
                yield target

    def byte_reads(self, function: tuple[int, int]) -> Iterator[int]:
        """The distances from a register at which a function reads a byte: on x86-64 those that take four bytes."""
        start, end = function
        data = self.guest.read(start, end - start)
        if self._x86_64:
            return (int.from_bytes(match[1], "little") for match in _READ.finditer(data))
        return (word >> 10 & 0xFFF for word in _words(data) if word & 0xFFC00000 == 0x39400000)  # ldrb REG, [REG, #N]

    def _loads(self, address: int, data: bytes) -> Iterator[tuple[int, int]]:
        return _relative(_LEA, address, data) if self._x86_64 else _loads_aarch64(address, data)

    def _has_1(self, before: bytes) -> bool:
        """Whether the code right before a call makes its second argument 1."""
        if self._x86_64:
            return _ONE_X86_64 in before[-_ARGUMENT_WITHIN:]
        return _ONE_AARCH64 in _words(before[-_ARGUMENT_WITHIN:])


def _relative(pattern: re.Pattern[bytes], address: int, data: bytes) -> Iterator[tuple[int, int]]:
    """Where the pattern is in x86-64 code, and the address that the 4 bytes behind it give relative to their end."""
    for match in pattern.finditer(data, 0, max(len(data) - 4, 0)):
        end = match.end() + 4
        yield address + match.start(), address + end + int.from_bytes(data[end - 4 : end], "little", signed=True)


def _loads_aarch64(address: int, data: bytes) -> Iterator[tuple[int, int]]:
    """Where an address is put together in AArch64 code, and which."""
    known: dict[int, int] = {}
    for index, word in enumerate(_words(data)):
        if word & 0x9F000000 == 0x90000000:  # adrp REG, PAGE
            pages = (word >> 3 & 0x1FFFFC) | (word >> 29 & 3)
            pages -= (pages & 0x100000) << 1
            known[word & 31] = ((address + 4 * index) & ~0xFFF) + (pages << 12)
        elif word & 0xFFC00000 == 0x91000000 and (word >> 5 & 31) in known:  # add REG, REG, #NUMBER
            known[word & 31] = known[word >> 5 & 31] + (word >> 10 & 0xFFF)
            yield address + 4 * index, known[word & 31]


def _calls_aarch64(address: int, data: bytes) -> Iterator[tuple[int, int]]:
    """Where a branch is in AArch64 code, and to where."""
    for index, word in enumerate(_words(data)):
        if word & 0x7C000000 == 0x14000000:  # b, bl
            distance = (word & 0x3FFFFFF) - ((word & 0x2000000) << 1)
            yield address + 4 * index, address + 4 * index + 4 * distance


def _words(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])


def _function_starts(guest: Guest, elf: ElfFile, bias: int) -> list[int]:
    """Where functions begin, sorted: what .eh_frame_hdr lists for unwinding. None are listed: nothing is found."""
    for segment in elf.of_type(_PT_GNU_EH_FRAME):
        header = bias + segment.vaddr
        if guest.read(header, 4) == _EH_FRAME_HDR:
            count = int.from_bytes(guest.read(header + 8, 4), "little")
            table = struct.iter_unpack("<ii", guest.read(header + 12, 8 * count))
            return sorted(header + start for start, _ in table)
    return []

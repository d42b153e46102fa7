"""Partial disassembly, to find functions in binaries without symbols: loaded addresses, calls, function starts.

Only the instruction forms that compilers generate for these purposes are recognised. Results may be false positives, as
byte sequences within other instructions can match; callers must validate what they point to.
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
from vmdump.files.elf_header import HostArch

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

#: Maximal distance of an argument's instruction from the call, in bytes.
_ARGUMENT_WITHIN = 24


#: Limits of address loads and of functions. The largest QEMU has 200,000 loads and 41,000 functions.
_LOADS_MAX = _FUNCTIONS_MAX = 1 << 20

#: Limits of the size of one function and of all, in bytes. The largest function of a QEMU has 127 KB, its code 9 MB.
_FUNCTION_SIZE_MAX, _CODE_SIZE_MAX = 1 << 20, 64 << 20


class Code:
    """Code of a mapped object. Addresses are the guest's."""

    def __init__(self, guest: Guest, elf: ElfFile, bias: int) -> None:
        self.guest, self.elf, self.bias = guest, elf, bias
        self._x86_64 = elf.arch is HostArch.X86_64
        self._loaded = [(bias + segment.vaddr, segment.filesz) for segment in elf.of_type(_PT_LOAD)]
        self._starts = _function_starts(guest, elf, bias)
        self._known = frozenset(self._starts)

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
        return {
            address + data.rfind(b"\0", 0, match.start()) + 1
            for address, data in self._segments
            for match in re.finditer(re.escape(text), data)
        }

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

    @cached_property
    def _all_loads(self) -> list[tuple[int, int]]:
        """Pairs of the address of an instruction and the address that it loads."""
        if not self._starts:
            return []
        start, end = self._starts[0], self._starts[-1]
        return list(islice(self._loads(start, self.guest.read(start, end - start)), _LOADS_MAX))

    def loads(self, function: tuple[int, int]) -> Iterator[int]:
        """Iterate over the addresses that a function loads."""
        start, end = function
        return (target for _, target in self._loads(start, self.guest.read(start, end - start)))

    def calls(self, function: tuple[int, int], *, second_is_1: bool = False) -> Iterator[int]:
        """Iterate over direct call and jump targets of a function; second_is_1: only if the second argument is 1."""
        start, end = function
        data = self.guest.read(start, end - start)
        for at, target in _relative(_CALL, start, data) if self._x86_64 else _calls_aarch64(start, data):
            if target in self._known and not (second_is_1 and not self._has_1(data[: at - start])):
                yield target

    def byte_reads(self, function: tuple[int, int]) -> Iterator[int]:
        """Iterate over the register offsets at which a function reads bytes; on x86-64 only 32-bit displacements."""
        start, end = function
        data = self.guest.read(start, end - start)
        if self._x86_64:
            return (int.from_bytes(match[1], "little") for match in _READ.finditer(data))
        return (word >> 10 & 0xFFF for word in _words(data) if word & 0xFFC00000 == 0x39400000)  # ldrb REG, [REG, #N]

    def _loads(self, address: int, data: bytes) -> Iterator[tuple[int, int]]:
        return _relative(_LEA, address, data) if self._x86_64 else _loads_aarch64(address, data)

    def _has_1(self, before: bytes) -> bool:
        """Return whether the code before a call sets the second argument to 1."""
        if self._x86_64:
            return _ONE_X86_64 in before[-_ARGUMENT_WITHIN:]
        return _ONE_AARCH64 in _words(before[-_ARGUMENT_WITHIN:])


def _relative(pattern: re.Pattern[bytes], address: int, data: bytes) -> Iterator[tuple[int, int]]:
    """Yield addresses of instructions in x86-64 code that match a pattern, and the targets of their rel32 operands."""
    for match in pattern.finditer(data, 0, max(len(data) - 4, 0)):
        end = match.end() + 4
        yield address + match.start(), address + end + int.from_bytes(data[end - 4 : end], "little", signed=True)


def _loads_aarch64(address: int, data: bytes) -> Iterator[tuple[int, int]]:
    """Yield addresses of adrp/add pairs in AArch64 code, and the addresses that they compute."""
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
    """Yield addresses of branches in AArch64 code, and their targets."""
    for index, word in enumerate(_words(data)):
        if word & 0x7C000000 == 0x14000000:  # b, bl
            distance = (word & 0x3FFFFFF) - ((word & 0x2000000) << 1)
            yield address + 4 * index, address + 4 * index + 4 * distance


def _words(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])


def _function_starts(guest: Guest, elf: ElfFile, bias: int) -> list[int]:
    """Return the sorted start addresses of functions from .eh_frame_hdr, which is for unwinding.

    Empty without it, or if there are too many or too far apart for a QEMU.
    """
    for segment in elf.of_type(_PT_GNU_EH_FRAME):
        header = bias + segment.vaddr
        if guest.read(header, 4) == _EH_FRAME_HDR:
            count = int.from_bytes(guest.read(header + 8, 4), "little")
            if count > _FUNCTIONS_MAX:
                return []
            table = struct.iter_unpack("<ii", guest.read(header + 12, 8 * count))
            starts = sorted(header + start for start, _ in table)
            return starts if starts and starts[-1] - starts[0] <= _CODE_SIZE_MAX else []
    return []

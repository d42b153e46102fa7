"""AArch64 hosts. See model.py; the rest of the table is csrc/guest/arch/aarch64.c."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

from vmdump.emulator.hosts.model import ARGUMENT_WITHIN, Addresses, Host, sign_extend, words
from vmdump.files.elf_header import HostArch

#: mov w1, #1.
_ONE = 0x52800021


def _jump(target: int) -> bytes:
    return b"\x50\x00\x00\x58\x00\x02\x1f\xd6" + struct.pack("<Q", target)  # ldr x16, 8; br x16; ADDRESS


def _page(adrp: int, at: int) -> int:
    """Return the address that adrp computes."""
    return (at & ~0xFFF) + (sign_extend(adrp >> 3 & 0x1FFFFC | adrp >> 29 & 3, 21) << 12)


def _loads(address: int, data: bytes) -> Addresses:
    """Pairs of adrp and add."""
    known: dict[int, int] = {}
    for index, word in enumerate(words(data)):
        if word & 0x9F000000 == 0x90000000:  # adrp REG, PAGE
            known[word & 31] = _page(word, address + 4 * index)
        elif word & 0xFFC00000 == 0x91000000 and (word >> 5 & 31) in known:  # add REG, REG, #NUMBER
            known[word & 31] = known[word >> 5 & 31] + (word >> 10 & 0xFFF)
            yield address + 4 * index, known[word & 31]


def _calls(address: int, data: bytes) -> Addresses:
    for index, word in enumerate(words(data)):
        if word & 0x7C000000 == 0x14000000:  # b, bl
            yield address + 4 * index, address + 4 * index + 4 * sign_extend(word & 0x3FFFFFF, 26)


def _byte_reads(data: bytes) -> Iterator[int]:
    return (word >> 10 & 0xFFF for word in words(data) if word & 0xFFC00000 == 0x39400000)  # ldrb REG, [REG, #N]


def _sets_second_to_1(before: bytes) -> bool:
    return _ONE in words(before[-ARGUMENT_WITHIN:])


def _stubs(address: int, data: bytes) -> Addresses:
    """Adrp x16, PAGE; ldr x17, [x16, #OFFSET]."""
    for index, (adrp, ldr) in enumerate(pairwise(words(data))):
        if adrp & 0x9F00001F == 0x90000010 and ldr & 0xFFC003FF == 0xF9400211:
            yield address + 4 * index, _page(adrp, address + 4 * index) + (ldr >> 10 & 0xFFF) * 8


HOST = Host(
    HostArch.AARCH64, "little", "aarch64-linux-gnu", _jump, _loads, _calls, _byte_reads, _sets_second_to_1, _stubs
)

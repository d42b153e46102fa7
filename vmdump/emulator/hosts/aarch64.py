"""AArch64 hosts. See model.py; the rest of the table is csrc/guest/arch/aarch64.c."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

from vmdump.emulator.hosts.model import ARGUMENT_WITHIN, Addresses, Effect, Host, sign_extend, words
from vmdump.files.elf_header import HostArch

#: mov w1, #1.
_ONE = 0x52800021


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


def _effects(code: bytes) -> Iterator[Effect]:
    """Source: Arm ARM, C4.1."""
    for (insn,) in struct.iter_unpack("<I", code):
        if insn in (0xD65F03C0, 0xD65F0BFF, 0xD65F0FFF):  # ret, retaa, retab
            yield Effect.RETURN
        elif (
            insn & 0xFC000000 == 0x14000000  # b
            or insn & 0xFF000000 == 0x54000000  # b.cond
            or insn & 0x7C000000 == 0x34000000  # cbz, cbnz, tbz, tbnz
            or (insn & 0xFE000000 == 0xD6000000 and insn & 0x00600000 != 0x00200000)  # br
        ):  # fmt: skip
            yield Effect.BRANCH
        elif insn in (0x52800000, 0x2A1F03E0, 0xD2800000, 0xAA1F03E0):  # mov w0, #0; mov w0, wzr; the same of x0
            yield Effect.ZERO
        elif insn & 0xFC000000 == 0x94000000 or insn & 0xFE000000 == 0xD6000000:  # bl, blr
            yield Effect.OTHER
        elif insn & 0x0A000000 == 0x08000000:  # loads and stores: Rt, a base with writeback, Rt2
            yield Effect.OTHER if 0 in (insn & 31, insn >> 5 & 31, insn >> 10 & 31) else Effect.KEEP
        else:
            yield Effect.KEEP if insn & 31 else Effect.OTHER


HOST = Host(
    HostArch.AARCH64, "little", "aarch64-linux-gnu", _loads, _calls, _byte_reads, _sets_second_to_1, _stubs,
    _effects,
)  # fmt: skip

"""64-bit RISC-V hosts. See model.py; the rest of the table is csrc/guest/arch/riscv64.c."""

from __future__ import annotations

from collections.abc import Iterator

from vmdump.emulator.hosts.model import ARGUMENT_WITHIN, GLOBAL_WITHIN, Addresses, Host, sign_extend
from vmdump.files.elf_header import HostArch

_AUIPC, _JAL = 0x17, 0x6F

_STACK_POINTER = 2

#: li a1, 1: compressed, and addi a1, zero, 1.
_ONES = (0x4585, 0x00100593)


def _instructions(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield offset and value of each instruction; compressed ones have 16 bits."""
    at, size = 0, len(data)
    while at + 2 <= size:
        low = data[at] | data[at + 1] << 8
        if low & 3 != 3:
            yield at, low
            at += 2
        elif at + 4 <= size:
            yield at, low | data[at + 2] << 16 | data[at + 3] << 24
            at += 4
        else:
            return


def _upper(word: int, at: int) -> int:
    """Return the address that auipc computes."""
    return at + sign_extend(word & 0xFFFFF000, 32)


def _low(word: int) -> int:
    """Return the 12-bit immediate of addi, ld and jalr."""
    return sign_extend(word >> 20, 12)


def _loads(address: int, data: bytes) -> Addresses:
    """Pairs of auipc and addi."""
    known: dict[int, int] = {}
    for at, word in _instructions(data):
        if word & 0x7F == _AUIPC:
            known[word >> 7 & 31] = _upper(word, address + at)
        elif word & 0x707F == 0x13 and (word >> 15 & 31) in known:  # addi REG, REG, NUMBER
            yield address + at, known[word >> 15 & 31] + _low(word)


def _calls(address: int, data: bytes) -> Addresses:
    """jal, and pairs of auipc and jalr; c.j, with which functions end in a call of a near one."""
    before = (0, 0)
    for at, word in _instructions(data):
        if word & 0x7F == _JAL:
            offset = word >> 31 << 20 | word & 0xFF000 | (word >> 20 & 1) << 11 | (word >> 21 & 0x3FF) << 1
            yield address + at, address + at + sign_extend(offset, 21)
        elif word & 0xFFFFE003 == 0xA001:
            yield address + at, address + at + _compressed_offset(word)
        elif word & 0x707F == 0x67 and before[1] & 0x7F == _AUIPC and before[1] >> 7 & 31 == word >> 15 & 31:
            yield address + before[0], _upper(before[1], address + before[0]) + _low(word)
        before = (at, word)


def _compressed_offset(word: int) -> int:
    """Return the offset of c.j, which has its bits in bits 12 to 2.

    >>> _compressed_offset(0xBFFD), _compressed_offset(0xA821)  # of LLVM's assembler
    (-2, 24)
    """
    bits = (11, 4, 9, 8, 10, 6, 7, 3, 2, 1, 5)
    return sign_extend(sum((word >> 12 - index & 1) << bit for index, bit in enumerate(bits)), 12)


def _byte_reads(data: bytes) -> Iterator[int]:
    global_until: dict[int, int] = {}
    for at, word in _instructions(data):
        base = word >> 15 & 31
        if word & 0x7F == _AUIPC:
            global_until[word >> 7 & 31] = at + GLOBAL_WITHIN
        elif word & 0x8000707F == 0x4003 and base != _STACK_POINTER and at > global_until.get(base, -1):
            yield word >> 20  # lbu REG, NUMBER(REG)


def _sets_second_to_1(before: bytes) -> bool:
    """Only an instruction after the previous call counts, as code is dense."""
    set_at = -ARGUMENT_WITHIN - 1
    for at, word in _instructions(before):
        if word in _ONES:
            set_at = at
        elif word & 0xFFF in (0x0E7, 0x0EF):  # jalr ra, jal ra
            set_at = -ARGUMENT_WITHIN - 1
    return set_at >= len(before) - ARGUMENT_WITHIN


def _stubs(address: int, data: bytes) -> Addresses:
    """Auipc t3, UPPER; ld t3, LOW(t3)."""
    before = (0, 0)
    for at, word in _instructions(data):
        if word & 0xFFFFF == 0xE3E03 and before[1] & 0xFFF == 0xE17 and before[0] == at - 4:
            yield address + before[0], _upper(before[1], address + before[0]) + _low(word)
        before = (at, word)


HOST = Host(HostArch.RISCV64, "little", "riscv64-linux-gnu", _loads, _calls, _byte_reads, _sets_second_to_1, _stubs)

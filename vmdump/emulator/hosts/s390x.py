"""IBM Z hosts, which are big-endian. See model.py; the rest of the table is csrc/guest/arch/s390x.c."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from vmdump.emulator.hosts.model import ARGUMENT_WITHIN, Addresses, Host
from vmdump.files.elf_header import HostArch

#: larl REG, DISTANCE; brasl REG, DISTANCE and jg DISTANCE, in halfwords; lghi and lhi %r3, 1.
_LARL = re.compile(rb"\xc0[\x00\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0](?=(....))", re.DOTALL)
_CALL = re.compile(rb"\xc0[\x05\x15\x25\x35\x45\x55\x65\x75\x85\x95\xa5\xb5\xc5\xd5\xe5\xf5\xf4](?=(....))", re.DOTALL)
_ONE = re.compile(rb"\xa7[\x38\x39]\x00\x01")

#: larl %r1, SLOT; lg %r1, 0(%r1); br %r1: a PLT stub.
_STUB = re.compile(rb"\xc0\x10(....)\xe3\x10\x10\x00\x00\x04\x07\xf1", re.DOTALL)

#: Second opcode bytes of instructions that read a byte at a 20-bit displacement: icy, lb, lgb, llgc, llc; tmy, cliy.
_LONG = {0xE3: (0x73, 0x76, 0x77, 0x90, 0x94), 0xEB: (0x51, 0x55)}

#: Instructions that read a byte at a 12-bit displacement: ic, tm, cli.
_SHORT = (0x43, 0x91, 0x95)

_STACK_POINTER = 15


def _relative(pattern: re.Pattern[bytes], address: int, data: bytes) -> Addresses:
    for match in pattern.finditer(data):
        if not match.start() % 2:
            at = address + match.start()
            yield at, at + 2 * struct.unpack(">i", match[1])[0]


def _loads(address: int, data: bytes) -> Addresses:
    return _relative(_LARL, address, data)


def _calls(address: int, data: bytes) -> Addresses:
    return _relative(_CALL, address, data)


def _byte_reads(data: bytes) -> Iterator[int]:
    """Displacements of 12 bits, and the lower 12 of 20."""
    at = 0
    while at + 6 <= len(data):
        opcode, base = data[at], data[at + 2] >> 4
        if (opcode in _SHORT or data[at + 5] in _LONG.get(opcode, ())) and base != _STACK_POINTER:
            yield (data[at + 2] & 15) << 8 | data[at + 3]
        at += (2, 4, 4, 6)[opcode >> 6]


def _sets_second_to_1(before: bytes) -> bool:
    return _ONE.search(before[-ARGUMENT_WITHIN:]) is not None


def _stubs(address: int, data: bytes) -> Addresses:
    return _relative(_STUB, address, data)


HOST = Host(HostArch.S390X, "big", "s390x-linux-gnu", _loads, _calls, _byte_reads, _sets_second_to_1, _stubs)

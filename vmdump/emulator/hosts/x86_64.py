"""x86-64 hosts. See model.py; the rest of the table is csrc/guest/arch/x86_64.c."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from vmdump.emulator.hosts.model import ARGUMENT_WITHIN, Addresses, Host, relative
from vmdump.files.elf_header import HostArch

#: lea disp32(%rip), %REG; call and jmp rel32; cmpb $NUMBER, disp32(%REG) and movzbl disp32(%REG), %REG; mov $1, %esi.
_LEA = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]")
_CALL = re.compile(rb"[\xe8\xe9]")
_READ = re.compile(rb"(?:\x80[\xb8-\xbf]|\x0f\xb6[\x80-\xbf])(.{4})", re.DOTALL)
_ONE = b"\xbe\1\0\0\0"

#: jmp *disp32(%rip) in a PLT stub, optionally after endbr64 or bnd.
_STUB = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?\xf2?\xff\x25(....)", re.DOTALL)


def _jump(target: int) -> bytes:
    return b"\x48\xb8" + struct.pack("<Q", target) + b"\xff\xe0"  # movabs rax, ADDRESS; jmp rax


def _loads(address: int, data: bytes) -> Addresses:
    return relative(_LEA, address, data)


def _calls(address: int, data: bytes) -> Addresses:
    return relative(_CALL, address, data)


def _byte_reads(data: bytes) -> Iterator[int]:
    """32-bit displacements only."""
    return (int.from_bytes(match[1], "little") for match in _READ.finditer(data))


def _sets_second_to_1(before: bytes) -> bool:
    return _ONE in before[-ARGUMENT_WITHIN:]


def _stubs(address: int, data: bytes) -> Addresses:
    for match in _STUB.finditer(data):
        yield address + match.start(), address + match.end() + struct.unpack("<i", match[1])[0]


HOST = Host(
    HostArch.X86_64, "little", "x86_64-linux-gnu", _jump, _loads, _calls, _byte_reads, _sets_second_to_1, _stubs
)

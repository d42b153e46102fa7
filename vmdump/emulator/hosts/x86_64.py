"""x86-64 hosts. See model.py; the rest of the table is csrc/guest/arch/x86_64.c."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from vmdump._core import ffi, lib
from vmdump.emulator.hosts.model import ARGUMENT_WITHIN, Addresses, Effect, Host, relative
from vmdump.files.elf_header import HostArch

#: lea disp32(%rip), %REG; in code that is not position-independent also mov $ADDRESS, %REG (32 and 64 bits); call and
#: jmp rel32; cmpb $NUMBER, disp32(%REG) and movzbl disp32(%REG), %REG; mov $1, %esi.
_LEA = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]")
_MOV = re.compile(rb"(?:[\xb8-\xbf]|\x48\xc7[\xc0-\xc7])(?=(....))", re.DOTALL)
_CALL = re.compile(rb"[\xe8\xe9]")
_READ = re.compile(rb"(?:\x80[\xb8-\xbf]|\x0f\xb6[\x80-\xbf])(.{4})", re.DOTALL)
_ONE = b"\xbe\1\0\0\0"

#: mov $NUMBER, %edx; lea disp32(%rip), %rdx; xor %edx, %edx; mov %REG, %rdx: behind the last call before.
_THIRD = re.compile(rb"\xba|\x48\x8d\x15|\x31\xd2|[\x48\x4c]\x89[\xc2\xca\xda\xe2\xea\xf2\xfa]")

#: jmp *disp32(%rip) in a PLT stub, optionally after endbr64 or bnd.
_STUB = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?\xf2?\xff\x25(....)", re.DOTALL)


def _loads(address: int, data: bytes) -> Addresses:
    return relative(_LEA, address, data)


def _absolute_loads(address: int, data: bytes) -> Addresses:
    for match in _MOV.finditer(data):
        yield address + match.start(), int.from_bytes(match[1], "little")


def _calls(address: int, data: bytes) -> Addresses:
    return relative(_CALL, address, data)


def _byte_reads(data: bytes) -> Iterator[int]:
    """32-bit displacements only."""
    return (int.from_bytes(match[1], "little") for match in _READ.finditer(data))


def _sets_second_to_1(before: bytes) -> bool:
    return _ONE in before[-ARGUMENT_WITHIN:]


def _sets_third(before: bytes) -> bool:
    window = before[-ARGUMENT_WITHIN:]
    calls = [match.end() + 4 for match in _CALL.finditer(window) if match.end() + 4 <= len(window)]
    behind = window[calls[-1] if calls else 0 :]
    return _ONE not in behind or _THIRD.search(behind) is not None


def _stubs(address: int, data: bytes) -> Addresses:
    for match in _STUB.finditer(data):
        yield address + match.start(), address + match.end() + struct.unpack("<i", match[1])[0]


def _effects(code: bytes) -> Iterator[Effect]:
    """Up to an unknown instruction."""
    at, data = 0, ffi.from_buffer(code)
    while at < len(code):
        size = int(lib.vmd_x86_64_length(data + at, len(code) - at))
        if not size:
            return
        yield _effect(code[at : at + size])
        at += size


def _effect(insn: bytes) -> Effect:
    """Source: Intel SDM volume 2, appendix A."""
    plain = insn.lstrip(b"\x66\x67\xf2\xf3\x2e\x36\x3e\x26\x64\x65")
    rex = plain[0] if plain[0] & 0xF0 == 0x40 else 0
    opcode, rest = (plain[1], plain[2:]) if rex else (plain[0], plain[1:])
    modrm = rest[0] if rest else 0
    if opcode == 0xC3:
        return Effect.RETURN
    is_near = 0x70 <= opcode <= 0x7F or 0xE0 <= opcode <= 0xE3 or opcode in (0xE9, 0xEB, 0xC2, 0xCB)
    if is_near or (opcode == 0x0F and 0x80 <= modrm <= 0x8F) or (opcode == 0xFF and modrm >> 3 & 7 in (4, 5)):
        return Effect.BRANCH
    if (opcode in (0x31, 0x33) and modrm == 0xC0 and not rex & 5) or (opcode == 0xB8 and not rex and not any(rest)):
        return Effect.ZERO
    is_stack = opcode in (0x81, 0x83) and modrm == 0xC4  # add $N, %rsp
    is_pop = 0x59 <= opcode <= 0x5F or (opcode == 0x58 and rex & 1)
    is_store = opcode in (0x88, 0x89, 0xC6, 0xC7) and modrm < 0xC0
    is_other_register = opcode in (0x31, 0x89) and modrm >= 0xC0 and (modrm & 7 or rex & 1)
    return (
        Effect.KEEP if is_stack or is_pop or is_store or is_other_register or opcode in (0xC9, 0x90) else Effect.OTHER
    )


HOST = Host(
    HostArch.X86_64, "little", "x86_64-linux-gnu", _loads, _calls, _byte_reads, _sets_second_to_1, _stubs,
    _effects, sets_third=_sets_third, absolute_loads=_absolute_loads,
)  # fmt: skip

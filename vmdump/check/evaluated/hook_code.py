"""Machine code of load hooks: whether a hook can refuse a state at all.

A function without branches that sets its result to 0 before it returns does so for every state. This recognises no
more than that; any other function may refuse.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from vmdump._core import ffi, lib
from vmdump.files.elf_header import HostArch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.emulator.guest import Guest

#: Limit of a function's size, in bytes.
_SIZE_MAX = 512

#: What an instruction does: it sets the result to 0, keeps it, may change it, returns, or branches.
_ZERO, _KEEP, _OTHER, _RETURN, _BRANCH = range(5)


def never_refuses(guest: Guest, function: int) -> bool:
    """Return whether a function surely returns 0. False: it may return anything."""
    is_zero = False
    for effect in (_x86_64 if guest.arch is HostArch.X86_64 else _aarch64)(guest.read(function, _SIZE_MAX)):
        if effect == _RETURN:
            return is_zero
        if effect == _BRANCH:
            return False
        is_zero = effect == _ZERO or (is_zero and effect == _KEEP)
    return False


def _x86_64(code: bytes) -> Iterator[int]:
    """Yield the effects of x86-64 instructions, up to one that is unknown."""
    at, data = 0, ffi.from_buffer(code)
    while at < len(code):
        size = int(lib.vmd_x86_64_length(data + at, len(code) - at))
        if not size:
            return
        yield _x86_64_effect(code[at : at + size])
        at += size


def _x86_64_effect(insn: bytes) -> int:
    """Source: Intel SDM volume 2, appendix A."""
    plain = insn.lstrip(b"\x66\x67\xf2\xf3\x2e\x36\x3e\x26\x64\x65")
    rex = plain[0] if plain[0] & 0xF0 == 0x40 else 0
    opcode, rest = (plain[1], plain[2:]) if rex else (plain[0], plain[1:])
    modrm = rest[0] if rest else 0
    if opcode == 0xC3:
        return _RETURN
    is_near = 0x70 <= opcode <= 0x7F or 0xE0 <= opcode <= 0xE3 or opcode in (0xE9, 0xEB, 0xC2, 0xCB)
    if is_near or (opcode == 0x0F and 0x80 <= modrm <= 0x8F) or (opcode == 0xFF and modrm >> 3 & 7 in (4, 5)):
        return _BRANCH
    if (opcode in (0x31, 0x33) and modrm == 0xC0 and not rex & 5) or (opcode == 0xB8 and not rex and not any(rest)):
        return _ZERO
    is_stack = opcode in (0x81, 0x83) and modrm == 0xC4  # add $N, %rsp
    is_pop = 0x59 <= opcode <= 0x5F or (opcode == 0x58 and rex & 1)
    is_store = opcode in (0x88, 0x89, 0xC6, 0xC7) and modrm < 0xC0
    is_other_register = opcode in (0x31, 0x89) and modrm >= 0xC0 and (modrm & 7 or rex & 1)
    return _KEEP if is_stack or is_pop or is_store or is_other_register or opcode in (0xC9, 0x90) else _OTHER


def _aarch64(code: bytes) -> Iterator[int]:
    """Yield the effects of AArch64 instructions. Source: Arm ARM, C4.1."""
    for (insn,) in struct.iter_unpack("<I", code):
        if insn in (0xD65F03C0, 0xD65F0BFF, 0xD65F0FFF):  # ret, retaa, retab
            yield _RETURN
        elif (
            insn & 0xFC000000 == 0x14000000  # b
            or insn & 0xFF000000 == 0x54000000  # b.cond
            or insn & 0x7C000000 == 0x34000000  # cbz, cbnz, tbz, tbnz
            or (insn & 0xFE000000 == 0xD6000000 and insn & 0x00600000 != 0x00200000)  # br
        ):  # fmt: skip
            yield _BRANCH
        elif insn in (0x52800000, 0x2A1F03E0, 0xD2800000, 0xAA1F03E0):  # mov w0, #0; mov w0, wzr; the same of x0
            yield _ZERO
        elif insn & 0xFC000000 == 0x94000000 or insn & 0xFE000000 == 0xD6000000:  # bl, blr
            yield _OTHER
        elif insn & 0x0A000000 == 0x08000000:  # loads and stores: Rt, a base with writeback, Rt2
            yield _OTHER if 0 in (insn & 31, insn >> 5 & 31, insn >> 10 & 31) else _KEEP
        else:
            yield _KEEP if insn & 31 else _OTHER

"""The table of a host, a CPU with a platform: what the emulator has to know of its code, apart from csrc/guest/arch/.

Code is recognised by the instruction forms that compilers generate for a purpose. Results may be false positives, as
byte sequences within other instructions can match.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from enum import Enum, IntEnum
from typing import Literal, NamedTuple

from vmdump._core import lib
from vmdump.files.elf_header import HostArch

#: Pairs of the address of an instruction, and the address that it refers to.
Addresses = Iterator[tuple[int, int]]

#: Maximal distance of an argument's instruction from the call, in bytes.
ARGUMENT_WITHIN = 24

#: Bytes of the code before a call that a host is given: enough to find where instructions of several sizes begin.
BEFORE_CALL = 256

#: Maximal distance of the use of a global variable's address from the instruction that computes its upper part.
GLOBAL_WITHIN = 16


class Platform(IntEnum):
    """Systems that binaries are built for (enum vmd_platform)."""

    LINUX = lib.VMD_LINUX
    WINDOWS = lib.VMD_WINDOWS
    MACOS = lib.VMD_MACOS


class Effect(Enum):
    """What an instruction does to a function's result."""

    ZERO = "sets it to 0"
    KEEP = "keeps it"
    OTHER = "may change it"
    RETURN = "returns"
    BRANCH = "branches"


class Host(NamedTuple):
    """A host. Functions take code: the guest address of its first byte, and the bytes."""

    arch: HostArch
    #: Byte order of its data.
    byte_order: Literal["little", "big"]
    #: Name of the directory of its libraries below /usr/lib in Debian.
    multiarch: str
    #: Instructions, or the last of several, that load an address.
    loads: Callable[[int, bytes], Addresses]
    #: Direct calls and jumps.
    calls: Callable[[int, bytes], Addresses]
    #: Offsets from a register at which code reads bytes: neither on the stack nor of global variables.
    byte_reads: Callable[[bytes], Iterator[int]]
    #: Whether the code before a call, of which the last BEFORE_CALL bytes are given, sets the second argument to 1.
    sets_second_to_1: Callable[[bytes], bool]
    #: Stubs of a PLT: the address of each, and that of the slot that it jumps through.
    stubs: Callable[[int, bytes], Addresses]
    #: The effects of a function's instructions, as far as they are known.
    effects: Callable[[bytes], Iterator[Effect]] = lambda code: iter(())
    platform: Platform = Platform.LINUX
    #: Whether the code before a call sets the third argument, or contains another call behind which it does not set the
    #: second to 1; as far as that is recognised.
    sets_third: Callable[[bytes], bool] = lambda before: False
    #: Further instructions that load an address in code that is not position-independent.
    absolute_loads: Callable[[int, bytes], Addresses] = lambda address, code: iter(())
    #: Starts of functions that code calls, if objects do not list all of them.
    called: Callable[[int, bytes], Iterator[int]] | None = None
    #: Bytes per page, if all machines of the platform have the same; None: as the host profile says.
    page_size: int | None = None


def words(data: bytes, byte_order: str = "<") -> tuple[int, ...]:
    """Return the 32-bit words of code."""
    return struct.unpack(f"{byte_order}{len(data) // 4}I", data[: len(data) // 4 * 4])


def relative(pattern: re.Pattern[bytes], address: int, data: bytes) -> Addresses:
    """Yield addresses of instructions that match a pattern, and the targets of the rel32 operands that follow it."""
    for match in pattern.finditer(data, 0, max(len(data) - 4, 0)):
        end = match.end() + 4
        yield address + match.start(), address + end + int.from_bytes(data[end - 4 : end], "little", signed=True)


def sign_extend(value: int, bits: int) -> int:
    """Return the signed value of a field of an instruction.

    >>> sign_extend(0xFFF, 12), sign_extend(0x7FF, 12)
    (-1, 2047)
    """
    return value - ((value & 1 << bits - 1) << 1)

"""Mach-O headers: files for one CPU or several, load commands, segments.

Every offset is checked against the file's size before it is read.
Source: Apple's mach-o/fat.h, mach-o/loader.h and mach/machine.h.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

__all__ = [
    "CPU_ARM64", "CPU_X86_64", "MachoFormatError", "MachoHeader", "MachoReader", "Section", "Segment", "Slice",
    "cpu_name", "is_encrypted", "segments", "uuid",
]  # fmt: skip

#: First bytes of a 64-bit little-endian file.
_MAGIC = b"\xcf\xfa\xed\xfe"

#: First bytes of a file for several CPUs, with 32-bit and 64-bit offsets.
_FAT_MAGICS = (b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf")

CPU_X86_64, CPU_ARM64 = 0x1000007, 0x100000C

_CPUS = {
    7: "i386", CPU_X86_64: "x86-64", 12: "ARM", CPU_ARM64: "AArch64", 0x200000C: "AArch64 with 32-bit pointers",
    18: "PowerPC", 0x1000012: "64-bit PowerPC",
}  # fmt: skip

#: Subtype of CPU_ARM64 with signed pointers, without its flags.
_ARM64E = 2

#: Limits of CPUs in a file and of the size of load commands. QEMU has two CPUs and 6 KB.
_CPUS_MAX, _COMMANDS_MAX = 44, 1 << 20

_HEADER, _SEGMENT, _SECTION = struct.Struct("<8I"), struct.Struct("<II16s4Q4I"), struct.Struct("<16s16sQQ8I")
_LC_SEGMENT_64, _LC_UUID, _LC_ENCRYPTION_INFO_64 = 0x19, 0x1B, 0x2C

#: Bytes of the load command LC_UUID.
_UUID_SIZE = 24

#: Attributes of sections with instructions.
_INSTRUCTIONS = 0x80000400


def cpu_name(cpu: int, subtype: int = 0) -> str:
    """Return the name of a CPU by its Mach-O numbers, for messages.

    >>> cpu_name(0x100000C), cpu_name(0x100000C, 0x80000002), cpu_name(99)
    ('AArch64', 'arm64e', 'an unknown CPU (Mach-O CPU type 0x63)')
    """
    if cpu == CPU_ARM64 and subtype & 0xFFFFFF == _ARM64E:
        return "arm64e"
    return _CPUS.get(cpu, f"an unknown CPU (Mach-O CPU type {cpu:#x})")


class MachoFormatError(Exception):
    """A malformed Mach-O file. The message says what is wrong, and where."""


class Slice(NamedTuple):
    """The part of a file that is for a CPU. ``offset``, ``size``: in bytes."""

    cpu: int
    subtype: int
    offset: int
    size: int


class MachoHeader(NamedTuple):
    """A header (mach_header_64). ``commands``: the bytes of its load commands."""

    cpu: int
    subtype: int
    type: int
    n_commands: int
    commands: bytes


class Section(NamedTuple):
    """A section (section_64). ``has_code``: it has instructions."""

    name: str
    address: int
    size: int
    has_code: bool


class Segment(NamedTuple):
    """A segment (segment_command_64). ``protection``: 1 read, 2 write, 4 execute; ``is_constant``: after fixups."""

    name: str
    address: int
    size: int
    offset: int
    file_size: int
    protection: int
    is_constant: bool
    sections: tuple[Section, ...]


class MachoReader:
    """Reads the headers of a file. Methods raise MachoFormatError."""

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        """Use ``read(offset, size)``, which is called with ranges within ``size`` bytes."""
        self._read_bytes, self._size = read, size

    def slices(self) -> list[Slice]:
        """Return the parts for each CPU: the whole file, if it is for one."""
        magic = self._read(0, 8, "its header")
        if magic[:4] not in _FAT_MAGICS:
            order: Literal["little", "big"] = "big" if magic.startswith(b"\xfe\xed\xfa") else "little"
            data = self._read(4, 8, "its header")
            cpu, subtype = int.from_bytes(data[:4], order), int.from_bytes(data[4:], order)
            return [Slice(cpu, subtype, 0, self._size)]
        count = int.from_bytes(magic[4:], "big")
        if not 0 < count <= _CPUS_MAX:
            raise MachoFormatError(f"at offset 0x4: {count} CPUs in one file")
        entry = struct.Struct(">IIIII" if magic[:4] == _FAT_MAGICS[0] else ">IIQQII")
        table = self._read(8, count * entry.size, "the table of CPUs")
        slices = [Slice(*each[:4]) for each in entry.iter_unpack(table)]
        for each in slices:
            if each.offset + each.size > self._size or not each.size:
                raise MachoFormatError(f"at offset {each.offset:#x}: the part for {cpu_name(*each[:2])} is outside")
        return slices

    def header(self, part: Slice) -> MachoHeader:
        """Return the header of a part."""
        if part.size < _HEADER.size:
            raise MachoFormatError(f"at offset {part.offset:#x}: shorter than a Mach-O header")
        data = self._read(part.offset, _HEADER.size, "its header")
        if data[:4] != _MAGIC:
            raise MachoFormatError(f"at offset {part.offset:#x}: not a 64-bit little-endian Mach-O header")
        _, cpu, subtype, kind, count, size, _, _ = _HEADER.unpack(data)
        if cpu_name(cpu, subtype) != cpu_name(*part[:2]):
            names = f"the part for {cpu_name(*part[:2])} has a header for {cpu_name(cpu, subtype)}"
            raise MachoFormatError(f"at offset {part.offset:#x}: {names}")
        if size > min(_COMMANDS_MAX, part.size - _HEADER.size):
            raise MachoFormatError(f"at offset {part.offset + 20:#x}: {size} bytes of load commands")
        commands = self._read(part.offset + _HEADER.size, size, "its load commands")
        return MachoHeader(cpu, subtype, kind, count, commands)

    def _read(self, offset: int, size: int, what: str) -> bytes:
        if offset + size > self._size:
            raise MachoFormatError(f"at offset {offset:#x}: {what} is outside of the file")
        return self._read_bytes(offset, size)


def _commands(header: MachoHeader) -> Iterator[tuple[int, bytes]]:
    """Iterate over load commands: number and bytes."""
    at = 0
    for _ in range(header.n_commands):
        if at + 8 > len(header.commands):
            raise MachoFormatError(f"at offset {_HEADER.size + at:#x}: a load command is outside of the load commands")
        command, size = struct.unpack_from("<II", header.commands, at)
        if size < 8 or at + size > len(header.commands):
            raise MachoFormatError(f"at offset {_HEADER.size + at:#x}: a load command of {size} bytes")
        yield command, header.commands[at : at + size]
        at += size


def segments(header: MachoHeader) -> list[Segment]:
    """Return the segments of a file with a header, in its order. Raises MachoFormatError."""
    found = []
    for command, data in _commands(header):
        if command != _LC_SEGMENT_64:
            continue
        if len(data) < _SEGMENT.size:
            raise MachoFormatError("a segment's load command is too small")
        _, _, name, address, size, offset, file_size, _, protection, count, flags = _SEGMENT.unpack_from(data)
        if _SEGMENT.size + count * _SECTION.size > len(data):
            raise MachoFormatError(f"{count} sections in a segment's load command of {len(data)} bytes")
        sections = []
        for index in range(count):
            section, _, start, length, *rest = _SECTION.unpack_from(data, _SEGMENT.size + index * _SECTION.size)
            sections.append(Section(_name(section), start, length, bool(rest[4] & _INSTRUCTIONS)))
        found.append(
            Segment(
                _name(name), address, size, offset, file_size, protection, bool(flags & 0x10), tuple(sections)
            )
        )  # fmt: skip
    return found


def uuid(header: MachoHeader) -> str | None:
    """Return the linker's identification of the build in hex (LC_UUID), or None. Raises MachoFormatError."""
    found = (data for command, data in _commands(header) if command == _LC_UUID and len(data) == _UUID_SIZE)
    return next((data[8:].hex() for data in found), None)


def is_encrypted(header: MachoHeader) -> bool:
    """Return whether code is encrypted, as in files from Apple's stores. Raises MachoFormatError."""
    return any(
        command == _LC_ENCRYPTION_INFO_64 and int.from_bytes(data[16:20], "little")
        for command, data in _commands(header)
    )


def _name(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="backslashreplace")

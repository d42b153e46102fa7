"""Finds one section of an ELF file by its name and reads its bytes, without mapping or executing anything.

Just enough of ELF for what a C module declares (``.vmdump.modinfo``) to be read on any machine: 32 and 64 bits, both
byte orders, any architecture. Nothing in the file is believed: every offset is checked against the file's size before
it is read, and every size against a limit. Source: System V ABI, chapter 4, "ELF Header" and "Sections".
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from vmdump.errors import ModuleError
from vmdump.sources.input_file import open_regular

__all__ = ["MAX_BYTES", "Section", "read_section"]

#: Bytes that are read in one piece: the section headers of 65,536 sections.
MAX_BYTES = 1 << 22

SHT_NOBITS = 8
SHN_XINDEX = 0xFFFF


@dataclass(frozen=True, slots=True)
class Section:
    """A section's bytes, and where in the file they begin."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class _Layout:
    """How one class of ELF files (32 or 64 bits) is laid out.

    ``header``: from e_type to e_shstrndx, behind the 16 bytes of e_ident; ``section``: from sh_name to sh_link.
    """

    header: str
    section: str


_LAYOUTS = {1: _Layout("HHIIIIIHHHHHH", "IIIIIII"), 2: _Layout("HHIQQQIHHHHHH", "IIQQQQI")}
_BYTE_ORDERS = {1: "<", 2: ">"}


def read_section(path: str, name: str) -> Section | None:
    """The first section of that name. None: there is none, or the file is not ELF.

    Raises: ModuleError with path and offset when the file can't be read, ends too early or contradicts itself.

    >>> read_section(__file__, ".vmdump.modinfo") is None
    True
    """
    try:
        with open_regular(path) as file:
            reader = _Reader(file, path)
            return _find(reader, name.encode() + b"\0") if reader.read(0, min(4, reader.size)) == b"\x7fELF" else None
    except OSError as error:
        raise ModuleError(f"failed to open module: {path}: {error.strerror}") from error


class _Reader:
    """Reads pieces of a file, or says what they were to be and where they should have been."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file, self._path = file, path
        self.size = os.fstat(file.fileno()).st_size

    def read(self, offset: int, size: int, what: str = "the ELF header") -> bytes:
        if offset + size > self.size:
            raise self.error(offset, f"{what} takes {size} bytes, but the file ends at {self.size:#x}; install it anew")
        if size > MAX_BYTES:
            raise self.error(offset, f"{what} takes {size} bytes, more than the limit of {MAX_BYTES}")
        data = os.pread(self._file.fileno(), size, offset)
        if len(data) != size:
            raise self.error(offset, f"{what} can't be read: the file is being changed; try again")
        return data

    def error(self, offset: int, text: str) -> ModuleError:
        return ModuleError(f"failed to open module: {self._path}: at offset {offset:#x}: {text}")


def _find(reader: _Reader, name: bytes) -> Section | None:
    """``name`` ends with NUL, as it does in the file."""
    elf_class, data, version = reader.read(4, 3)
    if elf_class not in _LAYOUTS or data not in _BYTE_ORDERS or version != 1:
        raise reader.error(4, f"no such ELF files: class {elf_class}, byte order {data}, version {version}")
    layout, order = _LAYOUTS[elf_class], _BYTE_ORDERS[data]
    header = struct.Struct(order + layout.header)
    section = struct.Struct(order + layout.section)
    fields = header.unpack(reader.read(16, header.size))
    table_at, entry_size, count, names_index = fields[5], fields[10], fields[11], fields[12]
    if table_at == 0:
        return None  # stripped of its sections
    if entry_size < section.size:
        raise reader.error(16, f"section headers have {entry_size} bytes, too few")
    if count == 0 or names_index == SHN_XINDEX:  # numbers too large for the header stand in section 0
        first = section.unpack(reader.read(table_at, section.size, "section header 0"))
        count, names_index = count or first[5], first[6] if names_index == SHN_XINDEX else names_index
    table = reader.read(table_at, count * entry_size, f"the table of {count} section headers")
    headers = [section.unpack_from(table, index * entry_size) for index in range(count)]
    if names_index == 0 or count == 0:
        return None  # no section has a name
    if names_index >= count:
        raise reader.error(table_at, f"names are said to be in section {names_index} of {count}")
    names = _read_bits(reader, headers[names_index], f"section {names_index} (names)")
    for index, fields in enumerate(headers):
        if fields[0] >= len(names) and fields[0] != 0:
            raise reader.error(
                table_at + index * entry_size, f"the name of section {index} is outside section {names_index}"
            )
        if names.startswith(name, fields[0]):
            return Section(fields[4], _read_bits(reader, fields, f"section {index} ({name[:-1].decode()})"))
    return None


def _read_bits(reader: _Reader, section: tuple[int, ...], what: str) -> bytes:
    if section[1] == SHT_NOBITS:
        raise reader.error(section[4], f"{what} has no bytes in the file (it is of type NOBITS)")
    return reader.read(section[4], section[5], what)

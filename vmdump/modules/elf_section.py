"""Read one section of an ELF file by its name, without mapping or executing anything.

A C module's metadata (``.vmdump.modinfo``) can so be read on any host: 32 and 64 bits, both byte orders, any machine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from vmdump.errors import ModuleError
from vmdump.files.elf_header import MAX_BYTES, ElfFormatError, ElfReader
from vmdump.files.input_file import open_regular

__all__ = ["MAX_BYTES", "Section", "read_section"]


@dataclass(frozen=True, slots=True)
class Section:
    """A section. ``offset``: of its first byte in the file; ``data``: its bytes."""

    offset: int
    data: bytes


def read_section(path: str, name: str) -> Section | None:
    """Return the first section of a name, or None if the file has no such section or is not an ELF file.

    Raises:
        ModuleError: the file can't be read, is truncated or malformed; with path and offset.

    >>> read_section(__file__, ".vmdump.modinfo") is None
    True
    """
    try:
        with open_regular(path) as file:
            fd = file.fileno()
            reader = ElfReader(lambda offset, size: os.pread(fd, size, offset), os.fstat(fd).st_size)
            return _find(reader, name) if reader.is_elf() else None
    except OSError as error:
        raise ModuleError(f"failed to open module: {path}: {error.strerror}") from error
    except ElfFormatError as error:
        raise ModuleError(f"failed to open module: {path}: {error}; reinstall the module") from error


def _find(reader: ElfReader, name: str) -> Section | None:
    header = reader.header()
    sections, names_index = reader.sections(header)
    if names_index == 0 or not sections:
        return None
    if names_index >= len(sections):
        raise ElfFormatError(
            header.shoff, f"the section names are in section {names_index}, but the file has {len(sections)} sections"
        )
    names = reader.content(sections[names_index], f"section {names_index} (names)")
    terminated = name.encode() + b"\0"
    for index, section in enumerate(sections):
        if section.name >= len(names) and section.name != 0:
            raise ElfFormatError(
                header.shoff + index * header.shentsize,
                f"the name of section {index} is outside section {names_index}",
            )
        if names.startswith(terminated, section.name):
            return Section(section.offset, reader.content(section, f"section {index} ({name})"))
    return None

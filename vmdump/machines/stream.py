"""Sections, RAM blocks and fields of a saved migration stream, decoded by the description at its end.

Source: QEMU 5.2 to 11.1 migration/savevm.c, migration/vmstate.c vmstate_save_state_v, migration/ram.c ram_save_setup,
docs/devel/migration/main.rst.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from vmdump.errors import SourceError
from vmdump.machines.model import Field, RamBlock, Section

#: Section types, the first byte of each part of a stream.
_EOF, _START, _PART, _END, _FULL, _SUBSECTION, _VMDESCRIPTION, _CONFIGURATION, _COMMAND, _FOOTER = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 0x7E,
)  # fmt: skip

_MAGIC = b"QEVM"

#: Mask of the flags in the low bits of the words of section "ram", and the flag of the last word.
_RAM_FLAGS, _RAM_EOS = 0xFFF, 0x10

#: Limit of version_id and section numbers, to recognise the head of a section.
_MAX_VERSION = 1 << 16

#: Limit of nested structs.
_MAX_DEPTH = 64


class Stream(NamedTuple):
    """A decoded stream.

    Attributes:
        sections: in order.
        ram_blocks: in order.
        fields: of all sections whose contents the description covers.
    """

    sections: tuple[Section, ...]
    ram_blocks: tuple[RamBlock, ...]
    fields: tuple[Field, ...]


def read_stream(data: bytes) -> Stream:
    """Decode a stream.

    Raises:
        SourceError: the stream is malformed or has no description.
    """
    try:
        return _Reader(data).read()
    except (struct.error, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise SourceError(f"malformed migration stream: {error!r}") from error


class _Header(NamedTuple):
    number: int
    idstr: str
    instance_id: int
    version: int


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._sections: list[Section] = []
        self._blocks: list[RamBlock] = []
        self._fields: list[Field] = []

    def read(self) -> Stream:
        if self._data[:4] != _MAGIC:
            raise ValueError("no QEVM magic")
        description = self._description()
        devices = iter(description["devices"])
        self._at = 8
        self._skip_configuration(description.get("configuration"))
        while (kind := self._byte()) != _EOF:
            if kind == _START:
                self._start()
            elif kind in (_PART, _END):
                self._skip_to_end(self._word())
            elif kind == _COMMAND:
                self._at += 2
                self._take(int.from_bytes(self._take(2), "big"))
            elif kind == _FULL:
                self._full(next(devices))
            else:
                raise ValueError(f"unknown section type {kind:#x} at {self._at - 1:#x}")
        return Stream(tuple(self._sections), tuple(self._blocks), tuple(self._fields))

    def _description(self) -> Any:
        """Return the JSON description: the last part of the stream, {0x06, size, text}."""
        data = self._data
        for at in _finds(data, bytes([_VMDESCRIPTION])):
            (size,) = struct.unpack_from(">I", data, at + 1)
            if (size and at + 5 + size == len(data.rstrip(b"\0"))) or at + 5 + size == len(data):
                return json.loads(data[at + 5 : at + 5 + size])
        raise ValueError("the stream has no description")

    # Parts

    def _skip_configuration(self, description: Any) -> None:
        """Skip the machine's name, and subsections (capabilities, page bits, UUID)."""
        if self._data[self._at] != _CONFIGURATION:
            return
        self._at += 1
        if description is not None:
            self._struct("configuration", "", description, 0)
            self._fields.clear()
        else:
            self._take(self._word())
            self._skip_to_section()  # subsections, which only the description delimits

    def _header(self) -> _Header:
        number = self._word()
        size = self._byte()
        idstr = self._take(size).decode(errors="backslashreplace")
        header = _Header(number, idstr, self._word(), self._word())
        self._sections.append(Section(header.idstr, header.instance_id, header.version))
        return header

    def _start(self) -> None:
        """Read the set-up of iterable state; of "ram" the names and sizes of the blocks."""
        header = self._header()
        if header.idstr == "ram":
            self._ram_blocks()
        self._skip_to_end(header.number)

    def _ram_blocks(self) -> None:
        """Read names and sizes, up to the word with RAM_SAVE_FLAG_EOS."""
        total = self._long() & ~_RAM_FLAGS
        while total > 0:
            name = self._take(self._byte()).decode(errors="backslashreplace")
            size = self._long()
            self._blocks.append(RamBlock(name, size))
            total -= size
        while self._long() != _RAM_EOS:
            pass

    def _full(self, description: Any) -> None:
        header = self._header()
        name = description.get("name")
        if name != header.idstr or description.get("instance_id") != header.instance_id:
            raise ValueError(f"the description has section {name!r} for {header.idstr!r}")
        self._struct(f"{header.idstr} {header.instance_id}", "", description, 0)
        self._skip_footer(header.number)

    def _skip_footer(self, number: int) -> None:
        """Machine types up to 2.3 send no footers."""
        if self._data[self._at : self._at + 5] == _footer(number):
            self._at += 5

    def _skip_to_end(self, number: int) -> None:
        """Skip contents without a description: to behind the footer, else to the head of a section or the end."""
        for at in _finds(self._data, _footer(number), self._at):
            if self._data[at + 5] in (_EOF, _START, _PART, _END, _FULL, _COMMAND):
                self._at = at + 5
                return
        self._skip_to_section()

    def _skip_to_section(self) -> None:
        """Skip to the next head of a section: type, number, idstr, instance id and version."""
        for at in range(self._at, len(self._data)):
            if self._data[at] in (_START, _FULL):
                number, size = struct.unpack_from(">IB", self._data, at + 1)
                idstr = self._data[at + 6 : at + 6 + size]
                (version,) = struct.unpack_from(">I", self._data, at + 10 + size)
                printable = len(idstr) > 1 and idstr.isascii() and idstr.decode().isprintable()
                if printable and number < _MAX_VERSION and version < _MAX_VERSION:
                    self._at = at
                    return
        raise ValueError(f"no section follows {self._at:#x}")

    # Contents

    def _struct(self, section: str, path: str, description: Any, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError("structs nest too deeply")
        for field in description.get("fields", ()):
            self._field(section, path, field, depth)
        for sub in description.get("subsections", ()):
            name = sub["vmsd_name"]
            self._subsection(name)
            self._struct(section, f"{path}{name}/", sub, depth + 1)

    def _subsection(self, name: str) -> None:
        """Read the head of a subsection: type, length of the name, name, version."""
        if self._byte() != _SUBSECTION or self._take(self._byte()).decode() != name:
            raise ValueError(f"subsection {name!r} is not in the stream")
        self._at += 4

    def _field(self, section: str, path: str, field: dict[str, Any], depth: int) -> None:
        """Read a field, or all equal elements of an array, of which the description has the first one."""
        name = path + str(field["name"])
        if "index" in field:
            name += f"[{int(field['index'])}]"
        count, size = int(field.get("array_len", 1)), int(field["size"])
        inner = field.get("struct")
        if inner is None or not (inner.get("fields") or inner.get("subsections")):
            self._fields.append(Field(section, name, self._take(count * size), size))
            return
        for index in range(count):
            each = f"{name}[{index}]" if "array_len" in field else name
            self._struct(section, each + ".", inner, depth + 1)

    # Bytes

    def _take(self, size: int) -> bytes:
        if size < 0 or self._at + size > len(self._data):
            raise ValueError(f"the stream ends within a field of {size} bytes")
        self._at += size
        return self._data[self._at - size : self._at]

    def _byte(self) -> int:
        return self._take(1)[0]

    def _word(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def _long(self) -> int:
        return int.from_bytes(self._take(8), "big")


def _footer(number: int) -> bytes:
    return struct.pack(">BI", _FOOTER, number)


def _finds(data: bytes, wanted: bytes, start: int = 0) -> Iterator[int]:
    """Yield the offsets at which bytes occur."""
    while (start := data.find(wanted, start)) >= 0:
        yield start
        start += 1

"""The stream that a destination loads: that of a saved VM, without RAM pages and other live state.

Names and sizes of RAM blocks stay, so that the destination's own code checks them. Parts can be left out, to continue
after one that the destination refuses.

Source: QEMU 7.2 and 10.0 migration/savevm.c, migration/ram.c.
"""

from __future__ import annotations

import contextlib
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from vmdump.errors import SourceError
from vmdump.migrate.ram_pages import read_ram_pages
from vmdump.stream.container import open_container
from vmdump.stream.stream_input import FileInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vmdump.migrate.ram_pages import RamPages
    from vmdump.stream.saved_vm import RamBlock, SavedVM, Section
    from vmdump.stream.stream_input import CallbackInput

_HEADER = b"QEVM" + struct.pack(">I", 3)
_EOF, _START, _END, _FULL, _SUBSECTION, _VMDESCRIPTION, _CONFIGURATION, _COMMAND, _FOOTER = (
    0, 1, 3, 4, 5, 6, 7, 8, 0x7E,
)  # fmt: skip

_MEM_SIZE, _EOS = 4, 0x10

#: Number and name of the command that QEMU sends when devices follow, since 10.0.
SWITCHOVER_START, _SWITCHOVER_START_NAME = 11, "switchover start"

#: Contents of live sections without state: the record that ends them. Source: hw/s390x/s390-stattrib.c,
#: migration/block-dirty-bitmap.c, migration/block.c.
_EMPTY = {
    "s390-storage_attributes": struct.pack(">Q", 1), "s390-stattrib": struct.pack(">Q", 1), "dirty-bitmap": b"\x01",
    "block": struct.pack(">Q", 2),
}  # fmt: skip

#: Live sections whose first part begins with a size that loading needs, in bytes. Source: hw/ppc/spapr.c htab_load.
_KEPT_BYTES = {"spapr/htab": 4}

#: Subsections of the configuration whose state has a fixed size.
_FIXED = {"configuration/target-page-bits": 4, "configuration/uuid": 16}
_CAPABILITIES = "configuration/capabilities"


class Key(NamedTuple):
    """The section that a failure concerns."""

    name: str
    instance_id: int


class Configuration(NamedTuple):
    """The element with the machine type.

    Attributes:
        machine: machine type.
        subsections: as sent, by name.
    """

    machine: str
    subsections: dict[str, bytes]


class IncomingStream:
    """A saved VM's stream, of which parts can be left out.

    Attributes:
        vm: the saved VM.
        configuration: None: not sent.
        dropped_live: live sections whose contents are not known; they are left out.
    """

    def __init__(self, vm: SavedVM, pages: IncomingStream | None = None) -> None:
        """Args: pages: has the RAM pages, of a VM without; default: those of vm. Raises SourceError."""
        self.vm = vm
        self._blocks = list(vm.blocks)
        self._sections = list(vm.sections)
        self._has_switchover_start = bool(vm.commands.get(_SWITCHOVER_START_NAME))
        self._raw = _Raw(vm)
        self._pages: RamPages = self._raw.pages if pages is None else pages._pages
        self.configuration = self._raw.configuration()
        self.dropped_live = sorted(
            each.name for each in vm.sections if each.is_live and each.name not in ("ram", *_EMPTY, *_KEPT_BYTES)
        )

    def keys(self) -> list[Key]:
        """Return the sections of the stream."""
        return [Key(each.name, each.instance_id) for each in self._sections]

    # Parts that can be left out

    def drop_section(self, key: Key) -> bool:
        """Leave a section out; return whether it was there."""
        kept = [each for each in self._sections if (each.name, each.instance_id) != key]
        changed, self._sections = len(kept) < len(self._sections), kept
        return changed

    def set_body(self, section: Section, body: bytes) -> None:
        """Replace the state of a section."""
        at = self._sections.index(section)
        self._sections[at] = section._replace(body=memoryview(body))

    def order_like(self, other: IncomingStream) -> None:
        """Order the sections as another stream has them; others follow."""
        places = {key: at for at, key in enumerate(other.keys())}
        self._sections.sort(key=lambda each: places.get(Key(each.name, each.instance_id), len(places)))

    def drop_block(self, name: str) -> bool:
        """Leave a RAM block out; return whether it was there."""
        kept = [each for each in self._blocks if each.name != name]
        changed, self._blocks = len(kept) < len(self._blocks), kept
        return changed

    def drop_switchover_start(self) -> bool:
        """Leave the command out; return whether it was there."""
        changed, self._has_switchover_start = self._has_switchover_start, False
        return changed

    def set_machine(self, name: str) -> bool:
        """Replace the machine type; return whether that is a change."""
        if self.configuration is None or self.configuration.machine == name:
            return False
        self.configuration = self.configuration._replace(machine=name)
        return True

    def drop_configuration_subsection(self, name: str) -> bool:
        """Leave a subsection of the configuration out; return whether it was there."""
        if self.configuration is None or name not in self.configuration.subsections:
            return False
        kept = {key: value for key, value in self.configuration.subsections.items() if key != name}
        self.configuration = self.configuration._replace(subsections=kept)
        return True

    # The stream

    def to_bytes(self) -> bytes:
        """Return the stream."""
        parts = [_HEADER]
        if self.configuration is not None:
            name = self.configuration.machine.encode("latin-1", "replace")
            parts += [struct.pack(">BI", _CONFIGURATION, len(name)), name, *self.configuration.subsections.values()]
        last_live = max((at for at, each in enumerate(self._sections) if each.is_live), default=-1)
        if last_live < 0:
            parts += self._commands()
        for at, each in enumerate(self._sections):
            parts += self._section(each)
            if at == last_live:
                parts += self._commands()
        parts.append(bytes([_EOF]))
        if self.vm.vmdescription is not None:
            parts.append(struct.pack(">BI", _VMDESCRIPTION, 2) + b"{}")
        return b"".join(parts)

    def _commands(self) -> list[bytes]:
        """Return the command and the end of RAM, which follows it."""
        parts = [struct.pack(">BHH", _COMMAND, SWITCHOVER_START, 0)] if self._has_switchover_start else []
        ram = next((each for each in self._sections if each.name == "ram" and each.is_live), None)
        if ram is not None and self._pages.pages:
            records = self._pages.records({each.name for each in self._blocks})
            parts += [struct.pack(">BI", _END, ram.id), records, struct.pack(">Q", _EOS), *self._footer(ram)]
        return parts

    def _footer(self, each: Section) -> list[bytes]:
        return [struct.pack(">BI", _FOOTER, each.id)] if self.vm.has_footers else []

    def _section(self, each: Section) -> list[bytes]:
        if each.name == "ram" and each.is_live:
            body = _ram_setup(self._blocks, has_addresses="x-ignore-shared" in self.vm.capabilities)
        elif not each.is_live:
            body = bytes(each.body)
        elif each.name in _EMPTY:
            body = _EMPTY[each.name]
        elif each.name in _KEPT_BYTES:
            body = self._raw.read(each.offset + 14 + len(each.name), _KEPT_BYTES[each.name])
        else:
            return []
        name = each.name.encode("latin-1")
        kind = _START if each.is_live else _FULL
        head = struct.pack(">BIB", kind, each.id, len(name)) + name
        head += struct.pack(">II", each.instance_id, each.version_id)
        return [head, body, *self._footer(each)]


def _ram_setup(blocks: list[RamBlock], *, has_addresses: bool) -> bytes:
    """Return names and sizes of RAM blocks. Source: migration/ram.c ram_save_setup."""
    total = sum(each.size for each in blocks)
    parts = [struct.pack(">Q", total | _MEM_SIZE)]
    for each in blocks:
        name = each.name.encode("latin-1")
        parts.append(bytes([len(name)]) + name + struct.pack(">Q", each.size))
        if has_addresses:
            parts.append(struct.pack(">Q", each.address or 0))
    return b"".join([*parts, struct.pack(">Q", _EOS)])


class _Raw:
    """Parts of the stream that the walk does not keep: its start, and RAM pages."""

    def __init__(self, vm: SavedVM) -> None:
        self._first = min((each.offset for each in vm.sections), default=0)
        ends = [self._first] + [
            each.offset + 14 + len(each.name) + _KEPT_BYTES[each.name]
            for each in vm.sections
            if each.is_live and each.name in _KEPT_BYTES
        ]
        with _opened(vm) as (read, _):
            self._data = read(0, max(ends))
        with _opened(vm) as (read, base):
            self.pages = read_ram_pages(vm, read, base)

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the stream."""
        return self._data[offset : offset + size]

    def configuration(self) -> Configuration | None:
        """Return the configuration, which follows the header."""
        data = self._data[: self._first]
        if data[8:9] != bytes([_CONFIGURATION]):
            return None
        size = int.from_bytes(data[9:13], "big")
        at = 13 + size
        machine = data[13:at].decode("latin-1")
        subsections: dict[str, bytes] = {}
        while data[at : at + 1] == bytes([_SUBSECTION]):
            start, length = at, data[at + 1]
            name = data[at + 2 : at + 2 + length].decode("latin-1")
            at += 6 + length
            if name == _CAPABILITIES:
                count = int.from_bytes(data[at : at + 4], "big")
                at += 4
                for _ in range(min(count, len(data))):
                    at += 1 + (data[at] if at < len(data) else 0)
            else:
                at += _FIXED.get(name, 0)
            subsections[name] = data[start:at]
        return Configuration(machine, subsections)


@contextlib.contextmanager
def _opened(vm: SavedVM) -> Iterator[tuple[Callable[[int, int], bytes], int]]:
    """Yield a function that reads the stream at an offset, and the stream's offset in its file.

    Offsets must not decrease.
    """
    if vm.path == "-":
        raise SourceError("a saved VM on standard input can't be loaded; give it as a file")
    container = vm.container
    offset = container.offset if container.kind == "plain" and not container.filters else None
    with open_container(vm.path, snapshot=container.snapshot, offset=offset or None) as opened:
        source = opened.input
        if isinstance(source, FileInput):
            fd, base = source.fd, source.base
            yield (lambda at, size: os.pread(fd, size, base + at)), base
        else:
            yield (lambda at, size: _read_all(source, at, size)), source.base


def _read_all(source: CallbackInput, at: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := source.read_at(at + len(data), size - len(data))):
        data += more
    return data

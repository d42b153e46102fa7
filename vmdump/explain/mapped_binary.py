"""A QEMU binary that is mapped and relocated but not executed: strings, and the arrays that point to them."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from vmdump.emulator.guest import Guest
from vmdump.emulator.machine_code import Code
from vmdump.emulator.objects.open import open_object
from vmdump.explain.virtio_features import device_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

#: The description of a feature bit. Source: hw/virtio/virtio-qmp.c FEATURE_ENTRY (hw/virtio/virtio.c in 7.2).
_FEATURE = re.compile(rb"(?<=\0)VIRTIO_((?:[A-Z0-9]{1,16}_){0,2}?)F_([A-Z0-9_]{1,40}): [\x20-\x7e]{1,200}(?=\0)")

#: Properties of all virtio devices whose bits calibrate the position of Property.bitnr.
_ANCHORS = {"indirect_desc": 28, "event_idx": 29}

#: Possible positions of Property.bitnr in bytes, after name, info and offset; and the largest Property.
_BITNR, _MAX_PROPERTY = range(24, 96), 128

#: Limit for malformed binaries: words that point to some strings.
_MAX_POINTERS = 1 << 17


class MappedBinary:
    """A binary that is mapped and relocated but not executed."""

    def __init__(self, path: str) -> None:
        with open_object(path) as file:
            self.guest = Guest(path, file.arch, platform=file.platform)
            self.main = file.map(self.guest, is_main=True)
        constants = self.main.constants
        #: The segment with strings, and its address.
        self.data, self.base = self.main.read(constants), constants.start if constants else 0
        self._relocated = [
            (each.start, self.guest.words(each.start, (each.end - each.start) // 8))
            for each in self.main.segments
            if each.has_addresses
        ]

    def function_that_loads(self, at: int) -> str | None:
        """Return the name of the exported function that loads the address of a constant; None if there is not one."""
        functions = self._code.functions_that_load({self.base + at})
        names = {self.main.symbol_at(start) for start, _ in functions}
        return names.pop() if len(names) == 1 else None

    @cached_property
    def _code(self) -> Code:
        return Code(self.main)

    def pointers_to(self, addresses: Set[int]) -> Iterator[tuple[int, int]]:
        """Iterate over the words in data that hold one of these addresses: where the word is, and the address."""
        found = (
            (start + 8 * index, word)
            for start, words in self._relocated for index, word in enumerate(words) if word in addresses
        )  # fmt: skip
        return islice(found, _MAX_POINTERS)

    def features(self) -> Iterator[tuple[str, dict[int, str]]]:
        """Yield the feature names by bit for each device, "" for the transport.

        They are in arrays of {int virtio_bit; const char *feature_desc}.
        """
        names: dict[int, tuple[str, str]] = {}
        for match in _FEATURE.finditer(self.data):
            device, name = (each.decode() for each in match.groups())
            key = "" if device in ("", "RING_") else device_of(f"virtio-{device.rstrip('_').lower()}")
            if key is not None:
                names[self.base + match.start()] = key, name
        tables: dict[str, dict[int, str]] = {}
        for at, address in self.pointers_to(names.keys()):
            bit = self.guest.number(at - 8, 4, signed=True)
            key, name = names[address]
            if 0 <= bit < 128 and name not in tables.setdefault(key, {}).values():  # 11.1 describes 65 and 66 as one
                tables[key][bit] = name
        yield from tables.items()

    def properties(self) -> Iterator[tuple[int, dict[int, str]]]:
        """Yield the names of properties of type bit64 by bit, for each field of flags (an array's start and offset).

        A Property begins with {name, info, offset}; bitnr is where it has the known bits of virtio's own properties.
        """
        infos = self._bit_infos()
        found = [(at - 8, name) for at, _ in self.pointers_to(infos) if (name := self._string(at - 8))] if infos else []
        anchors = [(at, _ANCHORS[name]) for at, name in found if name in _ANCHORS]
        position = next(
            (
                each
                for each in _BITNR
                if anchors and all(self.guest.read(at + each, 1)[0] == bit for at, bit in anchors)
            ),
            None,
        )
        if position is None:
            return
        arrays: dict[int, dict[int, str]] = {}
        start = previous = offset = 0
        for at, name in sorted(found):
            flags = self.guest.pointer(at + 16)
            if at - previous > _MAX_PROPERTY or flags != offset:
                start = at
            previous, offset = at, flags
            arrays.setdefault(start, {})[self.guest.read(at + position, 1)[0]] = name
        yield from arrays.items()

    def _bit_infos(self) -> set[int]:
        """Return the PropertyInfo that both anchors have."""
        places = {
            self.base + match.start(): name
            for name in _ANCHORS for match in re.finditer(name.encode() + b"\0", self.data)
        }  # fmt: skip
        infos: dict[str, set[int]] = {name: set() for name in _ANCHORS}
        for at, address in self.pointers_to(places.keys()):
            infos[places[address]].add(self.guest.pointer(at + 8))
        return set.intersection(*infos.values()) - {0}

    def _string(self, at: int) -> str:
        """Return the constant string that a word points to; empty if it points elsewhere."""
        start = self.guest.pointer(at) - self.base
        if not 0 <= start < len(self.data):
            return ""
        end = self.data.find(b"\0", start, start + 64)
        text = self.data[start:end] if end > start else b""
        return text.decode() if text.isascii() else ""

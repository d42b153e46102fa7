"""What a QEMU binary knows about its lines: format strings, names of virtio features, properties, types."""

from __future__ import annotations

import re
import struct
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.explain.emulated_device import Binary
from vmdump.explain.pattern import Found, Pattern
from vmdump.explain.virtio_features import STANDARD, TRANSPORT_BITS, FeatureTables, device_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence, Set

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.emulator.elf import MappedObject
    from vmdump.emulator.guest import Guest
    from vmdump.emulator.machine_code import Code
    from vmdump.explain.pci_config import PciConfig
    from vmdump.explain.rom_file import RomFile
    from vmdump.vmstate.model import VMStateDescription

#: A string that may be a format of a message: printable, with a blank. Trace events have a prefix with a time.
_STRING = re.compile(rb"(?<=\0)[\x20-\x7e]{8,400}\n?(?=\0)")
_TRACE = "%d@%zu.%06zu:"

#: The description of a feature bit. Source: hw/virtio/virtio-qmp.c FEATURE_ENTRY (hw/virtio/virtio.c in 7.2).
_FEATURE = re.compile(rb"(?<=\0)VIRTIO_((?:[A-Z0-9]{1,16}_){0,2}?)F_([A-Z0-9_]{1,40}): [\x20-\x7e]{1,200}(?=\0)")

#: Properties of all virtio devices whose bits calibrate the position of Property.bitnr.
_ANCHORS = {"indirect_desc": 28, "event_idx": 29}

#: Possible positions of Property.bitnr in bytes, behind name, info and offset; and the largest Property.
_BITNR, _MAX_PROPERTY = range(24, 96), 128

#: Version at the end of a machine type's name.
_VERSION = re.compile(r"-[0-9.]+$")

#: Words that strings are looked up by; most words of a line, and strings with a word that is not too common.
_WORD = re.compile(r"[A-Za-z]{4,}")
_MAX_WORDS, _MAX_STRINGS = 64, 3000

#: Limits for malformed binaries: strings (the largest QEMU has 120,000), and words that point to some of them.
_MAX_ALL_STRINGS, _MAX_POINTERS = 1 << 19, 1 << 17

#: Least share of a line's letters that a format of the binary must cover; places of a text that are looked at.
_MIN_SHARE, _MAX_PLACES = 0.3, 5000


class ImageFormat(NamedTuple):
    """A format string of the binary that matches a line; the function that uses it, if it is exported."""

    text: str
    function: str | None
    found: Found


class ImageFacts:
    """Facts of a binary. Each is read on first use. Methods raise SourceError for a malformed binary."""

    def __init__(
        self,
        path: str,
        dump: Callable[[], DeviceDump],
        *,
        machines: Iterable[str] = (),
        sysroot: str | None = None,
        machine: str | None = None,
    ) -> None:
        """Use a binary.

        Args:
            path: of the binary.
            dump: returns its dump.
            machines: names of its machine types.
            sysroot: the tree that it was unpacked in.
            machine: machine type for devices that are started; None: one that has the bus they need.
        """
        self.path, self.label = path, path.rpartition("/")[2]
        self._make_dump, self._machines = dump, tuple(machines)
        self._binary = Binary(path, self._machines, sysroot, machine)

    @cached_property
    def dump(self) -> DeviceDump:
        """The dump of the binary."""
        return self._make_dump()

    def types_of(self, name: str) -> list[str]:
        """Return the types whose section, or a part of it, has a name as in QEMU's lines."""
        from vmdump.dump.lookup import Part

        found = self.dump.find(name)
        names = [each for item in found for each in (item.holders if isinstance(item, Part) else (item.name,))]
        return list(dict.fromkeys(names))

    def defects_of(self, section: str) -> list[str]:
        """Return the defects of a section's description that break every load, with the rule."""
        from vmdump.check.checker import Labelled
        from vmdump.check.lint import is_defect, lint
        from vmdump.dump.lookup import section_name

        types, name = self.types_of(section), section_name(section)
        return [
            f"{each.path}: {each.message} [{each.rule}]"
            for each in lint(Labelled(self.label, self.dump))
            if is_defect(each) and (each.type in types or each.path.partition(" / ")[0] == name)
        ]

    def encoding_of(self, description: str, field: str) -> str | None:
        """Return the name of a field's encoding, or a text for a struct; None if there is no such field."""
        for each in (each for item in self.dump.find(description) for each in item.vmsd.fields or ()):
            if each.name == field and each.vmsd is not None:
                return f"a struct, with the description {each.vmsd.name}"
            if each.name == field and each.info is not None:
                return each.info.name
        return None

    def description_of(self, name: str) -> VMStateDescription | None:
        """Return the description of a section, a nested struct or a subsection; None if there is none."""
        found = self.dump.find(name)
        return found[0].vmsd if found else None

    def has_machine(self, name: str) -> bool:
        """Return whether the binary has a machine type."""
        return name in self._machines

    def machines_like(self, name: str) -> list[str]:
        """Return the machine types of a name's family, oldest first; else those with a similar name."""
        family = _VERSION.sub("", name) if _VERSION.search(name) else name.rpartition("-")[0]
        same = [each for each in self._machines if _VERSION.sub("", each) == family and each != family]
        same.sort(key=lambda each: [int(part) for part in re.findall(r"[0-9]+", each[len(family) :])])
        return same or get_close_matches(name, self._machines)

    def names_like(self, section: str) -> list[str]:
        """Return sections and descriptions with a similar name."""
        from vmdump.dump.lookup import known_names, section_name

        return get_close_matches(section_name(section), known_names(self.dump), n=2, cutoff=0.7)

    def rom_of(self, typename: str) -> RomFile | None:
        """Return the ROM file of a PCI device type. See rom_file.find_rom."""
        from vmdump.explain.rom_file import find_rom

        return find_rom(self._binary, typename)

    def pci_config(self, section: str, offset: int, properties: Iterable[str] = ()) -> PciConfig:
        """See Context.pci_config."""
        from vmdump.explain.pci_config import read_config

        types = self.types_of(section)
        return read_config(self._binary, section, types, is_extended=offset >= 0x100, properties=properties)

    def values_of(self, section: str, types: Sequence[str], properties: Iterable[str]) -> tuple[str, dict[str, Any]]:
        """Return a command line, and the values that a device's properties have in it.

        Empty if the user named no machine type, which decides them, or if the device can't be started.
        """
        from vmdump.explain.emulated_device import EmulatedDevice, start_device

        device = start_device(self._binary, section, types) if self._binary.machine else None
        return (device.command_line, device.values(properties)) if isinstance(device, EmulatedDevice) else ("", {})

    # Strings

    def has_string(self, text: str) -> bool:
        """Return whether the binary's constants contain a string, or one that ends with it: linkers merge both."""
        return text.encode(errors="replace") + b"\0" in self._object.data

    def format_of(self, line: str) -> ImageFormat | None:
        """Return the binary's format that matches most of a line; None if none does."""
        best: tuple[str, int, Found] | None = None
        listed = (self._by_word.get(word, []) for word in _WORD.findall(line)[:_MAX_WORDS])
        for number in {number for numbers in listed if len(numbers) <= _MAX_STRINGS for number in numbers}:
            at, text = self._strings[number]
            found = Pattern.of_format(text).match(line)
            if found is not None and (best is None or found.weight > best[2].weight):
                best = text, at, found
        letters = sum(not char.isspace() for char in line)
        if best is None or best[2].weight < max(8, _MIN_SHARE * letters):
            return None
        text, at, found = best
        return ImageFormat(text.rstrip("\n"), self._object.function_that_loads(at), found)

    def prints(self, patterns: Iterable[Pattern]) -> bool:
        """Return whether the binary has a format with the fixed texts of one of the patterns."""
        return any(
            _in_order([each.strip(": ") for each in pattern.texts], text)
            for pattern in patterns
            for text in self._strings_with(pattern)
        )

    def _strings_with(self, pattern: Pattern) -> Iterator[str]:
        """Yield the strings that contain the longest fixed text of a pattern."""
        data, wanted = self._object.data, pattern.longest.strip(": ").encode(errors="replace")
        at = data.find(wanted)
        for _ in range(_MAX_PLACES):
            if at < 0:
                return
            start, end = data.rfind(b"\0", 0, at) + 1, data.find(b"\0", at)
            yield data[start : min(end, start + 1000)].decode("ascii", "replace")
            at = data.find(wanted, at + 1)

    @cached_property
    def _by_word(self) -> dict[str, list[int]]:
        """Indices of the strings that contain a word."""
        found: dict[str, list[int]] = {}
        for number, (_, text) in enumerate(self._strings):
            for word in set(_WORD.findall(text)):
                found.setdefault(word, []).append(number)
        return found

    @cached_property
    def _strings(self) -> list[tuple[int, str]]:
        """Offsets and texts of all strings that may be formats of messages."""
        found = [
            (match.start(), match[0].decode())
            for match in islice(_STRING.finditer(self._object.data), _MAX_ALL_STRINGS)
        ]
        traced = {text.removeprefix(_TRACE) for _, text in found if text.startswith(_TRACE)}
        return [(at, text) for at, text in found if " " in text and text not in traced and text[:6] != _TRACE[:6]]

    # Virtio

    @cached_property
    def features(self) -> FeatureTables:
        """Names and properties of feature bits: the binary's, and the standard's where it has none."""
        names, properties = dict(self._object.features()), dict(self._object.properties())
        devices = {}
        for device in {*STANDARD.devices, *names} - {""}:
            own = names.get(device, {})
            standard = STANDARD.devices.get(device, {})
            owned = self._properties_of(device, own or {bit: name for bit, (name, _) in standard.items()}, properties)
            devices[device] = {
                bit: (own.get(bit) or standard.get(bit, ("", ""))[0], owned.get(bit) or self._standard(standard, bit))
                for bit in {*standard, *own, *owned}
            }
        common = names.get("", {})
        owned = self._properties_of("", {bit: name for bit, (name, _) in STANDARD.transport.items()}, properties)
        transport = {
            bit: (common.get(bit) or STANDARD.transport.get(bit, ("", ""))[0],
                  owned.get(bit) or self._standard(STANDARD.transport, bit))
            for bit in {*STANDARD.transport, *common, *owned}
        }  # fmt: skip
        return FeatureTables(transport, devices)

    def _standard(self, table: dict[int, tuple[str, str]], bit: int) -> str:
        """Return the property of a table that is no Property of bit type, if the binary has its name."""
        name = table.get(bit, ("", ""))[1]
        return name if name and self.has_string(name) else ""

    def _properties_of(self, device: str, names: dict[int, str], arrays: dict[int, dict[int, str]]) -> dict[int, str]:
        """Return the properties of the array that names most bits of a device as its features are named."""
        best: dict[int, str] = {}
        most = 0
        for array in arrays.values():
            same = sum(_plain(names.get(bit, "")) == _plain(name) for bit, name in array.items())
            if same > most:
                best, most = array, same
        return {bit: name for bit, name in best.items() if (bit in TRANSPORT_BITS) == (device == "")}

    @cached_property
    def _object(self) -> _Object:
        return _Object(self.path)


class _Object:
    """A binary that is mapped and relocated, of which nothing runs."""

    def __init__(self, path: str) -> None:
        from vmdump.emulator.elf import ElfFile, map_object
        from vmdump.emulator.guest import Guest

        with ElfFile.open(path) as elf:
            self.guest: Guest = Guest(path, elf.arch)
            self.main: MappedObject = map_object(self.guest, elf, is_main=True)
        #: The segment with strings, and its address.
        self.data = self.main.constants()
        parts = [each for each in self.main.segments if not each.writable]
        parts = [each for each in parts if not each.executable] or parts
        self.base = parts[-1].start if parts else 0
        self._path = path
        self._writable = [
            (each.start, memoryview(data)[: len(data) // 8 * 8].cast("Q"))
            for each in self.main.segments
            if each.writable and (data := self.guest.read(each.start, each.end - each.start))
        ]

    def function_that_loads(self, at: int) -> str | None:
        """Return the name of the exported function that loads the address of a constant; None if there is not one."""
        functions = self._code.functions_that_load({self.base + at})
        names = {self.main.symbol_at(start) for start, _ in functions}
        return names.pop() if len(names) == 1 else None

    @cached_property
    def _code(self) -> Code:
        from vmdump.emulator.elf import ElfFile
        from vmdump.emulator.machine_code import Code

        with ElfFile.open(self._path) as elf:
            return Code(self.guest, elf, self.main.bias)

    def pointers_to(self, addresses: Set[int]) -> Iterator[tuple[int, int]]:
        """Iterate over the words in data that hold one of these addresses: where the word is, and the address."""
        found = (
            (start + 8 * index, word)
            for start, words in self._writable for index, word in enumerate(words) if word in addresses
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
            bit = struct.unpack("<i", self.guest.read(at - 8, 4))[0]
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
            flags = int.from_bytes(self.guest.read(at + 16, 8), "little")
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


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _in_order(texts: Iterable[str], format: str) -> bool:
    """Return whether a format has these texts, in order."""
    at = 0
    for text in texts:
        at = format.find(text, at)
        if at < 0:
            return False
        at += len(text)
    return True

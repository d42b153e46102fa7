"""Facts about the lines of a QEMU binary: format strings, names of virtio features, properties, types."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.explain.emulated_device import Binary
from vmdump.explain.mapped_binary import MappedBinary
from vmdump.explain.pattern import Found, Pattern
from vmdump.explain.pci_registers import CONVENTIONAL
from vmdump.explain.virtio_features import STANDARD, TRANSPORT_BITS, FeatureTables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from vmdump.check.results import Finding
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.explain.pci_config import PciConfig
    from vmdump.explain.rom_file import RomFile
    from vmdump.vmstate.model import VMStateDescription

#: A string that may be a format of a message: printable, with a blank. Trace events have a prefix with a time.
_STRING = re.compile(rb"(?<=\0)[\x20-\x7e]{8,400}\n?(?=\0)")
_TRACE = "%d@%zu.%06zu:"

#: Version at the end of a machine type's name.
_VERSION = re.compile(r"-[0-9.]+$")

#: Words that strings are looked up by; most words of a line, and strings with a word that is not too common.
_WORD = re.compile(r"[A-Za-z]{4,}")
_MAX_WORDS, _MAX_STRINGS = 64, 3000

#: Least share of a line's letters that a format of the binary must cover; places of a text that are looked at.
_MIN_SHARE, _MAX_PLACES = 0.3, 5000

#: Most devices that are started for a text; each takes a second.
_MAX_STARTED = 8

#: Most strings of a malformed binary; the largest QEMU has 120,000.
_MAX_ALL_STRINGS = 1 << 19


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
        timeout: float | None = None,
    ) -> None:
        """Use a binary.

        Args:
            path: of the binary.
            dump: returns its dump.
            machines: names of its machine types.
            sysroot: the tree that it was unpacked in.
            machine: machine type for devices that are started; None: one that has the bus they need.
            timeout: limit for the start of a device, in seconds; None: the emulator's.
        """
        self.path, self.label = path, path.rpartition("/")[2]
        self._make_dump, self._machines = dump, tuple(machines)
        self._binary = Binary(path, self._machines, sysroot, machine, timeout)
        self._started: dict[tuple[object, ...], Any] = {}

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
        from vmdump.dump.lookup import section_name

        types, name = self.types_of(section), section_name(section)
        return [
            f"{each.path}: {each.message} [{each.rule}]"
            for each in self._defects if each.type in types or each.path.partition(" / ")[0] == name
        ]  # fmt: skip

    @cached_property
    def _defects(self) -> list[Finding]:
        """The defects of the binary."""
        from vmdump.check.checker import Labelled
        from vmdump.check.lint import is_defect, lint

        return [each for each in lint(Labelled(self.label, self.dump)) if is_defect(each)]

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

    def hooks_of(self, section: str) -> list[str]:
        """Return the hooks that run when a section is loaded: ``post_load of cpu``."""
        found: dict[str, None] = {}
        for item in self.dump.find(section):
            stack: list[VMStateDescription | None] = [item.vmsd]
            seen: set[int] = set()
            while stack:
                vmsd = stack.pop()
                if vmsd is None or id(vmsd) in seen:
                    continue
                seen.add(id(vmsd))
                found |= {f"{hook} of {vmsd.name}": None for hook in ("pre_load", "post_load") if getattr(vmsd, hook)}
                stack += [*(vmsd.subsections or ()), *(each.vmsd for each in vmsd.fields or ())]
        return list(found)

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
        from vmdump.dump.lookup import section_name
        from vmdump.dump.type_patterns import known_names

        return get_close_matches(section_name(section), known_names(self.dump), n=2, cutoff=0.7)

    # Devices in the emulator. Each is started once, and at most _MAX_STARTED are, because a log may name hundreds.

    def rom_of(self, typename: str) -> RomFile | None:
        """Return the ROM file of a PCI device type. See rom_file.find_rom."""
        from vmdump.explain.rom_file import find_rom

        found: RomFile | None = self._once(("rom", typename), lambda: find_rom(self._binary, typename), None)
        return found

    def pci_config(self, section: str, offset: int, properties: Iterable[str] = ()) -> PciConfig:
        """See Context.pci_config. ``properties``: the same in all calls."""
        from vmdump.explain.pci_config import PciConfig, read_config

        def read() -> PciConfig:
            types = self.types_of(section)
            return read_config(self._binary, section, types, is_extended=is_extended, properties=properties)

        is_extended = offset >= CONVENTIONAL
        too_many = PciConfig(None, f"unknown: only {_MAX_STARTED} devices are emulated; explain this failure by itself")
        found: PciConfig = self._once(("config", section, is_extended), read, too_many)
        return found

    def values_of(self, section: str, types: Sequence[str], properties: Sequence[str]) -> tuple[str, dict[str, Any]]:
        """Return a command line, and the values that a device's properties have in it.

        Empty if the user named no machine type, which decides them, or if the device can't be started.
        """
        from vmdump.explain.emulated_device import EmulatedDevice, start_device

        def read() -> tuple[str, dict[str, Any]]:
            device = start_device(self._binary, section, types)
            return (device.command_line, device.values(properties)) if isinstance(device, EmulatedDevice) else ("", {})

        if self._binary.machine is None:
            return "", {}
        found: tuple[str, dict[str, Any]] = self._once(("values", section, *properties), read, ("", {}))
        return found

    def _once(self, key: tuple[object, ...], read: Callable[[], Any], too_many: Any) -> Any:
        """Return what read returns, which is called once for a key; too_many if that was done too often."""
        if key not in self._started:
            if len(self._started) >= _MAX_STARTED:
                return too_many
            self._started[key] = read()
        return self._started[key]

    # Strings

    def has_string(self, text: str) -> bool:
        """Return whether the binary's constants contain a string, or one that ends with it: linkers merge both."""
        return text.encode(errors="replace") + b"\0" in self._mapped.data

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
        return ImageFormat(text.rstrip("\n"), self._mapped.function_that_loads(at), found)

    def prints(self, patterns: Iterable[Pattern]) -> bool:
        """Return whether the binary has a format with the fixed texts of one of the patterns."""
        return any(
            _in_order([each.strip(": ") for each in pattern.texts], text)
            for pattern in patterns
            for text in self._strings_with(pattern)
        )

    def _strings_with(self, pattern: Pattern) -> Iterator[str]:
        """Yield the strings that contain the longest fixed text of a pattern."""
        data, wanted = self._mapped.data, pattern.longest.strip(": ").encode(errors="replace")
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
            for match in islice(_STRING.finditer(self._mapped.data), _MAX_ALL_STRINGS)
        ]
        traced = {text.removeprefix(_TRACE) for _, text in found if text.startswith(_TRACE)}
        return [(at, text) for at, text in found if " " in text and text not in traced and text[:6] != _TRACE[:6]]

    # Virtio

    @cached_property
    def features(self) -> FeatureTables:
        """Names and properties of feature bits: the binary's, and the standard's where it has none."""
        names, properties = dict(self._mapped.features()), dict(self._mapped.properties())
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
    def _mapped(self) -> MappedBinary:
        return MappedBinary(self.path)


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

"""A command line for a saved VM without one: from its stream, and from the domain's XML that libvirt saves with it.

The machine type, RAM, vCPUs and the accelerator are known from either. Devices: the destination's machine without any
is saved, and for each section that it lacks a device is added, at the PCI address in the section's name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from vmdump.emulator.machine_errors import MachineError
from vmdump.errors import SourceError
from vmdump.machines.backends import backend_arguments, device_argument, read_rows
from vmdump.migrate.arguments import DEFAULTS
from vmdump.migrate.save import boot_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from vmdump.emulator.machine import Machine
    from vmdump.machines.reader import Source
    from vmdump.stream.saved_vm import SavedVM

#: Sections that only KVM has. Source: hw/i386/kvm/clock.c.
_KVM_SECTIONS = frozenset(["kvmclock", "kvm-apic", "kvm-ioapic", "kvm-i8259", "kvm-pit"])

#: A device on the first PCI bus: its slot, function, and the name of its description.
_PCI = re.compile(r"(?:pci@[0-9a-f]+|0000:00):([0-9a-f]{2})\.([0-7])/(.+)")

#: RAM blocks of the board, which -m sizes: the largest one.
_MIB = 1 << 20


class Guess(NamedTuple):
    """A guessed command line.

    Attributes:
        argv: QEMU's arguments.
        notes: what was guessed, and from what.
        unknown: sections for which no device was found.
    """

    argv: tuple[str, ...]
    notes: tuple[str, ...]
    unknown: tuple[str, ...]


def guess(source: Source, vm: SavedVM, domain: str | None = None) -> Guess:
    """Return a command line.

    Args:
        source: the destination's binary.
        vm: the saved VM.
        domain: libvirt's XML of the domain; default: that in the saved VM.

    Raises:
        SourceError: the stream and the XML name no machine type; the XML is malformed.
    """
    xml = _parse(domain or vm.container.xml)
    argv, notes = _board(vm, xml)
    try:
        bare = source.boot([*boot_arguments(argv)], defaults=DEFAULTS)
        present = _section_names(bare)
        finder = _Finder(source, argv, bare)
    except SourceError:  # the load reports why it does not start
        return Guess(tuple(argv), tuple(notes), ())
    unknown = []
    functions: set[str] = set()
    for section in vm.sections:
        if section.is_live or (section.name, section.instance_id) in present:
            continue
        place = _PCI.fullmatch(section.name)
        address = None if place is None else f"{place[1]}.{place[2]}"
        if address in functions:
            continue
        device = None if place is None or address is None else finder.device(place[3], address)
        if device is None or address is None:
            unknown.append(section.name)
            continue
        functions.add(address)
        argv += ["-device", device]
        notes.append(f"-device {device} from section {section.name}")
    unknown = [each for each in unknown if not _is_below(each, functions)]
    backends = finder.backends if functions else []
    return Guess((*argv[:1], *backends, *argv[1:]), tuple(notes), tuple(dict.fromkeys(unknown)))


def _is_below(section: str, functions: set[str]) -> bool:
    """Return whether a section is of a device that was added, such as its second section."""
    place = _PCI.fullmatch(section)
    return place is not None and f"{place[1]}.{place[2]}" in functions


def _board(vm: SavedVM, xml: Element | None) -> tuple[list[str], list[str]]:
    """Return the arguments for the board, and where they come from."""
    origin = "libvirt's XML" if xml is not None else "the stream"
    machine = vm.machine or (None if xml is None else _attribute(xml, "os/type", "machine"))
    if machine is None:
        raise SourceError(f"{vm.path}: the stream names no machine type; give QEMU's arguments after --")
    argv = ["-nodefaults", "-M", machine]
    notes = [f"-M {machine} from the stream"]
    is_kvm = any(each.name in _KVM_SECTIONS for each in vm.sections) or (xml is not None and xml.get("type") == "kvm")
    if is_kvm:
        argv += ["-accel", "kvm"]
        notes.append(f"-accel kvm from {origin}")
    if vm.blocks:
        size = max(each.size for each in vm.blocks) // _MIB
        argv += ["-m", f"{size}M"]
        notes.append(f"-m {size}M from the RAM blocks")
    cpus = sum(each.name == "cpu_common" for each in vm.sections)
    if cpus > 1:
        argv += ["-smp", str(cpus)]
        notes.append(f"-smp {cpus} from the sections of vCPUs")
    model = None if xml is None else xml.findtext("cpu/model")
    if model:
        argv += ["-cpu", model]
        notes.append(f"-cpu {model} from {origin}")
    return argv, notes


def _attribute(xml: Element, path: str, name: str) -> str | None:
    found = xml.find(path)
    return None if found is None else found.get(name)


def _parse(text: str | None) -> Element | None:
    """Return the domain element. Documents with a DTD, which could expand entities, are refused."""
    if not text:
        return None
    from xml.etree import ElementTree

    if "<!DOCTYPE" in text:
        raise SourceError("the domain's XML has a document type; remove it")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise SourceError(f"the domain's XML is malformed: {error}") from error
    found = root if root.tag == "domain" else root.find(".//domain")
    if found is None:
        raise SourceError("the XML has no domain element")
    return found


def _section_names(machine: Machine) -> set[tuple[str, int]]:
    """Return name and instance of each section that a machine sends."""
    import tempfile

    from vmdump.stream.walk import read_saved_vm

    with tempfile.NamedTemporaryFile(suffix=".save") as file:
        file.write(machine.save())
        file.flush()
        return {(each.name, each.instance_id) for each in read_saved_vm(file.name).sections}


class _Finder:
    """Finds device types by the names of their descriptions."""

    def __init__(self, source: Source, argv: Sequence[str], bare: Machine) -> None:
        self._source, self._argv, self._bare = source, list(argv), bare
        self._types = {row["name"] for row in bare.qmp("qom-list-types", implements="device", abstract=False)}
        self.backends = backend_arguments(bare)

    def device(self, name: str, address: str) -> str | None:
        """Return the argument of -device whose device sends a section of this name at this address."""
        stem = name.partition("/")[0].lower()
        spellings = (stem, stem.replace("_", "-"))
        candidates = [f"{each}{suffix}" for each in spellings for suffix in ("-pci", "", "-transitional")]
        for each in dict.fromkeys(candidates):
            if each not in self._types:
                continue
            argument = device_argument(each, read_rows(self._bare, each), (f"addr={address}",))
            argv = boot_arguments([*self._argv, *self.backends, "-device", argument])
            try:
                sent = _section_names(self._source.boot(argv, defaults=DEFAULTS))
            except MachineError:
                continue
            if any(section.endswith(f":{address}/{name}") for section, _ in sent):
                return argument
        return None

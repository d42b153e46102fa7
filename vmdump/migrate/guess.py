"""A command line for a saved VM without one: from its stream, and from the domain's XML that libvirt saves with it.

The machine type, RAM, vCPUs and the accelerator are known from either. The machine has its default devices if the
stream has the sections of all of them; for other sections that it lacks, devices are added: see find_devices.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmdump.errors import SourceError
from vmdump.machines.backends import backend_arguments
from vmdump.migrate.arguments import DEFAULTS
from vmdump.migrate.find_devices import MAX_DEVICES, TAP, DeviceFinder, numbered_backends, read_sections
from vmdump.migrate.save import boot_arguments

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet
    from xml.etree.ElementTree import Element

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.machines.reader import Source
    from vmdump.migrate.find_devices import Key
    from vmdump.stream.saved_vm import SavedVM

#: Sections that only KVM has. Source: hw/i386/kvm/clock.c.
_KVM_SECTIONS = frozenset(["kvmclock", "kvm-apic", "kvm-ioapic", "kvm-i8259", "kvm-pit"])

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


def guess(source: Source, vm: SavedVM, open_dump: Callable[[], DeviceDump], domain: str | None = None) -> Guess:
    """Return a command line.

    Args:
        source: the destination's binary.
        vm: the saved VM.
        open_dump: returns the dump of the binary.
        domain: libvirt's XML of the domain; default: that in the saved VM.

    Raises:
        SourceError: the stream and the XML name no machine type; the XML is malformed.
    """
    xml = _parse(domain or vm.container.xml)
    argv, notes = _board(vm, xml)
    wanted = {(each.name, each.instance_id): bytes(each.body) for each in vm.sections if not each.is_live}
    try:
        board, note = _with_or_without_defaults(source, argv, wanted.keys())
        bare = source.boot(boot_arguments(board), defaults=DEFAULTS)
        backends = backend_arguments(bare)
        tap = TAP if board[0] == "-nodefaults" else ()  # with a network of its own, a machine has no default one
        numbered = [word for number in range(MAX_DEVICES) for word in numbered_backends([*backends, *tap], number)]
        template = source.boot_template([*boot_arguments(board), *backends, *numbered], defaults=DEFAULTS)
        found, unknown = DeviceFinder(template, bare, open_dump, has_tap=bool(tap)).find(wanted)
    except SourceError:  # the load reports why it does not start
        return Guess(("-nodefaults", *argv), tuple(notes), ())
    notes += note
    notes += [f"-device {each.argument} from section {each.section}" for each in found]
    argv = [*board, *(backends if found else ())]
    for each in found:
        argv += [] if each.number is None else numbered_backends([*backends, *tap], each.number)
        argv += ["-device", each.argument]
    return Guess(tuple(argv), tuple(notes), tuple(unknown))


def _with_or_without_defaults(source: Source, argv: list[str], wanted: AbstractSet[Key]) -> tuple[list[str], list[str]]:
    """Return the arguments of the machine with its default devices if the stream has them all, and a note."""
    bare = ["-nodefaults", *argv]
    try:
        sent = read_sections(source.boot(boot_arguments(argv), defaults=DEFAULTS)).keys()
    except SourceError:
        return bare, []
    default = sent - read_sections(source.boot(boot_arguments(bare), defaults=DEFAULTS)).keys()
    if not default or not default <= wanted:
        return bare, []
    names = ", ".join(sorted(name for name, _ in default))
    return argv, [f"default devices, without -nodefaults, from sections {names}"]


def _board(vm: SavedVM, xml: Element | None) -> tuple[list[str], list[str]]:
    """Return the arguments for the board, and where they come from."""
    origin = "libvirt's XML" if xml is not None else "the stream"
    machine = vm.machine or (None if xml is None else _attribute(xml, "os/type", "machine"))
    if machine is None:
        raise SourceError(f"{vm.path}: the stream names no machine type; give QEMU's arguments after --")
    argv = ["-M", machine]
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

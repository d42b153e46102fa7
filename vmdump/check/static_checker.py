"""What QEMU's own checker says of two dumps: the walk of scripts/vmstate-static-checker.py, finding by finding.

It compares what two dumps print, in the order in which they print it, and knows nothing of what travels. Its answers
are reproduced with their oddities, so that who knows its output gets the same; `vmdump check` is the one to trust.

Source: QEMU 10.0.13 scripts/vmstate-static-checker.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    Json = Mapping[str, Any]

#: The script's exit code has eight bits; it stops counting here.
MAX_FINDINGS = 255

#: Fields, and descriptions, that are taken for each other inside a description, or a section, of this name.
RENAMED: Mapping[str, frozenset[str]] = {
    name: frozenset(names.split())
    for name, names in {
        "I440FX": "dev parent_obj",
        "PIIX3": "pci_irq_levels pci_irq_levels_vmstate",
        "apic": "timer timer_expiry",
        "cirrus_vga": "hw_cursor_x hw_cursor_y vga.hw_cursor_x vga.hw_cursor_y",
        "e1000": "dev parent_obj",
        "ehci": "dev pcidev",
        "ich9-ahci": "ahci ich9_ahci",
        "ich9_ahci": "card parent_obj",
        "ioh-3240-express-root-port": "port.br.dev parent_obj.parent_obj.parent_obj port.br.dev.exp.aer_log"
        " parent_obj.parent_obj.parent_obj.exp.aer_log",
        "ioh3420": "PCIDevice PCIEDevice",
        "lsiscsi": "dev parent_obj",
        "mch": "d parent_obj",
        "pci_bridge": "bridge.dev parent_obj bridge.dev.shpc shpc",
        "pcnet": "pci_dev parent_obj",
        "piix4_pm": "dev parent_obj pci0_status acpi_pci_hotplug.acpi_pcihp_pci_status[0x0]"
        " pm1a.sts ar.pm1.evt.sts pm1a.en ar.pm1.evt.en pm1_cnt.cnt ar.pm1.cnt.cnt tmr.timer ar.tmr.timer"
        " tmr.overflow_time ar.tmr.overflow_time gpe ar.gpe",
        "qxl": "num_surfaces ssd.num_surfaces",
        "rtl8139": "dev parent_obj",
        "spapr_pci": "dma_liobn[0] mig_liobn mem_win_addr mig_mem_win_addr mem_win_size mig_mem_win_size"
        " io_win_addr mig_io_win_addr io_win_size mig_io_win_size",
        "usb-ccid": "abProtocolDataStructure abProtocolDataStructure.data",
        "usb-host": "dev parent_obj",
        "usb-mouse": "usb-ptr-queue HIDPointerEventQueue",
        "usb-tablet": "usb-ptr-queue HIDPointerEventQueue",
        "vmware_vga": "card parent_obj",
        "vmware_vga_internal": "depth new_depth",
        "x3130-upstream": "PCIDevice PCIEDevice",
        "xhci": "pci_dev parent_obj",
        "xio3130-downstream": "PCIDevice PCIEDevice",
        "xio3130-express-downstream-port": "port.br.dev parent_obj.parent_obj.parent_obj port.br.dev.exp.aer_log"
        " parent_obj.parent_obj.parent_obj.exp.aer_log",
        "xio3130-express-upstream-port": "br.dev parent_obj.parent_obj br.dev.exp.aer_log"
        " parent_obj.parent_obj.exp.aer_log",
    }.items()
}

#: Sections that are looked for under another name where their own is not there. Any other is looked for as "".
RENAMED_SECTIONS: Mapping[str, str] = {
    "ICH9 LPC": "ICH9-LPC",
    "ICH9-LPC": "ICH9 LPC",
    "e1000": "e1000-82540em",
    "e1000-82540em": "e1000",
}

UNUSED = "unused"

#: Keys of a field of which something can be said even where both sides are equal: its version may be below its minimum.
_DESCRIBING = ("Description", "minimum_version_id")


class Message(NamedTuple):
    """What is printed, its newline included where it has one, and whether it counts as a finding."""

    text: str
    counts: bool = True


def load(data: bytes, name: str) -> Json:
    """A dump as the script reads it: any JSON object; name is what errors call it. Raises SourceError.

    >>> load(b'{"pit": {}, "pit": {"Name": "pit"}}', "dump.json")
    {'pit': {'Name': 'pit'}}
    """
    try:
        dump = json.loads(data.decode())
    except ValueError as error:
        raise SourceError(f"{name}: not JSON: {error}; give what -dump-vmstate wrote") from error
    if not isinstance(dump, dict):
        raise SourceError(f"{name}: no JSON object; give what -dump-vmstate wrote")
    return dump


def compare(src: Json, dest: Json) -> Iterator[Message]:
    r"""The messages about a migration from src to dest: two dumps from `load`, in the order of src.

    The exit code is the number of messages that count, MAX_FINDINGS at most.

    Raises SourceError, after the messages up to there, where the script ends with a traceback: a dump lacks what every
    dump has.

    >>> one = {"pit": {"Name": "pit", "version_id": 3, "minimum_version_id": 2}}
    >>> two = {"pit": {"Name": "pit", "version_id": 2, "minimum_version_id": 2}}
    >>> [message.text for message in compare(one, two)]
    ['Section "pit" version error: 3 > 2\n']
    """
    for name, section in src.items():
        namesake = name if name in dest else RENAMED_SECTIONS.get(name, "")
        if namesake not in dest:
            yield Message(f'Section "{name}" does not exist in dest\n')
            continue
        try:
            if name == "vmschkmachine":
                yield from _machines(section, dest[namesake])
            else:
                yield from _Section(name).sections(section, dest[namesake])
        except (AttributeError, KeyError, TypeError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else error
            raise SourceError(
                f'section "{name}": {what}, in one of the two dumps; give what -dump-vmstate wrote'
            ) from error


def _machines(src: Json, dest: Json) -> Iterator[Message]:
    ours, theirs = src["Name"], dest["Name"]
    if ours != theirs:
        yield Message(f'Warning: checking incompatible machine types: "{ours}", "{theirs}"\n', counts=False)


class _Section:
    """The comparison of one section, which every message names."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._where = f'Section "{name}"'

    def sections(self, src: Json, dest: Json) -> Iterator[Message]:
        yield from self._versions(src, dest, "")
        for entry, value in src.items():
            if entry not in dest:
                yield Message(f'{self._where}: Entry "{entry}" missing\n')
            elif entry == "Description":
                yield from self._descriptions(value, dest[entry])

    def _descriptions(self, src: Json, dest: Json) -> Iterator[Message]:
        name = src["name"]
        yield from self._versions(src, dest, name)
        if not _same(self._name, name, dest["name"]):
            yield Message(f'{self._where}: Description "{name}" missing, got "{dest["name"]}" instead; skipping\n')
            return
        for entry, value in src.items():
            if entry not in dest:
                yield Message(f'{self._where} Description "{name}": Entry "{entry}" missing\n')
            elif entry == "Fields":
                yield from self._fields(value, dest[entry], name)
            elif entry == "Subsections":
                yield from self._subsections(value, dest[entry], name)

    def _subsections(self, src: Sequence[Json], dest: Sequence[Json], name: str) -> Iterator[Message]:
        for subsection in src:
            namesakes = [other for other in dest if other["name"] == subsection["name"]]
            for namesake in namesakes:
                yield from self._descriptions(subsection, namesake)
            if not namesakes:
                yield Message(f'{self._where}, Description "{name}": Subsection "{subsection["name"]}" not found\n')

    def _fields(self, src: Sequence[Json], dest: Sequence[Json], name: str) -> Iterator[Message]:
        """The fields of both, pair by pair, to the end of src or the first pair that can't be explained."""
        where = f'{self._where}, Description "{name}":'
        ours, theirs = _Cursor(src), _Cursor(dest)
        while ours.advance():
            if not theirs.advance():
                yield _no_further(where, ours.field)
                return
            if ours.field == theirs.field and ours.field.keys().isdisjoint(_DESCRIBING):
                continue  # most fields by far
            while not _same(name, ours.field["field"], theirs.field["field"]):
                # What one side has put into a struct since: its fields are compared where they stood before.
                if _begins_with(theirs.field, ours.field["field"]):
                    theirs.enter()
                elif _begins_with(ours.field, theirs.field["field"]):
                    ours.enter()
                elif UNUSED in (ours.field["field"], theirs.field["field"]):
                    if not (yield from self._pass_unused(ours, theirs, where)):
                        return
                    break
                else:
                    expected, got = ours.field["field"], theirs.field["field"]
                    yield Message(f'{where} expected field "{expected}", got "{got}"; skipping rest\n')
                    return
            else:
                yield from self._field(ours.field, theirs.field, name)

    def _field(self, src: Json, dest: Json, name: str) -> Iterator[Message]:
        """Two fields that are taken for the same."""
        yield from self._versions(src, dest, name)
        if "Description" not in src:
            if src["size"] != dest["size"]:
                description = f' Description "{name}"' if name else ""
                field = f' Field "{src["field"]}"' if src["field"] else ""
                sizes = f"{src['size']} , {dest['size']}"
                yield Message(f"{self._where}{description}{field} size mismatch: {sizes}\n")
        elif "Description" not in dest:
            yield Message(f'{self._where}, Description "{name}", Field "{src["field"]}": missing description\n')
        else:
            yield from self._descriptions(src["Description"], dest["Description"])

    def _versions(self, src: Json, dest: Json, name: str) -> Iterator[Message]:
        """The versions of two sections (name is ""), descriptions or fields."""
        description = f' Description "{name}":' if name else ""
        version = src["version_id"]
        if version > dest["version_id"]:
            yield Message(f"{self._where}{description} version error: {version} > {dest['version_id']}\n")
        if "minimum_version_id" in dest and version < dest["minimum_version_id"]:
            if name:
                minimum = dest["minimum_version_id"]
                yield Message(f"{self._where}{description} minimum version error: {version} < {minimum}\n")
            else:  # the script begins a line and leaves it to the next message, and does not count it
                yield Message(f"{self._where} ", counts=False)

    def _pass_unused(self, ours: _Cursor, theirs: _Cursor, where: str) -> Generator[Message, None, bool]:
        """Passes the fields that stand where the other side has unused bytes. False ends the comparison."""
        left = _total(theirs.field) - _total(ours.field)
        passing = ours
        if theirs.field["field"] != UNUSED:
            left, passing = -left, theirs
        while left != 0:
            if not passing.advance():
                if passing is theirs:
                    yield _no_further(where, ours.field)
                return False
            left -= passing.field["size"]
            if left < 0:
                yield Message(f'{where} unused size mismatch near " {passing.field["field"]}"\n')
                return False
        return True


class _Cursor:
    """A place in a list of fields and in the lists of the structs that were entered on the way."""

    field: Json

    def __init__(self, fields: Sequence[Json]) -> None:
        self._lists = [iter(fields)]

    def advance(self) -> bool:
        """Goes to the next field, out of structs that end; False, and where it is, at the end of all."""
        while True:
            try:
                self.field = next(self._lists[-1])
                return True
            except StopIteration:
                if len(self._lists) == 1:
                    return False
                self._lists.pop()

    def enter(self) -> None:
        """Goes to the first field of the struct that it stands on, which has one."""
        self._lists.append(iter(self.field["Description"]["Fields"]))
        self.advance()


def _same(name: str, ours: str, theirs: str) -> bool:
    """Whether two names are one, in the description or section called name."""
    if ours == theirs:
        return True
    renamed = RENAMED.get(name, ())
    return ours in renamed and theirs in renamed


def _begins_with(field: Json, name: str) -> bool:
    """Whether a field is a struct whose first field is the one called name."""
    description = field.get("Description", {})
    fields = description.get("Fields")
    return bool(fields) and _same(description["name"], fields[0]["field"], name)


def _total(field: Json) -> int:
    """The bytes of a field, all its elements, where the dump tells how many they are."""
    size: int = field["size"]
    return size * field["num"] if "num" in field else size


def _no_further(where: str, field: Json) -> Message:
    return Message(f'{where} expected field "{field["field"]}", while dest has no further fields\n')

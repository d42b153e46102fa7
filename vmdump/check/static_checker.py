"""Reproduces QEMU's scripts/vmstate-static-checker.py, message by message.

The script compares the text of two dumps in order; it does not model the migration stream. Its messages are reproduced
with their quirks, for users who rely on its output. `vmdump check` is more accurate.

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

#: Names of fields and descriptions that the script treats as equal, by the enclosing description or section.
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

#: Other names of sections, tried if a section is missing. For any other section the script tries "".
RENAMED_SECTIONS: Mapping[str, str] = {
    "ICH9 LPC": "ICH9-LPC",
    "ICH9-LPC": "ICH9 LPC",
    "e1000": "e1000-82540em",
    "e1000-82540em": "e1000",
}

UNUSED = "unused"

#: Keys of a field that can cause a message even if both sides are equal: its version may be below its minimum.
_VERSIONED_KEYS = ("Description", "minimum_version_id")


class Message(NamedTuple):
    """Text that the script prints, including a newline if it prints one, and whether it counts as a finding."""

    text: str
    counts: bool = True


def load(data: bytes | bytearray, name: str) -> Json:
    """Parse a dump as the script does: any JSON object. name is the file's name in errors.

    Raises:
        SourceError: data is not a JSON object, or is nested too deeply.

    >>> load(b'{"pit": {}, "pit": {"Name": "pit"}}', "dump.json")
    {'pit': {'Name': 'pit'}}
    """
    try:
        dump = json.loads(data.decode())
    except ValueError as error:
        raise SourceError(f"{name}: not JSON: {error}; expected the output of -dump-vmstate") from error
    except RecursionError as error:
        raise SourceError(f"{name}: nested too deeply for QEMU's script and Python's parser") from error
    if not isinstance(dump, dict):
        raise SourceError(f"{name}: not a JSON object; expected the output of -dump-vmstate")
    return dump


def compare(src: Json, dest: Json) -> Iterator[Message]:
    r"""Yield the script's messages about a migration from src to dest, two dumps from `load`, in the order of src.

    The script's exit code is the number of messages that count, at most MAX_FINDINGS.

    Raises:
        SourceError: The script would end with a traceback here, because a dump lacks a required key. The messages up
            to that point have been yielded.

    >>> one = {"pit": {"Name": "pit", "version_id": 3, "minimum_version_id": 2}}
    >>> two = {"pit": {"Name": "pit", "version_id": 2, "minimum_version_id": 2}}
    >>> [message.text for message in compare(one, two)]
    ['Section "pit" version error: 3 > 2\n']
    """
    for name, section in src.items():
        dest_name = name if name in dest else RENAMED_SECTIONS.get(name, "")
        if dest_name not in dest:
            yield Message(f'Section "{name}" does not exist in dest\n')
            continue
        try:
            if name == "vmschkmachine":
                yield from _machines(section, dest[dest_name])
            else:
                yield from _Section(name).sections(section, dest[dest_name])
        except (AttributeError, KeyError, TypeError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else error
            raise SourceError(
                f'section "{name}": {what} in one of the dumps; expected the output of -dump-vmstate'
            ) from error
        except RecursionError as error:
            raise SourceError(f'section "{name}": nested too deeply for QEMU\'s script') from error


def _machines(src: Json, dest: Json) -> Iterator[Message]:
    source, destination = src["Name"], dest["Name"]
    if source != destination:
        yield Message(f'Warning: checking incompatible machine types: "{source}", "{destination}"\n', counts=False)


class _Section:
    """Compares one section, which every message names."""

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
            matches = [other for other in dest if other["name"] == subsection["name"]]
            for match in matches:
                yield from self._descriptions(subsection, match)
            if not matches:
                yield Message(f'{self._where}, Description "{name}": Subsection "{subsection["name"]}" not found\n')

    def _fields(self, src: Sequence[Json], dest: Sequence[Json], name: str) -> Iterator[Message]:
        """Compare fields pair by pair, up to the end of src or the first pair without a match."""
        where = f'{self._where}, Description "{name}":'
        source, destination = _Cursor(src), _Cursor(dest)
        while source.advance():
            if not destination.advance():
                yield _no_further(where, source.field)
                return
            if source.field == destination.field and source.field.keys().isdisjoint(_VERSIONED_KEYS):
                continue  # the fast path for most fields
            while not _same(name, source.field["field"], destination.field["field"]):
                # One side moved fields into a struct: compare the struct's fields with those of the other side.
                if _begins_with(destination.field, source.field["field"]):
                    destination.enter()
                elif _begins_with(source.field, destination.field["field"]):
                    source.enter()
                elif UNUSED in (source.field["field"], destination.field["field"]):
                    if not (yield from self._skip_unused(source, destination, where)):
                        return
                    break
                else:
                    expected, got = source.field["field"], destination.field["field"]
                    yield Message(f'{where} expected field "{expected}", got "{got}"; skipping rest\n')
                    return
            else:
                yield from self._field(source.field, destination.field, name)

    def _field(self, src: Json, dest: Json, name: str) -> Iterator[Message]:
        """Compare two matching fields."""
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
        """Compare the versions of two sections (name is ""), descriptions or fields."""
        description = f' Description "{name}":' if name else ""
        version = src["version_id"]
        if version > dest["version_id"]:
            yield Message(f"{self._where}{description} version error: {version} > {dest['version_id']}\n")
        if "minimum_version_id" in dest and version < dest["minimum_version_id"]:
            if name:
                minimum = dest["minimum_version_id"]
                yield Message(f"{self._where}{description} minimum version error: {version} < {minimum}\n")
            else:  # the script prints the start of a line, which the next message continues, and does not count it
                yield Message(f"{self._where} ", counts=False)

    def _skip_unused(self, source: _Cursor, destination: _Cursor, where: str) -> Generator[Message, None, bool]:
        """Skip the fields that replace unused bytes of the other side. Return False to end the comparison."""
        left = _total(destination.field) - _total(source.field)
        skipping = source
        if destination.field["field"] != UNUSED:
            left, skipping = -left, destination
        while left != 0:
            if not skipping.advance():
                if skipping is destination:
                    yield _no_further(where, source.field)
                return False
            left -= skipping.field["size"]
            if left < 0:
                yield Message(f'{where} unused size mismatch near " {skipping.field["field"]}"\n')
                return False
        return True


class _Cursor:
    """Position in a list of fields, including the structs that were entered."""

    field: Json

    def __init__(self, fields: Sequence[Json]) -> None:
        self._lists = [iter(fields)]

    def advance(self) -> bool:
        """Go to the next field, leaving structs that end. Return False, and stay, at the end of the outermost list."""
        while True:
            try:
                self.field = next(self._lists[-1])
                return True
            except StopIteration:
                if len(self._lists) == 1:
                    return False
                self._lists.pop()

    def enter(self) -> None:
        """Go to the first field of the current struct, which must have one."""
        self._lists.append(iter(self.field["Description"]["Fields"]))
        self.advance()


def _same(name: str, source: str, destination: str) -> bool:
    """Whether two names are equal, or treated as equal in the description or section called name."""
    if source == destination:
        return True
    renamed = RENAMED.get(name, ())
    return source in renamed and destination in renamed


def _begins_with(field: Json, name: str) -> bool:
    """Whether a field is a struct whose first field is called name."""
    description = field.get("Description", {})
    fields = description.get("Fields")
    return bool(fields) and _same(description["name"], fields[0]["field"], name)


def _total(field: Json) -> int:
    """Bytes of all elements of a field; of one element if the dump lacks their number."""
    size: int = field["size"]
    return size * field["num"] if "num" in field else size


def _no_further(where: str, field: Json) -> Message:
    return Message(f'{where} expected field "{field["field"]}", while dest has no further fields\n')

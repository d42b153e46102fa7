"""Machine types as rows, for vmdump bulk and vmdump query.

A row is a machine type, a compat property, a property, a section or a RAM block; see COLUMNS.
"""

from __future__ import annotations

import gc
import json
from typing import TYPE_CHECKING, Any

from vmdump.emulator.machine import MachineError
from vmdump.errors import SourceError
from vmdump.machines.effects import ancestors, read_parents
from vmdump.machines.objects import read_tree, read_unrealized
from vmdump.machines.reader import machine_arguments, read_infos, saved_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vmdump.emulator.machine import Machine
    from vmdump.machines.model import MachineInfo, Property
    from vmdump.machines.reader import Source

Row = dict[str, Any]

#: The columns, and Python's types of their values. Null: does not apply.
COLUMNS: dict[str, type] = {
    "kind": str,  # machine, compat, property, section, ram_block
    "machine": str,  # name of the machine type
    "alias": str,  # of a machine type, as are the following two
    "is_default": bool,
    "is_deprecated": bool,
    "error": str,  # of a machine type that was to be booted: why it does not start
    "position": int,  # within the machine type and kind: the order of application, of the stream
    "type": str,  # QOM type: driver of a compat property; of the object with a property
    "path": str,  # of the object with a property; null if the object is not in the machine, and not realized
    "name": str,  # of the property, section or RAM block
    "value": str,  # of a property, as JSON; of a compat property, as QEMU parses it
    "size": int,  # of a RAM block, in bytes
    "version_id": int,  # of a section, as is the next
    "instance_id": int,
}

#: The columns, beside kind and machine, in which every row of a kind has a value.
NEEDED: dict[str, tuple[str, ...]] = {
    "compat": ("type", "name"), "section": ("name", "version_id"), "ram_block": ("name", "size")
}  # fmt: skip


def machine_rows(source: Source, is_booted: Callable[[MachineInfo], bool]) -> list[Row]:
    """Return the rows of all machine types; properties, sections and RAM blocks are those of booted ones.

    Args:
        source: the binary.
        is_booted: whether a machine type is booted.

    Raises:
        SourceError: the binary cannot be emulated.
    """
    rows: list[Row] = []
    for info in read_infos(source):
        booted: list[Row] = []
        error = None
        if is_booted(info):
            gc.collect()  # frees the previous machine, which is in reference cycles and reserves GiBs of address space
            try:
                booted = list(_booted(source, info))
            except SourceError as problem:
                error = str(problem).removeprefix(f"{source.path}: ")
        rows.append({
            "kind": "machine", "alias": info.alias, "is_default": info.is_default,
            "is_deprecated": info.is_deprecated, "error": error,
        })  # fmt: skip
        rows += [
            {"kind": "compat", "position": index, "type": each.driver, "name": each.property, "value": each.value}
            for index, each in enumerate(info.compat_props)
        ]
        rows += booted
        for row in rows:
            row.setdefault("machine", info.name)
    return rows


def _booted(source: Source, info: MachineInfo) -> Iterator[Row]:
    """Yield the rows of a booted machine."""
    machine = source.boot(machine_arguments(info.name))
    stream = saved_stream(machine, has_fields=False)
    for index, section in enumerate(stream.sections):
        yield {
            "kind": "section", "position": index, "name": section.idstr, "version_id": section.version,
            "instance_id": section.instance_id,
        }  # fmt: skip
    for index, block in enumerate(stream.ram_blocks):
        yield {"kind": "ram_block", "position": index, "name": block.name, "size": block.size}
    objects = read_tree(machine)
    for each in objects:
        yield from _properties(each.type, each.path, each.properties)
    yield from _others(machine, {each.type for each in objects})


def _others(machine: Machine, known: set[str]) -> Iterator[Row]:
    """Yield the properties of devices that the machine does not have: of new objects, which are not realized.

    CPU models are left out: they are nine tenths of all properties, and the machine has one.
    """
    parents = read_parents(machine)
    for row in machine.qmp("qom-list-types", implements="device", abstract=False):
        type_ = row["name"]
        if type_ not in known and "cpu" not in ancestors(type_, parents):
            try:
                properties = read_unrealized(machine, type_)
            except MachineError:
                continue
            yield from _properties(type_, None, properties)


def _properties(type_: str, path: str | None, properties: tuple[Property, ...]) -> Iterator[Row]:
    for each in properties:
        if each.error is None and each.name != "type":
            value = json.dumps(each.value, ensure_ascii=False)
            yield {"kind": "property", "type": type_, "path": path, "name": each.name, "value": value}

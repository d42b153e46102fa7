"""The QOM tree of a machine, and the values of all properties.

qom-get answers one property; here, the answers of an object are collected in one QDict, to call the emulated QEMU less
often. Names and types come from qom-list.

Source: QEMU 7.2 qom/qom-qmp-cmds.c qmp_qom_list, qmp_qom_get.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.emulator.machine import MachineError, QmpError
from vmdump.errors import SourceError
from vmdump.machines.model import Property, QomObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from vmdump.emulator.machine import Machine

#: Root of the tree. Other children of the root object (/chardevs, /objects) are backends on the host.
ROOT = "/machine"

#: Limit of objects in a tree, and of its depth.
_MAX_OBJECTS, _MAX_DEPTH = 100_000, 100

#: Aliases of properties with which `info qtree` prints them; not readable, or the same value as text.
_LEGACY = "legacy-"


def read_tree(machine: Machine, root: str = ROOT) -> tuple[QomObject, ...]:
    """Return root and all objects below it with their properties, parents before children.

    Raises:
        SourceError: QEMU crashed, or there are too many objects.
    """
    found = []
    for path, type_, rows in _walk(machine, root):
        others = [row for row in rows if row["name"] != "type"]
        properties = read_properties(machine, path, others)
        found.append(QomObject(path, type_, (Property("type", "string", type_), *properties)))
    return tuple(found)


def tree_types(machine: Machine, root: str = ROOT) -> dict[str, str]:
    """Return the QOM type of each object by path."""
    return {path: type_ for path, type_, _ in _walk(machine, root)}


def _walk(machine: Machine, root: str) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Yield path, type and answer of qom-list of each object, parents before children."""
    pending = [(root, machine.qmp("qom-get", path=root, property="type"))]
    count = 0
    while pending:
        path, type_ = pending.pop()
        rows: list[dict[str, Any]] = machine.qmp("qom-list", path=path)
        count += 1
        if count > _MAX_OBJECTS or path.count("/") > _MAX_DEPTH:
            raise SourceError(f"{machine.name}: more than {_MAX_OBJECTS} objects, or {_MAX_DEPTH} levels, in {root}")
        children = [row for row in rows if row["type"].startswith("child<")]
        pending += [(f"{path}/{row['name']}", row["type"][6:-1]) for row in reversed(children)]
        yield path, type_, rows


def read_object(machine: Machine, path: str) -> QomObject:
    """Return an object of the tree. Raises QmpError if there is none."""
    rows = machine.qmp("qom-list", path=path)
    properties = read_properties(machine, path, rows)
    return QomObject(path, next(str(each.value) for each in properties if each.name == "type"), properties)


def read_properties(machine: Machine, path: str, rows: Sequence[dict[str, Any]]) -> tuple[Property, ...]:
    """Return the properties of an object, except children and ``legacy-`` aliases.

    Args:
        machine: the machine.
        path: of the object.
        rows: answer of qom-list.
    """
    wanted = [row for row in rows if not (row["type"].startswith("child<") or row["name"].startswith(_LEGACY))]
    if not wanted:
        return ()
    if not machine.has("object_property_get_qobject"):
        return tuple(_by_qom_get(machine, path, row) for row in wanted)
    address = machine.call("object_resolve_path", machine.text(path), 0)
    return read_values(machine, address, [(row["name"], row["type"]) for row in wanted])


def read_values(machine: Machine, address: int, named: Sequence[tuple[str, str]]) -> tuple[Property, ...]:
    """Return the values of properties of the object at an address, given as pairs of name and type."""
    values = machine.call("qdict_new")
    errors = {}
    with machine.out_parameters() as (_, errp):
        for name, _ in named:
            text = machine.text(name)
            try:
                value = machine.call("object_property_get_qobject", address, text, errp)
                error = machine.take_error(errp)
            except MachineError as failure:  # a getter that crashes, as of an unrealized device
                value, error = 0, str(failure)
            if error is not None or not value:
                errors[name] = error or "no value"
            else:
                machine.call("qdict_put_obj", values, text, value)
    answer = machine.to_python(values)
    return tuple(Property(name, type_, answer.get(name), errors.get(name)) for name, type_ in named)


def _by_qom_get(machine: Machine, path: str, row: dict[str, Any]) -> Property:
    try:
        return Property(row["name"], row["type"], machine.qmp("qom-get", path=path, property=row["name"]))
    except QmpError as error:
        return Property(row["name"], row["type"], None, str(error))

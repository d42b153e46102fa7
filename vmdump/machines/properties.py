"""The properties of a QOM type under a machine type: class default, effective value, and what set it.

Three values of each property are compared: of an object of no machine type; of one under the machine type, to which
QEMU has applied compat properties and -global; and of the realized object in the machine, which the board and the
device's own realize have changed.

Source: QEMU 7.2 hw/core/qdev.c device_post_init, qom/object.c object_apply_compat_props.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from vmdump.emulator.machine import MachineError
from vmdump.errors import SourceError
from vmdump.machines.backends import backend_arguments, read_rows
from vmdump.machines.canonical import same_value
from vmdump.machines.effects import ancestors, read_parents
from vmdump.machines.model import Property, QomObject
from vmdump.machines.objects import read_object, read_unrealized, tree_types
from vmdump.machines.plug import PATH, Plugger, Rows, device_types
from vmdump.machines.reader import NO_MACHINE, Source, machine_arguments
from vmdump.suggestion import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vmdump.emulator.machine import Machine
    from vmdump.machines.model import MachineInfo

#: Origin of a value: the class or the instance's init function; the board or the device's realize function; not known.
CLASS, BOARD, UNKNOWN = "default", "board or realize", "not known"


class UnknownTypeError(SourceError):
    """A binary has no such QOM type."""


@dataclass(frozen=True, slots=True)
class PropertyValue:
    """A property of a type under a machine type.

    Attributes:
        name: name of the property.
        type: QOM's name of its type.
        default: value without a machine type; None if it has none, or cannot be read.
        effective: value under the machine type; None if it cannot be read.
        set_by: ``default``; ``compat DRIVER.PROPERTY=VALUE``; ``-global DRIVER.PROPERTY=VALUE``; ``board or realize``;
            ``not known``, in binaries that do not export QEMU's functions and do not return the default.
        description: as QEMU prints it for -device TYPE,help.
    """

    name: str
    type: str
    default: Any
    effective: Any
    set_by: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceProperties:
    """The properties of a type under a machine type.

    Attributes:
        type: QOM type.
        machine: name of the machine type.
        path: of the object in the machine, whose values are effective; None if it is not in the machine.
        added: the arguments of -device that added it, providers of its bus first; None if the board has it.
        why_unrealized: QEMU's reason why the machine cannot have one; the effective values are then those of an object
            that is not realized, and may mislead. None for a realized object.
        properties: sorted by name.
        missed_functions: see MachineType.
    """

    type: str
    machine: str
    path: str | None
    added: str | None
    why_unrealized: str | None
    properties: tuple[PropertyValue, ...]
    missed_functions: tuple[str, ...] = ()


def read_properties(source: Source, type_: str, info: MachineInfo, argv: Sequence[str] = ()) -> DeviceProperties:
    """Return the properties of a type under a machine type.

    Args:
        source: the binary.
        type_: QOM type.
        info: the machine type.
        argv: further arguments of QEMU.

    Raises:
        MachineError: QEMU does not start the machine type.
        UnknownTypeError: unknown type.
        SourceError: abstract type.
    """
    bare = source.boot(["-M", NO_MACHINE])
    parents = _check_type(bare, type_)
    rows = read_rows(bare, type_)
    defaults = _unrealized(bare, type_)
    if "cpu" in ancestors(type_, parents):
        argv = [*_cpu_argument(bare, type_), *argv]
    arguments = machine_arguments(info.name, [*backend_arguments(bare), *argv])
    machine = source.boot(arguments)
    initial = _unrealized(machine, type_)
    path, added, why = _in_board(machine, type_), None, None
    final = read_object(machine, path) if path else None
    if final is None:
        plugger = Plugger(source.boot_template(arguments), Rows(bare), device_types(bare))
        try:
            with plugger.boot(type_) as (plugged, used):
                path, final, added = PATH, read_object(plugged, PATH), " -device ".join(used)
        except MachineError as error:
            why = str(error).rpartition(": ")[2]
    compat = _applicable(machine, type_, info)
    known = {row["name"]: row for row in rows}
    properties = _merge(defaults, initial, final, known, lambda name: _setter(name, type_, compat, argv, parents))
    return DeviceProperties(type_, info.name, path, added, why, properties, tuple(machine.missed_functions))


def _check_type(machine: Machine, type_: str) -> dict[str, str | None]:
    """Return the parent of each type. Raises SourceError if type_ is unknown or abstract."""
    parents = read_parents(machine)
    concrete = {row["name"] for row in machine.qmp("qom-list-types", abstract=False)}
    if type_ not in parents:
        hint = did_you_mean(type_, sorted(concrete), "vmdump devices lists the devices")
        raise UnknownTypeError(f"{machine.name}: no QOM type {type_!r}; {hint}")
    if type_ not in concrete:
        below = sorted(name for name in concrete if type_ in ancestors(name, parents))
        raise SourceError(f"{machine.name}: {type_} is an abstract type; give a subtype ({', '.join(below[:3])} ...)")
    return parents


def _cpu_argument(machine: Machine, type_: str) -> list[str]:
    """Return the -cpu that creates CPUs of a type."""
    with contextlib.suppress(MachineError, KeyError):
        for row in machine.qmp("query-cpu-definitions"):
            if row.get("typename") == type_:
                return ["-cpu", row["name"]]
    return []


def _unrealized(machine: Machine, type_: str) -> dict[str, Property]:
    """Return the properties of a new object by name; empty if its init function fails, or QEMU exports none."""
    if not machine.functions.exported:
        return {}
    try:
        return {each.name: each for each in read_unrealized(machine, type_)}
    except MachineError:
        return {}


def _in_board(machine: Machine, type_: str) -> str | None:
    """Return the path of the first object of a type in the machine."""
    return next((path for path, each in tree_types(machine).items() if each == type_), None)


def _applicable(machine: Machine, type_: str, info: MachineInfo) -> dict[str, str]:
    """Return, by property, the last compat property that applies to a type, as DRIVER.PROPERTY=VALUE.

    It applies if object_dynamic_cast holds, interfaces included.
    """
    casts: dict[str, bool] = {}
    found = {}
    for each in info.compat_props:
        if each.driver not in casts:
            casts[each.driver] = _is_a(machine, type_, each.driver)
        if casts[each.driver]:
            found[each.property] = f"{each.driver}.{each.property}={each.value}"
    return found


def _is_a(machine: Machine, type_: str, driver: str) -> bool:
    """Return whether a type is of another one, or has that interface."""
    if machine.functions.exported:
        klass = machine.call("object_class_by_name", machine.text(type_))
        return bool(machine.call("object_class_dynamic_cast", klass, machine.text(driver)))
    return any(row["name"] == type_ for row in machine.qmp("qom-list-types", implements=driver, abstract=True))


def _setter(
    name: str, type_: str, compat: Mapping[str, str], argv: Sequence[str], parents: Mapping[str, str | None]
) -> str | None:
    """Return the last -global, else the compat property, that sets a property; None if there is none."""
    lineage = ancestors(type_, parents)
    for option, value in reversed(list(pairwise(argv))):
        if option.lstrip("-") == "global":
            driver, _, rest = value.partition(".")
            if driver in lineage and rest.partition("=")[0] == name:
                return f"-global {value}"
    return f"compat {compat[name]}" if name in compat else None


def _merge(
    defaults: Mapping[str, Property],
    initial: Mapping[str, Property],
    final: QomObject | None,
    rows: Mapping[str, dict[str, Any]],
    setter: Callable[[str], str | None],
) -> tuple[PropertyValue, ...]:
    """Compare the three values of each property."""
    realized = {each.name: each for each in final.properties} if final else initial
    merged = []
    for name in sorted({*defaults, *initial, *realized}):
        before, configured, now = (of.get(name) for of in (defaults, initial, realized))
        row = rows.get(name, {})
        default = before.value if before else row.get("default-value")
        start = configured.value if configured else default
        effective = now.value if now else None
        by = setter(name)
        origin = CLASS
        if configured is None and before is None and final is not None:  # QEMU's functions are not exported
            origin = by or (
                UNKNOWN if "default-value" not in row else CLASS if same_value(default, effective) else BOARD
            )
        elif not same_value(start, effective):
            origin = BOARD if by is None else f"{BOARD}, after {by}"
        elif by is not None:
            origin = by
        elif not same_value(default, start):
            origin = BOARD
        kind = next(each.type for each in (now, configured, before) if each is not None)
        merged.append(PropertyValue(name, kind, default, effective, origin, row.get("description")))
    return tuple(merged)

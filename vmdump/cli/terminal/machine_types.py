"""Machine types and their differences, as text and as JSON."""

from __future__ import annotations

import re
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

from vmdump.cli.environment import printable
from vmdump.cli.terminal.styled import BOLD, CYAN, PLAIN, Part, print_rows
from vmdump.cli.terminal.table import print_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from vmdump.cli.environment import Environment
    from vmdump.machines.differences import Difference, ListDifferences
    from vmdump.machines.model import Cpu, MachineInfo, MachineType

#: The most objects that a group of equal differences names, and characters of a value.
_MOST_NAMES, _MOST_CHARACTERS = 3, 60

#: QOM types of objects that are part of most devices; the text leaves them out.
_PARTS = ("memory-region", "qemu:memory-region", "irq", "container")


def print_list(environment: Environment, infos: Sequence[MachineInfo], *, as_json: bool) -> None:
    """Print all machine types of a binary."""
    if as_json:
        _print_json(environment, [_info_object(each) for each in infos])
        return
    infos = sorted(infos, key=lambda each: natural_key(each.name))
    print_table(
        environment,
        {
            "NAME": [each.name for each in infos],
            "ALIAS": [each.alias for each in infos],
            "DEFAULT": ["yes" if each.is_default else None for each in infos],
            "DEPRECATED": ["yes" if each.is_deprecated else None for each in infos],
            "COMPAT": [len(each.compat_props) for each in infos],
            "CPU": [each.default_cpu_type for each in infos],
        },
    )


def print_one(environment: Environment, machine: MachineType, *, as_json: bool) -> None:
    """Print a machine type."""
    if as_json:
        _print_json(environment, machine.to_json())
        return
    info = machine.info
    facts = [
        ("alias", info.alias),
        ("default", "yes" if info.is_default else None),
        ("deprecated", "yes" if info.is_deprecated else None),
        ("CPU", machine.cpu.type if machine.cpu else info.default_cpu_type),
        ("RAM", " ".join(filter(None, [_size(machine.ram_size), info.default_ram_id and f"({info.default_ram_id})"]))),
        ("default devices", ", ".join(machine.default_devices)),
    ]
    rows: list[list[Part]] = [[(printable(info.name), BOLD)]]
    rows += [[(f"  {key:<16}", PLAIN), (printable(value), PLAIN)] for key, value in facts if value]
    print_rows(environment, rows)
    devices = [each for each in machine.devices if each.type not in _PARTS]
    devices.sort(key=lambda each: natural_key(each.path))
    _section(
        environment,
        "compat properties, in order of application",
        {
            "DRIVER": [each.driver for each in machine.compat_props],
            "PROPERTY": [each.property for each in machine.compat_props],
            "VALUE": [each.value for each in machine.compat_props],
            "EFFECT": list(machine.compat_effects),
        },
    )
    _section(
        environment,
        "devices",
        {"PATH": [each.path for each in devices], "TYPE": [each.type for each in devices]},
    )
    _section(
        environment,
        "sections of the migration stream",
        {
            "SECTION": [each.idstr for each in machine.sections],
            "INSTANCE": [each.instance_id for each in machine.sections],
            "VERSION": [each.version for each in machine.sections],
        },
    )
    _section(
        environment,
        "RAM blocks",
        {
            "NAME": [each.name for each in machine.ram_blocks],
            "SIZE": [_size(each.size) for each in machine.ram_blocks],
        },
    )
    if machine.cpu is not None:
        _print_cpu(environment, machine.cpu)


def print_lists(environment: Environment, found: ListDifferences, *, as_json: bool) -> None:
    """Print the machine types of two binaries."""
    if as_json:
        _print_json(environment, asdict(found))
        return
    rows: list[list[Part]] = []
    for title, names in (("only OLD has", found.only_old), ("only NEW has", found.only_new), ("both have", found.both)):
        rows.append([(f"{title}: {len(names)}", BOLD)])
        if title != "both have":
            rows += [[(f"  {printable(name)}", PLAIN)] for name in sorted(names, key=natural_key)]
    rows.append([(f"differ, as far as no machine is needed: {len(found.changed)}", BOLD)])
    same: dict[tuple[Difference, ...], list[str]] = {}
    for name, differences in found.changed.items():
        same.setdefault(differences, []).append(name)
    for differences, types in same.items():
        rows.append([(f"  {printable(', '.join(types))}", CYAN)])
        rows += [[(f"    {line}", PLAIN)] for line in _lines(differences)]
    print_rows(environment, rows)


def print_differences(environment: Environment, name: str, found: Sequence[Difference], *, as_json: bool) -> None:
    """Print the differences of one machine type, grouped by kind."""
    if as_json:
        _print_json(environment, {"name": name, "differences": [asdict(each) for each in found]})
        return
    rows: list[list[Part]] = [[(f"{printable(name)}: {len(found)} difference{'s' * (len(found) != 1)}", BOLD)]]
    by_kind: dict[str, list[Difference]] = {}
    for each in found:
        by_kind.setdefault(each.kind, []).append(each)
    for kind, differences in by_kind.items():
        rows.append([(f"{kind}: {len(differences)}", BOLD)])
        rows += [[(f"  {line}", PLAIN)] for line in _lines(differences, with_kind=False)]
    print_rows(environment, rows)


def _lines(differences: Iterable[Difference], *, with_kind: bool = True) -> Iterable[str]:
    """Yield a line for each difference; equal ones of several objects share a line."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for each in differences:
        path, _, name = each.subject.rpartition(".") if each.kind == "property" else ("", "", each.subject)
        groups.setdefault((each.kind, name, repr(each.old), repr(each.new)), []).append(path)
    for (kind, name, old, new), paths in groups.items():
        named = ", ".join(filter(None, paths[:_MOST_NAMES]))
        more = f" and {len(paths) - _MOST_NAMES} more" if len(paths) > _MOST_NAMES else ""
        text = f"{kind} {name}" if with_kind else name
        yield printable(f"{text}: {_value(old)} -> {_value(new)}" + (f"  ({named}{more})" if named else ""))


def _value(text: str) -> str:
    text = "-" if text == "None" else text.strip("'")
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _print_cpu(environment: Environment, cpu: Cpu) -> None:
    on = [name for name, value in cpu.features.items() if value]
    rows: list[list[Part]] = [
        [("", PLAIN)],
        [("CPU features", BOLD)],
        *([(line, PLAIN)] for line in _wrapped(printable(" ".join(sorted(on))), environment.width)),
    ]
    rows += [
        [("  " + printable(" ".join(f"{key}={value}" for key, value in word.items())), PLAIN)]
        for word in cpu.feature_words
    ]
    if cpu.registers:
        rows.append([(f"  {len(cpu.registers)} system registers; --json lists them", PLAIN)])
    print_rows(environment, rows)


def _section(environment: Environment, title: str, columns: Mapping[str, Any]) -> None:
    """Print a table under a title, unless it is empty."""
    if any(columns.values()):
        print_rows(environment, [[("", PLAIN)], [(title, BOLD)]])
        print_table(environment, columns)


def _info_object(info: MachineInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "alias": info.alias,
        "default": info.is_default,
        "deprecated": info.is_deprecated,
        "compat_props": [asdict(each) for each in info.compat_props],
    }


def _size(size: int | None) -> str | None:
    """Format bytes with QEMU's largest unit that divides them.

    >>> _size(134217728), _size(4096), _size(1000)
    ('128 MiB', '4 KiB', '1000 B')
    """
    if size is None:
        return None
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size and size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size} B"


def natural_key(name: str) -> list[str | int]:
    """A sort key: QOM has no order, and people expect device[2] before device[10].

    >>> sorted(["pc-10.0", "pc-2.9", "pc"], key=natural_key)
    ['pc', 'pc-2.9', 'pc-10.0']
    """
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]{1,9})", name))]


def _print_json(environment: Environment, value: Any) -> None:
    import json

    environment.print(json.dumps(value, indent=2))

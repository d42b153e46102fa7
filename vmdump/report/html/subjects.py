"""What the page of devices and machine types is about: each device, standalone description and machine type, with the
state that it has in each release.

A state is what can be compared from release to release: facts, each a key with a value, in tables. Targets of which a
device has the same states in all releases are one group; a release that lacks the target says nothing about it.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.dump.words import size_in_words, type_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from vmdump.dump.device import Device, StandaloneVMState
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.dump.walk import WalkedField
    from vmdump.vmstate.model import VMStateField

#: Kinds of subjects.
DEVICE, STANDALONE, MACHINE = "device", "standalone description", "machine type"

#: Tables of facts.
DESCRIPTION, FIELDS = "Description", "Fields"
MACHINE_TYPE, COMPAT_PROPERTIES, SECTIONS, RAM_BLOCKS = "Machine type", "Compat properties", "Sections", "RAM blocks"

#: Fields of a device that are listed. Real ones have up to 3,000; descriptions that share others can stand for any
#: number.
MAX_FIELDS = 10_000


class State(NamedTuple):
    """The facts about a subject in a release.

    tables: names of the tables that are known; a table without facts is empty, one that is not here was not read.
    facts: (table, key, value), in order; the keys of a table are distinct.
    """

    tables: tuple[str, ...]
    facts: tuple[tuple[str, str, str], ...]


class Release(NamedTuple):
    """A target of a release.

    label: of the release, for people; releases are shown in the order in which their labels come first.
    target: as QEMU's binaries are named.
    open_dump: returns its devices. A function, since a distribution has more of them than should be in memory at once.
    machine_rows: returns what vmdump.machines.rows.machine_rows does; None if they were not read.
    """

    label: str
    target: str
    open_dump: Callable[[], DeviceDump]
    machine_rows: Callable[[], Iterable[Mapping[str, Any]] | None] = lambda: None


class Group(NamedTuple):
    """Targets in which a subject has the same states.

    states: for each release, the state; None: the subject is not there; "": the targets are not there.
    """

    targets: tuple[str, ...]
    states: tuple[State | str | None, ...]


class Subject(NamedTuple):
    """A device class, standalone description or machine type. section: the name of its description."""

    kind: str
    name: str
    section: str
    groups: tuple[Group, ...]


def subjects(releases: Sequence[Release], labels: Sequence[str]) -> list[Subject]:
    """Return all subjects of the releases, sorted by kind and name. labels: of the releases, in order."""
    known: dict[tuple[str, str], dict[str, list[State | str | None]]] = {}
    sections: dict[tuple[str, str], str] = {}
    there: dict[tuple[str, str], set[int]] = {}
    detailed = all(_is_detailed(release.open_dump()) for release in releases)
    same: dict[State, State] = {}  # one object for equal states, of which most releases and targets have many
    for release in releases:
        index = labels.index(release.label)
        parts = [*_described(release.open_dump(), detailed=detailed)]
        there.setdefault((DEVICE, release.target), set()).add(index)
        if (rows := release.machine_rows()) is not None:
            there.setdefault((MACHINE, release.target), set()).add(index)
            parts += [(MACHINE, name, "", state) for name, state in machine_states(rows)]
        for kind, name, section, state in parts:
            sections[kind, name] = section
            states = known.setdefault((kind, name), {}).setdefault(release.target, [""] * len(labels))
            states[index] = same.setdefault(state, state)
    found = []
    for (kind, name), by_target in known.items():
        for target, states in by_target.items():
            for index in there[MACHINE if kind == MACHINE else DEVICE, target]:
                states[index] = states[index] or None
        found.append(Subject(kind, name, sections[kind, name], tuple(_groups(by_target))))
    order = (DEVICE, STANDALONE, MACHINE)
    return sorted(found, key=lambda each: (order.index(each.kind), each.name))


def _groups(by_target: Mapping[str, Sequence[State | str | None]]) -> Iterator[Group]:
    """Join targets whose states agree wherever both are there; the largest group first."""
    groups: list[tuple[list[str], list[State | str | None]]] = []
    for target, states in by_target.items():
        for targets, joined in groups:
            if all(mine == theirs or "" in (mine, theirs) for mine, theirs in zip(states, joined, strict=True)):
                targets.append(target)
                joined[:] = [mine if theirs == "" else theirs for mine, theirs in zip(states, joined, strict=True)]
                break
        else:
            groups.append(([target], list(states)))
    for targets, states in sorted(groups, key=lambda each: -len(each[0])):
        yield Group(tuple(sorted(targets)), tuple(states))


# Devices and standalone descriptions


def _is_detailed(dump: DeviceDump) -> bool:
    """Whether a dump has what QEMU's own dump lacks: types of fields, names of tests."""
    return next((device.vmsd.detailed for device in dump.values()), True)


def _detailed(walked: WalkedField) -> Iterator[str]:
    size = _bytes(size_in_words(walked.field))
    yield f"{size} of {kind}" if (kind := type_in_words(walked.field)) else size
    yield from walked.conditions


def _bytes(count: str) -> str:
    return f"{count} byte" if count == "1" else f"{count} bytes"


def _plain(field: VMStateField) -> Iterator[str]:
    """What every dump has, so that dumps of QEMU itself can stand beside binaries."""
    yield _bytes(str(field.size))
    if field.field_exists:
        yield "if a test passes"
    elif field.version_id > 0:
        yield f"since version {field.version_id}"


def _described(dump: DeviceDump, *, detailed: bool) -> Iterator[tuple[str, str, str, State]]:
    """Yield kind, name, section and state of every device and standalone description."""
    for device in dump.values():
        yield DEVICE, device.name, device.vmsd_name, _state(device, device.vmsd_name, detailed=detailed)
    names = Counter(each.name for each in dump.standalone)
    uses: Counter[str] = Counter()
    for each in dump.standalone:
        # Several may have the same name; what tells them apart is the symbol, or a type that they are a part of.
        more = each.symbol or ", ".join(each.types[:1])
        name = f"{each.name} ({more})" if more and names[each.name] > 1 else each.name
        uses[name] += 1
        state = _state(each, each.name, detailed=detailed)
        yield STANDALONE, name if uses[name] == 1 else f"{name} ({uses[name]})", each.name, state


def _state(of: Device | StandaloneVMState, section: str, *, detailed: bool) -> State:
    vmsd = of.vmsd
    facts = {
        (DESCRIPTION, "section"): section,
        (DESCRIPTION, "version"): str(vmsd.version_id),
        (DESCRIPTION, "minimum version"): str(vmsd.minimum_version_id),
    }
    if detailed and vmsd.unmigratable:
        facts[DESCRIPTION, "unmigratable"] = "yes"
    if of.n_fields > MAX_FIELDS:
        facts[DESCRIPTION, "fields"] = f"{of.n_fields}, too many to list"
        return _as_state((DESCRIPTION,), facts)
    uses: Counter[str] = Counter()
    for field in of.walk():
        uses[field.path] += 1
        path = field.path if uses[field.path] == 1 else f"{field.path} ({uses[field.path]})"
        facts[FIELDS, path] = ", ".join(_detailed(field) if detailed else _plain(field.field))
    return _as_state((DESCRIPTION, FIELDS), facts)


def _as_state(tables: tuple[str, ...], facts: Mapping[tuple[str, str], str]) -> State:
    return State(tables, tuple((table, key, value) for (table, key), value in facts.items()))


# Machine types


def machine_states(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, State]]:
    """Yield each machine type with its state; rows: as vmdump.machines.rows.machine_rows returns them."""
    by_machine: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_machine.setdefault(row["machine"], []).append(row)
    for name, found in by_machine.items():
        facts: dict[tuple[str, str], str] = {}
        tables = [MACHINE_TYPE, COMPAT_PROPERTIES]
        if any(row["kind"] == "section" for row in found):
            tables += [SECTIONS, RAM_BLOCKS]
        for row in found:
            facts |= _facts(row)
        yield name, _as_state(tuple(tables), facts)


def _facts(row: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    match row["kind"]:
        case "machine":
            yield (MACHINE_TYPE, "alias"), row.get("alias") or "none"
            yield (MACHINE_TYPE, "default"), "yes" if row.get("is_default") else "no"
            yield (MACHINE_TYPE, "deprecated"), "yes" if row.get("is_deprecated") else "no"
            if row.get("error"):
                yield (MACHINE_TYPE, "does not start"), row["error"]
        case "compat":  # a later one overrides an earlier one
            yield (COMPAT_PROPERTIES, f"{row['type']}.{row['name']}"), row.get("value") or json.dumps("")
        case "section":
            instance = f" (instance {row['instance_id']})" if row.get("instance_id") else ""
            yield (SECTIONS, f"{row['name']}{instance}"), f"version {row['version_id']}"
        case "ram_block":
            yield (RAM_BLOCKS, row["name"]), _bytes(f"{row['size']:,}")

"""What the page of devices and machine types is about: each device, standalone description and machine type, with the
state that it has in each release.

A state is what can be compared from release to release: facts, each a key with a value, in tables. Targets of which a
device has the same states in all releases that have both are one group; a release that lacks one says nothing about it.
"""

from __future__ import annotations

import enum
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


class Gap(enum.Enum):
    """Why there is no state of a subject in a release."""

    ABSENT = "the subject is not there"
    NO_TARGET = "the release lacks the target"
    NOT_READ = "the release's machine types were not read"


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
    """Targets in which a subject has the same states, which are those of each release."""

    targets: tuple[str, ...]
    states: tuple[State | Gap, ...]


class Subject(NamedTuple):
    """A device class, standalone description or machine type. section: the name of its description."""

    kind: str
    name: str
    section: str
    groups: tuple[Group, ...]


def subjects(releases: Sequence[Release], labels: Sequence[str]) -> list[Subject]:
    """Return all subjects of the releases, sorted by kind and name. labels: of the releases, in order."""
    known: dict[tuple[str, str], dict[str, dict[int, _Facts]]] = {}
    sections: dict[tuple[str, str], str] = {}
    #: By kind and target: what a subject has in a release that does not have it.
    gaps: dict[tuple[str, str], list[Gap]] = {}
    detailed = True
    same: dict[_Facts, _Facts] = {}  # one object for equal facts, of which most releases and targets have many
    for release in releases:
        index = labels.index(release.label)
        is_detailed, parts = _described(release)
        detailed &= is_detailed
        rows = release.machine_rows()
        parts += [(MACHINE, name, "", _always(state)) for name, state in machine_states(rows or ())]
        for kind, gap in ((DEVICE, Gap.ABSENT), (MACHINE, Gap.NOT_READ if rows is None else Gap.ABSENT)):
            gaps.setdefault((kind, release.target), [Gap.NO_TARGET] * len(labels))[index] = gap
        for kind, name, section, facts in parts:
            sections[kind, name] = section
            known.setdefault((kind, name), {}).setdefault(release.target, {})[index] = same.setdefault(facts, facts)
    states = {facts: facts.state(detailed=detailed) for facts in same}
    found = []
    for (kind, name), by_target in known.items():
        rows_of = {
            target: [
                states[of[index]] if index in of else gap
                for index, gap in enumerate(gaps[MACHINE if kind == MACHINE else DEVICE, target])
            ]
            for target, of in by_target.items()
        }
        found.append(Subject(kind, name, sections[kind, name], tuple(_groups(rows_of))))
    order = (DEVICE, STANDALONE, MACHINE)
    return sorted(found, key=lambda each: (order.index(each.kind), each.name))


def _groups(by_target: Mapping[str, Sequence[State | Gap]]) -> Iterator[Group]:
    """Join targets that share a state, and whose states agree wherever both are there; the largest group first."""
    groups: list[tuple[list[str], list[State | Gap]]] = []
    for target, states in by_target.items():
        for targets, joined in groups:
            pairs = list(zip(states, joined, strict=True))
            is_shared = any(mine == theirs and isinstance(mine, State) for mine, theirs in pairs)
            if is_shared and all(mine == theirs or Gap.NO_TARGET in (mine, theirs) for mine, theirs in pairs):
                targets.append(target)
                joined[:] = [mine if theirs is Gap.NO_TARGET else theirs for mine, theirs in pairs]
                break
        else:
            groups.append(([target], list(states)))
    for targets, states in sorted(groups, key=lambda each: -len(each[0])):
        yield Group(tuple(sorted(targets)), tuple(states))


class _Facts(NamedTuple):
    """A state in two forms, of which the second has what QEMU's own dumps lack.

    facts: (table, key, plain, detailed); None: not in this form.
    """

    tables: tuple[str, ...]
    facts: tuple[tuple[str, str, str | None, str | None], ...]

    def state(self, *, detailed: bool) -> State:
        """Return one of the forms."""
        chosen = ((table, key, more if detailed else plain) for table, key, plain, more in self.facts)
        return State(self.tables, tuple((table, key, value) for table, key, value in chosen if value is not None))


def _always(state: State) -> _Facts:
    return _Facts(state.tables, tuple((table, key, value, value) for table, key, value in state.facts))


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


def _described(release: Release) -> tuple[bool, list[tuple[str, str, str, _Facts]]]:
    """Return whether a release has details, and kind, name, section and state of its devices and descriptions."""
    dump = release.open_dump()
    detailed = _is_detailed(dump)
    found = [
        (DEVICE, device.name, device.vmsd_name, _facts_of(device, device.vmsd_name, detailed=detailed))
        for device in dump.values()
    ]
    names = Counter(each.name for each in dump.standalone)
    uses: Counter[str] = Counter()
    for each in dump.standalone:
        # Several may have the same name; what tells them apart is the symbol, or a type that they are a part of.
        more = each.symbol or ", ".join(each.types[:1])
        name = f"{each.name} ({more})" if more and names[each.name] > 1 else each.name
        uses[name] += 1
        facts = _facts_of(each, each.name, detailed=detailed)
        found.append((STANDALONE, name if uses[name] == 1 else f"{name} ({uses[name]})", each.name, facts))
    return detailed, found


def _facts_of(of: Device | StandaloneVMState, section: str, *, detailed: bool) -> _Facts:
    vmsd = of.vmsd
    description = {
        "section": section,
        "version": str(vmsd.version_id),
        "minimum version": str(vmsd.minimum_version_id),
    }
    is_listed = of.n_fields <= MAX_FIELDS
    if not is_listed:
        description["fields"] = f"{of.n_fields}, too many to list"
    facts: list[tuple[str, str, str | None, str | None]] = [
        (DESCRIPTION, key, value, value) for key, value in description.items()
    ]
    if detailed and vmsd.unmigratable:
        facts.append((DESCRIPTION, "unmigratable", None, "yes"))
    if not is_listed:
        return _Facts((DESCRIPTION,), tuple(facts))
    uses: Counter[str] = Counter()
    for field in of.walk():
        uses[field.path] += 1
        path = field.path if uses[field.path] == 1 else f"{field.path} ({uses[field.path]})"
        facts.append((FIELDS, path, ", ".join(_plain(field.field)), ", ".join(_detailed(field)) if detailed else None))
    return _Facts((DESCRIPTION, FIELDS), tuple(facts))


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
        yield name, State(tuple(tables), tuple((table, key, value) for (table, key), value in facts.items()))


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

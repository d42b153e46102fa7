"""Differences between the machine types of two QEMUs, and between one machine type of both."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vmdump.machines.canonical import canonical_objects, same_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vmdump.machines.model import Cpu, MachineInfo, MachineType, QomObject


class Kind(enum.StrEnum):
    """What a difference is about, in the order of reports."""

    MACHINE_TYPE = "machine type"
    COMPAT_PROPERTY = "compat property"
    DEFAULT_DEVICE = "default device"
    RAM_BLOCK = "RAM block"
    SECTION = "section"
    CPU = "CPU"
    OBJECT = "object"
    PROPERTY = "property"


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference.

    Attributes:
        kind: what it is about.
        subject: name; of a property, ``PATH.PROPERTY``.
        old: the old QEMU's value; None if it has none.
        new: the new QEMU's value; None if it has none.
    """

    kind: Kind
    subject: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class ListDifferences:
    """Machine types of two QEMUs.

    Attributes:
        both: names that both have, in the new QEMU's order.
        only_old: names that only the old QEMU has.
        only_new: names that only the new QEMU has.
        changed: by name of a shared machine type, what differs without booting it: alias, defaults, compat properties.
    """

    both: tuple[str, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    changed: dict[str, tuple[Difference, ...]]


def compare_lists(old: Sequence[MachineInfo], new: Sequence[MachineInfo]) -> ListDifferences:
    """Compare all machine types of two QEMUs."""
    before, after = ({each.name: each for each in infos} for infos in (old, new))
    both = tuple(name for name in after if name in before)
    compared = {name: tuple(compare_infos(before[name], after[name])) for name in both}
    return ListDifferences(
        both,
        tuple(name for name in before if name not in after),
        tuple(name for name in after if name not in before),
        {name: found for name, found in compared.items() if found},
    )


def compare_infos(old: MachineInfo, new: MachineInfo) -> Iterator[Difference]:
    """Yield what differs without a machine. Of compat properties, the last entry of a driver and property counts."""
    for name in ("alias", "is_default", "is_deprecated", "default_cpu_type", "default_ram_id", "cpu_max"):
        values = getattr(old, name), getattr(new, name)
        if values[0] != values[1]:
            yield Difference(Kind.MACHINE_TYPE, name.removeprefix("is_").replace("_", "-"), *values)
    before, after = (
        {f"{each.driver}.{each.property}": each.value for each in info.compat_props} for info in (old, new)
    )
    yield from _compare(Kind.COMPAT_PROPERTY, before, after)


def compare_machines(old: MachineType, new: MachineType) -> list[Difference]:
    """Return all differences of one machine type of two QEMUs, or of two machine types."""
    found = list(compare_infos(old.info, new.info))
    found += _compare(Kind.DEFAULT_DEVICE, _count(old.default_devices), _count(new.default_devices))
    if old.ram_size != new.ram_size:
        found.append(Difference(Kind.MACHINE_TYPE, "ram-size", old.ram_size, new.ram_size))
    found += _compare(Kind.RAM_BLOCK, _blocks(old), _blocks(new))
    found += _compare(Kind.SECTION, _sections(old), _sections(new))
    found += _compare(Kind.CPU, _cpu(old.cpu), _cpu(new.cpu))
    found += compare_objects(canonical_objects(old.devices), canonical_objects(new.devices))
    return found


def compare_objects(old: Mapping[str, QomObject], new: Mapping[str, QomObject]) -> Iterator[Difference]:
    """Yield objects that one side lacks, without their children, and different properties of the others.

    Args:
        old: objects by canonical path, parents before children.
        new: the same.
    """
    for ours, theirs, is_old in ((old, new, True), (new, old, False)):
        for path, each in ours.items():
            if path not in theirs and not (path.rpartition("/")[0] in ours and path.rpartition("/")[0] not in theirs):
                yield Difference(Kind.OBJECT, path, each.type if is_old else None, None if is_old else each.type)
    for path, before in old.items():
        if (after := new.get(path)) is not None:
            yield from compare_properties(path, before, after)


def compare_properties(path: str, old: QomObject, new: QomObject) -> Iterator[Difference]:
    """Yield properties of an object whose values differ, or that one side lacks."""
    before, after = ({each.name: each.value for each in of.properties if not each.error} for of in (old, new))
    yield from _compare(Kind.PROPERTY, before, after, f"{path}.")


def _compare(kind: Kind, old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[Difference]:
    for name in dict.fromkeys((*old, *new)):
        if name not in old or name not in new or not same_value(old[name], new[name]):
            yield Difference(kind, prefix + name, old.get(name), new.get(name))


def _count(names: Sequence[str]) -> dict[str, int]:
    return {name: names.count(name) for name in names}


def _blocks(machine: MachineType) -> dict[str, int]:
    return {each.name: each.size for each in machine.ram_blocks}


def _sections(machine: MachineType) -> dict[str, int]:
    return {f"{each.idstr} {each.instance_id}": each.version for each in machine.sections}


def _cpu(cpu: Cpu | None) -> dict[str, Any]:
    """Return what is compared of a CPU by name: its type, features, feature words and registers."""
    if cpu is None:
        return {}
    words = {
        " ".join(f"{key}={value}" for key, value in word.items() if key != "features"): word.get("features")
        for word in cpu.feature_words
    }
    return {"type": cpu.type, **cpu.features, **words, **(cpu.registers or {})}

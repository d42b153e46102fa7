"""Detects the target and machine type of the sides of a check, so that sources of different targets or machine types
are not compared by mistake.

A dump contains neither the target nor the version of its QEMU. The target is inferred from the names of CPU types, of
the machine type, of the binary or dump file, and of its directory.
"""

from __future__ import annotations

import os
import re
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vmdump.qemu.binary_name import target_of
from vmdump.qemu.machine_targets import MACHINES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.dump.device_dump import DeviceDump

#: Name of a CPU model, as in QEMU's target/ARCH/cpu-qom.h: TYPE_X86_CPU is x86_64-cpu, its models MODEL-x86_64-cpu.
_CPU = re.compile(r".+-([a-z0-9_]+)-cpu")

#: The version in a machine type's name, with a distributor's prefix: pc-q35-rhel9.6.0.
_VERSION = re.compile(r"-[a-z]*\d+(?:\.\d+)+(?=-|$)")


class Side(NamedTuple):
    """A dump with its label, and the path it was read from; None if it is not a file."""

    label: str
    dump: DeviceDump
    path: str | None


def different_targets(sides: Sequence[Side]) -> tuple[tuple[Side, str], ...] | None:
    """Return two sides that have different targets, each with a description of its target; None if there are none.

    Directories are often named after the host architecture, so their names count only if nothing else is known.
    """
    is_known = False
    for evidence in (_cpu_types, _machine_targets, _machine_or_file, _file_target, _directory_target):
        if evidence is _directory_target and is_known:
            return None
        known = [(side, found) for side in sides if (found := evidence(side))]
        for pair in combinations(known, 2):
            if not pair[0][1] & pair[1][1]:
                kind = "CPUs" if evidence is _cpu_types else ""
                return tuple((each, _in_words(each, targets, kind)) for each, targets in pair)
        is_known |= len(known) == len(sides)
    return None


def _in_words(side: Side, targets: frozenset[str], kind: str) -> str:
    names = sorted(targets & _file_target(side) or targets)
    if kind and not targets & _file_target(side):
        return f"a target with {' and '.join(names)} {kind}"
    return f"target {' or '.join(names)}" if len(names) < 3 else f"a target with machine type {side.dump.machine}"


def _cpu_types(side: Side) -> frozenset[str]:
    """Architectures in the names of CPU types (superh for sh4 and sh4eb)."""
    names = [name for root in side.dump.standalone for name in root.types]
    return frozenset(match[1] for name in (*names, *side.dump) if (match := _CPU.fullmatch(name)))


def _machine_targets(side: Side) -> frozenset[str]:
    """Targets that have this machine type in any version."""
    return frozenset(target for target, names in MACHINES.items() if series_of(side.dump.machine) in names)


def _machine_or_file(side: Side) -> frozenset[str]:
    """Targets of the machine type, or of the file: a saved VM has the former, a binary without default the latter."""
    return _machine_targets(side) or _file_target(side)


def _file_target(side: Side) -> frozenset[str]:
    """Target in the name of the binary or dump file."""
    return _target_in(side.path or "")


def _target_in(path: str) -> frozenset[str]:
    name = target_of(path)
    return frozenset((name,) if name in MACHINES else ())


def _directory_target(side: Side) -> frozenset[str]:
    """Target in the name of the directory, as in the output of vmdump bulk."""
    name = os.path.basename(os.path.dirname(os.path.abspath(side.path))) if side.path else ""
    return frozenset((name,) if name in MACHINES else ())


def different_binaries(
    binaries: Iterable[tuple[str, Sequence[MachineWithCpu]]],
) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """Return the paths of two QEMU binaries that have different targets, each with a description of its target.

    The target is that in the file's name; a renamed binary, such as qemu-kvm, is known by its CPU types. None: there
    are no such two.
    """
    known = [(path, _target_in(path), _cpus_of(infos)) for path, infos in binaries]
    for (first, first_target, first_cpus), (path, target, cpus) in combinations(known, 2):
        if target and first_target and target != first_target:
            return (first, f"target {min(first_target)}"), (path, f"target {min(target)}")
        if cpus and first_cpus and not cpus & first_cpus:
            words = [f"a target with {' and '.join(sorted(each))} CPUs" for each in (first_cpus, cpus)]
            return (first, words[0]), (path, words[1])
    return None


def _cpus_of(infos: Sequence[MachineWithCpu]) -> frozenset[str]:
    """Architectures in the names of the machine types' CPUs."""
    names = [each.default_cpu_type or "" for each in infos]
    return frozenset(match[1] for name in names if (match := _CPU.fullmatch(name)))


def series_of(machine: str) -> str:
    """Name of a machine type without its version.

    >>> series_of("pc-i440fx-10.0"), series_of("pc-q35-rhel9.6.0"), series_of("pseries-2.12-sxxm"), series_of("raspi3b")
    ('pc-i440fx', 'pc-q35', 'pseries', 'raspi3b')
    """
    return _VERSION.split(machine)[0]


class MachineName(Protocol):
    """The names of a machine type, and whether it is the default."""

    @property
    def name(self) -> str:
        """As in vmdump.qom.MachineClass."""

    @property
    def alias(self) -> str | None: ...

    @property
    def is_default(self) -> bool: ...


class MachineWithCpu(Protocol):
    """The default CPU of a machine type."""

    @property
    def default_cpu_type(self) -> str | None: ...


def common_machine(sides: Sequence[Sequence[MachineName]]) -> str | None:
    """Return the name of the newest current machine type that all QEMUs have; None if there is none.

    Current is the default machine type of any of the QEMUs; if none has a default, the types with an unversioned alias
    (virt is virt-10.0). If not all QEMUs have any of these, the newest version that all have is returned.

    >>> from vmdump.emulator.machine_types import MachineType
    >>> old = [MachineType("pc-i440fx-7.2", "pc", None, None, None, True), MachineType("isapc", *[None] * 5)]
    >>> new = [MachineType("pc-i440fx-10.0", "pc", None, None, None, True), old[0]._replace(is_default=False), old[1]]
    >>> common_machine([old, new])
    'pc-i440fx-7.2'
    """
    known = set.intersection(*({machine.name for machine in machines} for machines in sides))
    every = [machine for machines in sides for machine in machines]
    current = [each for each in every if each.is_default] or [each for each in every if _has_series_alias(each)]
    series = {series_of(machine.name) for machine in current}
    candidates = {each.name for each in current if each.name in known}
    candidates = candidates or {name for name in known if series_of(name) in series}
    return max(sorted(candidates), key=_version, default=None)


def _has_series_alias(machine: MachineName) -> bool:
    return machine.alias is not None and machine.alias == series_of(machine.name) != machine.name


def _version(machine: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", "".join(_VERSION.findall(machine)))]


def machine_warning(labels: Iterable[str], machines: Iterable[str]) -> str | None:
    """Return a warning if the sides have different machine types, else None."""
    pairs = list(zip(labels, machines, strict=True))
    if len({machine for _, machine in pairs}) < 2:
        return None
    names = ", ".join(f"{label} has {machine}" for label, machine in pairs)
    return f"warning: different machine types: {names}; QEMU refuses to load the state of another machine type"

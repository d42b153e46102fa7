"""Chooses the migrations to try between QEMU binaries: machine types, devices, and the command line of both sides."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.results import Dump
from vmdump.check.sides import common_machine
from vmdump.dump.producer import Producer
from vmdump.emulator.machine import ARGUMENTS
from vmdump.errors import VmdumpError
from vmdump.machines.backends import backend_arguments
from vmdump.machines.plug import device_types
from vmdump.machines.query import read_names
from vmdump.machines.reader import NO_MACHINE, Source, machine_arguments, version_of
from vmdump.migrate.arguments import DEFAULTS, options, properties
from vmdump.migrate.cases import Binary, Setting
from vmdump.migrate.findings import Migrations
from vmdump.migrate.run import Task, run
from vmdump.migrate.save import boot_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.machines.model import MachineInfo
    from vmdump.migrate.qtest_script import QtestScript

#: Pattern of all machine types.
ALL = "all"


class Qemu(NamedTuple):
    """A QEMU that saves or loads.

    Attributes:
        binary: its path.
        infos: its machine types, without compat properties.
        version: as QEMU's --version prints it.
        devices: device types that -device may add, sorted.
        backends: arguments that create the backends which it has.
    """

    binary: Binary
    infos: Sequence[MachineInfo]
    version: str
    devices: tuple[str, ...]
    backends: tuple[str, ...]


class Wanted(NamedTuple):
    """What is tried.

    Attributes:
        machines: patterns of machine types; empty: that of argv, else the newest that all QEMUs have.
        devices: patterns of device types; None: all, or none if there are arguments.
        argv: the user's arguments of QEMU.
        seconds: limit of the CPU time of a machine.
        script: commands of qtest that are executed before a machine is saved.
    """

    machines: Sequence[str] = ()
    devices: Sequence[str] | None = None
    argv: Sequence[str] = ()
    seconds: float = 60
    script: QtestScript | None = None


def open_qemu(binary: Binary) -> Qemu:
    """Read what the plan needs from a QEMU without a machine. Raises SourceError."""
    bare = Source(*binary).boot(["-M", NO_MACHINE])
    return Qemu(
        binary, read_names(bare), version_of(bare), tuple(device_types(bare)), tuple(backend_arguments(bare))
    )  # fmt: skip


def dumps_of(qemus: Sequence[Qemu], labels: Sequence[str]) -> list[Dump]:
    """Return the QEMUs for check_result."""
    return [
        Dump(label, Producer("image", each.binary.path, each.version), "")
        for label, each in zip(labels, qemus, strict=True)
    ]


def try_all(
    qemus: Sequence[Qemu],
    pairs: Sequence[tuple[int, int]],
    names: Sequence[str],
    wanted: Wanted,
    jobs: int,
) -> list[Migrations]:
    """Try the migrations of each machine type in each direction.

    Args:
        qemus: see open_qemu.
        pairs: source and destination by index.
        names: machine types; see machine_names.
        wanted: devices and arguments.
        jobs: processes.
    """
    tasks = {(name, pair): _task(qemus[pair[0]], qemus[pair[1]], name, wanted) for name in names for pair in pairs}
    found = run(list(tasks.values()), jobs)
    return [Migrations(*pair, name, found[task.setting]) for (name, pair), task in tasks.items()]


def _task(old: Qemu, new: Qemu, name: str, wanted: Wanted) -> Task:
    is_chosen = wanted.devices is not None
    patterns = (wanted.devices or ()) if is_chosen else () if wanted.argv else ("*",)
    devices = [each for each in old.devices if any(fnmatchcase(each, pattern) for pattern in patterns)]
    argv = _arguments(name, wanted.argv) + (_common(old.backends, new.backends) if devices else [])
    defaults = DEFAULTS if wanted.argv else ARGUMENTS
    setting = Setting(old.binary, new.binary, tuple(argv), defaults, wanted.seconds, is_chosen, wanted.script)
    return Task(setting, (None, *devices))


def _arguments(name: str, argv: Sequence[str]) -> list[str]:
    if not argv:
        return machine_arguments(name)
    kept = boot_arguments(argv)
    at = next((at for at, word in enumerate(kept) if _is_machine(word)), None)
    if at is None:
        return ["-M", f"{name},suppress-vmdesc=off", *kept]
    given = properties(kept[at + 1])
    more = [f"{key}={value.replace(',', ',,')}" for key, value in given.items() if key not in ("", "type")]
    kept[at + 1] = ",".join([name, "suppress-vmdesc=off", *more])
    return kept


def _is_machine(word: str) -> bool:
    return word.startswith("-") and word.lstrip("-") in ("M", "machine")


def _common(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Return the arguments, pairs of an option and its value, that both have."""
    pairs = list(zip(new[::2], new[1::2], strict=True))
    return [word for each in zip(old[::2], old[1::2], strict=True) if each in pairs for word in each]


def machine_names(qemus: Sequence[Qemu], wanted: Wanted) -> tuple[list[str], bool]:
    """Return the machine types to try, and whether they are the default choice. Names are those of the first QEMU.

    Raises VmdumpError: there are none.
    """
    known = set.intersection(*({each.name for each in qemu.infos} for qemu in qemus))
    given = _machine_of(wanted.argv)
    if given is not None and wanted.machines:
        raise VmdumpError(f"-M and QEMU's argument -M {given} exclude each other")
    patterns = [given] if given is not None else list(wanted.machines)
    if not patterns:
        name = common_machine([qemu.infos for qemu in qemus])
        if name is None:
            raise VmdumpError("the QEMUs share no current machine type; choose one with -M")
        return [name], True
    names: list[str] = []
    for pattern in patterns:
        found = matching(qemus[0].infos, pattern)
        if not any(name in known for name in found):
            raise VmdumpError(_unknown(pattern, found, qemus))
        names += [name for name in found if name in known]
    return list(dict.fromkeys(names)), False


def matching(infos: Sequence[MachineInfo], pattern: str) -> list[str]:
    """Return the names of the machine types that match a pattern by name or alias; only its name matches NO_MACHINE."""

    def is_match(info: MachineInfo) -> bool:
        if NO_MACHINE in (info.name, pattern):
            return info.name == pattern
        return pattern == ALL or any(name and fnmatchcase(name, pattern) for name in (info.name, info.alias))

    return [each.name for each in infos if is_match(each)]


def _machine_of(argv: Sequence[str]) -> str | None:
    """Return the machine type that QEMU's arguments choose; None: they choose none."""
    for option in options(argv):
        if option.name in ("M", "machine"):
            given = properties(option.value or "")
            return given.get("type", given.get("")) or None
    return None


def _unknown(pattern: str, found: Sequence[str], qemus: Sequence[Qemu]) -> str:
    from vmdump.suggestion import did_you_mean

    if found:
        lacking = next(qemu.binary.path for qemu in qemus if found[0] not in {each.name for each in qemu.infos})
        return f"{lacking}: no machine type {found[0]!r}, which {qemus[0].binary.path} has; vmdump machines lists all"
    known = [text for each in qemus[0].infos for text in (each.name, each.alias) if text]
    hint = did_you_mean(pattern, known, "vmdump machines lists all")
    return f"{qemus[0].binary.path}: no machine type matches {pattern!r}; {hint}"

"""``vmdump.open(binary).machines``: the machine types of a binary, as a mapping from their names."""

from __future__ import annotations

from _collections_abc import Mapping
from typing import TYPE_CHECKING

from vmdump.errors import SourceError
from vmdump.machines.answers import Answers
from vmdump.machines.model import MachineInfo, MachineType
from vmdump.machines.reader import NO_MACHINE, Source, read_infos, read_machine_type
from vmdump.suggestion import did_you_mean

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from vmdump.emulator.host_profile import HostProfile
    from vmdump.machines.properties import DeviceProperties
    from vmdump.machines.survey import Survey


class UnknownMachineError(SourceError, KeyError):
    """No machine type has this name or alias."""

    def __str__(self) -> str:
        """The message, without KeyError's quotes."""
        return str(self.args[0])


class Machines(Mapping[str, MachineType]):
    """The machine types of a QEMU binary by name. Iteration follows query-machines; aliases are accepted as keys.

    ``machines[name]`` boots the machine in the emulator, unless it is cached, and takes seconds; ``infos`` has what
    needs no machine: aliases, defaults and compat properties.

    >>> import vmdump
    >>> vmdump.open().machines
    Traceback (most recent call last):
    vmdump.errors.SourceError: the built-in devices: only a QEMU binary that is read has machine types
    """

    def __init__(self, answers: Answers) -> None:
        """Use vmdump.open, or open_machines."""
        self._answers = answers
        self._infos: tuple[MachineInfo, ...] | None = None
        self._read: dict[str, MachineType] = {}

    @property
    def path(self) -> str:
        """Path of the binary."""
        return self._answers.source.path

    @property
    def source(self) -> Source:
        """The binary and the host that its machines see."""
        return self._answers.source

    @property
    def infos(self) -> tuple[MachineInfo, ...]:
        """All machine types in the order of query-machines, without their machines."""
        if self._infos is None:
            question = ("query-machines",)
            infos: list[MachineInfo] = self._answers.get(
                question, list[MachineInfo], lambda: list(read_infos(self._answers.source))
            )
            self._infos = tuple(infos)
        return self._infos

    @property
    def device_types(self) -> tuple[str, ...]:
        """The device types that -device may add, sorted."""
        from vmdump.machines.plug import device_types

        source = self._answers.source
        question = ("device-types",)
        types: list[str] = self._answers.get(question, list[str], lambda: device_types(source.boot(["-M", NO_MACHINE])))
        return tuple(types)

    def info(self, name: str) -> MachineInfo:
        """Return a machine type by name or alias, without its machine. Raises UnknownMachineError."""
        for each in self.infos:
            if name in (each.name, each.alias):
                return each
        known = [text for each in self.infos for text in (each.name, each.alias) if text]
        hint = did_you_mean(name, known, "vmdump machines lists all")
        raise UnknownMachineError(f"{self.path}: no machine type {name!r}; {hint}")

    def default(self) -> MachineInfo:
        """Return the default machine type; ``none`` if the binary has no default."""
        return next((each for each in self.infos if each.is_default), None) or self.info(NO_MACHINE)

    def __getitem__(self, name: str) -> MachineType:
        """Return a machine type by name or alias.

        Raises:
            UnknownMachineError: a KeyError that suggests similar names.
            MachineError: QEMU does not start the machine type.
            SourceError: the binary can't be emulated, or the time limit was exceeded.
        """
        info = self.info(name)
        if info.name not in self._read:
            source = self._answers.source
            question = ("machine", info.name)
            self._read[info.name] = self._answers.get(question, MachineType, lambda: read_machine_type(source, info))
        return self._read[info.name]

    def __contains__(self, name: object) -> bool:
        """Whether a machine type has this name or alias."""
        return any(name in (each.name, each.alias) for each in self.infos if name)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return (each.name for each in self.infos)

    def __len__(self) -> int:
        """Number of machine types."""
        return len(self.infos)

    def properties(self, type: str, machine: str | None = None, argv: Sequence[str] = ()) -> DeviceProperties:
        """Return the properties of a QOM type under a machine type: defaults, effective values and their origins.

        Args:
            type: QOM type of a device, CPU or machine.
            machine: machine type; None: the default one.
            argv: further arguments of QEMU, such as ``["-global", "e1000.autonegotiation=off"]``.

        Raises:
            UnknownMachineError, MachineError, SourceError: as above.
            SourceError: unknown type; the message suggests similar names.
        """
        from vmdump.machines.properties import DeviceProperties, read_properties

        info = self.default() if machine is None else self.info(machine)
        question = ("properties", type, info.name, *argv)
        source = self._answers.source
        return self._answers.get(question, DeviceProperties, lambda: read_properties(source, type, info, argv))

    def survey(
        self,
        machine: str | None = None,
        argv: Sequence[str] = (),
        devices: Sequence[str] = ("*",),
    ) -> Survey:
        """Return what a guest finds under a machine type: on the board, and on each device that can be added.

        Args:
            machine: machine type; None: the default one.
            argv: further arguments of QEMU.
            devices: patterns of the device types to add, one at a time.

        Raises:
            UnknownMachineError, MachineError, SourceError: as above.
        """
        from vmdump.machines.survey import Survey, survey

        info = self.default() if machine is None else self.info(machine)
        question = ("survey", info.name, *argv, "--", *devices)
        source = self._answers.source

        def read() -> Survey:
            return survey(source, info, argv, devices)

        return self._answers.get(question, Survey, read, is_limited=False)

    def __repr__(self) -> str:
        """The path and the number of machine types."""
        return f"<Machines of {self.path!r}: {len(self)} machine types>"


def open_machines(
    path: str | os.PathLike[str],
    *,
    sysroot: str | os.PathLike[str] | None = None,
    host: HostProfile | None = None,
    timeout: float | None = None,
    cache: bool = True,
    report: Callable[[object], None] | None = None,
) -> Machines:
    """Return the machine types of a QEMU binary. Arguments as for vmdump.open; timeout applies to each machine."""
    import os

    source = Source(os.fspath(path), None if sysroot is None else os.fspath(sysroot), host)
    return Machines(Answers(source, cache=cache, timeout=timeout, report=report))

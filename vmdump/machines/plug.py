"""Adds a device to a machine together with what it needs: backends, a bus, and the properties that QEMU's errors name.

What a device needs is taken from QEMU: from descriptions of its properties, and from the error if it refuses it.

Source: QEMU 7.2 softmmu/qdev-monitor.c qdev_device_add_from_qdict ("No '%s' bus found for device '%s'").
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.emulator.guest_services import EMPTY_DIRECTORY
from vmdump.emulator.machine import MachineError
from vmdump.machines.backends import backend_of, device_argument

if TYPE_CHECKING:
    from vmdump.emulator.machine import Machine
    from vmdump.emulator.template import MachineTemplate

#: Id of the device, and prefix of the ids of devices that provide its bus.
ID = "vmdump"
_BUS_ID = "vmdump-bus"

#: Path of the device.
PATH = f"/machine/peripheral/{ID}"

#: Limits: retries of a device with further properties, providers tried for a bus, and nested buses.
_MAX_RETRIES, _MAX_PROVIDERS, _MAX_BUSES = 4, 8, 2

#: Limit of the CPU time of a machine with a device, in seconds. Some devices wait for their backend in a loop.
_SECONDS = 5

_NO_BUS = re.compile(r"No '([^']+)' bus found for device")
_NO_ROM = re.compile(r"failed to find romfile")
_PATH = re.compile(r"\b(?:path|directory)\b")
_NUMBER = re.compile(r"(?:greater than|>) (\d+)")

#: QEMU's messages about a device that -device cannot create at all.
_NOT_PLUGGABLE = re.compile(r"expects (?:a )?(?:pluggable|dynamic sysbus) device type|Invalid CPU type")


class RefusedError(MachineError):
    """QEMU does not create the device; the message is its reason."""


def is_never_pluggable(error: MachineError) -> bool:
    """Return whether -device cannot create the device's type at all in this machine."""
    return _NOT_PLUGGABLE.search(str(error)) is not None


def lacks_bus(error: MachineError) -> bool:
    """Return whether the machine has no bus for the device, nor a device that provides it."""
    return _NO_BUS.search(str(error)) is not None


class Plugged(NamedTuple):
    """A machine with a device.

    Attributes:
        machine: the machine, valid inside the block.
        arguments: of -device, providers of buses first.
    """

    machine: Machine
    arguments: tuple[str, ...]


class Plugger:
    """Adds devices to a template, one at a time."""

    def __init__(
        self,
        template: MachineTemplate,
        rows: Mapping[str, Sequence[dict[str, Any]]],
        pluggable: Sequence[str],
        seconds: float = _SECONDS,
    ) -> None:
        """Args:
        template: the machine, with the backends of backend_arguments.
        rows: answers of device-list-properties by type; see Rows.
        pluggable: all device types, sorted, as providers of buses.
        seconds: limit of the CPU time of a machine with a device.
        """
        self._seconds = seconds
        self._template, self._rows, self._pluggable = template, rows, pluggable
        self._providers: dict[str, tuple[str, ...]] = {}
        self._known: dict[tuple[str, int], tuple[str, ...] | None] = {}
        self._absent: set[str] = set()

    @contextlib.contextmanager
    def boot(self, type_: str) -> Iterator[Plugged]:
        """Yield the machine with a device of a type.

        Raises:
            RefusedError: QEMU does not create it.
            MachineError: QEMU crashed in the block.
        """
        plan = self._plan(type_, ID, _MAX_BUSES)
        arguments = next(plan)
        while True:
            self._template.set_time(self._seconds)
            self._template.forget_missed_functions()
            stack = contextlib.ExitStack()
            try:
                machine = stack.enter_context(self._template.boot(*arguments))
            except MachineError as error:
                arguments = plan.send(str(error).partition(": ")[2])
                continue
            with stack:
                yield Plugged(machine, arguments)
            return

    def _plan(self, type_: str, id_: str, depth: int) -> Generator[tuple[str, ...], str, None]:
        """Yield arguments to try; each time, QEMU's reason for refusing the last ones is sent. Raises RefusedError."""
        extra = [f"id={id_}"]
        error = ""
        for _ in range(_MAX_RETRIES):
            error = yield (device_argument(type_, self._rows[type_], extra),)
            if match := _NO_BUS.search(error):
                yield from self._plan_bus(type_, extra, match[1], depth)
            more = "romfile=" if _NO_ROM.search(error) else _wanted(error, self._rows[type_], extra)
            if more is None or is_never_pluggable(MachineError(error)):
                break
            extra.append(more)
        raise RefusedError(error)

    def _plan_bus(
        self, type_: str, extra: Sequence[str], bus: str, depth: int
    ) -> Generator[tuple[str, ...], str, None]:
        """The same for a device on a bus that the board lacks: with each possible provider of the bus."""
        error = f"No '{bus}' bus found for device '{type_}'"
        if bus in self._absent:
            raise RefusedError(error)
        known = self._providers.get(bus)
        if known is not None:
            yield (*known, device_argument(type_, self._rows[type_], extra))
        is_absent = depth == _MAX_BUSES
        for each in self._candidates(bus, type_)[:_MAX_PROVIDERS] if depth else ():
            provider = self._find(each, f"{_BUS_ID}{depth}", depth - 1)
            if provider is None:
                continue
            self._providers[bus] = provider
            error = yield (*provider, device_argument(type_, self._rows[type_], extra))
            is_absent &= _NO_BUS.search(error) is not None
            if not _NO_BUS.search(error) and (more := _wanted(error, self._rows[type_], extra)) is not None:
                error = yield (*provider, device_argument(type_, self._rows[type_], [*extra, more]))
        self._providers.pop(bus, None)
        if is_absent:
            self._absent.add(bus)
        raise RefusedError(error)

    def _find(self, type_: str, id_: str, depth: int) -> tuple[str, ...] | None:
        """Return arguments with which QEMU creates a provider of a bus; None if it refuses it."""
        if (type_, depth) not in self._known:
            self._known[type_, depth] = None
            plan = self._plan(type_, id_, depth)
            arguments = next(plan)
            with contextlib.suppress(RefusedError):
                while (error := self._try(arguments)) is not None:
                    arguments = plan.send(error)
                self._known[type_, depth] = arguments
        return self._known[type_, depth]

    def _candidates(self, bus: str, type_: str) -> list[str]:
        """Return device types that may provide a bus: those whose name has the words of the bus's name."""
        words = [word for word in re.split(r"[^a-z0-9]+", bus.lower()) if word and word != "bus"]
        named = [each for each in self._pluggable if each != type_ and all(word in each.lower() for word in words)]
        return sorted(named, key=lambda each: (not each.endswith("-pci"), each))

    def _try(self, arguments: Sequence[str]) -> str | None:
        """Return QEMU's reason for refusing devices; None if it creates them."""
        self._template.set_time(self._seconds)
        try:
            with self._template.boot(*arguments):
                return None
        except MachineError as error:
            return str(error).partition(": ")[2]


def _wanted(error: str, rows: Sequence[dict[str, Any]], given: Sequence[str]) -> str | None:
    """Return a value for the property that an error names, as NAME=VALUE; None if it names none."""
    words = re.findall(r"[\w.-]+", error)
    names = {each.partition("=")[0] for each in given}
    for row in rows:
        name = row["name"]
        if name not in names and name in words:
            number = _NUMBER.search(error)
            is_number = number is not None or row["type"].startswith(("uint", "int", "size"))
            value = str(int(number[1]) + 1) if number else "1"
            text = EMPTY_DIRECTORY if _PATH.search(error) else ID
            return f"{name}={backend_of(row) or (value if is_number else text)}"
    return None


def device_types(machine: Machine) -> list[str]:
    """Return the device types that -device may add, sorted: all but CPUs. machine: of any machine type."""
    from vmdump.machines.effects import ancestors, read_parents

    parents = read_parents(machine)
    concrete = sorted(row["name"] for row in machine.qmp("qom-list-types", implements="device", abstract=False))
    return [each for each in concrete if "cpu" not in ancestors(each, parents)]


class Rows(dict[str, Sequence[dict[str, Any]]]):
    """Answers of device-list-properties by type, read when they are needed."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def __missing__(self, type_: str) -> Sequence[dict[str, Any]]:
        from vmdump.machines.backends import read_rows

        rows = self[type_] = read_rows(self._machine, type_)
        return rows

"""Migrations between two QEMU binaries: each case is saved in a machine of the source and loaded by the destination.

Cases of one command line share its boots: a template of each side, to which a case adds its devices.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, NamedTuple

from vmdump.emulator.machine import ARGUMENTS
from vmdump.emulator.machine_errors import MachineError
from vmdump.emulator.migration import MigrationBlockedError, save_stream
from vmdump.migrate.destination import TemplateMachine, WholeMachine
from vmdump.migrate.incoming_stream import IncomingStream
from vmdump.migrate.trial import (
    ABSENT,
    BLOCKED,
    CRASHES,
    DOES_NOT_START,
    FAILS,
    UNDECIDED,
    Trial,
    end_reason,
    is_limit,
    load_into,
    start_outcome,
)
from vmdump.stream.walk import saved_vm_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.emulator.machine import Machine
    from vmdump.emulator.template import MachineTemplate
    from vmdump.machines.reader import Source
    from vmdump.migrate.destination import Destination

#: Limit of the CPU time of a machine, in seconds.
SECONDS = 60.0

#: Arguments of the machine that loads.
INCOMING = ("-incoming", "defer")

#: Source: vmdump/emulator/machine.py Machine.call_until.
_NO_TEMPLATE = re.compile("qemu_init does not call")

#: Source: qom/object.c object_property_find_err.
_MACHINE_OPTION = re.compile(r"Property '[^']*-machine\.[^']+' not found")

#: The sides of a migration.
SOURCE, DESTINATION = "source", "destination"


class Migrated(NamedTuple):
    """The outcome of a migration.

    Attributes:
        trial: the outcome.
        side: the side that ended it before the load, ``source`` or ``destination``; None: it was loaded, or refused.
        sections: names of the sections that the source has sent.
    """

    trial: Trial
    side: str | None = None
    sections: tuple[str, ...] = ()


class Side:
    """Machines of one binary that have the same arguments but for further devices."""

    def __init__(
        self, source: Source, argv: Sequence[str], defaults: Sequence[str] = ARGUMENTS, seconds: float = SECONDS
    ) -> None:
        """Args: seconds: limit of the CPU time of a machine."""
        self.source, self.argv, self._defaults, self._seconds = source, tuple(argv), defaults, seconds
        self._template: MachineTemplate | None = None
        self._error: MachineError | None = None
        self._has_template = True

    @contextlib.contextmanager
    def boot(self, devices: Sequence[str]) -> Iterator[Destination]:
        """Yield a machine with further devices. Raises MachineError, SourceError."""
        template = self.template()
        if template is None:
            more = [word for device in devices for word in ("-device", device)]
            yield WholeMachine(self.source.boot([*self.argv, *more], defaults=self._defaults))
            return
        template.set_time(self._seconds)
        template.forget_missed_functions()
        with template.boot(*devices) as machine:
            # A binary that exports no functions boots a machine for each block.
            yield TemplateMachine(template, devices) if machine is template.machine else WholeMachine(machine)

    def template(self) -> MachineTemplate | None:
        """Return the machine without further devices; None: this QEMU has none. Raises MachineError, SourceError."""
        if self._error is not None:
            raise self._error
        if self._template is None and self._has_template:
            try:
                self._template = self.source.boot_template(self.argv, defaults=self._defaults)
            except MachineError as error:
                if not _NO_TEMPLATE.search(str(error)):
                    self._error = error
                    raise
                self._has_template = False
        return self._template


def migrate(old: Side, new: Side, devices: Sequence[str] = ()) -> Migrated:
    """Migrate a machine with further devices, arguments of -device. new: its arguments include INCOMING.

    Raises SourceError: not a QEMU that can be emulated.
    """
    saved = save(old, devices)
    return saved if isinstance(saved, Migrated) else load(new, saved, devices)


def save(old: Side, devices: Sequence[str] = ()) -> bytes | Migrated:
    """Return the stream of a machine with further devices, or why there is none."""
    is_booted = False
    try:
        with old.boot(devices) as booted:
            is_booted = True
            return save_machine(old, booted.machine)
    except MachineError as error:
        if is_booted:
            raise
        return refused(old, error)


def save_machine(old: Side, machine: Machine) -> bytes | Migrated:
    """Return the stream of a machine of a side, or why there is none."""
    try:
        stream = save_stream(machine)
    except MigrationBlockedError as error:
        return _ended(SOURCE, BLOCKED, _reason(error, old))
    except MachineError as error:
        return _ended(SOURCE, _save_outcome(error), _reason(error, old))
    if missed := machine.missed_functions:
        return _ended(SOURCE, UNDECIDED, f"the emulator lacks functions of the host: {', '.join(missed)}")
    return stream


def refused(side: Side, error: MachineError, name: str = SOURCE) -> Migrated:
    """Return the outcome of a machine that a side does not start. name: SOURCE or DESTINATION.

    An option that the source's machine type does not have is a wrong command line.
    """
    outcome, reason = start_outcome(error, side.source)
    if name == SOURCE and outcome == ABSENT and _MACHINE_OPTION.search(str(error)):
        outcome = DOES_NOT_START
    return _ended(name, outcome, reason)


def load(new: Side, stream: bytes, devices: Sequence[str] = ()) -> Migrated:
    """Load a stream into a machine with further devices."""
    argv = (*new.argv, *(word for device in devices for word in ("-device", device)))
    with saved_vm_of(stream) as vm:
        incoming = IncomingStream(vm)
    sections = tuple(key.name for key in incoming.keys())  # noqa: SIM118  # a method
    is_booted = False
    try:
        with new.boot(devices) as booted:
            is_booted = True
            return Migrated(load_into(booted, incoming, argv), sections=sections)
    except MachineError as error:
        if is_booted:
            raise
        return refused(new, error, DESTINATION)


def _ended(side: str, outcome: str, reason: str) -> Migrated:
    return Migrated(Trial(outcome, reason, (), (), ()), side)


def undecided(reason: str) -> Migrated:
    """Return the outcome of a migration that the emulator could not try."""
    return Migrated(Trial(UNDECIDED, reason, (), (), ()))


def _reason(error: MachineError, side: Side) -> str:
    return end_reason(error, side.source.binary)


def _save_outcome(error: MachineError) -> str:
    """Return the outcome of a machine that cannot be saved: it crashes, or QEMU refuses it."""
    if is_limit(error):
        return UNDECIDED
    return CRASHES if error.is_crash else FAILS

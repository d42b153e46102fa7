"""The migrations of one machine type between two binaries: the board, and the board with each device, one at a time.

What a device needs (backends, a bus, properties) is found in the source; the destination gets the same arguments.
"""

from __future__ import annotations

import gc
import re
from typing import TYPE_CHECKING, NamedTuple

from vmdump.emulator.machine import ARGUMENTS
from vmdump.emulator.machine_errors import MachineError
from vmdump.errors import SourceError
from vmdump.machines.objects import tree_types
from vmdump.machines.plug import Plugger, Rows, device_types, is_never_pluggable, lacks_bus
from vmdump.machines.reader import NO_MACHINE, Source
from vmdump.migrate import pair
from vmdump.migrate.pair import INCOMING, Migrated, Side
from vmdump.migrate.trial import BLOCKED

if TYPE_CHECKING:
    from vmdump.emulator.host_profile import HostProfile
    from vmdump.emulator.machine import Machine
    from vmdump.migrate.compare import Change
    from vmdump.migrate.failure import Failure
    from vmdump.migrate.qtest_script import QtestScript


class Binary(NamedTuple):
    """A QEMU binary; see vmdump.machines.reader.Source."""

    path: str
    sysroot: str | None
    host: HostProfile | None


class Setting(NamedTuple):
    """What migrations have in common.

    Attributes:
        old: the source.
        new: the destination.
        argv: arguments of QEMU for both.
        defaults: arguments before them.
        seconds: limit of the CPU time of a machine.
        is_chosen: the user has chosen the devices: those for which the source has no bus are cases, too.
        script: commands of qtest that are executed in the source's machine before it is saved.
    """

    old: Binary
    new: Binary
    argv: tuple[str, ...]
    defaults: tuple[str, ...] = ARGUMENTS
    seconds: float = pair.SECONDS
    is_chosen: bool = False
    script: QtestScript | None = None


class Case(NamedTuple):
    """A migration.

    Attributes:
        device: type of the device that is added; None: none.
        arguments: of -device: the device and what provides its bus.
        migrated: the outcome.
        is_blocked_on_both: both sides refuse to migrate it.
        types: QOM types of the source's machine, without a device.

    >>> from vmdump.migrate.pair import undecided
    >>> Case("e1000e", (), undecided("out of memory"))
    <Case e1000e: undecided>
    """

    device: str | None
    arguments: tuple[str, ...]
    migrated: Migrated
    is_blocked_on_both: bool = False
    types: frozenset[str] = frozenset()

    @property
    def outcome(self) -> str:
        """Of the trial: ``loads``, ``fails``, and so on."""
        return self.migrated.trial.outcome

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What the destination refuses."""
        return self.migrated.trial.failures

    @property
    def changes(self) -> tuple[Change, ...]:
        """Fields that the destination saves with values other than those loaded."""
        return self.migrated.trial.changes

    def __repr__(self) -> str:
        """The device and the outcome."""
        return f"<Case {self.device or 'without a device'}: {self.outcome}>"


#: Limit of the CPU time of a machine with a device that is tried, in seconds: some wait for their backend in a loop.
_DEVICE_SECONDS = 10

#: QEMU's messages about a memory device in a machine without room for it, and arguments that make room.
#: Source: hw/mem/memory-device.c memory_device_check_addable.
_NO_ROOM = re.compile(r"\bmaxmem\b|specify the 'slots' option")
_ROOM = ("-m", "slots=4,maxmem=8G")


class Cases:
    """The migrations of a setting. Not thread-safe."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._old_source, self._new_source = Source(*setting.old), Source(*setting.new)
        self._old = Side(self._old_source, setting.argv, setting.defaults, setting.seconds)
        self._new = Side(self._new_source, (*setting.argv, *INCOMING), setting.defaults, setting.seconds)
        self._seconds, self._is_chosen, self._script = setting.seconds, setting.is_chosen, setting.script
        self._plugger: Plugger | None = None

    def board(self) -> Case:
        """Migrate the machine without further devices. Raises SourceError."""
        types: frozenset[str] = frozenset()
        try:
            with self._old.boot(()) as booted:
                types = frozenset(tree_types(booted.machine).values())
                saved = self._save(booted.machine)
        except MachineError as error:
            saved = pair.refused(self._old, error)
        return self._finish(None, (), saved)._replace(types=types)

    def device(self, type_: str) -> Case | None:
        """Migrate the machine with a device; None: it can't be added to this machine, or the board does not start.

        Raises SourceError.
        """
        arguments: tuple[str, ...] = ()
        try:
            plugger = self._plugger or self._make_plugger()
        except MachineError:
            return None
        try:
            with plugger.boot(type_) as (machine, arguments):
                saved = self._save(machine)
        except MachineError as error:
            if is_never_pluggable(error) or (lacks_bus(error) and not self._is_chosen):
                return None
            if _NO_ROOM.search(str(error)) and (case := self._with_room(type_)) is not None:
                return case
            saved = pair.refused(self._old, error)
        return self._finish(type_, arguments, saved)

    def _with_room(self, type_: str) -> Case | None:
        """Migrate a machine that has room for memory devices; None: this one cannot have it, or has it."""
        argv = self._setting.argv
        if argv[-len(_ROOM) :] == _ROOM:
            return None
        case = Cases(self._setting._replace(argv=(*argv, *_ROOM))).device(type_)
        gc.collect()  # emulated machines are in reference cycles, and reserve address space
        return case

    def _save(self, machine: Machine) -> bytes | Migrated:
        """Save a machine of the source. Raises SourceError: a command of the script failed."""
        if self._script is not None:
            try:
                self._script.run(machine)
            except MachineError as error:  # not of the migration
                raise SourceError(str(error)) from error
        return pair.save_machine(self._old, machine)

    def _make_plugger(self) -> Plugger:
        template = self._old.template()
        if template is None:
            raise SourceError(f"{self._old_source.binary}: devices can't be added one at a time to this QEMU")
        bare = self._old_source.boot(["-M", NO_MACHINE])
        self._plugger = Plugger(template, Rows(bare), device_types(bare), min(self._seconds, _DEVICE_SECONDS))
        return self._plugger

    def _finish(self, device: str | None, arguments: tuple[str, ...], saved: bytes | Migrated) -> Case:
        if not isinstance(saved, Migrated):
            return Case(device, arguments, pair.load(self._new, saved, arguments))
        is_blocked = saved.trial.outcome == BLOCKED
        return Case(device, arguments, saved, is_blocked and self._is_blocked_by_destination(arguments))

    def _is_blocked_by_destination(self, arguments: tuple[str, ...]) -> bool:
        saved = pair.save(self._new, arguments)
        return isinstance(saved, Migrated) and saved.trial.outcome == BLOCKED

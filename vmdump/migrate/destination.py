"""Machines that load a stream several times, each time from the same state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vmdump.emulator.machine import Machine
    from vmdump.emulator.template import MachineTemplate


class Destination(Protocol):
    """A machine that was booted with ``-incoming defer``."""

    @property
    def machine(self) -> Machine:
        """The machine."""

    def prepare(self, action: Callable[[], None]) -> None:
        """Set up the machine once, before the first load; rewind restores what the action has done."""

    def rewind(self) -> None:
        """Restore the state before the load, also after an error. Raises MachineError."""


class WholeMachine:
    """A machine that was booted for this load alone: a snapshot restores it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def prepare(self, action: Callable[[], None]) -> None:
        """See Destination."""
        action()
        self.machine.snapshot()

    def rewind(self) -> None:
        """See Destination."""
        self.machine.rewind()


class TemplateMachine:
    """A machine inside a block of MachineTemplate.boot: devices are added to the template again."""

    def __init__(self, template: MachineTemplate, devices: Sequence[str]) -> None:
        self.machine, self._template, self._devices = template.machine, template, devices
        self._action: Callable[[], None] = lambda: None

    def prepare(self, action: Callable[[], None]) -> None:
        """See Destination."""
        self._action = action
        action()

    def rewind(self) -> None:
        """See Destination."""
        self._template.restart(*self._devices)
        self._action()

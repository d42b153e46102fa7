"""A script of qtest commands, executed in an emulated machine before it is saved.

A line is a command of QEMU's qtest protocol; empty lines and those that begin with # are skipped. A log of QEMU's
-qtest-log is a script as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from vmdump.emulator.machine_errors import MachineError
from vmdump.emulator.qtest import Qtest, QtestError
from vmdump.errors import SourceError
from vmdump.files.input_file import read_input

if TYPE_CHECKING:
    from vmdump.emulator.machine import Machine

#: Limit of a script, in bytes.
_MAX_SIZE = 16 << 20

#: A line of QEMU's log: R is a command, S its answer, I other information. Source: softmmu/qtest.c.
_LOG = re.compile(r"\[(?P<kind>[RSI])[^]]*\] ?(?P<text>.*)")


class Command(NamedTuple):
    """A command, and the number of its line."""

    line: int
    text: str


class QtestScript(NamedTuple):
    """A script.

    Attributes:
        name: as errors name it.
        commands: in order.
    """

    name: str
    commands: tuple[Command, ...]

    def run(self, machine: Machine) -> None:
        """Execute the commands. Raises MachineError, which names the script and the line."""
        qtest = Qtest(machine)
        for line, text in self.commands:
            try:
                qtest.execute(text)
            except QtestError as error:
                raise MachineError(f"{self.name}:{line}: {_short(text)}: {error}", error.output) from error


def _short(text: str, size: int = 60) -> str:
    return text if len(text) <= size else f"{text[:size]}..."


def parse_script(name: str, text: str) -> QtestScript:
    r"""Return the script of a text.

    >>> parse_script("s", "# comment\noutb 0x70 0x0b\n[R +0.001] inb 0x71\n[S +0.001] OK 0x2\n").commands
    (Command(line=2, text='outb 0x70 0x0b'), Command(line=3, text='inb 0x71'))
    """
    commands = []
    for number, line in enumerate(text.split("\n"), 1):
        command = line.strip()
        if logged := _LOG.fullmatch(command):
            command = logged["text"].strip() if logged["kind"] == "R" else ""
        if command and not command.startswith("#"):
            commands.append(Command(number, command))
    return QtestScript(name, tuple(commands))


def read_script(path: str) -> QtestScript:
    """Return the script of a file. Raises SourceError, OSError."""
    data = read_input(path, _MAX_SIZE, any_kind=True)
    if b"\0" in data:
        raise SourceError(f"{path}: not text; give qtest commands, one per line")
    return parse_script(path, data.decode(errors="replace"))

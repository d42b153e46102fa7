"""Errors of emulated machines."""

from __future__ import annotations

import os

from vmdump.errors import SourceError


class MachineError(SourceError):
    """QEMU refused, exited or crashed. The message and ``output`` contain its own output.

    Attributes:
        output: QEMU's output.
        missed_functions: host functions that QEMU has called and the emulator lacks.
        is_crash: whether QEMU aborted or made an invalid access, rather than refuse or exit.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output
        self.missed_functions: tuple[str, ...] = ()
        self.is_crash = False


class QmpError(MachineError):
    """A QMP command failed; the message is QEMU's ``desc``."""


def machine_error(name: str, message: str, output: str) -> MachineError:
    """Return an error with the message that QEMU exited with: its last line that begins with its name."""
    said = [line for line in output.splitlines() if line.strip()]
    own = [line for line in said if line.startswith(f"{os.path.basename(name)}: ")]
    if "it exits" not in message or not said:
        return MachineError(message, output)
    return MachineError(f"{name}: {(own or said)[-1].removeprefix(f'{os.path.basename(name)}: ')}", output)

"""Errors of emulated machines."""

from __future__ import annotations

from vmdump.errors import SourceError


class MachineError(SourceError):
    """QEMU refused, exited or crashed. The message and ``output`` contain its own output."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class QmpError(MachineError):
    """A QMP command failed; the message is QEMU's ``desc``."""

"""Exceptions, all derived from VmdumpError.

Each message is one line: what is wrong, where (type, file, JSON path, address), and a remedy if there is one. The
command line prints it after ``vmdump: `` and exits with code 3.
"""


class VmdumpError(Exception):
    """Base of all exceptions of vmdump."""


class VMStateError(VmdumpError):
    """An invalid VMStateDescription or VMStateField, or a struct member of another type."""


class QOMError(VmdumpError):
    """A type that can't be registered, found, initialised or cast."""


class ModuleError(VmdumpError):
    """A module that can't be read, opened, bound or initialised."""


class SourceError(VmdumpError):
    """A source (dump file, QEMU binary) that can't be read."""


class OutputError(VmdumpError, OSError):
    """An output that can't be written. As an OSError it has errno, strerror and filename."""

    def __str__(self) -> str:
        """Return ``FILE: REASON``, as far as known."""
        if self.strerror is None:
            return super().__str__()
        return f"{self.filename}: {self.strerror}" if self.filename is not None else self.strerror

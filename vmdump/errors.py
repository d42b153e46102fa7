"""What can go wrong: one tree of exceptions under VmdumpError.

Every message is one line and says what is wrong, where (type, file, JSON path, address) and, where there is a remedy,
what to try. The command line prints it behind ``vmdump: `` and ends with exit code 3.
"""


class VmdumpError(Exception):
    """Anything that vmdump itself reports. The base of all exceptions below."""


class VMStateError(VmdumpError):
    """A VMStateDescription or VMStateField that QEMU could not dump, or a struct member of another type."""


class QOMError(VmdumpError):
    """A type that can't be registered, found, initialised or cast."""


class ModuleError(VmdumpError):
    """A module that can't be found in one piece, opened, bound or registered."""


class SourceError(VmdumpError):
    """A source (dump file, QEMU binary) that can't be read."""


class OutputError(VmdumpError, OSError):
    """An output that can't be written. As an OSError it has errno, strerror and filename."""

    def __str__(self) -> str:
        """``FILE: REASON``, as far as they are known."""
        if self.strerror is None:
            return super().__str__()
        return f"{self.filename}: {self.strerror}" if self.filename is not None else self.strerror

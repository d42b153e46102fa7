"""Inputs of a walk: a file at an offset, a sequential stream, a function."""

from __future__ import annotations

from vmdump.activity import count_bytes

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Stream(Protocol):
        """A sequential byte stream."""

        def read(self, size: int, /) -> bytes:
            """Return up to size bytes; none at the end."""


#: Size of one read, in bytes.
CHUNK = 1 << 20


class FileInput:
    """A seekable file; the stream begins at ``base``, in bytes. The C core reads it."""

    def __init__(self, fd: int, base: int) -> None:
        self.fd, self.base = fd, base


class CallbackInput:
    """A stream that Python reads. ``base``: its offset in the file that holds it, for absolute offsets in it."""

    def __init__(self, read_at: Callable[[int, int], bytes], base: int = 0) -> None:
        """Args: read_at: returns up to size bytes from an offset on, which never decreases; none at the end."""
        self.read_at, self.base = read_at, base


class Sequence:
    """Reads a sequential stream at offsets that never decrease."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._at = 0

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to size bytes from offset on; none at the end. Bytes before the offset are read and dropped."""
        while self._at < offset:
            dropped = len(self._stream.read(min(offset - self._at, CHUNK)))
            if not dropped:
                return b""
            self._at += dropped
            count_bytes(dropped)
        data = self._stream.read(size)
        self._at += len(data)
        count_bytes(len(data))
        return data


class Peekable:
    """A sequential stream whose next bytes can be looked at."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._next = b""

    def peek(self, size: int) -> bytes:
        """Return the next size bytes, or all that are left, without consuming them."""
        while len(self._next) < size and (more := self._stream.read(size - len(self._next))):
            self._next += more
        return self._next[:size]

    def read(self, size: int, /) -> bytes:
        """Return up to size bytes; none at the end."""
        if not self._next:
            return self._stream.read(size)
        data, self._next = self._next[:size], self._next[size:]
        return data

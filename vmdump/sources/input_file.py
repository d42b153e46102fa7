"""Input files that somebody else names and fills: opening one never waits forever, reading one has a limit."""

from __future__ import annotations

import errno
import io
import os
import stat

#: Seconds that a FIFO has to get a writer.
PATIENCE = 10.0

#: Milliseconds between two looks for one.
_TICK = 50

#: Special files that hold no data to read, in words.
_SPECIAL = ((stat.S_ISSOCK, "a socket"), (stat.S_ISBLK, "a block device"))


def open_input(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a file, a pipe or a character device to read from it.

    Raises OSError: what open(2) refuses; a directory, a socket or a block device; a FIFO that nobody opens to write
    within PATIENCE. ValueError for a NUL in the path.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO waits for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(errno.ENXIO, "a socket, not a file", path) from error
        raise
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode):
            return open(fd, "rb")  # a regular file never blocks
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        for is_kind, words in _SPECIAL:
            if is_kind(mode):
                raise OSError(errno.EINVAL, f"{words}, not a file", path)
        start = _await_writer(fd, path) if stat.S_ISFIFO(mode) else b""
        os.set_blocking(fd, True)
        return io.BufferedReader(_Begun(fd, start))
    except BaseException:
        os.close(fd)
        raise


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a regular file to read from it. Raises OSError, for anything else too, and ValueError."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return open(fd, "rb")
    os.close(fd)
    code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    raise OSError(code, os.strerror(code) if code == errno.EISDIR else "not a regular file", path)


def read_input(path: str | os.PathLike[str], max_bytes: int, *, any_kind: bool = False) -> bytes:
    """Read a whole file, a regular one or of any kind. Raises as the functions above do, and OSError for
    more than max_bytes.
    """
    with open_input(path) if any_kind else open_regular(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes >> 20} MiB, the limit for such a file", path)
    return data


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Whether there is a regular file at path, which open(2) never waits for."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


class _Begun(io.FileIO):
    """A file of which the first bytes were read already."""

    def __init__(self, fd: int, start: bytes) -> None:
        super().__init__(fd, "rb")
        self._start = start

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        if not self._start:
            return super().readinto(buffer)
        size = min(len(buffer), len(self._start))
        buffer[:size], self._start = self._start[:size], self._start[size:]
        return size

    def readall(self) -> bytes:
        start, self._start = self._start, b""
        return start + super().readall()


def _await_writer(fd: int, path: str | os.PathLike[str]) -> bytes:
    """Wait until a FIFO, opened with O_NONBLOCK, has a writer or data. Returns data that was read meanwhile."""
    import select
    import time

    if not os.path.exists(os.path.realpath(path)):
        return b""  # a pipe without a name, as /dev/fd/63 of a shell's <(...): no further writer will come
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + PATIENCE
    while not poll.poll(_TICK):
        try:
            if start := os.read(fd, 1):
                return start
        except BlockingIOError:
            return b""  # it has a writer, which may take its time
        if time.monotonic() > deadline:
            raise TimeoutError(
                errno.ETIMEDOUT, f"a FIFO that nobody has opened to write for {PATIENCE:g} seconds", path
            )
    return b""

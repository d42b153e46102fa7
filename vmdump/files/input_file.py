"""Open and read untrusted input files: without blocking forever, and with size limits."""

from __future__ import annotations

import errno
import io
import os
import stat

#: Seconds to wait for a writer of a FIFO.
PATIENCE = 10.0

#: Polling interval for it, in milliseconds.
_TICK = 50

#: Special files without readable data.
_SPECIAL = ((stat.S_ISSOCK, "a socket"), (stat.S_ISBLK, "a block device"))


def open_input(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a file, a pipe or a character device to read from it.

    Raises:
        OSError: open(2) failed; a directory, a socket or a block device; a FIFO without a writer within PATIENCE.
        ValueError: a NUL in the path.
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
    """Open a regular file for reading. Raises OSError, also for other kinds of files, and ValueError."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return open(fd, "rb")
    os.close(fd)
    code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    raise OSError(code, os.strerror(code) if code == errno.EISDIR else "not a regular file", path)


def read_input(path: str | os.PathLike[str], max_bytes: int, *, any_kind: bool = False) -> bytes:
    """Return the content of a regular file, or of any kind of file.

    Raises as open_input and open_regular, and OSError if it exceeds ``max_bytes``.
    """
    with open_input(path) if any_kind else open_regular(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes >> 20} MiB, the limit", path)
    return data


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Return whether path is a regular file, so that open(2) does not block."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


class _Begun(io.FileIO):
    """A file whose first bytes have been read already."""

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
    """Wait until a FIFO opened with O_NONBLOCK has a writer or data. Returns data read meanwhile."""
    import select
    import time

    if not os.path.exists(os.path.realpath(path)):
        return b""  # an unnamed pipe, such as /dev/fd/63 of a shell's <(...): no further writer can open it
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + PATIENCE
    while not poll.poll(_TICK):
        try:
            if start := os.read(fd, 1):
                return start
        except BlockingIOError:
            return b""  # it has a writer
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"a FIFO without a writer for {PATIENCE:g} seconds", path)
    return b""

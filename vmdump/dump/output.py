"""Output files that appear whole or not at all, and the directories that they are in."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from vmdump.errors import OutputError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def open_output(path: str | os.PathLike[str]) -> Iterator[int]:
    """A descriptor to write the new content of path to.

    A regular file, or one that is not there yet, is written under another name in the same directory and takes its
    place when the body ends; when the body raises, what was there stays and nothing is left over. It keeps the mode of
    the file that it replaces. A symbolic link is followed. Anything else (terminal, pipe, /dev/full) is written to
    directly.

    Raises OutputError, with path, for every failure to open, write or rename.
    """
    path = os.fspath(path)
    try:
        with _open_direct(path) if _is_special(path) else _open_beside(path) as fd:
            yield fd
    except OSError as error:
        raise OutputError(error.errno, error.strerror, path) from error
    except ValueError as error:  # a NUL in the path
        raise OutputError(errno.EINVAL, str(error), path) from error


def _is_special(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _open_direct(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        yield fd
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)


@contextlib.contextmanager
def _open_beside(path: str) -> Iterator[int]:
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    path = os.path.realpath(path)
    with replacement(path) as fd:
        with contextlib.suppress(FileNotFoundError):
            os.fchmod(fd, stat.S_IMODE(os.stat(path).st_mode))
        yield fd


@contextlib.contextmanager
def replacement(path: str, mode: int = 0o666) -> Iterator[int]:
    """A descriptor of a new file, which takes the place of path, be that a link, when the body ends; when the body
    raises, nothing is left over. Raises OSError.
    """
    directory, name = os.path.split(path)
    # The name is known before the file is made, so that an interruption in between leaves none behind either.
    temporary = os.path.join(directory, f".{name[:40]}.{os.getpid()}-{os.urandom(8).hex()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            yield fd
        finally:
            os.close(fd)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_file(path: str | os.PathLike[str], *parts: bytes) -> None:
    """Writes the new content of path, as open_output does. Raises OutputError."""
    with open_output(path) as fd:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(fd, view) :]


def make_directory(path: str | os.PathLike[str]) -> None:
    """Makes a directory and those above it, where there is none. Raises OutputError."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise OutputError(error.errno, error.strerror, os.fspath(path)) from error

"""Atomic output files: each is replaced as a whole or not at all."""

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
    """Yield a file descriptor for the new content of path.

    The content of a regular or new file goes to a temporary file in the same directory, which replaces path when the
    body ends. If the body raises, path is unchanged and the temporary file is removed. The mode of the old file is
    kept; a read-only file is not replaced. Symbolic links are followed. Anything else (terminal, pipe, /dev/full) is
    written to directly.

    Raises OutputError, with path, if opening, writing or renaming fails.
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
    mode = _mode_to_keep(path)
    with replacement(path) as fd:
        if mode is not None:
            os.fchmod(fd, mode)
        yield fd


def _mode_to_keep(path: str) -> int | None:
    """Return the mode of the file that is replaced; None if there is none.

    Raises PermissionError if this user may not write to the file, or if it is read-only for everyone, root included: a
    rename does not check the permissions of the file that it replaces.
    """
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return None
    if not mode & 0o222 or not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, "the file is read-only; chmod u+w allows replacing it")
    return mode


@contextlib.contextmanager
def replacement(path: str, mode: int = 0o666) -> Iterator[int]:
    """Yield a file descriptor of a temporary file, which replaces path (also a link) when the body ends.

    If the body raises, the temporary file is removed. Raises OSError.
    """
    directory, name = os.path.split(path)
    # Choose the name before creating the file, so that the file is removed whenever an interruption comes.
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
    """Replace the content of path, as open_output does. Raises OutputError."""
    with open_output(path) as fd:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(fd, view) :]


def make_directory(path: str | os.PathLike[str]) -> None:
    """Create a directory and its parents, unless they exist. Raises OutputError."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise OutputError(error.errno, error.strerror, os.fspath(path)) from error

"""The user's cache folder: entries that are whole or not there, whoever writes at the same time and whatever fails.

It is $XDG_CACHE_HOME/vmdump, else ~/.cache/vmdump, and holds at most MAX_BYTES: what was not used for longest goes.
An entry is a file: _MAGIC, the digest of all that follows, the size of the header (4 bytes, little-endian), the header
as marshal has it, and the payload.

An entry decides what vmdump says of a binary, and marshal trusts its input. So no folder or file is used that another
user owns or can write to, and the digest is keyed (BLAKE2b) with a secret of the user, which is in
$XDG_STATE_HOME/vmdump/cache.key, else ~/.local/state/vmdump/cache.key, readable by the user alone: an entry that came
into the folder in another way, by a restored CI cache or a copied home directory, is not used.
"""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import stat
import time
from collections import namedtuple

from vmdump.errors import OutputError
from vmdump.output import replacement

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

#: How large the folder may get, in bytes: some hundred binaries.
MAX_BYTES = 256 << 20

_MAGIC = b"vmdump\0\2"
_SUFFIX = ".image"

#: Bytes of the key, and of the digest.
_KEY_BYTES = 32

#: Seconds after which what an interrupted writer has left behind is removed.
_TEMPORARY_AGE = 3600


class Entry(namedtuple("Entry", ("name", "header", "payload", "size", "used"))):
    """An entry: its header, a dict of what marshal can write, and its payload; size in bytes; when it was last used, in
    seconds since the epoch.
    """

    __slots__ = ()

    name: str
    header: dict[str, Any]
    payload: memoryview
    size: int
    used: float


def find_folder() -> CacheFolder | None:
    """The user's cache folder; None for a user without a home. Relative paths in the variables do not count.

    Source: XDG Base Directory Specification 0.8.
    """
    cache, state = _base("XDG_CACHE_HOME", ".cache"), _base("XDG_STATE_HOME", ".local/state")
    if not (os.path.isabs(cache) and os.path.isabs(state)):
        return None
    return CacheFolder(os.path.join(cache, "vmdump"), os.path.join(state, "vmdump", "cache.key"))


def _base(variable: str, default: str) -> str:
    base = os.environ.get(variable, "")
    return base if os.path.isabs(base) else os.path.join(os.environ.get("HOME", ""), default)


class CacheFolder:
    """A folder of entries. Any number of threads and processes may use it at once."""

    def __init__(self, path: str, key_path: str) -> None:
        #: Where it is; it need not be there.
        self.path = path
        self._key_path = key_path
        self._key: bytes | None = None
        #: Why the last write failed.
        self.failure: str | None = None

    def why_unused(self) -> str | None:
        """Why no entry is read from it or written to it; None: it is used. Makes the key, where there is none."""
        try:
            problem = _problem(os.lstat(self.path), self.path, stat.S_ISDIR)
        except FileNotFoundError:
            problem = None  # it is made by the first write
        except OSError as error:
            problem = f"{self.path}: {error.strerror}"
        if problem is None and self._key is None:
            try:
                self._key = _read_key(self._key_path)
            except OSError as error:
                problem = f"{error.filename or self._key_path}: {error.strerror}"
        return problem

    def read(self, name: str) -> Entry | None:
        """The entry of a name, which counts as used now; None where there is none. A damaged one is removed."""
        if self.why_unused() is not None or self._key is None:
            return None
        path = self._path(name)
        try:
            entry = _read_entry(path, name, self._key)
            if entry is not None:
                os.utime(path)
            else:
                os.unlink(path)
        except OSError:
            return None
        return entry

    def write(self, name: str, header: dict[str, Any], payload: bytes) -> bool:
        """Writes an entry, beside its place and renamed; whether that went well. What is too much then is removed."""
        encoded = marshal.dumps(header, 2)
        rest = b"".join([len(encoded).to_bytes(4, "little"), encoded, payload])
        try:
            self.failure = self.why_unused()
            if self.failure is None and not os.path.isdir(self.path):
                os.makedirs(self.path, 0o700, exist_ok=True)
                self.failure = self.why_unused()
            if self.failure is not None or self._key is None:
                return False
            # A link in here is nobody's wish, and what it points to is not ours to write: its place is taken too.
            with replacement(self._path(name), 0o600) as fd, open(fd, "wb", closefd=False) as file:
                file.writelines([_MAGIC, _digest(rest, self._key), rest])
        except OSError as error:
            self.failure = f"{self.path}: {error.strerror}"
            return False
        self._evict()
        return True

    def entries(self) -> list[Entry]:
        """All entries that can be read, last used first."""
        entries: list[Entry] = []
        if self.why_unused() is not None or self._key is None:
            return entries
        for file in self._files():
            if file.name.endswith(_SUFFIX):
                try:
                    entry = _read_entry(file.path, file.name.removesuffix(_SUFFIX), self._key)
                except OSError:
                    continue
                entries += [entry] if entry is not None else []
        return sorted(entries, key=lambda entry: -entry.used)

    def clear(self) -> int:
        """Removes all entries, damaged ones and leftovers too; how many files these were. Raises OutputError."""
        files = list(self._files())
        for file in files:
            try:
                os.unlink(file.path)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise OutputError(error.errno, error.strerror, file.path) from error
        return len(files)

    def _path(self, name: str) -> str:
        return os.path.join(self.path, name + _SUFFIX)

    def _files(self) -> Iterator[os.DirEntry[str]]:
        """The files that vmdump has made here: entries, and what interrupted writers have left."""
        try:
            if _problem(os.lstat(self.path), self.path, stat.S_ISDIR) is not None:
                return
            with os.scandir(self.path) as files:
                yield from (file for file in files if file.name.endswith((_SUFFIX, ".tmp")))
        except OSError:
            return

    def _evict(self) -> None:
        """Removes what is too much: the entries that have not been used for longest; and old leftovers."""
        left, total = [], 0
        for file in self._files():
            try:
                status = file.stat(follow_symlinks=False)
                if file.name.endswith(_SUFFIX):
                    left.append((status.st_mtime_ns, file.path, status.st_size))
                    total += status.st_size
                elif status.st_mtime < time.time() - _TEMPORARY_AGE:
                    os.unlink(file.path)
            except OSError:
                continue
        for _, path, size in sorted(left):
            if total <= MAX_BYTES:
                break
            total -= size
            try:
                os.unlink(path)
            except OSError:
                continue


def _problem(status: os.stat_result, path: str, is_kind: Callable[[int], bool], others: int = 0o022) -> str | None:
    """Why a file or folder is not to be trusted: it is not of its kind, not the user's own, or open to others."""
    if not is_kind(status.st_mode):
        return f"{path}: not a {'directory' if is_kind is stat.S_ISDIR else 'regular file'}"
    if status.st_uid != os.geteuid():
        return f"{path}: belongs to another user (uid {status.st_uid})"
    if status.st_mode & others:
        what = "write to" if others == 0o022 else "read or write"
        return f"{path}: other users can {what} it (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def _digest(data: bytes | memoryview, key: bytes) -> bytes:
    from _blake2 import blake2b  # hashlib's own; hashlib takes longer to import than an entry to read

    return bytes(blake2b(data, key=key, digest_size=_KEY_BYTES).digest())


def _read_key(path: str) -> bytes:
    """The user's key, which is made where there is none. Raises OSError, with what is wrong with it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        _make_key(path)
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        folder = os.path.dirname(path)
        problem = _problem(os.fstat(fd), path, stat.S_ISREG, 0o077) or _problem(os.stat(folder), folder, stat.S_ISDIR)
        key = os.read(fd, _KEY_BYTES + 1) if problem is None else b""
    finally:
        os.close(fd)
    if problem is None and len(key) != _KEY_BYTES:
        problem = f"{path}: not a key of {_KEY_BYTES} bytes; remove it"
    if problem is not None:
        place, _, what = problem.partition(": ")
        raise OSError(errno.EPERM, what, place)
    return key


def _make_key(path: str) -> None:
    """Makes a key, whole or not at all; one that another process makes meanwhile stays. Raises OSError."""
    folder = os.path.dirname(path)
    os.makedirs(folder, 0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}-{os.urandom(8).hex()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb", buffering=0) as file:
            file.write(os.urandom(_KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)


def _read_entry(path: str, name: str, key: bytes) -> Entry | None:
    """The entry in a file; None for one that is damaged or not made with the key. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb", buffering=0) as file:
        status = os.fstat(fd)
        if _problem(status, path, stat.S_ISREG) is not None or status.st_size > MAX_BYTES:
            return None
        whole = memoryview(file.read(MAX_BYTES) or b"")
    rest = whole[8 + _KEY_BYTES :]
    size = int.from_bytes(rest[:4], "little")
    if whole[:8] != _MAGIC or whole[8 : 8 + _KEY_BYTES] != _digest(rest, key) or 4 + size > len(rest):
        return None
    try:
        header = marshal.loads(rest[4 : 4 + size])
    except (ValueError, EOFError, TypeError):
        return None
    if not isinstance(header, dict):
        return None
    return Entry(name, header, rest[4 + size :], status.st_size, status.st_mtime)

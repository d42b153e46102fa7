"""The user's cache folder. Writing entries is atomic, so that concurrent readers and writers never see partial entries.

The folder is $XDG_CACHE_HOME/vmdump, else ~/.cache/vmdump, limited to MAX_BYTES by evicting the least recently used
entries. An entry is a file: _MAGIC, the digest of everything that follows, the size of the header (4 bytes,
little-endian), the marshalled header, and the payload.

Entries determine vmdump's results, and marshal is not safe for untrusted input. Therefore folders and files that other
users own or can write to are not used, and the digest is keyed (BLAKE2b) with a secret of the user in
$XDG_STATE_HOME/vmdump/cache.key, else ~/.local/state/vmdump/cache.key, readable only by the user. Entries from
elsewhere, such as a restored CI cache or a copied home directory, are ignored.
"""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import stat
import time
from collections import namedtuple

from vmdump.dump.output import replacement
from vmdump.errors import OutputError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

#: Limit of the folder in bytes; enough for a few hundred binaries.
MAX_BYTES = 256 << 20

_MAGIC = b"vmdump\0\2"
_SUFFIX = ".image"

#: Size of the key and of the digest, in bytes.
_KEY_BYTES = 32

#: Age in seconds after which temporary files of interrupted writers are removed.
_TEMPORARY_AGE = 3600


class Entry(namedtuple("Entry", ("name", "header", "payload", "size", "used"))):
    """An entry. ``header``: dict of types that marshal supports; ``size``: of the file in bytes; ``used``: time of last
    use, in seconds since the epoch.
    """

    __slots__ = ()

    name: str
    header: dict[str, Any]
    payload: memoryview
    size: int
    used: float


def find_folder() -> CacheFolder | None:
    """Return the user's cache folder, or None without a home directory. Relative paths in the variables are ignored.

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
    """A folder of entries. Safe for concurrent use by threads and processes."""

    def __init__(self, path: str, key_path: str) -> None:
        #: Path of the folder, which may not exist.
        self.path = path
        self._key_path = key_path
        self._key: bytes | None = None
        #: Reason of the last failed write.
        self.failure: str | None = None

    def why_unused(self) -> str | None:
        """Return why the folder is not used, or None if it is. Creates the key if missing."""
        try:
            problem = _problem(os.lstat(self.path), self.path, stat.S_ISDIR)
        except FileNotFoundError:
            problem = None  # created by the first write
        except OSError as error:
            problem = f"{self.path}: {error.strerror}"
        if problem is None and self._key is None:
            try:
                self._key = _read_key(self._key_path)
            except OSError as error:
                problem = f"{error.filename or self._key_path}: {error.strerror}"
        return problem

    def read(self, name: str) -> Entry | None:
        """Return an entry by name and update its time of use; None if there is none. A corrupt entry is removed."""
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
        """Write an entry atomically and evict others if necessary. Returns whether it succeeded."""
        encoded = marshal.dumps(header, 2)
        rest = b"".join([len(encoded).to_bytes(4, "little"), encoded, payload])
        try:
            self.failure = self.why_unused()
            if self.failure is None and not os.path.isdir(self.path):
                os.makedirs(self.path, 0o700, exist_ok=True)
                self.failure = self.why_unused()
            if self.failure is not None or self._key is None:
                return False
            # A symbolic link in the folder is replaced, never followed.
            with replacement(self._path(name), 0o600) as fd, open(fd, "wb", closefd=False) as file:
                file.writelines([_MAGIC, _digest(rest, self._key), rest])
        except OSError as error:
            self.failure = f"{self.path}: {error.strerror}"
            return False
        self._evict()
        return True

    def entries(self) -> list[Entry]:
        """Return all valid entries, most recently used first."""
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
        """Remove all entries, corrupt ones, and temporary files. Returns the number of files. Raises OutputError."""
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
        """Iterate over vmdump's files: entries, and temporary files of interrupted writers."""
        try:
            if _problem(os.lstat(self.path), self.path, stat.S_ISDIR) is not None:
                return
            with os.scandir(self.path) as files:
                yield from (file for file in files if file.name.endswith((_SUFFIX, ".tmp")))
        except OSError:
            return

    def _evict(self) -> None:
        """Remove the least recently used entries beyond MAX_BYTES, and old temporary files."""
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
    """Return why a file or folder is not trusted: wrong kind, another owner, or accessible to other users."""
    if not is_kind(status.st_mode):
        return f"{path}: not a {'directory' if is_kind is stat.S_ISDIR else 'regular file'}"
    if status.st_uid != os.geteuid():
        return f"{path}: belongs to another user (uid {status.st_uid})"
    if status.st_mode & others:
        what = "write to" if others == 0o022 else "read or write"
        return f"{path}: other users can {what} it (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def _digest(data: bytes | memoryview, key: bytes) -> bytes:
    from _blake2 import blake2b  # importing hashlib takes longer than reading an entry

    return bytes(blake2b(data, key=key, digest_size=_KEY_BYTES).digest())


def _read_key(path: str) -> bytes:
    """Return the user's key, creating it if missing. Raises OSError with the problem."""
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
    """Create a key atomically; keep one that another process creates meanwhile. Raises OSError."""
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
    """Return the entry in a file, or None if it is corrupt or has another key. Raises OSError."""
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

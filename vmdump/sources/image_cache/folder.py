"""The user's cache folder: entries that are whole or not there, whoever writes at the same time and whatever fails.

It is $XDG_CACHE_HOME/vmdump, else ~/.cache/vmdump, and holds at most MAX_BYTES: what was not used for longest goes.
An entry is a file: _MAGIC, the CRC-32 of all that follows, the size of the header (both 4 bytes, little-endian), the
header as marshal has it, and the payload. marshal trusts its input, as it does in Python's own cache of compiled
modules: so no folder or file is touched that another user owns or can write to.
"""

from __future__ import annotations

import marshal
import os
import stat
import time
from collections import namedtuple
from zlib import crc32

from vmdump.dump.output import replacement
from vmdump.errors import OutputError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

#: How large the folder may get, in bytes: some hundred binaries.
MAX_BYTES = 256 << 20

_MAGIC = b"vmdump\0\1"
_SUFFIX = ".image"

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
    """The user's cache folder; None for a user without a home. A relative $XDG_CACHE_HOME does not count.

    Source: XDG Base Directory Specification 0.8.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.environ.get("HOME", ""), ".cache")
    return CacheFolder(os.path.join(base, "vmdump")) if os.path.isabs(base) else None


class CacheFolder:
    """A folder of entries. Any number of threads and processes may use it at once."""

    def __init__(self, path: str) -> None:
        #: Where it is; it need not be there.
        self.path = path

    def read(self, name: str) -> Entry | None:
        """The entry of a name, which counts as used now; None where there is none. A damaged one is removed."""
        if not self._is_ours():
            return None
        path = self._path(name)
        try:
            entry = _read_entry(path, name)
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
            os.makedirs(self.path, 0o700, exist_ok=True)
            if not self._is_ours():
                return False
            # A link in here is nobody's wish, and what it points to is not ours to write: its place is taken too.
            with replacement(self._path(name), 0o600) as fd, open(fd, "wb", closefd=False) as file:
                file.writelines([_MAGIC, crc32(rest).to_bytes(4, "little"), rest])
        except OSError:
            return False
        self._evict()
        return True

    def entries(self) -> list[Entry]:
        """All entries that can be read, last used first."""
        entries = []
        for file in self._files():
            if file.name.endswith(_SUFFIX):
                try:
                    entry = _read_entry(file.path, file.name.removesuffix(_SUFFIX))
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

    def _is_ours(self) -> bool:
        """Whether it is a folder that this user owns and nobody else can write to."""
        try:
            status = os.lstat(self.path)
        except OSError:
            return False
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022

    def _files(self) -> Iterator[os.DirEntry[str]]:
        """The files that vmdump has made here: entries, and what interrupted writers have left."""
        if not self._is_ours():
            return
        try:
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


def _read_entry(path: str, name: str) -> Entry | None:
    """The entry in a file; None for a damaged one. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb", buffering=0) as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return None
        whole = memoryview(file.readall())
    rest = whole[12:]
    size = int.from_bytes(rest[:4], "little")
    if whole[:8] != _MAGIC or int.from_bytes(whole[8:12], "little") != crc32(rest) or 4 + size > len(rest):
        return None
    try:
        header = marshal.loads(rest[4 : 4 + size])
    except (ValueError, EOFError, TypeError):
        return None
    if not isinstance(header, dict):
        return None
    return Entry(name, header, rest[4 + size :], status.st_size, status.st_mtime)

"""Reads Debian packages, RPMs, wheels and tarballs as streams of members, without writing anything.

An archive is read once, from start to end (a zip by its directory), within limits on its unpacked size, which bound the
cost of a hostile one. Every defect is a SourceError that names the archive.

Source: deb(5), ar(5), tar(5), cpio(5) "New ASCII Format"; rpm's docs/manual/format.md (lead, header structures).
"""

from __future__ import annotations

import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from vmdump.errors import SourceError
from vmdump.files.decompress import Limits, decompressed, limits, size_error
from vmdump.files.input_file import open_regular

if TYPE_CHECKING:
    from vmdump.files.decompress import Stream

#: Default limits of a package: bytes of its decompressed content, and number of members.
MAX_BYTES = 16 << 30
MAX_MEMBERS = 500_000

#: Limit of the decompressed control archive of a Debian package, in bytes.
_MAX_CONTROL = 64 << 20

#: Accepted compression methods of a zip, those of wheels. zipfile reads the other methods without a memory limit.
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

#: The largest header of an RPM, in bytes. Source: rpm lib/header.c HEADER_DATA_MAX.
_MAX_RPM_HEADER = 256 << 20

DEB, RPM, ZIP = b"!<arch>\n", b"\xed\xab\xee\xdb", b"PK\x03\x04"
_RPM_HEADER = b"\x8e\xad\xe8\x01"

#: The magic of a tar archive, and its offset. Source: tar(5) "POSIX ustar Archives".
_TAR, _TAR_AT = b"ustar", 257


class Member(NamedTuple):
    """A file or link in an archive.

    path: as stored in the archive.
    target: where a link points; None for a file. That of a hard link begins with "/", the top of the archive.
    size: of a file, in bytes.
    read: returns the content. It may be called once, before the next member is requested.
    """

    path: str
    target: str | None
    size: int
    read: Callable[[], bytes]


#: What the libraries raise for truncated, corrupt or mislabelled archives.
_DEFECTS = (
    OSError, EOFError, ValueError, struct.error, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile,
    RuntimeError, NotImplementedError, OverflowError, KeyError, IndexError,
)  # fmt: skip


def archive_kind(path: str) -> str | None:
    """Return ``deb``, ``rpm``, ``zip`` or ``tar`` (compressed or not), by content; None for anything else."""
    try:
        with open_regular(path) as file:
            start = file.read(8)
            if start == DEB:
                return "deb" if file.read(13) == b"debian-binary" else None
            if start[:4] in (RPM, ZIP):
                return "rpm" if start[:4] == RPM else "zip"
            file.seek(0)
            block = _fill(decompressed(file, path, limits(None, MAX_BYTES)), tarfile.BLOCKSIZE)
            return "tar" if block[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR else None
    except (SourceError, *_DEFECTS):
        return None


def read_archive(path: str, max_size: int | None = None) -> Iterator[Member]:
    """Yield the files and links of the archive at path.

    max_size: limit of the unpacked content in bytes; None: MAX_BYTES. Raises SourceError for a truncated or corrupt
    archive, and for one that exceeds a limit.
    """
    bounds = limits(max_size, MAX_BYTES)
    try:
        with open_regular(path) as file:
            for count, member in enumerate(_READERS[archive_kind(path) or "tar"](file, path, bounds)):
                if count >= MAX_MEMBERS:
                    raise SourceError(f"{path}: more than {MAX_MEMBERS} members, the limit for a package")
                yield member._replace(read=partial(_read_member, path, member.read))
    except SourceError:
        raise
    except _DEFECTS as error:
        raise SourceError(f"{path}: {_reason(error)}; the file may be truncated or corrupt") from error


def _read_member(path: str, read: Callable[[], bytes]) -> bytes:
    """Return the content of a member. Raises SourceError, which names the archive at path."""
    try:
        return read()
    except SourceError:
        raise
    except _DEFECTS as error:
        raise SourceError(f"{path}: {_reason(error)}; the file may be truncated or corrupt") from error


def deb_control(path: str) -> dict[str, str]:
    """Return the fields of a Debian package's control file by name, in lower case. Raises SourceError."""
    control = Limits(_MAX_CONTROL, None)
    try:
        with open_regular(path) as file:
            for name, part in _ar_members(file):
                if name.startswith("control.tar"):
                    for member in _tar_members(decompressed(part, path, control), path, control):
                        if os.path.normpath(member.path) == "control":
                            return _control_fields(member.read().decode(errors="replace"))
    except SourceError:
        raise
    except _DEFECTS as error:
        raise SourceError(f"{path}: {_reason(error)}; the file may be truncated or corrupt") from error
    raise SourceError(f"{path}: a Debian package without a control file; the file may be truncated or corrupt")


def rpm_tags(path: str) -> dict[int, str]:
    """Return the strings in an RPM's header by tag number. Raises SourceError."""
    try:
        with open_regular(path) as file:
            return _rpm_header(file)
    except _DEFECTS as error:
        raise SourceError(f"{path}: {_reason(error)}; the file may be truncated or corrupt") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


# Streams ----------------------------------------------------------------------------------------------------------


def _fill(file: Stream, size: int) -> bytes:
    """Return size bytes of a stream, fewer only at its end."""
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _exactly(file: Stream, size: int) -> bytes:
    data = _fill(file, size)
    if len(data) < size:
        raise EOFError("unexpected end of file")
    return data


# Debian packages --------------------------------------------------------------------------------------------------


class _Part(io.RawIOBase):
    """A range of a file as a stream."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        self._file, self._at, self._end = file, offset, offset + size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = self._end - self._at
        self._file.seek(self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        if not data and left and size:
            raise EOFError("unexpected end of file")
        self._at += len(data)
        return data


def _ar_members(file: IO[bytes]) -> Iterator[tuple[str, Stream]]:
    at = len(DEB)
    while True:
        file.seek(at)
        header = _fill(file, 60)
        if not header:
            return
        if len(header) < 60 or header[58:] != b"`\n":
            raise ValueError("corrupt ar archive")
        size = int(header[48:58])
        if size < 0:
            raise ValueError("corrupt ar archive")
        yield header[:16].decode(errors="replace").rstrip().rstrip("/"), _Part(file, at + 60, size)
        at += 60 + size + size % 2


def _deb_members(file: IO[bytes], name: str, bounds: Limits) -> Iterator[Member]:
    for member, part in _ar_members(file):
        if member.startswith("data.tar"):
            yield from _tar_members(decompressed(part, name, bounds), name, bounds)
            return
    raise SourceError(f"{name}: a Debian package without data; the file may be truncated or corrupt")


def _control_fields(text: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text.splitlines() if not line.startswith((" ", "\t")))
    return {name.strip().lower(): value.strip() for name, colon, value in lines if colon}


# Tar, zip, cpio ---------------------------------------------------------------------------------------------------


def _tar_members(file: Any, name: str, bounds: Limits) -> Iterator[Member]:
    left = bounds.size  # counts sparse files, whose holes take no space in the archive
    with tarfile.open(fileobj=file, mode="r|", bufsize=1 << 18) as archive:
        for info in archive:
            if info.issym() or info.islnk():
                yield Member(info.name, info.linkname if info.issym() else f"/{info.linkname}", 0, bytes)
            elif info.isreg():
                left -= info.size if info.issparse() else 0
                if left < 0:
                    raise size_error(name, bounds)
                yield Member(info.name, None, info.size, _tar_reader(archive, info))
            archive.members = []  # type: ignore[attr-defined, unused-ignore]  # collected for random access


def _tar_reader(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        file = archive.extractfile(info)
        return _exactly(file, info.size) if file is not None else b""

    return read


def _compressed_tar_members(file: IO[bytes], name: str, bounds: Limits) -> Iterator[Member]:
    return _tar_members(decompressed(file, name, bounds), name, bounds)


def _zip_members(file: IO[bytes], name: str, bounds: Limits) -> Iterator[Member]:
    left = bounds.size
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            left -= info.file_size
            if left < 0:
                raise size_error(name, bounds, "zip")
            if info.is_dir():
                continue
            if info.compress_type not in _ZIP_METHODS:
                raise ValueError(f"{info.filename!r}: compression method {info.compress_type} is not supported")
            if stat.S_ISLNK(info.external_attr >> 16):
                if info.file_size <= 4096:  # PATH_MAX
                    target = _zip_reader(archive, info)().decode(errors="surrogateescape")
                    yield Member(info.filename, target, 0, bytes)
            else:
                yield Member(info.filename, None, info.file_size, _zip_reader(archive, info))


def _zip_reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with archive.open(info) as file:
            return _exactly(file, info.file_size)

    return read


def _cpio_members(file: Stream) -> Iterator[Member]:
    #: Names of hard links by inode. The last link has the content.
    waiting: dict[tuple[bytes, ...], list[str]] = {}
    while True:
        header = _exactly(file, 110)
        if header[:6] not in (b"070701", b"070702"):
            raise ValueError("the payload is not a cpio archive in the new ASCII format")
        words = [header[at : at + 8] for at in range(6, 110, 8)]
        mode, n_links, size, name_size = (int(words[i], 16) for i in (1, 4, 6, 11))
        if not 0 < name_size <= 4096 or size < 0:  # PATH_MAX
            raise ValueError("corrupt cpio archive")
        path = os.fsdecode(_exactly(file, name_size).rstrip(b"\0"))
        _exactly(file, -(110 + name_size) % 4)
        if path == "TRAILER!!!":
            return
        left = size
        inode = (words[0], words[7], words[8])

        def read(size: int = size) -> bytes:
            nonlocal left
            left = 0
            return _exactly(file, size)

        if stat.S_ISLNK(mode):
            if size > 4096:
                raise ValueError("corrupt cpio archive")
            yield Member(path, os.fsdecode(read()), 0, bytes)
        elif stat.S_ISREG(mode) and n_links > 1 and not size:
            waiting.setdefault(inode, []).append(path)
        elif stat.S_ISREG(mode):
            yield Member(path, None, size, read)
            for other in waiting.pop(inode, []) if n_links > 1 else []:
                yield Member(other, f"/{path}", 0, bytes)
        while left:
            left -= len(_exactly(file, min(left, 1 << 18)))
        _exactly(file, -size % 4)


# RPM --------------------------------------------------------------------------------------------------------------

#: Tags of RPM's header. Source: rpm include/rpm/rpmtag.h.
RPM_NAME, RPM_VERSION, RPM_RELEASE, RPM_ARCH, RPM_SOURCE = 1000, 1001, 1002, 1022, 1044

_RPM_STRING_TYPES = (6, 9)


def _rpm_header(file: Stream) -> dict[int, str]:
    """Return the strings in the header, and leave the file at the payload. Raises ValueError, EOFError."""
    if _exactly(file, 96)[:4] != RPM:
        raise ValueError("not an RPM")
    index, store = _rpm_structure(file)
    _exactly(file, -(len(index) + len(store)) % 8)  # padding of the signature
    index, store = _rpm_structure(file)
    tags = {}
    for tag, kind, offset, _ in struct.iter_unpack(">IIII", index):
        if kind in _RPM_STRING_TYPES and offset < len(store):
            tags[tag] = store[offset : store.index(b"\0", offset)].decode(errors="replace")
    return tags


def _rpm_structure(file: Stream) -> tuple[bytes, bytes]:
    magic, n_entries, size = struct.unpack(">4s4xII", _exactly(file, 16))
    if magic != _RPM_HEADER or n_entries * 16 + size > _MAX_RPM_HEADER:
        raise ValueError("corrupt RPM header")
    return _exactly(file, n_entries * 16), _exactly(file, size)


def _rpm_members(file: IO[bytes], name: str, bounds: Limits) -> Iterator[Member]:
    _rpm_header(file)
    return _cpio_members(decompressed(file, name, bounds))


_READERS: dict[str, Callable[[IO[bytes], str, Limits], Iterator[Member]]] = {
    "deb": _deb_members,
    "rpm": _rpm_members,
    "zip": _zip_members,
    "tar": _compressed_tar_members,
}

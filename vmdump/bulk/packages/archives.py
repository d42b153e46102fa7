"""Archives as streams of members: what is inside Debian packages, RPMs, wheels and tarballs. Nothing is written here.

An archive is read once from front to end (a zip from its directory), with limits on what it may unpack to, so that a
small hostile one costs no more than it may. Every defect is a SourceError that names the archive.

Source: deb(5), ar(5), tar(5), cpio(5) "New ASCII Format"; rpm's docs/manual/format.md (lead, header structures).
"""

from __future__ import annotations

import bz2
import gzip
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
from typing import IO, Any, NamedTuple, Protocol

from vmdump.errors import SourceError

#: What a package may unpack to: bytes of all members, packed as they stream, and the number of members.
MAX_BYTES = 16 << 30
MAX_MEMBERS = 500_000

#: Bytes of memory that a decompressor may take. xz -9 takes 65 MiB, zstd --ultra -22 128 MiB.
MAX_MEMORY = 512 << 20

#: The largest header of an RPM, in bytes. Source: rpm lib/header.c HEADER_DATA_MAX.
_MAX_RPM_HEADER = 256 << 20

DEB, RPM, ZIP = b"!<arch>\n", b"\xed\xab\xee\xdb", b"PK\x03\x04"
_GZIP, _BZIP2, _XZ, _ZSTD, _LZMA = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x5d\0\0"
_RPM_HEADER = b"\x8e\xad\xe8\x01"

#: What tells a tar archive, and where. Source: tar(5) "POSIX ustar Archives".
_TAR, _TAR_AT = b"ustar", 257


class Stream(Protocol):
    """What is read from front to end."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to size bytes, all for -1; none at the end."""


class Member(NamedTuple):
    """A file or link of an archive.

    path is as the archive has it; target is where a link points to (a hard link's begins with "/", as it counts from
    the archive's top), None for a file; size is a file's, in bytes; read gives its content once, before the next member
    is asked for.
    """

    path: str
    target: str | None
    size: int
    read: Callable[[], bytes]


#: What the libraries raise for archives that are not whole, or not what they say.
_DEFECTS = (
    OSError, EOFError, ValueError, struct.error, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile,
    RuntimeError, NotImplementedError, OverflowError, KeyError, IndexError,
)  # fmt: skip


def archive_kind(path: str) -> str | None:
    """``deb``, ``rpm``, ``zip`` or ``tar`` (compressed or not), by content; None for anything else."""
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            if start == DEB:
                return "deb" if file.read(13) == b"debian-binary" else None
            if start[:4] in (RPM, ZIP):
                return "rpm" if start[:4] == RPM else "zip"
            file.seek(0)
            block = _fill(decompressed(file, path), tarfile.BLOCKSIZE)
            return "tar" if block[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR else None
    except (SourceError, *_DEFECTS):
        return None


def read_archive(path: str) -> Iterator[Member]:
    """The files and links of the archive at path. Raises SourceError where it is not whole."""
    try:
        with open(path, "rb") as file:
            for count, member in enumerate(_READERS[archive_kind(path) or "tar"](file, path)):
                if count >= MAX_MEMBERS:
                    raise SourceError(f"{path}: more than {MAX_MEMBERS} members; is it a package of QEMU?")
                yield member._replace(read=partial(_told, path, member.read))
    except SourceError:
        raise
    except _DEFECTS as error:
        raise SourceError(f"{path}: {_reason(error)}; is it whole?") from error


def _told(path: str, read: Callable[[], bytes]) -> bytes:
    """What read gives; its errors are told as those of the archive at path."""
    try:
        return read()
    except SourceError:
        raise
    except _DEFECTS as error:
        raise SourceError(f"{path}: {_reason(error)}; is it whole?") from error


def deb_control(path: str) -> dict[str, str]:
    """The fields of a Debian package's control file, by name in lower case. Raises SourceError."""
    try:
        with open(path, "rb") as file:
            for name, part in _ar_members(file):
                if name.startswith("control.tar"):
                    for member in _tar_members(decompressed(part, path), path):
                        if os.path.normpath(member.path) == "control":
                            return _control_fields(member.read().decode(errors="replace"))
    except SourceError:
        raise
    except _DEFECTS as error:
        raise SourceError(f"{path}: {_reason(error)}; is it whole?") from error
    raise SourceError(f"{path}: a Debian package without a control file; is it whole?")


def rpm_tags(path: str) -> dict[int, str]:
    """The strings in an RPM's header, by the number of their tag. Raises SourceError."""
    try:
        with open(path, "rb") as file:
            return _rpm_header(file)
    except _DEFECTS as error:
        raise SourceError(f"{path}: {_reason(error)}; is it whole?") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


# Compression ------------------------------------------------------------------------------------------------------


def decompressed(file: Stream, name: str) -> Stream:
    """What is in a file or stream, from where it stands on, which is decompressed as its first bytes say, up to
    MAX_BYTES. Raises SourceError, and reading does, and what the libraries raise.
    """
    start = _fill(file, 6)
    whole = io.BufferedReader(_Joined(start, file))
    if start.startswith(_GZIP):
        return _Limited(gzip.GzipFile(fileobj=whole), name)
    if start.startswith(_BZIP2):
        return _Limited(bz2.BZ2File(whole), name)
    if start.startswith((_XZ, _LZMA)):
        return _Limited(io.BufferedReader(_Xz(whole), 1 << 18), name)
    if start.startswith(_ZSTD):
        return _Limited(_open_zstd(whole, name), name)
    return _Limited(whole, name)


def _open_zstd(file: Any, name: str) -> Stream:
    try:
        import zstandard
    except ImportError:
        raise SourceError(
            f"{name}: compressed with Zstandard, which needs a package: pip install 'vmdump[zstd]'"
        ) from None
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_MEMORY >> 1)
    return io.BufferedReader(_Zstd(decompressor.stream_reader(file, read_across_frames=True)), 1 << 18)


class _Joined(io.RawIOBase):
    """Bytes that were read already, and the rest of their file."""

    def __init__(self, start: bytes, file: Stream) -> None:
        self._start, self._file = start, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._start[: len(buffer)] or self._file.read(len(buffer))
        self._start = self._start[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _Zstd(io.RawIOBase):
    """A zstandard reader whose every failure is a ValueError: its own type may not be installed."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._reader.read(len(buffer))
        except Exception as error:
            raise ValueError(str(error)) from error
        buffer[: len(data)] = data
        return len(data)


class _Xz(io.RawIOBase):
    """An xz or lzma stream within MAX_MEMORY: lzma.LZMAFile takes as much as the stream asks for."""

    def __init__(self, file: Stream) -> None:
        self._file = file
        self._decompressor = lzma.LZMADecompressor(memlimit=MAX_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._decompressor.eof:
                rest = self._decompressor.unused_data.lstrip(b"\0") or self._file.read(1 << 16).lstrip(b"\0")
                if not rest:
                    return 0
                self._decompressor = lzma.LZMADecompressor(memlimit=MAX_MEMORY)
            else:
                rest = self._file.read(1 << 16) if self._decompressor.needs_input else b""
                if not rest and self._decompressor.needs_input:
                    raise EOFError("compressed data ends in the middle")
            if data := self._decompressor.decompress(rest, len(buffer)):
                buffer[: len(data)] = data
                return len(data)


class _Limited(io.RawIOBase):
    """A stream of no more than MAX_BYTES."""

    def __init__(self, file: Any, name: str) -> None:
        self._file, self._name, self._left = file, name, MAX_BYTES

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(self._left + 1 if size < 0 else size)
        self._left -= len(data)
        if self._left < 0:
            raise SourceError(f"{self._name}: unpacks to more than {MAX_BYTES >> 20} MiB; is it a package of QEMU?")
        return data


def _fill(file: Stream, size: int) -> bytes:
    """Size bytes of a stream; less at its end only."""
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _exactly(file: Stream, size: int) -> bytes:
    data = _fill(file, size)
    if len(data) < size:
        raise EOFError("it ends in the middle")
    return data


# Debian packages --------------------------------------------------------------------------------------------------


class _Part(io.RawIOBase):
    """A part of a file as a stream."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        self._file, self._at, self._end = file, offset, offset + size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = self._end - self._at
        self._file.seek(self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        if not data and left and size:
            raise EOFError("it ends in the middle")
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
            raise ValueError("a damaged ar archive")
        size = int(header[48:58])
        if size < 0:
            raise ValueError("a damaged ar archive")
        yield header[:16].decode(errors="replace").rstrip().rstrip("/"), _Part(file, at + 60, size)
        at += 60 + size + size % 2


def _deb_members(file: IO[bytes], name: str) -> Iterator[Member]:
    for member, part in _ar_members(file):
        if member.startswith("data.tar"):
            yield from _tar_members(decompressed(part, name), name)
            return
    raise SourceError(f"{name}: a Debian package without data; is it whole?")


def _control_fields(text: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text.splitlines() if not line.startswith((" ", "\t")))
    return {name.strip().lower(): value.strip() for name, colon, value in lines if colon}


# Tar, zip, cpio ---------------------------------------------------------------------------------------------------


def _tar_members(file: Any, name: str) -> Iterator[Member]:
    with tarfile.open(fileobj=file, mode="r|", bufsize=1 << 18) as archive:
        for info in archive:
            if info.issym() or info.islnk():
                yield Member(info.name, info.linkname if info.issym() else f"/{info.linkname}", 0, bytes)
            elif info.isreg() and not info.issparse():
                yield Member(info.name, None, info.size, _tar_reader(archive, info))
            archive.members = []  # type: ignore[attr-defined, unused-ignore]  # which it collects for random access


def _tar_reader(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        file = archive.extractfile(info)
        return _exactly(file, info.size) if file is not None else b""

    return read


def _compressed_tar_members(file: IO[bytes], name: str) -> Iterator[Member]:
    return _tar_members(decompressed(file, name), name)


def _zip_members(file: IO[bytes], name: str) -> Iterator[Member]:
    left = MAX_BYTES
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            left -= info.file_size
            if left < 0:
                raise SourceError(f"{name}: unpacks to more than {MAX_BYTES >> 20} MiB; is it a package of QEMU?")
            if info.is_dir():
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                if info.file_size <= 4096:  # PATH_MAX
                    yield Member(info.filename, archive.read(info).decode(errors="surrogateescape"), 0, bytes)
            else:
                yield Member(info.filename, None, info.file_size, _zip_reader(archive, info))


def _zip_reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with archive.open(info) as file:
            return _exactly(file, info.file_size)

    return read


def _cpio_members(file: Stream) -> Iterator[Member]:
    #: Names of hard links whose content comes with the last of them.
    waiting: dict[tuple[bytes, ...], list[str]] = {}
    while True:
        header = _exactly(file, 110)
        if header[:6] not in (b"070701", b"070702"):
            raise ValueError("a payload that is no cpio archive in the new ASCII format")
        words = [header[at : at + 8] for at in range(6, 110, 8)]
        mode, n_links, size, name_size = (int(words[i], 16) for i in (1, 4, 6, 11))
        if not 0 < name_size <= 4096 or size < 0:  # PATH_MAX
            raise ValueError("a damaged cpio archive")
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
                raise ValueError("a damaged cpio archive")
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
    """The strings in the header of the file, which then stands at the payload. Raises ValueError, EOFError."""
    if _exactly(file, 96)[:4] != RPM:
        raise ValueError("no RPM")
    index, store = _rpm_structure(file)
    _exactly(file, -(len(index) + len(store)) % 8)  # the signature's, which is padded
    index, store = _rpm_structure(file)
    tags = {}
    for tag, kind, offset, _ in struct.iter_unpack(">IIII", index):
        if kind in _RPM_STRING_TYPES and offset < len(store):
            tags[tag] = store[offset : store.index(b"\0", offset)].decode(errors="replace")
    return tags


def _rpm_structure(file: Stream) -> tuple[bytes, bytes]:
    magic, n_entries, size = struct.unpack(">4s4xII", _exactly(file, 16))
    if magic != _RPM_HEADER or n_entries * 16 + size > _MAX_RPM_HEADER:
        raise ValueError("a damaged RPM header")
    return _exactly(file, n_entries * 16), _exactly(file, size)


def _rpm_members(file: IO[bytes], name: str) -> Iterator[Member]:
    _rpm_header(file)
    return _cpio_members(decompressed(file, name))


_READERS: dict[str, Callable[[IO[bytes], str], Iterator[Member]]] = {
    "deb": _deb_members,
    "rpm": _rpm_members,
    "zip": _zip_members,
    "tar": _compressed_tar_members,
}

"""Dump files as a source: what QEMU's -dump-vmstate wrote, plain or compressed with gzip, xz or Zstandard."""

from __future__ import annotations

import io
import os
import sys

from vmdump.dump import tree as engine
from vmdump.dump.device_dump import DeviceDump
from vmdump.errors import SourceError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any

    from vmdump.dump.producer import Producer
    from vmdump.dump.tree import Tree

#: The largest dump file that is read, in bytes, decompressed: a small compressed file can hold any number of them.
MAX_FILE_BYTES = 16 << 30

_CHUNK = 1 << 20
ELF, GZIP, XZ, ZSTD = b"\x7fELF", b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"


def open_dump_file(path: str | os.PathLike[str]) -> DeviceDump:
    """The dump in the file at path. Raises as read_dump_file does.

    >>> open_dump_file("/nonexistent/x86_64.json")
    Traceback (most recent call last):
    vmdump.errors.SourceError: /nonexistent/x86_64.json: No such file or directory
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            return read_dump_file(file, name)
    except (OSError, ValueError) as error:
        raise _open_error(name, error) from error


def read_dump_file(file: io.BufferedReader, name: str) -> DeviceDump:
    """The dump in a file or pipe, from where it stands to its end; name is what errors call it.

    Raises SourceError: can't be read, is not compressed as it says, is not what QEMU prints (with line, column and JSON
    path), is too large.
    """
    tree = _parse_in_parts(file, name) or engine.parse(read_bytes(file, name), name)
    if tree.about is None:
        return DeviceDump(tree, lambda: _producer(name))
    from vmdump.dump.producer import producer_from_json

    return DeviceDump(tree, producer_from_json(tree.about, name))


def _producer(name: str) -> Producer:
    from vmdump.dump.producer import Producer

    return Producer(kind="file", path=name)


def open_bytes(path: str) -> bytes:
    """What is in the file at path, decompressed, whether it is a dump or not. Raises SourceError."""
    try:
        with open(path, "rb") as file:
            return read_bytes(file, path)
    except (OSError, ValueError) as error:
        raise _open_error(path, error) from error


def read_bytes(file: io.BufferedReader, name: str) -> bytes:
    """What is in a file or pipe, from where it stands to its end, decompressed. Raises SourceError."""
    try:
        whole = _decompressor(file, name)
        at_once = max(_CHUNK, min(_size(file), MAX_FILE_BYTES)) if whole is file else _CHUNK
        chunks, size = [], 0
        while chunk := whole.read(at_once):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_FILE_BYTES:
                raise SourceError(f"{name}: more than {MAX_FILE_BYTES >> 20} MiB: not read; is it a dump?")
        return b"".join(chunks)  # a single one is not copied
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror or error}") from error


def _parse_in_parts(file: io.BufferedReader, name: str) -> Tree | None:
    """The tree of a regular file that is not compressed; None for any other, and for one that has an error.

    The parser reads it part by part: neither are there gigabytes of text in memory, whose pages take as much time as
    the reading, nor is the file mapped, which would kill the process (SIGBUS) if it is truncated meanwhile.
    """
    if 0 < _size(file) <= MAX_FILE_BYTES and _decompressor(file, name) is file:
        return engine.parse_file(file.fileno(), file.tell())
    return None


def _open_error(name: str, error: Exception) -> SourceError:
    return SourceError(f"{name}: {getattr(error, 'strerror', None) or error}")


def _size(file: io.BufferedReader) -> int:
    """The size of a regular file, so that it is read in one go; 0 for what has none."""
    try:
        return os.fstat(file.fileno()).st_size
    except OSError:  # a file object in memory
        return 0


def _decompressor(file: io.BufferedReader, name: str) -> Any:
    """What reads the file's content: itself, where it is not compressed."""
    magic = file.peek(8)
    if magic.startswith(ELF):
        raise SourceError(f"{name}: a binary, which can be read from a file only; give its path")
    if magic.startswith(b"#!"):
        raise SourceError(f"{name}: a script, not a dump; if it starts a QEMU, name that binary, or run it (--run)")
    if magic.startswith(GZIP):
        import gzip

        return _Decompressed(gzip.GzipFile(fileobj=file), "gzip", name)
    if magic.startswith(XZ):
        import lzma

        return _Decompressed(lzma.LZMAFile(file), "xz", name)
    if magic.startswith(ZSTD):
        return _Decompressed(_open_zstd(file, name), "Zstandard", name)
    return file


def _open_zstd(file: io.BufferedReader, name: str) -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.ZstdFile(file)
    try:
        import zstandard
    except ImportError:
        raise SourceError(
            f"{name}: compressed with Zstandard, which needs a package: pip install 'vmdump[zstd]'"
        ) from None
    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


class _Decompressed:
    """A decompressing file whose every failure is a SourceError: the libraries raise one of a dozen types."""

    def __init__(self, file: Any, kind: str, name: str) -> None:
        self._file, self._kind, self._name = file, kind, name

    def read(self, size: int) -> bytes:
        try:
            return bytes(self._file.read(size))
        except MemoryError:
            raise
        except Exception as error:
            raise SourceError(f"{self._name}: not a whole {self._kind} file: {error}") from error

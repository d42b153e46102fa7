"""Dump files as a source: output of -dump-vmstate, plain or compressed with gzip, bzip2, xz, lzma or Zstandard."""

from __future__ import annotations

import io
import os
import stat

from vmdump.activity import Step, count_bytes
from vmdump.dump import tree as engine
from vmdump.dump.device_dump import DeviceDump
from vmdump.errors import SourceError
from vmdump.files.input_file import open_input

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from vmdump.dump.producer import Producer
    from vmdump.dump.tree import Tree

#: Default limit of a dump, in bytes, decompressed. Real ones have up to 3 million in the extended form.
MAX_SIZE = 1 << 30

_CHUNK = 1 << 20

#: Bytes needed to identify a file: vmdump.files.file_kind.START.
_START = 4096

#: Limit of leading white space in dumps that are not parsed in parts, in bytes.
_MAX_BLANK = 1 << 20

_BLANK = b" \t\r\n"


class CompressedStreamError(SourceError):
    """Compressed data that are a saved VM, not a dump."""


def open_dump_file(path: str | os.PathLike[str], max_size: int | None = None) -> DeviceDump:
    """Return the dump in the file at path. Raises as read_dump_file.

    >>> open_dump_file("/nonexistent/x86_64.json")
    Traceback (most recent call last):
    vmdump.errors.SourceError: /nonexistent/x86_64.json: No such file or directory
    """
    name = os.fspath(path)
    try:
        with open_input(name) as file:
            return read_dump_file(file, name, max_size)
    except (OSError, ValueError) as error:
        raise _open_error(name, error) from error


def read_dump_file(file: io.BufferedReader, name: str, max_size: int | None = None) -> DeviceDump:
    """Return the dump in a file or pipe, from the current position to the end.

    Args:
        file: the file.
        name: its name in errors.
        max_size: limit in bytes, decompressed; None: MAX_SIZE and decompress.MAX_RATIO times the compressed size.

    Raises:
        SourceError: the file can't be read, is too large, is corrupt, or is not a dump (with line, column, JSON path).
    """
    with Step(f"reading {os.path.basename(name)}"):
        tree = _parse_in_parts(file, name, max_size) or engine.parse(read_bytes(file, name, max_size), name)
    if tree.about is None:
        return DeviceDump(tree, lambda: _producer(name))
    from vmdump.dump.producer import producer_from_json

    return DeviceDump(tree, producer_from_json(tree.about, name))


def _producer(name: str) -> Producer:
    from vmdump.dump.producer import Producer

    return Producer(kind="file", path=name)


def open_bytes(path: str, max_size: int | None = None) -> bytes | bytearray:
    """Return the result of read_bytes for the file at path. Raises SourceError."""
    try:
        with open_input(path) as file:
            return read_bytes(file, path, max_size)
    except (OSError, ValueError) as error:
        raise _open_error(path, error) from error


def read_bytes(file: io.BufferedReader, name: str, max_size: int | None = None) -> bytes | bytearray:
    """Return the decompressed content of a file or pipe, from the current position to the end.

    If the content can't be a JSON object, return only its beginning, which parsers reject.

    Raises:
        SourceError: as read_dump_file.
    """
    from vmdump.files.decompress import decompressed, limits

    try:
        _refuse_programs(file.peek(_START), name)
        content = decompressed(file, name, limits(max_size, MAX_SIZE))
        data, is_object = bytearray(), False
        while chunk := content.read(_CHUNK):
            data += chunk
            count_bytes(len(chunk))
            if is_object:
                continue
            start = data.lstrip(_BLANK)
            is_object = start.startswith(b"{")
            if start.startswith((b"QEVM", b"LibvirtQemud")):
                raise CompressedStreamError(f"{name}: a saved VM can't be read from a pipe here; give its path")
            if start and not is_object:
                break
            if len(data) > _MAX_BLANK and not start:
                raise SourceError(f"{name}: not a dump: it begins with more than {_MAX_BLANK >> 20} MiB of white space")
        return data
    except OSError as error:
        raise _open_error(name, error) from error


def _parse_in_parts(file: io.BufferedReader, name: str, max_size: int | None) -> Tree | None:
    """Return the tree of an uncompressed regular file, or None for other files and files with errors.

    The parser reads the file in parts. That avoids allocating pages for the whole text, which takes as long as parsing
    it, and mapping the file, which would kill the process (SIGBUS) if it is truncated meanwhile.
    """
    size = _size(file)
    start = file.peek(8)
    if not size or not (start.lstrip(_BLANK) or b"{").startswith(b"{"):
        return None
    if size - file.tell() > (MAX_SIZE if max_size is None else max_size):
        from vmdump.files.decompress import limits, size_error

        raise size_error(name, limits(max_size, MAX_SIZE))
    return engine.parse_file(file.fileno(), file.tell(), size)


def _open_error(name: str, error: Exception) -> SourceError:
    return SourceError(f"{name}: {getattr(error, 'strerror', None) or error}")


def _size(file: io.BufferedReader) -> int:
    """Return the size of a regular file in bytes, or 0 for other files."""
    try:
        status = os.fstat(file.fileno())
    except OSError:  # a file object in memory
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _refuse_programs(start: bytes, name: str) -> None:
    """Raise SourceError if the first bytes identify another kind of file."""
    from vmdump.files.file_kind import describe_file, object_format

    if object_format(start):
        raise SourceError(f"{name}: a binary, which can't be read from a pipe; give its path")
    if start.startswith(b"#!"):
        raise SourceError(f"{name}: a script, not a dump; if it starts QEMU, give that binary, or use --run")
    if start[:1] not in (b"{", b" ", b"\n") and (kind := describe_file(start)):
        raise SourceError(f"{name}: {kind}")

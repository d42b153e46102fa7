"""Dump files as a source: what QEMU's -dump-vmstate wrote, plain or compressed with gzip, xz or Zstandard."""

from __future__ import annotations

import io
import os
import stat

from vmdump import engine
from vmdump.device_dump import DeviceDump
from vmdump.errors import SourceError
from vmdump.sources.input_file import open_input

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from vmdump.engine import Tree
    from vmdump.producer import Producer

#: The largest dump that is read without max_size, in bytes, decompressed. A real one has 3 million, extended and with
#: all descriptions.
MAX_SIZE = 1 << 30

_CHUNK = 1 << 20

#: Bytes that tell what a file is: vmdump.sources.file_kind.START.
_START = 4096

#: The most white space that a dump may begin with where it can't be read in parts, in bytes.
_MAX_BLANK = 1 << 20

_BLANK = b" \t\r\n"
_ELF = b"\x7fELF"


def open_dump_file(path: str | os.PathLike[str], max_size: int | None = None) -> DeviceDump:
    """The dump in the file at path. Raises as read_dump_file does.

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
    """The dump in a file or pipe, from where it stands to its end; name is what errors call it. max_size: the most
    bytes that it may have, decompressed; None: MAX_SIZE, and no more than decompress.MAX_RATIO times its own size.

    Raises SourceError: can't be read, is not compressed as it says, is not what QEMU prints (with line, column and JSON
    path), is too large.
    """
    tree = _parse_in_parts(file, name, max_size) or engine.parse(read_bytes(file, name, max_size), name)
    if tree.about is None:
        return DeviceDump(tree, lambda: _producer(name))
    from vmdump.producer import producer_from_json

    return DeviceDump(tree, producer_from_json(tree.about, name))


def _producer(name: str) -> Producer:
    from vmdump.producer import Producer

    return Producer(kind="file", path=name)


def open_bytes(path: str, max_size: int | None = None) -> bytes | bytearray:
    """What read_bytes returns of the file at path. Raises SourceError."""
    try:
        with open_input(path) as file:
            return read_bytes(file, path, max_size)
    except (OSError, ValueError) as error:
        raise _open_error(path, error) from error


def read_bytes(file: io.BufferedReader, name: str, max_size: int | None = None) -> bytes | bytearray:
    """The content of a file or pipe, from where it stands to its end, decompressed; of one that can't be a JSON object
    the beginning, on which a parser fails. Raises SourceError.
    """
    from vmdump.sources.decompress import decompressed, limits

    try:
        _refuse_programs(file.peek(_START), name)
        content = decompressed(file, name, limits(max_size, MAX_SIZE))
        data, is_object = bytearray(), False
        while chunk := content.read(_CHUNK):
            data += chunk
            if is_object:
                continue
            start = data.lstrip(_BLANK)
            is_object = start.startswith(b"{")
            if start and not is_object:
                break
            if len(data) > _MAX_BLANK and not start:
                raise SourceError(f"{name}: begins with more than {_MAX_BLANK >> 20} MiB of white space; not a dump")
        return data
    except OSError as error:
        raise _open_error(name, error) from error


def _parse_in_parts(file: io.BufferedReader, name: str, max_size: int | None) -> Tree | None:
    """The tree of a regular file that is not compressed; None for any other, and for one that has an error.

    The parser reads it part by part: neither are there gigabytes of text in memory, whose pages take as much time as
    the reading, nor is the file mapped, which would kill the process (SIGBUS) if it is truncated meanwhile.
    """
    size = _size(file)
    start = file.peek(8)
    if not size or not (start.lstrip(_BLANK) or b"{").startswith(b"{"):
        return None
    if size - file.tell() > (MAX_SIZE if max_size is None else max_size):
        from vmdump.sources.decompress import limits, size_error

        raise size_error(name, limits(max_size, MAX_SIZE))
    return engine.parse_file(file.fileno(), file.tell(), size)


def _open_error(name: str, error: Exception) -> SourceError:
    return SourceError(f"{name}: {getattr(error, 'strerror', None) or error}")


def _size(file: io.BufferedReader) -> int:
    """The size of a regular file in bytes; 0 for what has none."""
    try:
        status = os.fstat(file.fileno())
    except OSError:  # a file object in memory
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _refuse_programs(start: bytes, name: str) -> None:
    """Refuse what is no dump, by its first bytes, in words."""
    from vmdump.sources.file_kind import describe_file

    if start.startswith(_ELF):
        raise SourceError(f"{name}: a binary, which can be read from a file only; give its path")
    if start.startswith(b"#!"):
        raise SourceError(f"{name}: a script, not a dump; if it starts a QEMU, name that binary, or run it (--run)")
    if start[:1] not in (b"{", b" ", b"\n") and (kind := describe_file(start)):
        raise SourceError(f"{name}: {kind}")

"""Find the migration stream in a file: plain, compressed, in a save of libvirt, in a qcow2 image.

Magic numbers decide, not names. Filters (gzip, bzip2, xz, lzma, Zstandard, lzop) may be around anything that can be
read from start to end.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys

from vmdump.errors import SourceError
from vmdump.files.file_kind import object_format
from vmdump.stream.stream_input import CallbackInput, FileInput, Peekable, Sequence

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any

    from vmdump.files.decompress import Limits
    from vmdump.stream.qcow2 import Snapshot

#: The stream's magic number and version.
MAGIC = b"QEVM"
_MAGIC_3 = b"QEVM\0\0\0\3"

_LIBVIRT, _QCOW2, _LUKS = b"LibvirtQemud", b"QFI\xfb", b"LUKS\xba\xbe"

#: Limit of the offset at which a stream is looked for, and its alignment, in bytes.
_MAX_OFFSET, _ALIGNMENT = 16 << 20, 512

#: Limit of a decompressed stream, in bytes.
MAX_SIZE = 1 << 44

_START = 4096


class Container:
    """The file around a stream.

    Attributes:
        kind: ``plain``, ``libvirt save`` or ``qcow2 snapshot``.
        filters: Compression formats, outermost first.
        offset: Of the stream in the file or decompressed data, in bytes; None in a qcow2 image.
        was_running: Whether libvirt resumes the VM; None: not known.
        format: libvirt's name of its format.
        xml: The domain's XML in libvirt's header.
        cookie: libvirt's cookie, XML with the CPU's features.
        snapshot: The name of the qcow2 snapshot.
        saved_at: Time of saving in seconds since the Epoch; None: not known.
    """

    __slots__ = ("cookie", "filters", "format", "kind", "offset", "saved_at", "snapshot", "was_running", "xml")

    def __init__(self, kind: str, filters: tuple[str, ...] = (), offset: int | None = 0) -> None:
        self.kind, self.filters, self.offset = kind, filters, offset
        self.was_running: bool | None = None
        self.format: str | None = None
        self.xml: str | None = None
        self.cookie: str | None = None
        self.snapshot: str | None = None
        self.saved_at: int | None = None


class Opened:
    """A container and the input of its stream. ``size``: of the file in bytes; None: not known."""

    __slots__ = ("container", "input", "size")

    def __init__(self, container: Container, input: FileInput | CallbackInput, size: int | None) -> None:
        self.container, self.input, self.size = container, input, size


@contextlib.contextmanager
def open_container(
    path: str,
    limits: Limits | None = None,
    *,
    snapshot: str | None = None,
    offset: int | None = None,
    stdin: IO[bytes] | None = None,
) -> Iterator[Opened]:
    """Yield the stream in a file, a pipe or a block device; "-" is stdin.

    Args:
        path: the file.
        limits: of decompressed data; default: MAX_SIZE and decompress.MAX_RATIO.
        snapshot: name or id of a qcow2 snapshot; default: the latest with VM state.
        offset: of the stream in the file; default: it is looked for.
        stdin: replaces the process's own.

    Raises SourceError for a file without a stream that can be read.
    """
    with contextlib.ExitStack() as stack:
        try:
            name = "<stdin>" if path == "-" else path
            file = _open(path, stdin, stack)
            fd, size = _seekable(file)
            if fd is None:
                yield _sequential(Peekable(file), Container("plain"), name, limits, offset)
            else:
                yield _seekable_container(fd, size, name, limits, snapshot, offset, stack)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(f"{path}: {reason}") from error


def _open(path: str, stdin: IO[bytes] | None, stack: contextlib.ExitStack) -> Any:
    """Open a file of any kind that can be read; also block devices, which hold the state of Proxmox's VMs."""
    if path == "-":
        if stdin is None and sys.stdin is None:
            raise SourceError("stdin is closed; give the stream as a file")
        return stdin or sys.stdin.buffer
    if stat.S_ISBLK(os.stat(path).st_mode):
        return stack.enter_context(open(path, "rb", buffering=0))
    from vmdump.files.input_file import open_input

    return stack.enter_context(open_input(path))


def _seekable(file: Any) -> tuple[int | None, int]:
    """Return the descriptor and size of a file that can be read at any offset, from its start; else None and 0."""
    try:
        fd = file.fileno()
        if file.tell() == 0 and os.lseek(fd, 0, os.SEEK_CUR) == 0:
            return fd, os.lseek(fd, 0, os.SEEK_END)
    except OSError:  # a pipe, or a file object in memory
        pass
    return None, 0


def _seekable_container(
    fd: int,
    size: int,
    name: str,
    limits: Limits | None,
    snapshot: str | None,
    offset: int | None,
    stack: contextlib.ExitStack,
) -> Opened:
    start = os.pread(fd, _START, offset or 0)
    if start.startswith(_QCOW2) and not offset:
        return _qcow2(fd, size, name, snapshot, stack)
    if snapshot is not None:
        raise SourceError(f"{name}: not a qcow2 image; --snapshot does not apply")
    if start.startswith(MAGIC):
        return Opened(Container("plain", offset=offset or 0), FileInput(fd, offset or 0), size)
    if offset is None and (found := _find(fd, start)) is not None:
        return Opened(Container("plain", offset=found), FileInput(fd, found), size)
    os.lseek(fd, offset or 0, os.SEEK_SET)
    reader = stack.enter_context(io.FileIO(fd, closefd=False))
    opened = _sequential(Peekable(reader), Container("plain", offset=offset or 0), name, limits, None)
    if not opened.container.filters and opened.container.offset is not None:
        opened.input = FileInput(fd, opened.container.offset)
        opened.size = size
    return opened


def _find(fd: int, start: bytes) -> int | None:
    """Return the offset of a stream that follows a hole or another header, as with QEMU's file:NAME,offset=N."""
    from vmdump.files.decompress import format_of

    if start.startswith((_LIBVIRT, _LUKS)) or format_of(start):
        return None
    for at in range(0, _MAX_OFFSET, 1 << 20):
        part = os.pread(fd, 1 << 20, at)
        found = part.find(_MAGIC_3)
        while found >= 0 and found % _ALIGNMENT:
            found = part.find(_MAGIC_3, found + 1)
        if found >= 0:
            return at + found
        if len(part) < 1 << 20:
            return None
    return None


def _sequential(stream: Peekable, container: Container, name: str, limits: Limits | None, offset: int | None) -> Opened:
    """Open what a sequential stream begins with, at an offset of it."""
    from vmdump.files.decompress import MAGIC_BYTES, decompressed, format_of
    from vmdump.files.decompress import limits as default_limits

    if offset:
        Sequence(stream).read_at(offset, 0)
        container.offset = offset
    while True:
        start = stream.peek(16)
        if format_of(start[:MAGIC_BYTES]):
            format = str(format_of(start[:MAGIC_BYTES]))
            if len(container.filters) == 4:
                raise SourceError(f"{name}: compressed more than 4 times; decompress it first")
            if format == "gzip" and container.saved_at is None:
                container.saved_at = int.from_bytes(stream.peek(8)[4:8], "little") or None
            container.filters += (format,)
            if container.kind == "plain":
                container.offset = 0
            stream = Peekable(decompressed(stream, name, limits or default_limits(None, MAX_SIZE)))
        elif start.startswith(_LIBVIRT) and container.kind == "plain":
            _read_libvirt(stream, container, name)
        elif start.startswith(MAGIC):
            base = container.offset or 0
            return Opened(container, CallbackInput(Sequence(stream).read_at, base), None)
        else:
            raise SourceError(f"{name}: {_not_a_stream(start, bool(container.filters))}")


def _read_libvirt(stream: Peekable, container: Container, name: str) -> None:
    from vmdump.stream.libvirt import read_header

    header = read_header(stream, name)
    container.kind = "libvirt save"
    container.offset = (container.offset or 0) + header.size
    container.was_running, container.format = header.was_running, header.format
    container.xml, container.cookie = header.xml, header.cookie


def _not_a_stream(start: bytes, is_filtered: bool) -> str:
    if not start:
        return "empty; give a saved VM"
    if start.startswith(_LUKS):
        return "encrypted with LUKS; open it with cryptsetup or qemu-img convert, and give the result"
    if start.startswith(_QCOW2) and is_filtered:
        return "a compressed qcow2 image, which can't be read in place; decompress it first"
    if object_format(start):
        return "a binary, not a saved VM; vmdump show and check read QEMU binaries"
    return (
        "not a saved VM: neither a migration stream (QEVM), nor libvirt's save, nor a qcow2 image; --offset selects a "
        "stream within a file"
    )


def _qcow2(fd: int, size: int, name: str, wanted: str | None, stack: contextlib.ExitStack) -> Opened:
    from vmdump.stream.qcow2 import Qcow2

    image = Qcow2(fd, name)
    stack.callback(image.close)
    snapshots = image.snapshots()
    with_state = [each for each in snapshots if each.size]
    if wanted is None and not with_state:
        disk = image.disk()
        if disk(0, 4) == MAGIC:  # a state volume of Proxmox
            return Opened(Container("qcow2 disk", offset=0), CallbackInput(disk), None)
        raise SourceError(f"{name}: a qcow2 image without VM state; {_listing(snapshots)}")
    found = with_state[-1] if wanted is None else _snapshot(snapshots, wanted, name)
    container = Container("qcow2 snapshot", offset=None)
    container.snapshot, container.saved_at = found.name or found.id, found.seconds
    return Opened(container, CallbackInput(image.vm_state(found)), None)


def _snapshot(snapshots: list[Snapshot], wanted: str, name: str) -> Snapshot:
    found = next((each for each in snapshots if wanted in (each.name, each.id)), None)
    if found is None:
        raise SourceError(f"{name}: no snapshot {wanted!r}; {_listing(snapshots)}")
    if not found.size:
        raise SourceError(f"{name}: snapshot {wanted!r} has no VM state; {_listing(snapshots)}")
    return found


def _listing(snapshots: list[Snapshot]) -> str:
    if not snapshots:
        return "it has no snapshots; virsh snapshot-create or QEMU's savevm makes one"
    names = ", ".join(f"{each.name or each.id}{'' if each.size else ' (disk only)'}" for each in snapshots[:20])
    return f"its snapshots: {names}"

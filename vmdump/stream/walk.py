"""Walk the migration stream of a container with the C core (csrc/savevm/savevm.h)."""

from __future__ import annotations

import contextlib
import errno
import os
from _thread import get_ident

from vmdump._core import ffi, lib
from vmdump.activity import Step
from vmdump.dump.tree import raise_interrupt  # whose module defines vmd_poll
from vmdump.errors import SourceError
from vmdump.stream.container import open_container
from vmdump.stream.saved_vm import COMMANDS, ENDS, RamBlock, SavedVM, Section
from vmdump.stream.stream_input import FileInput

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any, NoReturn

    from vmdump._core import vmd_savevm, vmd_savevm_section
    from vmdump.files.decompress import Limits
    from vmdump.stream.container import Opened


def read_saved_vm(
    path: str | os.PathLike[str],
    *,
    limits: Limits | None = None,
    snapshot: str | None = None,
    offset: int | None = None,
    stdin: IO[bytes] | None = None,
) -> SavedVM:
    """Return the saved VM in a file. The arguments are those of open_container.

    If the vmdescription has other sizes of sections than the footers suggest, or another page size, the stream is
    walked again with them. Raises SourceError.
    """
    path = os.fspath(path)

    def walk(page_size: int = 0, sizes: Any = ()) -> tuple[SavedVM, SourceError | None]:
        name = "standard input" if path == "-" else os.path.basename(path)
        with (
            Step(f"reading {name}"),
            open_container(path, limits, snapshot=snapshot, offset=offset, stdin=stdin) as opened,
        ):
            return _walk(opened, path, page_size, sizes)

    found, problem = walk()
    if problem is not None and found.vmdescription is None and path != "-":
        found.vmdescription = _last_vmdescription(path, limits, snapshot, offset)
    page_size, sizes = _differences(found, problem is not None)
    if path != "-" and (page_size or sizes):
        again, still = walk(page_size, sizes)
        is_whole = again.vmdescription == found.vmdescription and again.has_footers >= found.has_footers
        if still is None and is_whole:  # else the vmdescription is wrong
            return again
    if problem is not None:
        raise problem
    return found


@contextlib.contextmanager
def saved_vm_of(stream: bytes) -> Iterator[SavedVM]:
    """Yield the saved VM of a stream in memory.

    Its path is that of a temporary file, which exists inside the block only: the stream may be read again.
    """
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="vmdump-", suffix=".save") as file:
        file.write(stream)
        file.flush()
        yield read_saved_vm(file.name)


def _differences(found: SavedVM, has_problem: bool) -> tuple[int, Any]:
    """Return the page size and the sizes of sections of the vmdescription if a walk contradicts them; else 0, ()."""
    document = found.document
    if document is None:
        return 0, ()
    from vmdump.stream.vmdescription import section_sizes

    sizes = section_sizes(document)
    by_key = dict(sizes)
    is_other = any(
        not each.is_live and by_key.get((each.name, each.instance_id), each.size) != each.size
        for each in found.sections
    )
    page_size = document.get("page_size")
    is_valid = isinstance(page_size, int) and page_size in (1 << bits for bits in range(8, 17))
    has_pages = has_problem or any(each.pages for each in found.blocks)
    other_page = is_valid and has_pages and page_size != found.page_size
    if found.page_size is None and is_valid:
        found.page_size = page_size
    if is_other or other_page or has_problem:
        return (page_size if is_valid and other_page else 0), sizes  # type: ignore[return-value]
    return 0, ()


def _walk(opened: Opened, path: str, page_size: int, sizes: Any) -> tuple[SavedVM, SourceError | None]:
    """Return a walked stream, and what ended the walk early."""
    ret = ffi.new("struct vmd_savevm **")
    if lib.vmd_savevm_create(ret):
        raise MemoryError("out of memory for a saved VM")
    native = ffi.gc(ret[0], lib.vmd_savevm_destroy)
    rows, text = _native_sizes(sizes)
    source = opened.input
    handle: Any = None
    if isinstance(source, FileInput):
        handle = ffi.new("struct vmd_savevm_file *", {"fd": source.fd, "base": source.base, "poll": lib.vmd_poll})
        read = lib.vmd_savevm_fd_reader()
    else:
        handle = ffi.new_handle(source)
        read = lib.vmd_savevm_read
    status = lib.vmd_savevm_walk(native, read, handle, source.base, page_size, rows, len(sizes), text)
    if status:
        raise MemoryError("out of memory for a saved VM")
    problem = None if native.problem == lib.VMD_SAVEVM_OK else _problem(native, opened, path)
    return _saved_vm(native, opened, path), problem


def _native_sizes(sizes: Any) -> tuple[Any, Any]:
    text = bytearray()
    rows = []
    for (name, instance_id), size in sizes:
        rows.append((size, len(text), instance_id & 0xFFFFFFFF))
        text += name.encode("latin-1", "replace") + b"\0"
    return ffi.new("struct vmd_savevm_size[]", rows or 1), ffi.new("char[]", bytes(text))


# Result ------------------------------------------------------------------------------------------------------------


class _Texts:
    """The strings of a walk."""

    def __init__(self, native: vmd_savevm) -> None:
        self._text = bytes(ffi.buffer(native.text, native.text_size))

    def get(self, at: int, size: int) -> str:
        """Return size bytes at an offset."""
        return self._text[at : at + size].decode("latin-1")

    def until_nul(self, at: int) -> str:
        """Return the string at an offset."""
        return self._text[at : self._text.index(b"\0", at)].decode("latin-1")


def _saved_vm(native: vmd_savevm, opened: Opened, path: str) -> SavedVM:
    texts = _Texts(native)
    vm = SavedVM(path, opened.container)
    if native.has_configuration:
        vm.machine = texts.until_nul(native.machine)
    at = native.capabilities
    for _ in range(native.n_capabilities):
        name = texts.until_nul(at)
        vm.capabilities += (name,)
        at += len(name) + 1
    if native.has_uuid:
        from uuid import UUID

        vm.uuid = str(UUID(bytes=bytes(native.uuid)))
    vm.page_size = native.page_size or None
    data = memoryview(bytes(ffi.buffer(native.data, native.data_size))) if native.data_size else memoryview(b"")
    vm.sections = tuple(_section(native.sections[i], texts, data) for i in range(native.n_sections))
    vm.blocks = tuple(_block(native.blocks[i], texts) for i in range(native.n_blocks))
    counts = enumerate(native.commands)
    vm.commands = {COMMANDS[number] if number < len(COMMANDS) else str(number): n for number, n in counts if n}
    vm.has_footers = bool(native.has_footers)
    if native.vmdescription_size:
        vm.vmdescription = bytes(ffi.buffer(native.vmdescription, native.vmdescription_size))
    vm.size = native.size
    return vm


def _section(each: vmd_savevm_section, texts: _Texts, data: memoryview) -> Section:
    body = data[each.data : each.data + each.data_size]
    return Section(
        texts.get(each.name, each.name_len), each.instance_id, each.version_id, each.id, each.type == 1, each.n_parts,
        each.offset, each.size, bool(each.is_packaged), ENDS[each.end], body,
    )  # fmt: skip


def _block(each: Any, texts: _Texts) -> RamBlock:
    return RamBlock(
        texts.get(each.name, each.name_len), each.size, each.page_size or None, each.address or None,
        bool(each.pages_offset), each.pages, each.zero, each.xbzrle, each.compressed,
    )  # fmt: skip


def _last_vmdescription(path: str, limits: Limits | None, snapshot: str | None, offset: int | None) -> bytes | None:
    """Return the vmdescription at the end of a plain file, for streams whose sections can't be told apart.

    Source: scripts/analyze-migration.py read_migration_debug_json.
    """
    with open_container(path, limits, snapshot=snapshot, offset=offset) as opened:
        source, size = opened.input, opened.size
        if not isinstance(source, FileInput) or size is None:
            return None
        tail = os.pread(source.fd, 10 << 20, max(size - (10 << 20), 0))
    at = tail.find(b"{", tail.rfind(b"\0"))
    if at < 6 or tail[at - 6 : at - 4] != b"\0\x06" or int.from_bytes(tail[at - 4 : at], "big") > len(tail) - at:
        return None
    return tail[at : at + int.from_bytes(tail[at - 4 : at], "big")]


# Problems ----------------------------------------------------------------------------------------------------------

#: Exceptions of the read callback, by thread.
_errors: dict[int, BaseException] = {}


def _stash(kind: type[BaseException], error: BaseException, traceback: object) -> int:
    _errors[get_ident()] = error
    return -errno.EINTR


@ffi.def_extern(name="vmd_savevm_read", error=-errno.EINTR, onerror=_stash)
def _vmd_savevm_read(opaque: Any, offset: int, buffer: Any, size: int) -> int:
    data = ffi.from_handle(opaque).read_at(offset, size)
    ffi.memmove(buffer, data, len(data))
    return len(data)


def _raise_stashed() -> NoReturn:
    error = _errors.pop(get_ident(), None)
    if error is None:
        raise_interrupt()
    raise error


def _problem(native: vmd_savevm, opened: Opened, path: str) -> SourceError:
    """Return the problem that ended a walk, as one line."""
    kind, value, at = native.problem, native.problem_value, native.problem_offset
    if kind == lib.VMD_SAVEVM_NO_MEMORY:
        raise MemoryError("out of memory for a saved VM")
    if kind == lib.VMD_SAVEVM_INTERRUPTED:
        _raise_stashed()
    if kind == lib.VMD_SAVEVM_IO:
        return SourceError(f"{path}: {os.strerror(value)} (at byte {at} of the stream)")
    texts = _Texts(native)
    where = ""
    if native.problem_section:
        section = native.sections[native.problem_section - 1]
        where = f"section {texts.get(section.name, section.name_len)!r} (instance {section.instance_id:#x})"
    if kind in (lib.VMD_SAVEVM_TRUNCATED, lib.VMD_SAVEVM_NO_END):
        end = at if opened.size is None else min(at, max(opened.size - (opened.container.offset or 0), 0))
        outside = "after its last section" if native.n_sections else "before its first section"
        inside = f"within or after {where}" if where else outside
        return SourceError(f"{path}: the stream ends at byte {end}, {inside}; the file is truncated, save the VM again")
    what = _WORDS[kind].format(value=value, where=where or "the stream")
    return SourceError(f"{path}: {what} (at byte {at} of the stream)")


_CORRUPT = "the file may be corrupt"
_WORDS = {
    lib.VMD_SAVEVM_NO_MAGIC: "not a migration stream: it begins with {value:#010x}, not QEVM",
    lib.VMD_SAVEVM_VERSION: "a migration stream of version {value}; version 3 can be read, of QEMU 0.13 and later",
    lib.VMD_SAVEVM_ELEMENT: f"an element of unknown type {{value:#04x}} after {{where}}; {_CORRUPT}",
    lib.VMD_SAVEVM_UNKNOWN_SECTION: f"a part of section id {{value}}, which has not been started; {_CORRUPT}",
    lib.VMD_SAVEVM_NO_FOOTER: f"the footer of {{where}} is missing; {_CORRUPT}",
    lib.VMD_SAVEVM_CONFIGURATION: "an unknown subsection of the configuration; the stream may be from a newer QEMU",
    lib.VMD_SAVEVM_TOO_MANY: f"more than {{value}} sections or RAM blocks; {_CORRUPT}",
    lib.VMD_SAVEVM_RAM_VERSION: "RAM in version {value}; version 4 can be read, of QEMU 0.13 and later",
    lib.VMD_SAVEVM_RAM_FLAGS: f"a RAM record with unknown flags {{value:#x}}; {_CORRUPT}",
    lib.VMD_SAVEVM_RAM_BLOCK: f"a page of a RAM block that {{where}} does not list; {_CORRUPT}",
    lib.VMD_SAVEVM_RAM_SIZES: f"a RAM block of {{value}} bytes, more than is left of the total; {_CORRUPT}",
    lib.VMD_SAVEVM_MULTIFD: "a multifd channel, which has RAM pages only; give the file of the main channel",
    lib.VMD_SAVEVM_MAPPED: "a mapped-ram header with invalid version or offset {value:#x}; the file may be corrupt, or "
    "the stream has been moved within it: its offsets are absolute",
    lib.VMD_SAVEVM_LIVE: f"{{where}} has a record with unknown flags {{value:#x}}; {_CORRUPT}",
    lib.VMD_SAVEVM_TOO_LARGE: f"{{where}} has no end within {{value}} bytes; {_CORRUPT}",
    lib.VMD_SAVEVM_PACKAGE: f"{{where}} exceeds the package that it is in; {_CORRUPT}",
}

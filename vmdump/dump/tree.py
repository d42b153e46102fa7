"""The C core as Python sees it: trees, how a dump file becomes one, and dumping them.

A Tree owns native memory (csrc/tree.h) and is immutable; any number of
threads may dump one at the same time, and the GIL is free while the core works.
"""

from __future__ import annotations

import os
from _thread import get_ident

from vmdump._core import ffi, lib
from vmdump.errors import OutputError, SourceError, VmdumpError, VMStateError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final, NoReturn

    from vmdump.dump.engine import Engine

#: The largest dump that is begun, in bytes: a tree that shares descriptions can stand for more than any disk holds.
MAX_DUMP_BYTES: Final = 64 << 30


class Tree:
    """A dump in native form: a machine and its devices' descriptions. Immutable; safe to use from any thread.

    Made by `parse` and `vmdump.dump.lowering.lower`. Source: csrc/tree.h ``struct vmd_tree``.
    """

    __slots__ = ("__weakref__", "native", "owners")

    def __init__(self) -> None:
        """An empty tree, to be filled by the functions below. Raises MemoryError."""
        ret = ffi.new("struct vmd_tree **")
        if lib.vmd_tree_create(ret):
            raise MemoryError("out of memory for a tree")
        #: The ``struct vmd_tree *``.
        self.native = ffi.gc(ret[0], lib.vmd_tree_destroy)
        #: Trees whose descriptions this one refers to.
        self.owners: tuple[Tree, ...] = ()

    @property
    def machine(self) -> str:
        """The machine's name in ``vmschkmachine``."""
        return text_of(self.native.machine, self.native.machine_len)

    @property
    def size(self) -> int:
        """Bytes of the whole dump, known without rendering it. Source: csrc/tree.c vmd_tree_size."""
        return int(lib.vmd_tree_size(self.native))

    @property
    def n_fields(self) -> int:
        """Printed fields of the whole dump, nested ones included."""
        return int(lib.vmd_tree_fields(self.native))

    def __len__(self) -> int:
        """How many devices the tree has."""
        return int(self.native.n_devices)

    def device_names(self) -> list[str]:
        """The devices' type names, in order."""
        devices = self.native.devices
        return [text_of(devices[i].name, devices[i].name_len) for i in range(len(self))]

    def device_versions(self, index: int) -> tuple[int, int]:
        """version_id and minimum_version_id that the dump prints for a device."""
        device = self.native.devices[index]
        return int(device.version_id), int(device.minimum_version_id)

    def device_fields(self, index: int) -> int:
        """Fields that the dump prints for a device, nested ones included."""
        return int(self.native.devices[index].vmsd.n_total)

    def device_description(self, index: int) -> str:
        """The name of a device's description."""
        vmsd = self.native.devices[index].vmsd
        return text_of(vmsd.name, vmsd.name_len)

    def device_facts(self, index: int) -> dict[str, Any]:
        """Parents (nearest first), abstract, desc and module of a device, where the tree has them; else nothing."""
        details = self.native.devices[index].details
        if not details:
            return {}
        return {
            "parents": _texts_of(details.parents, details.n_parents),
            "abstract": bool(details.is_abstract),
            "desc": _text_or_none(details.desc),
            "module": _text_or_none(details.module),
        }

    def set_device_facts(
        self, index: int, *, parents: Sequence[str], abstract: bool, desc: str | None = None, module: str | None = None
    ) -> None:
        """Says these of a device. For sources, before anyone else sees the tree."""
        texts = _encode_texts([*parents, *(text for text in (desc, module) if text is not None)])
        error = ffi.new("struct vmd_error *")
        check_status(
            lib.vmd_tree_set_device_details(
                self.native, index, texts, len(texts), len(parents), desc is not None, module is not None, abstract,
                error,
            ),
            error,
        )  # fmt: skip

    def root_name(self, index: int) -> str:
        """The name of a description that is on no device class."""
        vmsd = self.native.roots[index].vmsd
        return text_of(vmsd.name, vmsd.name_len)

    def root_facts(self, index: int) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
        """Symbol, uses and types of a description that is on no device class."""
        root = self.native.roots[index]
        return _text_or_none(root.symbol), _texts_of(root.uses, root.n_uses), _texts_of(root.types, root.n_types)

    def set_roots(self, roots: Sequence[tuple[Any, str | None, Sequence[str], Sequence[str]]]) -> None:
        """Sets these: native description, symbol, uses, types. For sources, before anyone else sees the tree."""
        texts = _encode_texts([text for _, symbol, uses, types in roots for text in (symbol or "", *uses, *types)])
        vmsds = ffi.new("const struct vmd_desc *[]", [vmsd for vmsd, _, _, _ in roots])
        counts = ffi.new("uint32_t[]", [len(words) for _, _, uses, types in roots for words in (uses, types)])
        error = ffi.new("struct vmd_error *")
        check_status(lib.vmd_tree_set_roots(self.native, vmsds, counts, len(roots), texts, len(texts), error), error)

    @property
    def about(self) -> bytes | None:
        """What is known of the producer: a JSON object, as an extended dump file has it. None: nothing."""
        return bytes(ffi.buffer(self.native.about, self.native.about_size)) if self.native.about else None

    def set_about(self, json: bytes) -> None:
        """Sets that. For sources, before anyone else sees the tree."""
        error = ffi.new("struct vmd_error *")
        check_status(lib.vmd_tree_set_about(self.native, json, len(json), error), error)

    def dump_fd(self, fd: int, engine: Engine | None = None, *, extended: bool = False, roots: bool = True) -> None:
        """Writes the dump to a file descriptor, in chunks of 256 KiB, from where it stands; engine None: the fast one.
        extended: in the extended form, which has one engine, with or without roots.

        Raises OutputError (the system's error, with errno), VMStateError when the dump would pass MAX_DUMP_BYTES, and
        what a signal handler raises (KeyboardInterrupt).
        """
        self._check_size()
        error = ffi.new("struct vmd_error *")
        code = _code(engine, extended=extended, roots=roots)
        _check_dump(lib.vmd_dump_fd(self.native, code, fd, lib.vmd_poll, ffi.NULL, error), error)

    def dump_bytes(self, engine: Engine | None = None, *, extended: bool = False, roots: bool = True) -> bytes:
        """The dump as bytes. Raises as dump_fd does, and MemoryError."""
        import ctypes

        code = _code(engine, extended=extended, roots=roots)
        size = self._check_size()
        error = ffi.new("struct vmd_error *")
        if extended:
            ret = ffi.new("uint64_t *")
            _check_dump(lib.vmd_dump_size(self.native, code, lib.vmd_poll, ffi.NULL, ret, error), error)
            size = int(ret[0])
        new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
        new_bytes.restype, new_bytes.argtypes = ctypes.py_object, (ctypes.c_char_p, ctypes.c_ssize_t)
        # The C API's own way to fill a bytes object: it is not shared until this returns.
        dump: bytes = new_bytes(None, size)
        memory = ffi.cast("char *", ffi.from_buffer(dump))
        _check_dump(lib.vmd_dump_memory(self.native, code, memory, size, lib.vmd_poll, ffi.NULL, error), error)
        return dump

    def _check_size(self) -> int:
        size = self.size
        if size > MAX_DUMP_BYTES:
            raise VMStateError(
                f"the dump would take {'more than 2^64' if size == 2**64 - 1 else size} bytes, more than the limit of "
                f"{MAX_DUMP_BYTES}: its descriptions nest each other too often; look for one that is nested many times"
            )
        return size


def _code(engine: Engine | None, *, extended: bool, roots: bool) -> int:
    if extended:
        return int(lib.VMD_ENGINE_EXTENDED_ROOTS if roots else lib.VMD_ENGINE_EXTENDED)
    return int(lib.VMD_ENGINE_FAST) if engine is None else engine.code


def parse(data: bytes, name: str = "<dump>") -> Tree:
    """The tree of a -dump-vmstate file's bytes. name is what errors call the file.

    Raises SourceError with line, column and JSON path when the bytes are not what QEMU prints. Source: csrc/parse.c.
    """
    tree = Tree()
    error = ffi.new("struct vmd_error *")
    if lib.vmd_tree_parse(tree.native, ffi.from_buffer(data), len(data), error):
        raise _parse_error(data, name, error)
    return tree


def parse_file(fd: int, offset: int) -> Tree | None:
    """The tree of a regular file from an offset on, of which a part at a time is in memory; None if it can't be read.

    Why not, and where, is to be learnt by reading it whole and `parse`. Source: csrc/parse.c.
    """
    tree = Tree()
    error = ffi.new("struct vmd_error *")
    if lib.vmd_tree_parse_file(tree.native, fd, offset, error) == lib.VMD_NO_MEMORY:
        raise MemoryError("out of memory while reading a dump file")
    return None if error.code else tree


def text_of(pointer: Any, size: int) -> str:
    """A string of a tree: size bytes of UTF-8 at pointer."""
    return bytes(ffi.buffer(pointer, size)).decode()


def _texts_of(pointer: Any, count: int) -> tuple[str, ...]:
    """Strings that stand behind each other, each ended by NUL."""
    texts = []
    for _ in range(count):
        text = ffi.string(pointer)
        pointer += len(text) + 1
        texts.append(text.decode(errors="backslashreplace"))
    return tuple(texts)


def _text_or_none(pointer: Any) -> str | None:
    return ffi.string(pointer).decode(errors="backslashreplace") if pointer else None


def _encode_texts(texts: Sequence[str]) -> bytes:
    return "".join(f"{text}\0" for text in texts).encode()


# Errors and signals -----------------------------------------------------------------------------------------------

#: What a signal handler raised during a dump, by thread.
_interrupts: dict[int, BaseException] = {}


def _stash_interrupt(kind: type[BaseException], error: BaseException, traceback: object) -> int:
    _interrupts[get_ident()] = error
    return 1


@ffi.def_extern(name="vmd_poll", error=1, onerror=_stash_interrupt)  # type: ignore[untyped-decorator, unused-ignore]
def _vmd_poll(opaque: object) -> int:
    """Lets Python run its signal handlers during a long call; what one raises ends the call and is raised by it."""
    return 0


def raise_interrupt() -> NoReturn:
    """Raises what a signal handler raised in vmd_poll, when that has ended a call of the core."""
    raise _interrupts.pop(get_ident())


def _check_dump(status: int, error: Any) -> None:
    if status == lib.VMD_INTERRUPTED:
        raise_interrupt()
    if status == lib.VMD_IO:
        raise OutputError(error.index, os.strerror(error.index))
    check_status(status, error)


def check_status(status: int, error: Any) -> None:
    """Raises what a status means that its caller has no better words for: MemoryError, or VmdumpError for a bug."""
    if status == lib.VMD_NO_MEMORY:
        raise MemoryError("out of memory in the dump engine")
    if status:
        raise VmdumpError(f"dump engine: {ffi.string(error.message).decode()} (at {error.index}); please report this")


def _parse_error(data: bytes, name: str, error: Any) -> Exception:
    if error.code == lib.VMD_NO_MEMORY:
        return MemoryError(f"out of memory while reading {name}")
    message = ffi.string(error.message).decode()
    path = ffi.string(error.path).decode("utf-8", "backslashreplace")
    if error.code == lib.VMD_DUPLICATE and error.index == 0:
        return SourceError(f"{name}: at {path}: {message}; remove one")
    line = data.count(b"\n", 0, error.index) + 1
    column = error.index - (data.rfind(b"\n", 0, error.index) + 1) + 1
    return SourceError(f"{name}:{line}:{column}: at {path}: {message}")

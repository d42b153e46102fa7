"""Trees of the C core: parse a dump file into one, and dump one.

A Tree owns native memory (csrc/tree/tree.h) and is immutable. Any number of threads may dump one at the same time; the
GIL is released while the core works.
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

    from vmdump._core import Pointer, vmd_desc, vmd_error
    from vmdump.dump.engine import Engine

#: The largest dump that is written, in bytes. A tree that shares descriptions can expand to more than any disk holds.
MAX_DUMP_BYTES: Final = 64 << 30


class Tree:
    """A dump in native form: a machine and the descriptions of its devices. Immutable; safe to use from any thread.

    Made by `parse` and `vmdump.dump.lowering.lower`. Source: csrc/tree/tree.h ``struct vmd_tree``.
    """

    __slots__ = ("__weakref__", "native", "owners")

    def __init__(self) -> None:
        """Create an empty tree, which its maker fills. Raises MemoryError."""
        ret = ffi.new("struct vmd_tree **")
        if lib.vmd_tree_create(ret):
            raise MemoryError("out of memory for a tree")
        #: The ``struct vmd_tree *``.
        self.native = ffi.gc(ret[0], lib.vmd_tree_destroy)
        #: Trees that own descriptions which this one refers to.
        self.owners: tuple[Tree, ...] = ()

    @property
    def machine(self) -> str:
        """The machine type in ``vmschkmachine``."""
        return text_of(self.native.machine, self.native.machine_len)

    @property
    def size(self) -> int:
        """Size of the dump in QEMU's form, in bytes, computed without writing it. Source: csrc/format/measure.c."""
        return int(lib.vmd_tree_size(self.native))

    @property
    def n_fields(self) -> int:
        """Number of fields that the dump prints, including nested ones."""
        return int(lib.vmd_tree_fields(self.native))

    def __len__(self) -> int:
        """Number of devices."""
        return int(self.native.n_devices)

    def device_names(self) -> list[str]:
        """Return the type names of the devices, in order."""
        devices = self.native.devices
        return [text_of(devices[i].name, devices[i].name_len) for i in range(len(self))]

    def device_versions(self, index: int) -> tuple[int, int]:
        """Return the version_id and minimum_version_id that the dump prints for a device."""
        device = self.native.devices[index]
        return int(device.version_id), int(device.minimum_version_id)

    def device_fields(self, index: int) -> int:
        """Return the number of fields that the dump prints for a device, including nested ones."""
        return int(self.native.devices[index].vmsd.n_total)

    def device_vmsd_name(self, index: int) -> str:
        """Return the name of a device's description; empty if it has none, as in edited dumps."""
        vmsd = self.native.devices[index].vmsd
        return text_of(vmsd.name, vmsd.name_len)

    def device_has_description(self, index: int) -> bool:
        """Whether a device has a description. Only edited dumps have devices without one."""
        return not self.native.devices[index].vmsd.traits & lib.VMD_NO_DESCRIPTION

    def device_metadata(self, index: int) -> dict[str, Any]:
        """Return parents (nearest first), abstract, desc and module of a device; empty if the tree has no metadata."""
        details = self.native.devices[index].details
        if not details:
            return {}
        return {
            "parents": _texts_of(details.parents, details.n_parents),
            "abstract": bool(details.is_abstract),
            "desc": _text_or_none(details.desc),
            "module": _text_or_none(details.module),
        }

    def set_device_metadata(
        self, index: int, *, parents: Sequence[str], abstract: bool, desc: str | None = None, module: str | None = None
    ) -> None:
        """Set the metadata of a device. For sources only, before they publish the tree."""
        texts = _encode_texts([*parents, *(text for text in (desc, module) if text is not None)])
        error = ffi.new("struct vmd_error *")
        check_status(
            lib.vmd_tree_set_device_details(
                self.native, index, texts, len(texts), len(parents), desc is not None, module is not None, abstract,
                error,
            ),
            error,
        )  # fmt: skip

    def standalone_name(self, index: int) -> str:
        """Return the name of a standalone description."""
        vmsd = self.native.standalone[index].vmsd
        return text_of(vmsd.name, vmsd.name_len)

    def standalone_metadata(self, index: int) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
        """Return symbol, uses and types of a standalone description; see `StandaloneVMState`."""
        native = self.native.standalone[index]
        uses, types = _texts_of(native.uses, native.n_uses), _texts_of(native.types, native.n_types)
        return _text_or_none(native.symbol), uses, types

    def set_standalone(self, descriptions: Sequence[tuple[vmd_desc, str | None, Sequence[str], Sequence[str]]]) -> None:
        """Set the standalone descriptions: ``struct vmd_desc *``, symbol, uses, types of each. For sources only, before
        they publish the tree.
        """
        strings = [text for _, symbol, uses, types in descriptions for text in (symbol or "", *uses, *types)]
        texts = _encode_texts(strings)
        vmsds = ffi.new("const struct vmd_desc *[]", [vmsd for vmsd, _, _, _ in descriptions])
        counts = ffi.new("uint32_t[]", [len(words) for _, _, uses, types in descriptions for words in (uses, types)])
        error = ffi.new("struct vmd_error *")
        check_status(
            lib.vmd_tree_set_standalone(self.native, vmsds, counts, len(descriptions), texts, len(texts), error), error
        )

    @property
    def about(self) -> bytes | None:
        """The producer as a JSON object, as in an extended dump file; None if it is not known."""
        return bytes(ffi.buffer(self.native.producer, self.native.producer_size)) if self.native.producer else None

    def set_about(self, json: bytes) -> None:
        """Set the producer. For sources only, before they publish the tree."""
        error = ffi.new("struct vmd_error *")
        check_status(lib.vmd_tree_set_producer(self.native, json, len(json), error), error)

    def dump_fd(
        self, fd: int, engine: Engine | None = None, *, extended: bool = False, standalone: bool = True
    ) -> None:
        """Write the dump to a file descriptor at its current position, in chunks of 256 KiB.

        Args:
            fd: the file descriptor.
            engine: which C code writes QEMU's form; None: the fast one.
            extended: write the extended form, which has only one engine.
            standalone: write the standalone descriptions too; extended form only.

        Raises OutputError with the system's errno, VMStateError if the dump is larger than MAX_DUMP_BYTES, and what a
        signal handler raises (KeyboardInterrupt).
        """
        self._check_size()
        error = ffi.new("struct vmd_error *")
        code, form = _code(engine), _form(extended=extended, standalone=standalone)
        _check_dump(lib.vmd_dump_fd(self.native, code, form, fd, lib.vmd_poll, ffi.NULL, error), error)

    def dump_bytes(self, engine: Engine | None = None, *, extended: bool = False, standalone: bool = True) -> bytes:
        """Return the dump. Arguments and errors as in dump_fd; also raises MemoryError."""
        import ctypes

        code, form = _code(engine), _form(extended=extended, standalone=standalone)
        size = self._check_size()
        error = ffi.new("struct vmd_error *")
        if extended:
            ret = ffi.new("uint64_t *")
            _check_dump(lib.vmd_dump_size(self.native, code, form, lib.vmd_poll, ffi.NULL, ret, error), error)
            size = int(ret[0])
        new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
        new_bytes.restype, new_bytes.argtypes = ctypes.py_object, (ctypes.c_char_p, ctypes.c_ssize_t)
        # CPython's documented way to fill a new bytes object: nothing else refers to it before this returns.
        dump: bytes = new_bytes(None, size)
        memory = ffi.cast("char *", ffi.from_buffer(dump))
        _check_dump(lib.vmd_dump_memory(self.native, code, form, memory, size, lib.vmd_poll, ffi.NULL, error), error)
        return dump

    def _check_size(self) -> int:
        size = self.size
        if size > MAX_DUMP_BYTES:
            raise VMStateError(
                f"the dump would have {'more than 2^64' if size == 2**64 - 1 else size} bytes; the limit is "
                f"{MAX_DUMP_BYTES}: look for a description that is nested many times"
            )
        return size


def _code(engine: Engine | None) -> int:
    if engine is None:
        return int(lib.VMD_ENGINE_FAST)
    try:
        return engine.code
    except AttributeError:
        raise TypeError(f"engine must be a vmdump.Engine or None, not {type(engine).__name__}") from None


def _form(*, extended: bool, standalone: bool) -> int:
    if not extended:
        return int(lib.VMD_FORM_QEMU)
    return int(lib.VMD_FORM_EXTENDED_STANDALONE if standalone else lib.VMD_FORM_EXTENDED)


def parse(data: bytes | bytearray, name: str = "<dump>") -> Tree:
    """Parse the content of a file that -dump-vmstate wrote. name stands for the file in errors.

    Raises SourceError with line, column and JSON path if the bytes are not in the form that QEMU prints.

    Source: csrc/parse/parse.c.
    """
    tree = Tree()
    error = ffi.new("struct vmd_error *")
    if lib.vmd_tree_parse(tree.native, ffi.from_buffer(data), len(data), error):
        raise _parse_error(data, name, error)
    return tree


def parse_file(fd: int, offset: int, end: int = 2**64 - 1) -> Tree | None:
    """Parse a regular file from an offset to the offset end, one part in memory at a time. Return None for an error.

    To get the error and its position, read the whole file and call `parse`. Source: csrc/parse/parse.c.
    """
    tree = Tree()
    error = ffi.new("struct vmd_error *")
    if lib.vmd_tree_parse_file(tree.native, fd, offset, end, error) == lib.VMD_NO_MEMORY:
        raise MemoryError("out of memory while reading a dump file")
    return None if error.code else tree


def text_of(pointer: Pointer[bytes], size: int) -> str:
    """Return a string of a tree: size bytes at pointer, of UTF-8 unless they are a text that QEMU does not print."""
    return bytes(ffi.buffer(pointer, size)).decode(errors="backslashreplace")


def _texts_of(pointer: Pointer[bytes], count: int) -> tuple[str, ...]:
    """Return consecutive strings, each terminated by NUL."""
    texts = []
    for _ in range(count):
        text = ffi.string(pointer)
        pointer += len(text) + 1
        texts.append(text.decode(errors="backslashreplace"))
    return tuple(texts)


def _text_or_none(pointer: Pointer[bytes]) -> str | None:
    return ffi.string(pointer).decode(errors="backslashreplace") if pointer else None


def _encode_texts(texts: Sequence[str]) -> bytes:
    return "".join(f"{text}\0" for text in texts).encode()


# Errors and signals -----------------------------------------------------------------------------------------------

#: Exceptions that signal handlers raised during a dump, by thread.
_interrupts: dict[int, BaseException] = {}


def _stash_interrupt(kind: type[BaseException], error: BaseException, traceback: object) -> int:
    _interrupts[get_ident()] = error
    return 1


@ffi.def_extern(name="vmd_poll", error=1, onerror=_stash_interrupt)
def _vmd_poll(opaque: object) -> int:
    """Let Python run its signal handlers during a long call. An exception in one ends the call, which raises it."""
    return 0


def raise_interrupt() -> NoReturn:
    """Raise the exception of the signal handler that ended a call of the core."""
    raise _interrupts.pop(get_ident())


def _check_dump(status: int, error: vmd_error) -> None:
    if status == lib.VMD_INTERRUPTED:
        raise_interrupt()
    if status == lib.VMD_IO:
        raise OutputError(error.index, os.strerror(error.index))
    check_status(status, error)


def check_status(status: int, error: vmd_error | None) -> None:
    """Raise MemoryError, or VmdumpError for a status that only a bug of vmdump can cause."""
    if status == lib.VMD_NO_MEMORY:
        raise MemoryError("out of memory in the dump engine")
    if status:
        what = f"status {status}" if error is None else f"{ffi.string(error.message).decode()} (at {error.index})"
        raise VmdumpError(f"dump engine: {what}; please report this")


def _parse_error(data: bytes | bytearray, name: str, error: vmd_error) -> Exception:
    if error.code == lib.VMD_NO_MEMORY:
        return MemoryError(f"out of memory while reading {name}")
    message = ffi.string(error.message).decode()
    path = ffi.string(error.path).decode("utf-8", "backslashreplace")
    if error.code == lib.VMD_DUPLICATE and error.index == 0:
        return SourceError(f"{name}: at {path}: {message}; remove one")
    line = data.count(b"\n", 0, error.index) + 1
    column = error.index - (data.rfind(b"\n", 0, error.index) + 1) + 1
    return SourceError(f"{name}:{line}:{column}: at {path}: {message}")

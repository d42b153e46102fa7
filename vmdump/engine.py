"""The C core as Python sees it: trees, how the model becomes one and is made from one, and dumping them.

A Tree owns native memory (csrc/tree.h) and is immutable; any number of
threads may dump one at the same time, and the GIL is free while the core works.
"""

import enum
import os
import struct
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Final

from vmdump._core import ffi, lib
from vmdump.errors import OutputError, SourceError, VmdumpError, VMStateError
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags

#: The largest dump that is begun, in bytes: a tree that shares descriptions can stand for more than any disk holds.
MAX_DUMP_BYTES: Final = 64 << 30


class Engine(enum.Enum):
    """Which C code writes: FAST (templates) or STDIO (fprintf, as QEMU does it; the reference). Their bytes are equal.

    Source: csrc/fast_dump.c, csrc/stdio_dump.c.

    >>> import vmdump
    >>> dump = vmdump.open()
    >>> dump.to_bytes(engine=Engine.STDIO) == dump.to_bytes(engine=Engine.FAST)
    True
    """

    FAST = "fast"
    STDIO = "stdio"

    @property
    def _code(self) -> int:
        return int(lib.VMD_ENGINE_STDIO if self is Engine.STDIO else lib.VMD_ENGINE_FAST)


class Tree:
    """A dump in native form: a machine and its devices' descriptions. Immutable; safe to use from any thread.

    Made by `parse` and `lower`. Source: csrc/tree.h ``struct vmd_tree``.
    """

    __slots__ = ("__weakref__", "_tree", "owners")

    def __init__(self) -> None:
        """An empty tree, to be filled by the functions below. Raises MemoryError."""
        ret = ffi.new("struct vmd_tree **")
        if lib.vmd_tree_create(ret):
            raise MemoryError("out of memory for a tree")
        self._tree = ffi.gc(ret[0], lib.vmd_tree_destroy)
        #: Trees whose descriptions this one refers to.
        self.owners: tuple[Tree, ...] = ()

    @property
    def machine(self) -> str:
        """The machine's name in ``vmschkmachine``."""
        return _text(self._tree.machine, self._tree.machine_len)

    @property
    def size(self) -> int:
        """Bytes of the whole dump, known without rendering it. Source: csrc/tree.c vmd_tree_size."""
        return int(lib.vmd_tree_size(self._tree))

    @property
    def n_fields(self) -> int:
        """Printed fields of the whole dump, nested ones included."""
        return int(lib.vmd_tree_fields(self._tree))

    def __len__(self) -> int:
        """How many devices the tree has."""
        return int(self._tree.n_devices)

    def device_names(self) -> list[str]:
        """The devices' type names, in order."""
        devices = self._tree.devices
        return [_text(devices[i].name, devices[i].name_len) for i in range(len(self))]

    def device_versions(self, index: int) -> tuple[int, int]:
        """version_id and minimum_version_id that the dump prints for a device."""
        device = self._tree.devices[index]
        return int(device.version_id), int(device.minimum_version_id)

    def device_fields(self, index: int) -> int:
        """Fields that the dump prints for a device, nested ones included."""
        return int(self._tree.devices[index].vmsd.n_total)

    def description(self, index: int) -> VMStateDescription:
        """The model of a device's description, made on each call; nested descriptions that are shared stay shared."""
        made: dict[int, VMStateDescription] = {}
        root = self._tree.devices[index].vmsd
        for desc in _post_order(root, _native_children, lambda desc: int(ffi.cast("uintptr_t", desc))):
            made[int(ffi.cast("uintptr_t", desc))] = _raise(desc, made)
        return made[int(ffi.cast("uintptr_t", root))]

    def dump_fd(self, fd: int, engine: Engine = Engine.FAST) -> None:
        """Writes the dump to a file descriptor, in chunks of 256 KiB, from where it stands.

        Raises OutputError (the system's error, with errno), VMStateError when the dump would pass MAX_DUMP_BYTES, and
        what a signal handler raises (KeyboardInterrupt).
        """
        self._check_size()
        error = ffi.new("struct vmd_error *")
        _check_dump(lib.vmd_dump_fd(self._tree, engine._code, fd, lib.vmd_poll, ffi.NULL, error), error)

    def dump_bytes(self, engine: Engine = Engine.FAST) -> bytes:
        """The dump as bytes. Raises as dump_fd does, and MemoryError."""
        import ctypes

        size = self._check_size()
        new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
        new_bytes.restype, new_bytes.argtypes = ctypes.py_object, (ctypes.c_char_p, ctypes.c_ssize_t)
        # The C API's own way to fill a bytes object: it is not shared until this returns.
        dump: bytes = new_bytes(None, size)
        error = ffi.new("struct vmd_error *")
        memory = ffi.cast("char *", ffi.from_buffer(dump))
        _check_dump(lib.vmd_dump_memory(self._tree, engine._code, memory, size, lib.vmd_poll, ffi.NULL, error), error)
        return dump

    def _check_size(self) -> int:
        size = self.size
        if size > MAX_DUMP_BYTES:
            raise VMStateError(
                f"the dump would take {'more than 2^64' if size == 2**64 - 1 else size} bytes, more than the limit of "
                f"{MAX_DUMP_BYTES}: its descriptions nest each other too often; look for one that is nested many times"
            )
        return size


def parse(data: bytes, name: str = "<dump>") -> Tree:
    """The tree of a -dump-vmstate file's bytes. name is what errors call the file.

    Raises SourceError with line, column and JSON path when the bytes are not what QEMU prints. Source: csrc/parse.c.
    """
    tree = Tree()
    error = ffi.new("struct vmd_error *")
    if lib.vmd_tree_parse(tree._tree, ffi.from_buffer(data), len(data), error):
        raise _parse_error(data, name, error)
    return tree


def lower(machine: str, devices: Iterable[tuple[str, VMStateDescription]], *, print_num: bool = True) -> Tree:
    """The tree of Python's model: a machine's name and (type name, description) for each device, in order.

    Descriptions become native once and are remembered, so a second tree of the same descriptions costs nothing a
    field. print_num=False leaves out "num", as QEMU 7.2 and older do. Names, devices and descriptions that QEMU could
    not print raise VMStateError. Safe to call from any thread.
    """
    pairs = list(devices)
    _lower_descriptions([vmsd for _, vmsd in pairs])
    lowered: list[tuple[Tree, int]] = [vmsd.__dict__["_lowered"] for _, vmsd in pairs]
    tree = Tree()
    tree.owners = tuple({id(owner): owner for owner, _ in lowered}.values())
    labels = [machine, *(name for name, _ in pairs)]
    what = ["the machine", *(f"device {name!r}" for name, _ in pairs)]
    names = _encode_names(labels, what)
    vmsds = ffi.new("uintptr_t[]", [pointer for _, pointer in lowered])
    error = ffi.new("struct vmd_error *")
    status = lib.vmd_tree_set_devices(
        tree._tree, ffi.from_buffer(names), len(names), ffi.cast("const struct vmd_desc **", vmsds), len(pairs),
        print_num, error,
    )  # fmt: skip
    if status == lib.VMD_BAD_NAME:
        raise _bad_name(what[error.index], labels[error.index])
    _check(status, error)
    return tree


def _text(pointer: Any, size: int) -> str:
    return bytes(ffi.buffer(pointer, size)).decode()


# From the model to native -----------------------------------------------------------------------------------------

_DESC_ROW = struct.Struct("=iiii")
_FIELD_ROW = struct.Struct("=QiiIIII")
_lowering = threading.Lock()


def _children(vmsd: VMStateDescription) -> list[VMStateDescription]:
    nested = [field.vmsd for field in vmsd.fields or () if field.vmsd is not None]
    return nested + list(vmsd.subsections) if vmsd.subsections else nested


def _post_order(root: Any, children: Any, identity: Any, seen: set[Any] | None = None) -> Iterable[Any]:
    """Every node below root once, children first. Iterative: descriptions nest deeper than Python's stack."""
    seen = set() if seen is None else seen
    if identity(root) in seen:
        return
    seen.add(identity(root))
    stack = [(root, iter(children(root)))]
    while stack:
        node, rest = stack[-1]
        for child in rest:
            if identity(child) not in seen:
                seen.add(identity(child))
                stack.append((child, iter(children(child))))
                break
        else:
            stack.pop()
            yield node


def _lower_descriptions(roots: Iterable[VMStateDescription]) -> None:
    """Makes native what is not yet, all of it in one table and one call, and remembers it in each description."""
    with _lowering:
        seen: set[int] = set()
        batch: list[VMStateDescription] = []
        for root in roots:
            if "_lowered" not in root.__dict__:
                batch.extend(_post_order(root, _unlowered_children, id, seen))
        if batch:
            tree, pointers = _lower_batch(batch)
            for vmsd, pointer in zip(batch, pointers, strict=True):
                vmsd.__dict__["_lowered"] = (tree, pointer)


def _unlowered_children(vmsd: VMStateDescription) -> list[VMStateDescription]:
    return [child for child in _children(vmsd) if "_lowered" not in child.__dict__]


def _lower_batch(batch: Sequence[VMStateDescription]) -> tuple[Tree, list[int]]:
    """A table of the batch, whose descriptions stand behind those they refer to, added to a new tree."""
    known: dict[int, tuple[int, Tree]] = {}
    for vmsd in batch:
        for child in _children(vmsd):
            if "_lowered" in child.__dict__ and id(child) not in known:
                known[id(child)] = (child.__dict__["_lowered"][1], child.__dict__["_lowered"][0])
    refs = {identity: index for index, identity in enumerate(known)}
    for vmsd in batch:
        refs[id(vmsd)] = len(refs)
    fields = b"".join([_pack_fields(vmsd, refs) for vmsd in batch])
    subsections = [refs[id(child)] for vmsd in batch for child in vmsd.subsections or ()]
    names = _encode_names(*_names_of(batch))
    try:
        descs = b"".join([_pack_desc(vmsd) for vmsd in batch])
    except struct.error:
        raise next(_range_error(vmsd) for vmsd in batch if not _desc_fits(vmsd)) from None
    tree = Tree()
    tree.owners = tuple({id(owner): owner for _, owner in known.values()}.values())
    native_refs = ffi.new("uintptr_t[]", [pointer for pointer, _ in known.values()] + [0] * len(batch))
    native_subsections = ffi.new("uint32_t[]", subsections)
    table = ffi.new("struct vmd_table *", {
        "descs": ffi.cast("struct vmd_desc_row *", ffi.from_buffer(descs)), "n_descs": len(batch),
        "fields": ffi.cast("struct vmd_field_row *", ffi.from_buffer(fields)),
        "n_fields": len(fields) // _FIELD_ROW.size,
        "subsections": native_subsections, "n_subsections": len(subsections),
        "names": ffi.from_buffer(names), "names_size": len(names),
        "refs": ffi.cast("const struct vmd_desc **", native_refs), "n_known": len(known),
    })  # fmt: skip
    error = ffi.new("struct vmd_error *")
    status = lib.vmd_tree_add_table(tree._tree, table, error)
    if status == lib.VMD_BAD_NAME:
        labels, what = _names_of(batch)
        raise _bad_name(what[error.index], labels[error.index])
    if status == lib.VMD_TOO_DEEP:
        raise VMStateError(
            f"description {batch[error.index].name!r} nests descriptions deeper than {lib.VMD_MAX_DEPTH} levels; "
            "flatten it: QEMU would need that much stack"
        )
    _check(status, error)
    return tree, ffi.unpack(native_refs, len(known) + len(batch))[len(known) :]


def _pack_desc(vmsd: VMStateDescription) -> bytes:
    return _DESC_ROW.pack(
        vmsd.version_id,
        vmsd.minimum_version_id,
        -1 if vmsd.fields is None else len(vmsd.fields),
        -1 if vmsd.subsections is None else len(vmsd.subsections),
    )


def _pack_fields(vmsd: VMStateDescription, refs: dict[int, int]) -> bytes:
    pack = _FIELD_ROW.pack
    try:
        return b"".join(
            [
                pack(
                    field.size,
                    field.num,
                    field.version_id,
                    field.flags,
                    field.field_exists is not None and field.field_exists is not False,
                    0 if field.vmsd is None else 1 + refs[id(field.vmsd)],
                    0,
                )
                for field in vmsd.fields or ()
            ]
        )
    except struct.error:
        raise _range_error(vmsd) from None


def _desc_fits(vmsd: VMStateDescription) -> bool:
    return all(-(2**31) <= version < 2**31 for version in (vmsd.version_id, vmsd.minimum_version_id))


def _range_error(vmsd: VMStateDescription) -> VMStateError:
    """Which number of a description or its fields does not fit its C type."""
    if not _desc_fits(vmsd):
        return VMStateError(
            f"description {vmsd.name!r}: version_id {vmsd.version_id} or minimum_version_id {vmsd.minimum_version_id} "
            "does not fit C's int"
        )
    ranges = (("size", 0, 2**64), ("num", -(2**31), 2**31), ("version_id", -(2**31), 2**31), ("flags", 0, 2**32))
    for field in vmsd.fields or ():
        for attribute, low, high in ranges:
            value = getattr(field, attribute)
            if not isinstance(value, int) or not low <= value < high:
                return VMStateError(
                    f"description {vmsd.name!r}: field {field.name!r}: {attribute} {value!r} does not fit its C type "
                    f"({low} to {high - 1})"
                )
    return VMStateError(f"description {vmsd.name!r} cannot be packed; please report this")


def _names_of(batch: Sequence[VMStateDescription]) -> tuple[list[str], list[str]]:
    """The names of a table in its order, and what each belongs to, for errors."""
    names: list[str] = []
    for vmsd in batch:
        names.append(vmsd.name)
        names += [field.name for field in vmsd.fields or ()]  # type: ignore[misc]  # the model lets no None through
    return names, _Owners(batch)


class _Owners(list[str]):
    """What each name of a batch belongs to, spelled out only when an error asks."""

    def __init__(self, batch: Sequence[VMStateDescription]) -> None:
        super().__init__()
        self._batch = batch

    def __getitem__(self, index: Any) -> Any:
        for vmsd in self._batch:
            if index == 0:
                return "a description"
            if index <= len(vmsd.fields or ()):
                return f"field {index - 1} of description {vmsd.name!r}"
            index -= 1 + len(vmsd.fields or ())
        raise IndexError(index)


def _encode_names(names: Sequence[str], what: Sequence[str]) -> bytes:
    """The names, each ended by NUL."""
    try:
        encoded = ("\0".join(names) + "\0").encode()
        if encoded.count(0) == len(names):
            return encoded
    except (UnicodeEncodeError, TypeError):
        pass
    for index, name in enumerate(names):
        if not isinstance(name, str) or "\0" in name or any("\ud800" <= c <= "\udfff" for c in name):
            raise _bad_name(what[index], name)
    raise VMStateError("a name cannot be encoded; please report this")


def _bad_name(what: str, name: object) -> VMStateError:
    if not isinstance(name, str):
        return VMStateError(f"{what}: its name is {name!r}; give it a str")
    return VMStateError(
        f"{what}: name {name!r} holds a quote, a backslash, a control character or invalid Unicode, which QEMU would "
        "print unescaped; rename it"
    )


# From native to the model -----------------------------------------------------------------------------------------


def _native_children(desc: Any) -> list[Any]:
    nested = [desc.fields[i].vmsd for i in range(desc.n_fields) if desc.fields[i].vmsd]
    return nested + [desc.subsections[i] for i in range(desc.n_subsections)]


def _raise(desc: Any, made: dict[int, VMStateDescription]) -> VMStateDescription:
    """The model of a native description whose children have been made."""

    def child(pointer: Any) -> VMStateDescription:
        return made[int(ffi.cast("uintptr_t", pointer))]

    fields = [
        VMStateField(
            _text(field.name, field.name_len),
            size=field.size,
            num=field.num,
            flags=VMStateFlags(field.flags | (VMStateFlags.STRUCT if field.vmsd else 0)),
            version_id=field.version_id,
            vmsd=child(field.vmsd) if field.vmsd else None,
            field_exists=True if field.field_exists else None,
        )
        for field in (desc.fields[i] for i in range(desc.n_fields))
    ]
    return VMStateDescription(
        _text(desc.name, desc.name_len),
        version_id=desc.version_id,
        minimum_version_id=desc.minimum_version_id,
        fields=fields if desc.fields else None,
        subsections=[child(desc.subsections[i]) for i in range(desc.n_subsections)] if desc.subsections else None,
    )


# Errors and signals -----------------------------------------------------------------------------------------------

_interrupts = threading.local()


def _stash_interrupt(kind: type[BaseException], error: BaseException, traceback: object) -> int:
    _interrupts.error = error
    return 1


@ffi.def_extern(name="vmd_poll", error=1, onerror=_stash_interrupt)  # type: ignore[untyped-decorator, unused-ignore]
def _vmd_poll(opaque: object) -> int:
    """Lets Python run its signal handlers during a dump; what one raises ends the dump and is raised by it."""
    return 0


def _check_dump(status: int, error: Any) -> None:
    if status == lib.VMD_INTERRUPTED:
        interrupt: BaseException = _interrupts.error
        del _interrupts.error
        raise interrupt
    if status == lib.VMD_IO:
        raise OutputError(error.index, os.strerror(error.index))
    _check(status, error)


def _check(status: int, error: Any) -> None:
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

"""Lowering: from VMStateDescriptions of the model to trees of the C core, which the engines write.

Descriptions are immutable, so each is lowered once and keeps a reference to its tree, which later dumps share.
"""

import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from vmdump._core import ffi, lib
from vmdump.dump.tree import Tree, check_status
from vmdump.errors import VMStateError
from vmdump.vmstate.model import VMStateDescription, VMStateField


def lower(
    machine: str,
    devices: Iterable[tuple[str, VMStateDescription]],
    *,
    print_num: bool = True,
    detailed: bool = False,
) -> Tree:
    """Return the tree of a machine's name and (type name, description) pairs, one a device, in order.

    Lowering the same descriptions again costs nothing per field. print_num=False leaves out "num", as QEMU 7.2 and
    older do. detailed=True adds the metadata that QEMU's own dump leaves out (info names, offsets, hooks); such trees
    are not shared.

    Raises VMStateError for names, devices and descriptions that QEMU could not print. Thread-safe.
    """
    # Two lists, not one of pairs: tens of thousands of new tuples would trigger a full garbage collection.
    labels: list[str] = [machine]
    vmsds: list[VMStateDescription] = []
    for name, vmsd in devices:
        labels.append(name)
        vmsds.append(vmsd)
    tree = Tree()
    if detailed:
        detailed_tree, pointers = _lower_detailed(vmsds)
        tree.owners = (detailed_tree,)
    else:
        _lower_descriptions(vmsds)
        memories = [vmsd.__dict__ for vmsd in vmsds]
        pointers = [memory["_lowered"] for memory in memories]
        tree.owners = tuple({memory["_owner"] for memory in memories})

    def owner(index: int) -> str:
        return f"device {labels[index]!r}" if index else "the machine"

    names = _encode_names(labels, owner)
    handles = struct.pack(f"={len(pointers)}Q", *pointers)
    error = ffi.new("struct vmd_error *")
    status = lib.vmd_tree_set_devices(
        tree.native, ffi.from_buffer(names), len(names),
        ffi.cast("const struct vmd_desc **", ffi.from_buffer(handles)), len(vmsds), print_num, error,
    )  # fmt: skip
    if status == lib.VMD_BAD_NAME:
        raise _bad_name(owner(error.index), labels[error.index])
    check_status(status, error)
    return tree


_DESC_ROW = struct.Struct("=iiii")
_FIELD_ROW = struct.Struct("=QiiI?3x?7x")  # struct vmd_field_row; where "?" is a byte of a uint32_t that is not 0
_lowering = threading.Lock()


def _children(vmsd: VMStateDescription) -> list[VMStateDescription]:
    """Return the nested descriptions of the fields, in order, then the subsections."""
    nested = [child for field in vmsd.fields or () if (child := field.vmsd) is not None]
    return nested + list(vmsd.subsections) if vmsd.subsections else nested


def post_order(root: Any, children: Any, identity: Any, seen: set[Any] | None = None) -> Iterable[Any]:
    """Yield root and every node below it once, children first. Iterative: nesting can exceed Python's stack."""
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


class _Batch:
    """Descriptions in the order of a table, nested ones and subsections first, with the packed rows of the descriptions
    and of their fields.
    """

    def __init__(self, *, remembers: bool) -> None:
        """remembers: skip descriptions that have a tree already."""
        self._remembers = remembers
        self.vmsds: list[VMStateDescription] = []
        self.descs, self.fields = bytearray(), bytearray()
        #: The name of each description, followed by those of its fields.
        self.names: list[str] = []
        #: The nested descriptions of the fields that have one, in order.
        self.nested: list[VMStateDescription] = []
        self._seen: set[int] = set()

    def is_known(self, vmsd: VMStateDescription) -> bool:
        """Whether a description has a tree already."""
        return self._remembers and "_lowered" in vmsd.__dict__

    def add(self, roots: Iterable[VMStateDescription]) -> None:
        """Add descriptions and all below them."""
        for root in roots:
            if id(root) not in self._seen and not self.is_known(root) and not self._add_leaf(root):
                self._add_all(post_order(root, self._children, id, self._seen))

    def _add_leaf(self, vmsd: VMStateDescription) -> bool:
        """Add a description if there are none below it, as with most: its fields are then read once only."""
        if vmsd.subsections:
            return False
        n_nested = len(self.nested)
        self._add_all((vmsd,))
        if len(self.nested) == n_nested:
            self._seen.add(id(vmsd))
            return True
        n_fields = len(vmsd.fields or ())
        del self.vmsds[-1], self.descs[-_DESC_ROW.size :], self.fields[-n_fields * _FIELD_ROW.size :]
        del self.names[-n_fields - 1 :], self.nested[n_nested:]
        return False

    def _add_all(self, vmsds: Iterable[VMStateDescription]) -> None:
        """Add descriptions alone."""
        fields, names, nested, pack = self.fields, self.names, self.nested, _FIELD_ROW.pack
        for vmsd in vmsds:
            names.append(vmsd.name)
            of_vmsd, subsections = vmsd.fields, vmsd.subsections
            n_fields = -1 if of_vmsd is None else len(of_vmsd)
            n_subsections = -1 if subsections is None else len(subsections)
            try:
                self.descs += _DESC_ROW.pack(vmsd.version_id, vmsd.minimum_version_id, n_fields, n_subsections)
                for field in of_vmsd or ():  # measured: the fastest way to pack attributes by the thousand
                    of_field = field.vmsd
                    fields += pack(field.size, field.num, field.version_id, field.flags, field.field_exists, of_field)
                    names.append(field.name)  # type: ignore[arg-type]  # the model refuses None
                    if of_field is not None:
                        nested.append(of_field)
            except struct.error:
                raise _range_error(vmsd) from None
            self.vmsds.append(vmsd)

    def _children(self, vmsd: VMStateDescription) -> list[VMStateDescription]:
        return [child for child in _children(vmsd) if not self.is_known(child)]


def _lower_descriptions(roots: Iterable[VMStateDescription]) -> None:
    """Lower the descriptions that have no tree yet, in one table and one call, and store the tree in each of them."""
    with _lowering:
        batch = _Batch(remembers=True)
        batch.add(roots)
        if batch.vmsds:
            tree, pointers = _lower_batch(batch)
            for vmsd, pointer in zip(batch.vmsds, pointers, strict=True):
                memory = vmsd.__dict__
                memory["_lowered"], memory["_owner"] = pointer, tree


def _lower_detailed(roots: Iterable[VMStateDescription]) -> tuple[Tree, list[int]]:
    """Lower descriptions with their metadata into one tree, which is not stored in them."""
    batch, vmsds = _Batch(remembers=False), list(roots)
    batch.add(vmsds)
    tree, pointers = _lower_batch(batch, detailed=True)
    made = {id(vmsd): pointer for vmsd, pointer in zip(batch.vmsds, pointers, strict=True)}
    return tree, [made[id(root)] for root in vmsds]


def _lower_batch(packed: _Batch, *, detailed: bool = False) -> tuple[Tree, list[int]]:
    """Add the batch to a new tree as one table. Return the tree and the addresses of its descriptions."""
    batch, labels, nested = packed.vmsds, packed.names, packed.nested
    below = [child for vmsd in batch if vmsd.subsections for child in vmsd.subsections]
    known = {id(child): child for child in (*nested, *below) if packed.is_known(child)}
    refs = {identity: index for index, identity in enumerate((*known, *map(id, batch)))} if nested or below else {}
    names = _encode_names(labels, partial(_owner_of_name, batch))
    tree = Tree()
    tree.owners = tuple({child.__dict__["_owner"] for child in known.values()})
    native_refs = ffi.new("uintptr_t[]", [child.__dict__["_lowered"] for child in known.values()] + [0] * len(batch))
    native_nested = ffi.new("uint32_t[]", [refs[id(child)] for child in nested])
    native_subsections = ffi.new("uint32_t[]", [refs[id(child)] for child in below])
    table = ffi.new("struct vmd_table *", {
        "descs": ffi.cast("struct vmd_desc_row *", ffi.from_buffer(packed.descs)), "n_descs": len(batch),
        "fields": ffi.cast("struct vmd_field_row *", ffi.from_buffer(packed.fields)),
        "n_fields": len(packed.fields) // _FIELD_ROW.size,
        "nested": native_nested, "n_nested": len(nested),
        "subsections": native_subsections, "n_subsections": len(below),
        "names": ffi.from_buffer(names), "names_size": len(names),
        "refs": ffi.cast("const struct vmd_desc **", native_refs), "n_known": len(known),
    })  # fmt: skip
    details = _pack_details(batch) if detailed else ()  # referenced until the call returns
    if details:
        table.desc_details = ffi.cast("struct vmd_desc_details_row *", ffi.from_buffer(details[0]))
        table.field_details = ffi.cast("struct vmd_field_details_row *", ffi.from_buffer(details[1]))
        table.texts, table.texts_size = ffi.from_buffer(details[2]), len(details[2])
    error = ffi.new("struct vmd_error *")
    status = lib.vmd_tree_add_table(tree.native, table, error)
    if status == lib.VMD_BAD_NAME:
        raise _bad_name(_owner_of_name(batch, error.index), labels[error.index])
    if status == lib.VMD_TOO_DEEP:
        raise VMStateError(
            f"description {batch[error.index].name!r} nests descriptions deeper than {lib.VMD_MAX_DEPTH} levels; "
            "flatten it: QEMU would need that much stack"
        )
    check_status(status, error)
    return tree, ffi.unpack(native_refs, len(known) + len(batch))[len(known) :]


_DESC_DETAILS_ROW = struct.Struct("=Ii")
_FIELD_DETAILS_ROW = struct.Struct("=QQQQiIII")
#: An offset that is not known.
UNKNOWN = 2**64 - 1

#: Attributes of a description, and their bits in vmd_desc.traits.
TRAITS = (
    ("unmigratable", lib.VMD_UNMIGRATABLE), ("early_setup", lib.VMD_EARLY_SETUP), ("needed", lib.VMD_NEEDED),
    ("pre_load", lib.VMD_PRE_LOAD), ("post_load", lib.VMD_POST_LOAD), ("pre_save", lib.VMD_PRE_SAVE),
    ("post_save", lib.VMD_POST_SAVE), ("dev_unplug_pending", lib.VMD_DEV_UNPLUG_PENDING),
    ("load_state_old", lib.VMD_LOAD_STATE_OLD),
)  # fmt: skip


def _pack_details(batch: Sequence[VMStateDescription]) -> tuple[bytes, bytes, bytes]:
    """Return the rows of desc_details and field_details, and the concatenated texts. Raises VMStateError."""
    descs, fields, texts = [], [], []
    for vmsd in batch:
        traits = sum(bit for name, bit in TRAITS if getattr(vmsd, name))
        try:
            descs.append(_DESC_DETAILS_ROW.pack(lib.VMD_DETAILED | traits, vmsd.priority))
            for field in vmsd.fields or ():
                fields.append(_pack_field_details(field))
                texts += [text for text in (field.info and field.info.name, field.err_hint) if text is not None]
        except struct.error:
            raise VMStateError(
                f"description {vmsd.name!r}: priority, an offset, start or struct_version_id does not fit its C type"
            ) from None
    return b"".join(descs), b"".join(fields), "".join(f"{text}\0" for text in texts).encode()


def _pack_field_details(field: VMStateField) -> bytes:
    return _FIELD_DETAILS_ROW.pack(
        UNKNOWN if field.offset is None else field.offset,
        field.start,
        UNKNOWN if field.num_offset is None else field.num_offset,
        UNKNOWN if field.size_offset is None else field.size_offset,
        field.struct_version_id,
        field.info is not None,
        field.err_hint is not None,
        0,
    )


def _desc_fits(vmsd: VMStateDescription) -> bool:
    return all(-(2**31) <= version < 2**31 for version in (vmsd.version_id, vmsd.minimum_version_id))


def _range_error(vmsd: VMStateDescription) -> VMStateError:
    """Return the error for a number of a description or its fields that does not fit its C type."""
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


def _owner_of_name(batch: Sequence[VMStateDescription], index: int) -> str:
    """Describe the owner of the name at index of a table."""
    for vmsd in batch:
        if index == 0:
            return "a description"
        if index <= len(vmsd.fields or ()):
            return f"field {index - 1} of description {vmsd.name!r}"
        index -= 1 + len(vmsd.fields or ())
    raise IndexError(index)


def _encode_names(names: Sequence[str], owner: Callable[[int], str]) -> bytes:
    """Return the names, each terminated by NUL. owner describes the owner of the name at an index, for errors."""
    try:
        encoded = "\0".join([*names, ""]).encode()
        if encoded.count(0) == len(names):
            return encoded
    except (UnicodeEncodeError, TypeError):
        pass
    for index, name in enumerate(names):
        if not isinstance(name, str) or "\0" in name or any("\ud800" <= c <= "\udfff" for c in name):
            raise _bad_name(owner(index), name)
    raise VMStateError("a name cannot be encoded; please report this")


def _bad_name(what: str, name: object) -> VMStateError:
    if not isinstance(name, str):
        return VMStateError(f"{what}: its name is {name!r}; give it a str")
    return VMStateError(
        f"{what}: name {name!r} holds a quote, a backslash, a control character or invalid Unicode, which QEMU would "
        "print unescaped; rename it"
    )

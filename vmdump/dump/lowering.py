"""From the model to native trees and back: what the engine dumps is made of VMStateDescriptions, and looked at as such.

Descriptions are immutable, so one becomes native once and remembers it; dumps of the same descriptions share it.
"""

import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from vmdump._core import ffi, lib
from vmdump.dump.tree import Tree, check_status, text_of
from vmdump.errors import VMStateError
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo


def lower(
    machine: str,
    devices: Iterable[tuple[str, VMStateDescription]],
    *,
    print_num: bool = True,
    detailed: bool = False,
) -> Tree:
    """The tree of Python's model: a machine's name and (type name, description) for each device, in order.

    Descriptions become native once and are remembered, so a second tree of the same descriptions costs nothing a
    field. print_num=False leaves out "num", as QEMU 7.2 and older do. detailed: with what QEMU's own dump leaves out,
    too; that is not remembered. Names, devices and descriptions that QEMU could not print raise VMStateError. Safe to
    call from any thread.
    """
    # No list of pairs: tuples by the ten thousand would have the garbage collector look at every object there is.
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
    natives = struct.pack(f"={len(pointers)}Q", *pointers)
    error = ffi.new("struct vmd_error *")
    status = lib.vmd_tree_set_devices(
        tree.native, ffi.from_buffer(names), len(names),
        ffi.cast("const struct vmd_desc **", ffi.from_buffer(natives)), len(vmsds), print_num, error,
    )  # fmt: skip
    if status == lib.VMD_BAD_NAME:
        raise _bad_name(owner(error.index), labels[error.index])
    check_status(status, error)
    return tree


def description_of(root: Any) -> VMStateDescription:
    """The model of a native description, made on each call; what it shares within itself stays shared.

    root is a ``const struct vmd_desc *`` of a tree, which the caller keeps alive.
    """
    made: dict[int, VMStateDescription] = {}
    for desc in _post_order(root, _native_children, _address):
        made[_address(desc)] = _model(desc, made)
    return made[_address(root)]


# From the model to native -----------------------------------------------------------------------------------------

_DESC_ROW = struct.Struct("=iiii")
_FIELD_ROW = struct.Struct("=QiiI?3x?7x")  # struct vmd_field_row; where "?" is a byte of a uint32_t that is not 0
_lowering = threading.Lock()


def _children(vmsd: VMStateDescription) -> list[VMStateDescription]:
    """Those of its fields, in their order, then its subsections."""
    nested = [child for field in vmsd.fields or () if (child := field.vmsd) is not None]
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


class _Batch:
    """Descriptions in the order of a table, those that they refer to first; their rows and their fields', packed."""

    def __init__(self, *, remembers: bool) -> None:
        """remembers: descriptions that are native already are not made anew."""
        self._remembers = remembers
        self.vmsds: list[VMStateDescription] = []
        self.descs, self.fields = bytearray(), bytearray()
        #: Of each description, and of its fields behind it.
        self.names: list[str] = []
        #: Of the fields that have one, in order.
        self.nested: list[VMStateDescription] = []
        self._seen: set[int] = set()

    def is_known(self, vmsd: VMStateDescription) -> bool:
        """Whether a description is native already."""
        return self._remembers and "_lowered" in vmsd.__dict__

    def add(self, roots: Iterable[VMStateDescription]) -> None:
        """Adds descriptions and what is below them."""
        self._add_all(self._new(roots))

    def _new(self, roots: Iterable[VMStateDescription]) -> Iterable[VMStateDescription]:
        """Those that have to be added. Behind one with others below it, which few have, these are put before it: so
        the fields of most are looked at once.
        """
        seen, nested, remembers = self._seen, self.nested, self._remembers
        for root in roots:
            if id(root) in seen or (remembers and "_lowered" in root.__dict__):
                continue
            seen.add(id(root))
            n_nested = len(nested)
            yield root
            if root.subsections or len(nested) > n_nested:
                below = [*nested[n_nested:], *(root.subsections or ())]
                self._add_before_last([child for child in below if not self.is_known(child)], n_nested)

    def _add_all(self, vmsds: Iterable[VMStateDescription]) -> None:
        """Adds descriptions alone."""
        fields, names, nested, pack = self.fields, self.names, self.nested, _FIELD_ROW.pack
        for vmsd in vmsds:
            names.append(vmsd.name)
            of_vmsd, subsections = vmsd.fields, vmsd.subsections
            n_fields = -1 if of_vmsd is None else len(of_vmsd)
            n_subsections = -1 if subsections is None else len(subsections)
            try:
                self.descs += _DESC_ROW.pack(vmsd.version_id, vmsd.minimum_version_id, n_fields, n_subsections)
                for field in of_vmsd or ():  # of all ways to pack attributes by the thousand, this is the fastest
                    of_field = field.vmsd
                    fields += pack(field.size, field.num, field.version_id, field.flags, field.field_exists, of_field)
                    names.append(field.name)  # type: ignore[arg-type]  # the model lets no None through
                    if of_field is not None:
                        nested.append(of_field)
            except struct.error:
                raise _range_error(vmsd) from None
            self.vmsds.append(vmsd)

    def _add_before_last(self, below: list[VMStateDescription], n_nested: int) -> None:
        """Adds what is below the description that was added last, before it; n_nested: how many there were then."""
        n_fields = len(self.vmsds[-1].fields or ())
        begins: list[tuple[Any, int]] = [
            (self.vmsds, len(self.vmsds) - 1),
            (self.descs, len(self.descs) - _DESC_ROW.size),
            (self.fields, len(self.fields) - n_fields * _FIELD_ROW.size),
            (self.names, len(self.names) - n_fields - 1),
            (self.nested, n_nested),
        ]
        last = [part[begin:] for part, begin in begins]
        for part, begin in begins:
            del part[begin:]
        for child in below:
            self._add_all(_post_order(child, self._children, id, self._seen))
        for (part, _), end in zip(begins, last, strict=True):
            part.extend(end)

    def _children(self, vmsd: VMStateDescription) -> list[VMStateDescription]:
        return [child for child in _children(vmsd) if not self.is_known(child)]


def _lower_descriptions(roots: Sequence[VMStateDescription]) -> None:
    """Makes native what is not yet, all of it in one table and one call, and remembers it in each description."""
    with _lowering:
        try:
            # Most of the time it takes to come by a new description's fields. That is least in the order in which they
            # lie in memory; devices come in a hash table's. Where the first one is known, so are most.
            is_known = not roots or "_lowered" in roots[0].__dict__
            _make_native(roots if is_known else sorted(roots, key=id))
        except VMStateError:
            _make_native(roots)  # of several errors the same is told each time
            raise


def _make_native(roots: Iterable[VMStateDescription]) -> None:
    batch = _Batch(remembers=True)
    batch.add(roots)
    if batch.vmsds:
        tree, pointers = _lower_batch(batch)
        for vmsd, pointer in zip(batch.vmsds, pointers, strict=True):
            memory = vmsd.__dict__
            memory["_lowered"], memory["_owner"] = pointer, tree


def _lower_detailed(roots: Iterable[VMStateDescription]) -> tuple[Tree, list[int]]:
    """The same for one tree, with details; nothing of it is remembered."""
    batch, vmsds = _Batch(remembers=False), list(roots)
    batch.add(vmsds)
    tree, pointers = _lower_batch(batch, detailed=True)
    made = {id(vmsd): pointer for vmsd, pointer in zip(batch.vmsds, pointers, strict=True)}
    return tree, [made[id(root)] for root in vmsds]


def _lower_batch(packed: _Batch, *, detailed: bool = False) -> tuple[Tree, list[int]]:
    """A table of the batch, added to a new tree; the addresses of its descriptions."""
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
    details = _pack_details(batch) if detailed else ()  # kept alive until the call is over
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
_UNKNOWN = 2**64 - 1
_STRUCT = int(VMStateFlags.STRUCT)

#: Attributes of a description that are traits of its native form.
_TRAITS = (
    ("unmigratable", lib.VMD_UNMIGRATABLE), ("early_setup", lib.VMD_EARLY_SETUP), ("needed", lib.VMD_NEEDED),
    ("pre_load", lib.VMD_PRE_LOAD), ("post_load", lib.VMD_POST_LOAD), ("pre_save", lib.VMD_PRE_SAVE),
    ("post_save", lib.VMD_POST_SAVE), ("dev_unplug_pending", lib.VMD_DEV_UNPLUG_PENDING),
    ("load_state_old", lib.VMD_LOAD_STATE_OLD),
)  # fmt: skip


def _pack_details(batch: Sequence[VMStateDescription]) -> tuple[bytes, bytes, bytes]:
    """The rows of desc_details and field_details, and the texts behind each other. Raises VMStateError."""
    descs, fields, texts = [], [], []
    for vmsd in batch:
        traits = sum(bit for name, bit in _TRAITS if getattr(vmsd, name))
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
        _UNKNOWN if field.offset is None else field.offset,
        field.start,
        _UNKNOWN if field.num_offset is None else field.num_offset,
        _UNKNOWN if field.size_offset is None else field.size_offset,
        field.struct_version_id,
        field.info is not None,
        field.err_hint is not None,
        0,
    )


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


def _owner_of_name(batch: Sequence[VMStateDescription], index: int) -> str:
    """What the name at index of a table belongs to."""
    for vmsd in batch:
        if index == 0:
            return "a description"
        if index <= len(vmsd.fields or ()):
            return f"field {index - 1} of description {vmsd.name!r}"
        index -= 1 + len(vmsd.fields or ())
    raise IndexError(index)


def _encode_names(names: Sequence[str], owner: Callable[[int], str]) -> bytes:
    """The names, each ended by NUL. owner says what the name at an index belongs to, for errors."""
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


# From native to the model -----------------------------------------------------------------------------------------


def _address(desc: Any) -> int:
    return int(ffi.cast("uintptr_t", desc))


def _native_children(desc: Any) -> list[Any]:
    nested = [desc.fields[i].vmsd for i in range(desc.n_fields) if desc.fields[i].vmsd]
    return nested + [desc.subsections[i] for i in range(desc.n_subsections)]


def _known(offset: int) -> int | None:
    return None if offset == _UNKNOWN else offset


def _model_field(field: Any, details: Any, made: dict[int, VMStateDescription]) -> VMStateField:
    """The model of a native field; details: NULL where they are not known."""
    attributes: dict[str, Any] = {
        "size": field.size,
        "num": field.num,
        "version_id": field.version_id,
        "vmsd": made[_address(field.vmsd)] if field.vmsd else None,
        "field_exists": True if field.field_exists else None,
    }
    if details:
        attributes |= {
            "flags": field.flags,
            "offset": _known(details.offset),
            "start": details.start,
            "num_offset": _known(details.num_offset),
            "size_offset": _known(details.size_offset),
            "struct_version_id": details.struct_version_id,
            "info": VMStateInfo(text_of(details.info, details.info_len)) if details.info else None,
            "err_hint": text_of(details.err_hint, details.err_hint_len) if details.err_hint else None,
        }
    else:
        attributes["flags"] = field.flags | (_STRUCT if field.vmsd else 0)
    return VMStateField(text_of(field.name, field.name_len), **attributes)


def _model(desc: Any, made: dict[int, VMStateDescription]) -> VMStateDescription:
    """The model of a native description whose children have been made."""
    fields = [
        _model_field(desc.fields[i], desc.field_details and desc.field_details + i, made) for i in range(desc.n_fields)
    ]
    return VMStateDescription(
        text_of(desc.name, desc.name_len),
        version_id=desc.version_id,
        minimum_version_id=desc.minimum_version_id,
        fields=fields if desc.fields else None,
        subsections=[made[_address(desc.subsections[i])] for i in range(desc.n_subsections)]
        if desc.subsections
        else None,
        detailed=bool(desc.traits & lib.VMD_DETAILED),
        priority=desc.priority,
        **{name: True for name, bit in _TRAITS if desc.traits & bit},
    )

"""From the model to native trees and back: what the engine dumps is made of VMStateDescriptions, and looked at as such.

Descriptions are immutable, so one becomes native once and remembers it; dumps of the same descriptions share it.
"""

import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from vmdump._core import ffi, lib
from vmdump.engine import Tree, check_status, text_of
from vmdump.errors import VMStateError
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags


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

    def owner(index: int) -> str:
        return f"device {labels[index]!r}" if index else "the machine"

    names = _encode_names(labels, owner)
    vmsds = ffi.new("uintptr_t[]", [pointer for _, pointer in lowered])
    error = ffi.new("struct vmd_error *")
    status = lib.vmd_tree_set_devices(
        tree.native, ffi.from_buffer(names), len(names), ffi.cast("const struct vmd_desc **", vmsds), len(pairs),
        print_num, error,
    )  # fmt: skip
    if status == lib.VMD_BAD_NAME:
        raise _bad_name(owner(error.index), labels[error.index])
    check_status(status, error)
    return tree


def description_of(tree: Tree, index: int) -> VMStateDescription:
    """The model of the description of a tree's device, made on each call; what it shares within itself stays shared."""
    made: dict[int, VMStateDescription] = {}
    root = tree.native.devices[index].vmsd
    for desc in _post_order(root, _native_children, _address):
        made[_address(desc)] = _model(desc, made)
    return made[_address(root)]


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
    labels = _names_of(batch)
    names = _encode_names(labels, partial(_owner_of_name, batch))
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


def _names_of(batch: Sequence[VMStateDescription]) -> list[str]:
    """The names of a table in its order: each description's, and behind it those of its fields."""
    names: list[str] = []
    for vmsd in batch:
        names.append(vmsd.name)
        names += [field.name for field in vmsd.fields or ()]  # type: ignore[misc]  # the model lets no None through
    return names


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
        encoded = ("\0".join(names) + "\0").encode()
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


def _model(desc: Any, made: dict[int, VMStateDescription]) -> VMStateDescription:
    """The model of a native description whose children have been made."""
    fields = [
        VMStateField(
            text_of(field.name, field.name_len),
            size=field.size,
            num=field.num,
            flags=VMStateFlags(field.flags | (VMStateFlags.STRUCT if field.vmsd else 0)),
            version_id=field.version_id,
            vmsd=made[_address(field.vmsd)] if field.vmsd else None,
            field_exists=True if field.field_exists else None,
        )
        for field in (desc.fields[i] for i in range(desc.n_fields))
    ]
    return VMStateDescription(
        text_of(desc.name, desc.name_len),
        version_id=desc.version_id,
        minimum_version_id=desc.minimum_version_id,
        fields=fields if desc.fields else None,
        subsections=[made[_address(desc.subsections[i])] for i in range(desc.n_subsections)]
        if desc.subsections
        else None,
    )

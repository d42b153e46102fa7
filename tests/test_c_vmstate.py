"""Descriptions in C structs, read into the model: all attributes, sharing, and what C does not check."""

from typing import Any

import pytest

from vmdump._core import ffi, lib
from vmdump.dump.lowering import lower
from vmdump.errors import VMStateError
from vmdump.modules.c_vmstate import vmstate_from_c
from vmdump.vmstate import MigrationPriority, VMStateDescription, VMStateFlags, VMStateInfo

#: cffi frees what nobody refers to; C structs refer to each other behind its back.
keep: list[Any] = []


def kept(cdata: Any) -> Any:
    """The same, alive as long as the tests."""
    keep.append(cdata)
    return cdata


def text(value: bytes | None) -> Any:
    """A C string."""
    return ffi.NULL if value is None else kept(ffi.new("char[]", value))


def fields(*members: dict[str, Any], end: int = 0x10000) -> Any:
    """A list of fields and its terminator with these flags."""
    array = kept(ffi.new("VMStateField[]", len(members) + 1))
    for index, member in enumerate(members):
        for key, value in member.items():
            setattr(array[index], key, value)
    array[len(members)].flags = end
    return array


def description(name: bytes | None = b"d", **members: Any) -> Any:
    """A description."""
    vmsd = kept(ffi.new("VMStateDescription *"))
    vmsd.name = text(name)
    for key, value in members.items():
        setattr(vmsd, key, value)
    return vmsd


def subsections(*vmsds: Any) -> Any:
    """A list of subsections, ended by NULL."""
    return kept(ffi.new("const VMStateDescription *[]", [*vmsds, ffi.NULL]))


def test_every_attribute() -> None:
    """Each member of the C structs reaches its attribute."""
    info = kept(ffi.new("VMStateInfo *", {"name": text(b"uint32")}))
    inner = description(b"inner")
    function = ffi.cast("void *", ffi.addressof(lib, "dlopen"))
    test = ffi.cast("bool (*)(void *, int)", function)
    hook = ffi.cast("int (*)(void *)", function)
    array = fields(
        {
            "name": text(b"f"), "err_hint": text(b"hint"), "offset": 1, "size": 2, "start": 3, "num": -4,
            "num_offset": 5, "size_offset": 6, "info": info, "flags": 0x802, "vmsd": inner, "version_id": 7,
            "struct_version_id": 8,
            "field_exists": test,
        },
        {"name": text(b"g")},
    )  # fmt: skip
    vmsd = vmstate_from_c(
        description(
            b"outer", version_id=9, minimum_version_id=10, unmigratable=True, early_setup=True, priority=2,
            fields=array, subsections=subsections(inner), needed=ffi.cast("bool (*)(void *)", function), pre_load=hook,
            post_load=ffi.cast("int (*)(void *, int)", function), pre_save=hook, post_save=hook,
            dev_unplug_pending=ffi.cast("bool (*)(void *)", function),
        ),
        {},
    )  # fmt: skip
    assert vmsd.fields is not None
    assert vmsd.subsections is not None
    field = vmsd.fields[0]
    assert (field.name, field.err_hint, field.offset, field.size, field.start) == ("f", "hint", 1, 2, 3)
    assert (field.num, field.num_offset, field.size_offset, field.version_id) == (-4, 5, 6, 7)
    assert (field.struct_version_id, field.info, field.field_exists) == (8, VMStateInfo("uint32"), True)
    assert field.flags == VMStateFlags.VARRAY_UINT32 | VMStateFlags.POINTER
    assert field.vmsd is vmsd.subsections[0]
    assert vmsd.fields[1].info is vmsd.fields[1].field_exists is vmsd.fields[1].vmsd is None
    assert (vmsd.name, vmsd.version_id, vmsd.minimum_version_id) == ("outer", 9, 10)
    assert vmsd.unmigratable
    assert vmsd.early_setup
    assert vmsd.priority is MigrationPriority.PCI_BUS
    hooks = (vmsd.needed, vmsd.pre_load, vmsd.post_load, vmsd.pre_save, vmsd.post_save, vmsd.dev_unplug_pending)
    assert hooks == (True,) * 6
    bare = vmsd.subsections[0]
    assert bare.needed is bare.pre_load is bare.fields is bare.subsections is None


def test_empty_lists_are_lists() -> None:
    """A list without entries is not the same as no list."""
    vmsd = vmstate_from_c(description(fields=fields(), subsections=subsections()), {})
    assert vmsd.fields == vmsd.subsections == ()


def test_made_is_remembered() -> None:
    """The same address gives the same object, in later calls too."""
    made: dict[int, VMStateDescription] = {}
    inner = description(b"inner")
    outer = description(b"outer", subsections=subsections(inner, inner))
    model = vmstate_from_c(outer, made)
    assert vmstate_from_c(inner, made) is model.subsections[0]  # type: ignore[index]
    assert len(made) == 2


def test_cycle() -> None:
    """A description that contains itself would overflow QEMU's stack; here its name is told."""
    direct = description(b"self")
    direct.subsections = subsections(direct)
    with pytest.raises(VMStateError, match="description 'self' contains itself, through 'self'"):
        vmstate_from_c(direct, {})
    first, second = description(b"first"), description(b"second")
    first.fields = fields({"name": text(b"f"), "vmsd": second})
    second.subsections = subsections(description(b"fine"), first)
    with pytest.raises(VMStateError, match="description 'second' contains itself, through 'first'; break the cycle"):
        vmstate_from_c(first, {})


def test_deep() -> None:
    """A long chain is read without recursion; that it is too deep is said when it is dumped."""
    vmsd = description(b"leaf")
    for _ in range(3000):
        vmsd = description(b"outer", fields=fields({"name": text(b"f"), "vmsd": vmsd}))
    with pytest.raises(VMStateError, match="deeper than 1000"):
        lower("none", [("d", vmstate_from_c(vmsd, {}))])


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: description(b"d", fields=fields(end=0)), r"description 'd': .*VMSTATE_END_OF_LIST\(\); add it"),
        (lambda: description(b"d", fields=fields(end=0x10004)), "VMSTATE_END_OF_LIST"),
        (lambda: description(None), "the description at 0x[0-9a-f]+ has no name; is it a stub"),
        (lambda: description(b"\xff"), r"its name b'\\xff' is not UTF-8; rename it"),
        (lambda: description(b"d", fields=fields({"name": text(b"\xc0")})), "description 'd': a field: its name"),
        (lambda: description(b"d", priority=6), "description 'd': priority 6 is no MigrationPriority"),
        (
            lambda: description(b"d", fields=fields({"name": text(b"f"), "info": kept(ffi.new("VMStateInfo *"))})),
            "description 'd': a field's info has no name",
        ),
    ],
)
def test_defects(make: Any, error: str) -> None:
    """What is wrong in C is named."""
    with pytest.raises(VMStateError, match=error):
        vmstate_from_c(make(), {})

"""The migration stream of a description: items in order, with the sizes that migration/vmstate.c would write."""

from typing import Any

import pytest
from support.descriptions import array, desc, dump, field, plain, struct, unused, validate, varray

from vmdump.check import tree_view as native
from vmdump.check.stream import FIXED, OPAQUE, RUN_TIME, UNKNOWN, Item, Lowering, Stream, in_words
from vmdump.check.tree_view import Native, equal
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo

A, B = field("a"), field("b", "uint16")


def wire(vmsd: VMStateDescription, version: int | None = None, *, loading: bool = False) -> Stream:
    """Return the stream that a description sends, or reads."""
    devices = Native(dump(dev=vmsd)).devices
    lowering = Lowering(loading=loading, detailed=True, nums=True)
    return lowering.lower(devices["dev"].vmsd, vmsd.version_id if version is None else version)


def sizes(vmsd: VMStateDescription, **how: Any) -> list[tuple[str, int]]:
    """Return path and size of items with a known size."""
    return [(item.path, item.size) for item in wire(vmsd, **how).items]


@pytest.mark.parametrize(
    ("made", "size"),
    [
        # vmstate-types.c: put_bool is qemu_put_byte, put_timer timer_put (be64), put_cpudouble two be32
        (field("a", "bool"), 1),
        (field("a", "int8", size=1), 1),
        (field("a", "uint16"), 2),
        (field("a", "uint32 equal", size=4), 4),
        (field("a", "int32 le", size=4), 4),
        (field("a", "int64 equal", size=8), 8),
        # A QEMUTimer is 48 bytes in memory, the pointer to one 8.
        (field("a", "timer", size=48), 8),
        (field("a", "timer", size=8, flags=VMStateFlags.POINTER), 8),
        (field("a", "CPU_Double_U", size=8), 8),
        (unused(20), 20),
        (field("a", "buffer", size=13, flags=VMStateFlags.BUFFER), 13),
        (array("a", 333), 1332),
        (field("a", "uint8", num=12, flags=VMStateFlags.ARRAY | VMStateFlags.ARRAY_OF_POINTER), 12),
    ],
)
def test_bytes(made: VMStateField, size: int) -> None:
    """A VMStateInfo decides the size in the stream, regardless of the size in memory; arrays have num times that."""
    (item,) = wire(desc("dev", made)).items
    assert (item.kind, item.size) == (FIXED, size)


@pytest.mark.parametrize(
    ("made", "kind", "words"),
    [
        (varray("a"), RUN_TIME, "n x 4 bytes, uint32"),
        (
            VMStateField("a", info=VMStateInfo("buffer"), flags=VMStateFlags.VBUFFER, size_offset=8),
            RUN_TIME,
            "n bytes (set at run time), buffer",
        ),
        (
            VMStateField("a", info=VMStateInfo("bitmap"), flags=VMStateFlags.VBUFFER, size_offset=8),
            RUN_TIME,
            "n bytes (set at run time), bitmap",
        ),
        (VMStateField("a", info=VMStateInfo("virtio")), OPAQUE, "n bytes (written by the code of 'virtio')"),
        (
            VMStateField("a", info=VMStateInfo("qtailq"), vmsd=desc("part", A), size=64),
            RUN_TIME,
            "n x 4 bytes, struct part",
        ),
    ],
)
def test_bytes_of_run_time(made: VMStateField, kind: str, words: str) -> None:
    """Sizes decided by the device or its code are marked as such."""
    (item,) = wire(desc("dev", made)).items
    assert (item.kind, in_words(item)) == (kind, words)


def test_struct_is_flattened() -> None:
    """A struct is replaced by its fields at any depth; an array of structs by its elements."""
    inner = desc("inner", A, B)
    outer = desc("outer", struct("in", inner), B)
    assert sizes(desc("dev", A, struct("out", outer), unused(3))) == [
        ("a", 4), ("out.in.a", 4), ("out.in.b", 2), ("out.b", 2), ("unused", 3),
    ]  # fmt: skip
    (item,) = wire(desc("dev", struct("s", inner, num=3))).items
    assert (item.size, item.unit, item.count) == (18, 6, 3)
    assert item.body is not None
    assert [each.path for each in item.body.items] == ["a", "b"]


def test_versions() -> None:
    """A field is present from its version on; a test replaces its version; a nested struct has its own version."""
    later = field("b", version_id=2)
    tested = field("t", version_id=2, field_exists=True)
    vmsd = desc("dev", A, later, tested, struct("s", desc("part", later, version_id=2)), version_id=2)
    assert [path for path, _ in sizes(vmsd, version=1)] == ["a", "t", "s.b"]
    assert [path for path, _ in sizes(vmsd)] == ["a", "b", "t", "s.b"]
    assert [each[0].name for each in wire(vmsd, 1).skipped] == ["b"]


def test_vstruct() -> None:
    """A VSTRUCT is sent in the version that its field names."""
    part = desc("part", A, field("b", version_id=2), version_id=2)
    versions = [
        VMStateField("s", vmsd=part, flags=VMStateFlags.VSTRUCT, struct_version_id=version) for version in (1, 2)
    ]
    assert [len(wire(desc("dev", each)).items) for each in versions] == [1, 2]


def test_with_tmp() -> None:
    """get_tmp loads with the field's version, which is never set; put_tmp saves with the description's."""
    part = desc("part", A, field("b", version_id=1), minimum_version_id=0)
    vmsd = desc("dev", VMStateField("tmp", vmsd=part, info=VMStateInfo("tmp"), size=64))
    assert [path for path, _ in sizes(vmsd)] == ["tmp.a", "tmp.b"]
    assert [path for path, _ in sizes(vmsd, loading=True)] == ["tmp.a"]


def test_tested_struct() -> None:
    """The test of a struct applies to each of its fields."""
    part = desc("part", A, B)
    guards = [item.guard for item in wire(desc("dev", A, struct("s", part, field_exists=True))).items]
    assert guards == [None, "s", "s"]


def test_subsections_and_assertions() -> None:
    """Subsections are kept apart from items, those of nested structs in place; assertions send nothing."""
    part = desc("part", A, subsections=[desc("part/x", A)])
    lowered = wire(desc("dev", struct("s", part), validate("fine"), B, subsections=[desc("dev/y", A)]))
    assert [(each.vmsd.name, each.parent.name, each.index) for each in lowered.subsections] == [
        ("part/x", "part", 1),
        ("dev/y", "dev", 2),
    ]
    assert [path for _, _, path in lowered.checks] == ["fine"]
    assert [item.path for item in lowered.items] == ["s.a", "b"]


def test_dump_file() -> None:
    """A dump file has sizes; array lengths only since QEMU 8.2."""
    native = Native(plain(dump(desc("dev", A, array("c", 3)))))
    assert (native.detailed, native.nums) == (False, True)

    def items(*, nums: bool) -> list[Item]:
        return Lowering(loading=False, detailed=False, nums=nums).lower(native.devices["dev"].vmsd, 1).items

    assert [(each.kind, each.size) for each in items(nums=True)] == [(UNKNOWN, 4), (FIXED, 12)]
    assert [(each.kind, each.size) for each in items(nums=False)] == [(UNKNOWN, 4), (UNKNOWN, 4)]
    assert not Native(plain(dump(desc("dev", A)))).nums


# Equality in C ----------------------------------------------------------------------------------------------------


def same(source: VMStateDescription, destination: VMStateDescription, *, nums: bool = True, of: Any = dump) -> bool:
    """Whether the C core considers two descriptions equal."""
    pair = [Native(of(dev=each) if of is dump else of(dump(dev=each))) for each in (source, destination)]
    return equal(*[[each.devices["dev"].address] for each in pair], nums=nums)[0]


DIFFERENCES = [
    desc("other", A, array("c", 2)),
    desc("dev", A, array("c", 2), version_id=2),
    desc("dev", A, array("c", 2), minimum_version_id=0),
    desc("dev", A),
    desc("dev", A, array("c", 3)),
    desc("dev", A, array("d", 2)),
    desc("dev", field("a", field_exists=True), array("c", 2)),
    desc("dev", field("a", version_id=1), array("c", 2)),
    desc("dev", field("a", "uint64"), array("c", 2)),
    desc("dev", A, array("c", 2), subsections=[desc("dev/x", A)]),
    desc("dev", struct("a", desc("part", A)), array("c", 2)),
]
#: Attributes that a dump file lacks.
DETAILS = [
    desc("dev", field("a", "int32"), array("c", 2)),
    desc("dev", A, field("c", num=2, flags=VMStateFlags.ARRAY | VMStateFlags.ARRAY_OF_POINTER)),
    desc("dev", A, array("c", 2), validate("fine")),
    desc("dev", A, array("c", 2), needed=True),
    desc("dev", A, array("c", 2), unmigratable=True),
]
ONE = desc("dev", A, array("c", 2))


@pytest.mark.parametrize("other", DIFFERENCES)
def test_unequal(other: VMStateDescription) -> None:
    """Each difference counts, in both directions, in binaries and in dumps."""
    assert not same(ONE, other)
    assert not same(other, ONE)
    assert not same(ONE, other, of=plain)


@pytest.mark.parametrize("other", DETAILS)
def test_unequal_in_details(other: VMStateDescription) -> None:
    """Attributes that dumps lack count if both sides have them."""
    assert not same(ONE, other)
    assert same(ONE, other, of=plain)


def test_equal() -> None:
    """Offsets in memory do not count; array lengths count only if both sides have them."""
    assert same(ONE, desc("dev", field("a", offset=64), array("c", 2), pre_save=True, priority=1))
    assert same(ONE, desc("dev", A, array("c", 3)), nums=False, of=plain)
    grown = [desc("dev", VMStateField("s", vmsd=ONE, flags=VMStateFlags.STRUCT, size=size)) for size in (64, 72)]
    assert same(*grown)


def test_equal_in_no_time() -> None:
    """Compared pairs are cached: 2^60 fields on each side take no time."""

    def deep() -> VMStateDescription:
        vmsd = desc("d0", A)
        for level in range(60):
            vmsd = desc(f"d{level + 1}", struct("x", vmsd), struct("y", vmsd))
        return vmsd

    assert same(deep(), deep())


def test_flags_are_the_models() -> None:
    """The check's integer flags equal VMStateFlags."""
    names = {name for name, value in vars(native).items() if name.isupper() and isinstance(value, int)}
    names -= {"VARRAY", "NOT_TOLD", "TYPE_CHECKING", "ROW_BYTES"}
    names = {name for name in names if not name.startswith("_")}
    assert len(names) >= 16
    for name in names:
        assert getattr(native, name) == VMStateFlags[{"AUTO_ALLOC": "ARRAY_OF_POINTER_AUTO_ALLOC"}.get(name, name)]

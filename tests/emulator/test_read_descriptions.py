"""Descriptions in guest memory: read in every struct layout, found by their shape, tolerated if malformed; and uses of
their addresses in code.
"""

import json
import struct

import pytest
from support.elf_builder import AARCH64, X86_64

from vmdump._core import ffi, lib
from vmdump.dump.raising import description_of
from vmdump.emulator.guest import Guest
from vmdump.sources.qemu_image.struct_layout import LAYOUTS, Reader, StructSizes
from vmdump.vmstate import VMStateFlags as F
from vmdump.vmstate.model import VMStateDescription

#: Members of VMStateField with the type of a pointer or size_t.
WIDE = {
    "field_name", "field_err_hint", "field_offset", "field_bytes", "field_start", "field_num_offset",
    "field_size_offset", "field_info", "field_vmsd", "field_exists",
}  # fmt: skip

QEMU_5, QEMU_6, QEMU_11 = StructSizes(104, 104), StructSizes(104, 88), StructSizes(96, 112)


class Structs:
    """Write descriptions into a guest in a given layout."""

    def __init__(self, layout: StructSizes, end_flags: int = 0x10000) -> None:
        self.guest = Guest("guest", X86_64)
        self.layout = LAYOUTS[layout]
        self.end = end_flags
        self.reader = Reader(self.guest, layout, end_flags)

    def desc(
        self,
        name: str | None,
        fields: int = 0,
        subsections: int = 0,
        version: int = 1,
        at: int = 0,
        minimum: int | None = None,
    ) -> int:
        """Write a VMStateDescription; minimum is its minimum_version_id (default: version - 1)."""
        at = at or self.guest.alloc(128)
        layout = self.layout
        self.guest.write(
            at + layout["desc_name"], struct.pack("<Q", self.guest.string(name) if name is not None else 0)
        )
        self.guest.write(
            at + layout["desc_version_id"], struct.pack("<ii", version, version - 1 if minimum is None else minimum)
        )
        self.guest.write(at + layout["desc_fields"], struct.pack("<Q", fields))
        self.guest.write(at + layout["desc_subsections"], struct.pack("<Q", subsections))
        return at

    def info(self, name: str) -> int:
        """Write a VMStateInfo."""
        return self.pointers(self.guest.string(name))

    def read(self, address: int) -> VMStateDescription:
        """Return the model of the description at an address."""
        desc = self.reader.try_read(address)
        assert desc is not None, self.reader.why()
        return description_of(desc)

    def fields(self, *fields: dict[str, int], end: int | None = None) -> int:
        """Write a list of VMStateField with its terminator."""
        size = self.layout["field_size"]
        at = self.guest.alloc(size * (len(fields) + 1))
        for index, field in enumerate(fields):
            for key, value in field.items():
                width = "<Q" if key in WIDE else "<I" if key == "field_flags" else "<i"
                self.guest.write(at + index * size + self.layout[key], struct.pack(width, value))
        flags = self.end if end is None else end
        self.guest.write(at + len(fields) * size + self.layout["field_flags"], struct.pack("<i", flags))
        return at

    def pointers(self, *addresses: int) -> int:
        """Write a NULL-terminated list of pointers."""
        at = self.guest.alloc(8 * (len(addresses) + 1))
        self.guest.write(at, struct.pack(f"<{len(addresses)}Q", *addresses))
        return at


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_reading(layout: StructSizes) -> None:
    """Every printed member is read in every layout; shared descriptions once."""
    structs = Structs(layout)
    inner = structs.desc("inner")
    field = {
        "field_name": structs.guest.string("regs"), "field_bytes": 4, "field_num": -3, "field_flags": 12,
        "field_vmsd": inner, "field_version_id": 2, "field_exists": 1,
    }  # fmt: skip
    outer = structs.desc("outer", structs.fields(field), structs.pointers(inner, inner), version=5)
    desc = structs.reader.try_read(outer)
    assert desc is not None, structs.reader.why()
    assert (ffi.string(desc.name), desc.version_id, desc.minimum_version_id) == (b"outer", 5, 4)
    assert (desc.n_fields, desc.n_subsections) == (1, 2)
    got = desc.fields[0]
    assert (ffi.string(got.name), got.size, got.num, got.flags, got.version_id) == (b"regs", 4, -3, 12, 2)
    assert got.field_exists == 1
    assert got.vmsd == desc.subsections[0] == desc.subsections[1]
    assert desc.subsections[0].fields == ffi.NULL
    stub = structs.reader.try_read(structs.desc(None))
    assert ffi.string(stub.name) == b"(null)"


def test_defects() -> None:
    """Cycles, unterminated lists, excessive depth, invalid names and pointers are reported with the address."""
    structs = Structs(QEMU_6)
    cycle = structs.guest.alloc(128)
    structs.desc("cycle", subsections=structs.pointers(cycle), at=cycle)
    deep = structs.desc("leaf")
    for _ in range(1001):
        deep = structs.desc("deep", subsections=structs.pointers(deep))
    name = {"field_name": structs.guest.string("a\nb")}
    for address, error in (
        (cycle, "a description contains itself"),
        (deep, "descriptions nest too deep"),
        (structs.desc("d", structs.fields(end=4)), "a list of fields has no terminator"),
        (structs.desc("d", 8), "a list of fields has no end"),
        (structs.desc("d", subsections=8), "a list of subsections has no end"),
        (structs.desc("d", structs.fields(name)), "a name can't be printed in JSON"),
        (structs.desc("d", structs.fields({"field_name": 8})), "a name is not a string"),
        (8, "a description is outside of its memory"),
    ):
        assert structs.reader.try_read(address) is None
        assert structs.reader.why().startswith(error)
    assert structs.reader.try_read(structs.desc("fine")) is not None


def test_texts_of_other_encodings() -> None:
    """A text that QEMU does not print need not be UTF-8; its other bytes are escaped, in the extended dump, too."""
    structs = Structs(QEMU_6)
    text = b'caf\xe9 \xf0\x9f\x92\xbe \xf0\x9f \x7f"\\\1'
    at = structs.guest.alloc(64)
    structs.guest.write(at, text)
    field = {"field_name": structs.guest.string("regs"), "field_info": structs.pointers(at), "field_err_hint": at}
    address = structs.desc("d", structs.fields(field))
    expected = text.decode(errors="backslashreplace")
    (read,) = structs.read(address).fields
    assert read.info is not None
    assert (read.info.name, read.err_hint) == (expected, expected)
    tree = structs.reader.tree
    devices, error = (
        ffi.new("const struct vmd_desc *[]", [structs.reader.try_read(address)]),
        ffi.new("struct vmd_error *"),
    )
    assert lib.vmd_tree_set_devices(tree.native, b"none\0d\0", 7, devices, 1, False, error) == lib.VMD_OK
    (printed,) = json.loads(tree.dump_bytes(extended=True).decode())["d"]["Description"]["Fields"]
    assert (printed["info"], printed["err_hint"]) == (expected, expected)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_details(layout: StructSizes) -> None:
    """Members that QEMU does not print are read in every layout: info, offsets, start, hint, hooks,
    traits, priority.
    """
    structs = Structs(layout)
    members = structs.layout
    field = {
        "field_name": structs.guest.string("queue"), "field_bytes": 8, "field_flags": F.VARRAY_UINT32 | F.STRUCT,
        "field_offset": 640, "field_start": 24, "field_info": structs.info("qtailq"), "field_struct_version_id": 3,
    }  # fmt: skip
    if "field_num_indirect" not in members:
        field |= {"field_num_offset": 632, "field_err_hint": structs.guest.string('a "hint"')}
    at = structs.desc("d", structs.fields(field))
    if "field_num_indirect" in members:
        where = structs.guest.pointer(at + members["desc_fields"]) + members["field_num_indirect"]
        structs.guest.write(where, struct.pack("<IB", 632, 4))
    structs.guest.write(at + members["desc_unmigratable"], b"\1\1")
    structs.guest.write(at + members["desc_priority"], struct.pack("<i", 4))
    for number, hook in enumerate(members["hooks"]):
        if hook in (lib.VMD_POST_LOAD, lib.VMD_NEEDED):
            structs.guest.write(at + members["desc_hooks"] + 8 * number, struct.pack("<Q", 1))
    vmsd = structs.read(at)
    assert vmsd.detailed
    assert (vmsd.unmigratable, vmsd.early_setup, vmsd.priority) == (True, True, 4)
    assert (vmsd.needed, vmsd.post_load, vmsd.pre_load, vmsd.pre_save, vmsd.post_save) == (True, True, None, None, None)
    got = vmsd.fields[0]
    assert (got.info.name, got.offset, got.start, got.struct_version_id) == ("qtailq", 640, 24, 3)
    assert (got.num_offset, got.size_offset, got.flags) == (632, None, F.VARRAY_UINT32 | F.STRUCT)
    assert got.err_hint == (None if "field_num_indirect" in members else 'a "hint"')


def test_flags_of_newer_qemus() -> None:
    """Flags of layouts where VMS_END moved and the VARRAY flags are merged are converted to QEMU 8.2's."""
    structs = Structs(QEMU_11, end_flags=0x20000)
    names = ["auto", "bytes", "words", "ints"]
    flags = [0x10042, 0x10, 0x10, 0x10]
    at = structs.fields(
        *(
            {"field_name": structs.guest.string(name), "field_flags": bits}
            for name, bits in zip(names, flags, strict=True)
        )
    )
    for index, size in enumerate((0, 1, 2, 4)):
        where = at + index * structs.layout["field_size"] + structs.layout["field_num_indirect"]
        structs.guest.write(where, struct.pack("<IB", 8 * index, size))
    got = structs.read(structs.desc("d", at)).fields
    assert [field.flags for field in got] == [
        F.POINTER | F.ARRAY_OF_POINTER | F.ARRAY_OF_POINTER_AUTO_ALLOC, F.VARRAY_UINT8, F.VARRAY_UINT16, F.VARRAY_INT32
    ]  # fmt: skip
    assert [field.num_offset for field in got] == [None, 8, 16, 24]


def test_detection_of_the_end_flag() -> None:
    """A reader that accepts any end flag reports the one that most lists have."""
    structs = Structs(QEMU_6)
    reader = Reader(structs.guest, QEMU_6, lib.VMD_END_ANY)
    for end in (0x10000, 0x10000, 0):
        assert reader.try_read(structs.desc("d", structs.fields(end=end))) is not None
    assert reader.end_flags == 0x10000
    assert reader.try_read(structs.desc("d", structs.fields(end=4))) is None


class Slots:
    """An object with addresses that relocations refer to, by which a reader finds where objects begin."""

    def __init__(self, structs: Structs, *addresses: int) -> None:
        at = structs.pointers(*addresses)
        self._slots = ffi.new("uint64_t[]", [at + 8 * index for index in range(len(addresses))])

    def slots(self) -> tuple[object, int]:
        """As MappedObject.slots."""
        return self._slots, len(self._slots)


def test_lists_without_terminator() -> None:
    """A list that runs into a malformed entry ends where the next object begins; the defect is reported once."""
    structs = Structs(QEMU_5, end_flags=0)
    inner = structs.desc("d/inner")
    field = {"field_name": structs.guest.string("f"), "field_bytes": 1, "field_info": structs.info("uint8")}
    subsections = structs.guest.alloc(16, 8)
    structs.guest.write(subsections, struct.pack("<QQ", inner, 8))  # 8: no description
    fields = structs.guest.alloc(2 * 104, 8)
    for index in range(2):
        for key, value in field.items():
            structs.guest.write(fields + index * 104 + structs.layout[key], struct.pack("<Q", value))
    structs.guest.write(fields + 104, struct.pack("<Q", 8))  # no name
    at = structs.desc("d", fields, subsections)
    assert structs.reader.try_read(at) is None
    structs.reader.set_slots([Slots(structs, fields, fields + 104, subsections, subsections + 8)])
    vmsd = structs.read(at)
    assert [each.name for each in vmsd.fields] == ["f"]
    assert [each.name for each in vmsd.subsections] == ["d/inner"]
    assert structs.reader.new_defects() == [
        ("a list of fields has no terminator", fields), ("a list of subsections has no terminator", subsections)
    ]  # fmt: skip
    assert structs.read(at) is not None
    assert structs.reader.new_defects() == []


def test_list_before_an_unreferenced_object() -> None:
    """Without a known next object, the list ends at the malformed entry."""
    structs = Structs(QEMU_5, end_flags=0)
    inner = structs.desc("d/inner")
    subsections = structs.pointers(inner, structs.guest.string("no description"), inner)
    structs.reader.set_slots([Slots(structs, subsections + 64)])
    assert [each.name for each in structs.read(structs.desc("d", subsections=subsections)).subsections] == ["d/inner"]
    assert structs.reader.new_defects() == [("a list of subsections has no terminator", subsections)]


def test_entries_that_are_not_repaired() -> None:
    """A malformed entry before the start of the next object does not count as a missing terminator."""
    structs = Structs(QEMU_6)
    inner = structs.desc("d/inner")
    subsections = structs.pointers(inner, structs.desc("d/wrong", fields=8), inner)
    structs.reader.set_slots([Slots(structs, subsections + 64)])
    assert structs.reader.try_read(structs.desc("d", subsections=subsections)) is None
    assert structs.reader.new_defects() == []


def test_description_without_a_name() -> None:
    """A description with contents but no name is a defect, and read as QEMU prints it."""
    structs = Structs(QEMU_6)
    at = structs.desc(None)
    assert structs.read(at).name == "(null)"
    assert structs.reader.new_defects() == [("a description has no name; QEMU prints (null)", at)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_empty_stub(layout: StructSizes) -> None:
    """An all-zero stub, as in QEMU's ramfb-stubs.c for a device that is not built, is read without a defect."""
    structs = Structs(layout)
    stub = structs.read(structs.desc(None, version=0, minimum=0))
    assert (stub.name, stub.version_id, stub.fields, stub.subsections) == ("(null)", 0, None, None)
    assert structs.reader.new_defects() == []


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_finding(layout: StructSizes) -> None:
    """Descriptions are found among other structs that begin with a name."""
    structs = Structs(layout)
    guest = structs.guest
    info = {"field_name": guest.string("f"), "field_bytes": 1, "field_info": structs.info("uint8")}
    begin = guest.alloc(0)
    inner = structs.desc("thing/inner", structs.fields(info))
    outer = structs.desc("thing", structs.fields(info, {**info, "field_vmsd": inner}))
    guest.write(guest.alloc(104), struct.pack("<13Q", guest.string("my-type"), guest.string("device"), *[0] * 11))
    guest.write(guest.alloc(128), struct.pack("<QQQ", guest.string("wild"), 0, 0))
    no_info = structs.desc("no-info", structs.fields({"field_name": guest.string("f")}))
    hook = structs.desc("hook-outside", structs.fields(info))
    guest.write(hook + structs.layout["desc_hooks"], struct.pack("<Q", begin))
    negative = structs.desc("negative", structs.fields(info), version=-5)
    dated = structs.desc("dated", structs.fields(info), version=20061113)
    unnamed = structs.desc(None, structs.fields(info))
    end = guest.alloc(0)
    found = ffi.new("uint64_t[]", 16)
    count = structs.reader.find_descs(begin, end, end, end + 4096, found, 16)
    assert list(found[0:count]) == [inner, outer, dated, unnamed]
    assert structs.reader.new_defects() == []
    assert structs.reader.is_nested(inner)
    assert not structs.reader.is_nested(outer)
    assert not {no_info, hook, negative} & set(found[0:count])


def x86_64_lea(at: int, target: int, register: int = 7) -> bytes:
    """Encode lea target(%rip),%rdi (or another register)."""
    return struct.pack("<BBBi", 0x48, 0x8D, 5 | register << 3, target - at - 7)


def aarch64_address(at: int, target: int, register: int = 0) -> bytes:
    """Encode adrp and add."""
    pages = (target >> 12) - (at >> 12)
    adrp = 0x90000000 | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5 | register
    return struct.pack("<II", adrp, 0x91000000 | (target & 0xFFF) << 10 | register << 5 | register)


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_uses(machine: int) -> None:
    """An address taken by code is a use if the expected call follows; another call, or none, is not."""
    guest = Guest("guest", machine)
    code = guest.alloc(8192, 4096)
    targets = [code + 4096 + 64 * index for index in range(4)]
    functions = [code + 2048, code + 2304]
    takes = x86_64_lea if machine == X86_64 else aarch64_address
    size = 7 if machine == X86_64 else 8

    def call(at: int, target: int, tail: bool = False) -> bytes:
        if machine == X86_64:
            return struct.pack("<Bi", 0xE9 if tail else 0xE8, target - at - 5)
        return struct.pack("<I", (0x14000000 if tail else 0x94000000) | (target - at >> 2) & 0x3FFFFFF)

    for index, (function, tail) in enumerate([(functions[1], False), (functions[0], True), (code + 3000, False)]):
        at = code + 512 * index
        guest.write(at, takes(at, targets[index]))
        guest.write(at + size + 8, call(at + size + 8, function, tail))
    uses = ffi.new("struct vmd_guest_use[]", 8)
    count = lib.vmd_guest_find_uses(guest.native, code, code + 2048, targets, 4, functions, 2, uses, 8)
    assert [(use.target, use.function) for use in (uses[i] for i in range(count))] == [
        (0, 1), (1, 0), (2, lib.VMD_NO_CALL)
    ]  # fmt: skip
    assert lib.vmd_guest_find_uses(guest.native, 0, 4096, targets, 4, functions, 2, uses, 8) == 0

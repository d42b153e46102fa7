"""Trees as the check reads them: sections and descriptions, straight from the rows of the C core.

Model objects would say the same, at ten times the cost; most of a dump is not looked at, as it is equal on both sides.
Source: csrc/wire.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from vmdump._core import ffi, lib
from vmdump.engine import check_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.device_dump import DeviceDump

_SECTION_ROW = struct.Struct("=Qii")
_FIELD_ROW = struct.Struct("=QQQQQiiiII4x")
_UNKNOWN = 2**64 - 1

#: The size of a struct vmd_wire_row, whose first member is the address of the description that the field has.
ROW_BYTES = _FIELD_ROW.size

# VMStateFlags, as plain ints: importing the model takes longer than the check.
ARRAY, VARRAY_INT32, ARRAY_OF_POINTER, VARRAY_UINT16 = 0x4, 0x10, 0x40, 0x80
VBUFFER, MULTIPLY, VARRAY_UINT8, VARRAY_UINT32 = 0x100, 0x200, 0x400, 0x800
MUST_EXIST, MULTIPLY_ELEMENTS, VSTRUCT, STRUCT, BUFFER, AUTO_ALLOC = 0x1000, 0x4000, 0x8000, 0x8, 0x20, 0x20000
VARRAY = VARRAY_INT32 | VARRAY_UINT16 | VARRAY_UINT8 | VARRAY_UINT32


class RawFields(NamedTuple):
    """What is in a description: as text, each ended by NUL, its name, then of each field the name and the VMStateInfo's
    (empty: none); a struct vmd_wire_row of each field; the addresses of its subsections.
    """

    text: bytes
    rows: bytearray
    subsections: list[int]

    def texts(self) -> list[str]:
        """The text, split."""
        return self.text.decode(errors="backslashreplace").split("\0")

    def fields(self) -> Iterator[tuple[int, ...]]:
        """The rows, each as a tuple without its last member."""
        return _FIELD_ROW.iter_unpack(self.rows)


def read_fields(address: int) -> RawFields:
    """What is in the description at an address."""
    desc = ffi.cast("struct vmd_desc *", address)
    rows = bytearray(desc.n_fields * _FIELD_ROW.size)
    text = bytearray(lib.vmd_wire_fields_text(desc))
    subsections = ffi.new("uint64_t[]", desc.n_subsections + 1)
    lib.vmd_wire_fields(
        desc, ffi.cast("struct vmd_wire_row *", ffi.from_buffer(rows)), subsections, ffi.from_buffer(text)
    )
    return RawFields(bytes(text), rows, ffi.unpack(subsections, desc.n_subsections))


class Field:
    """A field of a description; see VMStateField. info is VMStateInfo.name; None: none, or not known."""

    __slots__ = ("flags", "info", "name", "num", "num_offset", "offset", "size", "size_offset", "struct_version_id",
                 "test", "version_id", "vmsd")  # fmt: skip

    def __init__(self, name: str, info: str | None, row: tuple[int, ...], vmsd: Description | None) -> None:
        """From a struct vmd_wire_row."""
        self.name, self.info, self.vmsd = name, info, vmsd
        _, self.size, self.offset, self.num_offset, self.size_offset, self.num, self.version_id = row[:7]
        self.struct_version_id, self.flags = row[7], row[8]
        self.test = bool(row[9])


class Description:
    """A VMStateDescription, its fields and subsections read when they are first asked for.

    detailed: whether flags, infos and traits are known; needed: whether it has such a hook.
    """

    __slots__ = ("_parts", "address", "detailed", "dump", "minimum_version_id", "name", "needed", "old_loader",
                 "unmigratable", "version_id")  # fmt: skip

    def __init__(self, dump: Native, address: int) -> None:
        """The description at an address of a dump's tree."""
        desc = ffi.cast("struct vmd_desc *", address)
        self.dump, self.address = dump, address
        self._parts: tuple[Sequence[Field], Sequence[Description]] | None = None
        self.name = bytes(ffi.buffer(desc.name, desc.name_len)).decode()
        self.version_id, self.minimum_version_id = int(desc.version_id), int(desc.minimum_version_id)
        traits = desc.traits
        self.detailed = bool(traits & lib.VMD_DETAILED)
        self.needed = bool(traits & lib.VMD_NEEDED)
        self.unmigratable = bool(traits & lib.VMD_UNMIGRATABLE)
        self.old_loader = bool(traits & lib.VMD_LOAD_STATE_OLD)

    @property
    def fields(self) -> Sequence[Field]:
        """The fields, assertions included where they are known."""
        return self._read()[0]

    @property
    def subsections(self) -> Sequence[Description]:
        """The subsections, in order."""
        return self._read()[1]

    def _read(self) -> tuple[Sequence[Field], Sequence[Description]]:
        if self._parts is None:
            raw = read_fields(self.address)
            texts = raw.texts()
            at = self.dump.at
            self._parts = (
                [
                    Field(name, info or None, row, at(row[0]) if row[0] else None)
                    for name, info, row in zip(texts[1::2], texts[2::2], raw.fields(), strict=False)
                ],
                [at(address) for address in raw.subsections],
            )
        return self._parts


class Section:
    """What has a section of its own: a device type, or (root is its index) a description on no device class."""

    __slots__ = ("_dump", "address", "minimum_version_id", "name", "root", "type", "version_id")

    def __init__(self, dump: Native, type_: str, name: str, row: tuple[int, ...], root: int | None) -> None:
        """From a struct vmd_section_row. type is a root's symbol, or empty, where root is not None."""
        self._dump, self.type, self.name, self.root = dump, type_, name, root
        self.address, self.version_id, self.minimum_version_id = row

    @property
    def vmsd(self) -> Description:
        """The description."""
        return self._dump.at(self.address)


class Contents:
    """Descriptions of several dumps, each content once: what is known of one is known of all that are equal to it."""

    def __init__(self) -> None:
        """None yet."""
        self._known: dict[tuple[object, ...], Description] = {}

    def find(self, description: Description) -> Description:
        """The first description that was asked for with all that this one has, nested descriptions included. Where its
        members lie in memory does not count. Its nested descriptions have been asked for before.
        """
        at = description.dump.at
        key = (
            description.name, description.version_id, description.minimum_version_id, description.detailed,
            description.needed, description.old_loader, description.unmigratable,
            tuple(
                (field.name, field.info, field.flags, field.size, field.num, field.version_id,
                 field.struct_version_id, field.test, at(field.vmsd.address).address if field.vmsd else 0)
                for field in description.fields
            ),
            tuple(at(each.address).address for each in description.subsections),
        )  # fmt: skip
        return self._known.setdefault(key, description)


class Native:
    """A dump's native tree and what was read of it."""

    def __init__(self, dump: DeviceDump, contents: Contents | None = None) -> None:
        """Of a dump, with all that its source knows. contents: shared with other dumps, so that equal descriptions have
        one address in all of them; the dumps have to live as long as each other then.
        """
        tree = dump.detailed_tree
        self._tree, self._descriptions = tree, dict[int, Description]()
        native = tree.native
        self._indices: dict[str, int] | None = None
        self.nums = bool(lib.vmd_wire_tells_nums(native))
        n_devices, n_roots = native.n_devices, native.n_roots
        rows = bytearray((n_devices + n_roots) * _SECTION_ROW.size)
        text = bytearray(lib.vmd_wire_sections_text(native))
        lib.vmd_wire_sections(
            native, ffi.cast("struct vmd_section_row *", ffi.from_buffer(rows)), ffi.from_buffer(text)
        )
        texts = text.decode(errors="backslashreplace").split("\0")
        sections = [
            Section(self, type_, name, row, None if index < n_devices else index - n_devices)
            for index, (type_, name, row) in enumerate(
                zip(texts[::2], texts[1::2], _SECTION_ROW.iter_unpack(rows), strict=False)
            )
        ]
        #: Sections of devices by type name, in the order of the dump.
        self.devices = {section.type: section for section in sections[:n_devices]}
        #: Sections of descriptions on no device class.
        self.roots = sections[n_devices:]
        if contents is not None:
            self._share(contents, [section.address for section in sections])
            for section in sections:
                section.address = self.at(section.address).address
        # All or none of a dump is detailed; of an empty one nothing is unknown.
        self.detailed = all(self.at(section.address).detailed for section in sections[:1])

    def at(self, address: int) -> Description:
        """The description at an address."""
        found = self._descriptions.get(address)
        if found is None:
            found = self._descriptions[address] = Description(self, address)
        return found

    def _share(self, contents: Contents, addresses: Sequence[int]) -> None:
        """Puts equal descriptions of other dumps in the place of this one's, the innermost first."""
        done = set[int]()
        stack = [(address, False) for address in addresses]
        while stack:
            address, nested_are_done = stack.pop()
            if nested_are_done:
                found = contents.find(self._descriptions[address])
                self._descriptions[address] = self._descriptions[found.address] = found
                done.add(found.address)
            elif address not in done:
                done.add(address)
                description = self.at(address)
                stack.append((address, True))
                stack += [(field.vmsd.address, False) for field in description.fields if field.vmsd is not None]
                stack += [(subsection.address, False) for subsection in description.subsections]

    def uses(self, section: Section) -> tuple[str, ...]:
        """How the description of a root is used; see vmdump.Root."""
        return self._tree.root_facts(section.root)[1] if section.root is not None else ()

    def types(self, section: Section) -> tuple[str, ...]:
        """The device types whose classes refer to the description of a root."""
        return self._tree.root_facts(section.root)[2] if section.root is not None else ()

    def parents(self, type_: str) -> tuple[str, ...]:
        """The parent types of a device type, nearest first, where they are known."""
        if self._indices is None:
            self._indices = {name: index for index, name in enumerate(self.devices)}
        parents: tuple[str, ...] = self._tree.device_facts(self._indices[type_]).get("parents", ())
        return parents


def equal(a: Sequence[int], b: Sequence[int], *, nums: bool) -> list[bool]:
    """Whether the descriptions at addresses put the same on the wire, pair by pair, as far as both sides tell.

    nums: both dumps tell of all arrays how many elements they have.
    """
    flags = bytearray(len(a))
    status = lib.vmd_wire_equal(
        ffi.new("uint64_t[]", list(a)), ffi.new("uint64_t[]", list(b)), len(a), nums, ffi.from_buffer(flags)
    )
    check_status(status, None)
    return list(map(bool, flags))


def namesakes(addresses: Sequence[int]) -> list[bool]:
    """Whether descriptions at addresses have, somewhere, two subsections of one name in a list."""
    flags = bytearray(len(addresses))
    check_status(
        lib.vmd_wire_namesakes(ffi.new("uint64_t[]", list(addresses)), len(addresses), ffi.from_buffer(flags)), None
    )
    return list(map(bool, flags))

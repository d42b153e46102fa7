"""Trees as the check reads them: sections and descriptions, straight from the rows of the C core.

Model objects would say the same, at ten times the cost; most of a dump is not looked at, as it is equal on both sides.
Source: csrc/wire.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from vmdump._core import ffi, lib
from vmdump.dump.tree import check_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.dump.device_dump import DeviceDump

_SECTION_ROW = struct.Struct("=Qii")
_FIELD_ROW = struct.Struct("=QQQQQiiiIII")
_UNKNOWN = 2**64 - 1

# VMStateFlags, as plain ints: importing the model takes longer than the check.
ARRAY, VARRAY_INT32, ARRAY_OF_POINTER, VARRAY_UINT16 = 0x4, 0x10, 0x40, 0x80
VBUFFER, MULTIPLY, VARRAY_UINT8, VARRAY_UINT32 = 0x100, 0x200, 0x400, 0x800
MUST_EXIST, MULTIPLY_ELEMENTS, VSTRUCT, STRUCT, BUFFER, AUTO_ALLOC = 0x1000, 0x4000, 0x8000, 0x8, 0x20, 0x20000
VARRAY = VARRAY_INT32 | VARRAY_UINT16 | VARRAY_UINT8 | VARRAY_UINT32


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

    __slots__ = ("_dump", "_parts", "address", "detailed", "minimum_version_id", "name", "needed", "old_loader",
                 "unmigratable", "version_id")  # fmt: skip

    def __init__(self, dump: Native, address: int) -> None:
        """The description at an address of a dump's tree."""
        desc = ffi.cast("struct vmd_desc *", address)
        self._dump, self.address = dump, address
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
            desc = ffi.cast("struct vmd_desc *", self.address)
            n_fields, n_subsections = desc.n_fields, desc.n_subsections
            rows = bytearray(n_fields * _FIELD_ROW.size)
            text = bytearray(lib.vmd_wire_fields_text(desc))
            subsections = ffi.new("uint64_t[]", n_subsections + 1)
            lib.vmd_wire_fields(
                desc, ffi.cast("struct vmd_wire_row *", ffi.from_buffer(rows)), subsections, ffi.from_buffer(text)
            )
            texts = text.decode(errors="backslashreplace").split("\0")
            at = self._dump.at
            self._parts = (
                [
                    Field(name, info or None, row, at(row[0]) if row[0] else None)
                    for name, info, row in zip(texts[1::2], texts[2::2], _FIELD_ROW.iter_unpack(rows), strict=False)
                ],
                [at(address) for address in ffi.unpack(subsections, n_subsections)],
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


class Native:
    """A dump's native tree and what was read of it."""

    def __init__(self, dump: DeviceDump) -> None:
        """Of a dump, with all that its source knows."""
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
        # All or none of a dump is detailed; of an empty one nothing is unknown.
        self.detailed = all(self.at(section.address).detailed for section in sections[:1])

    def at(self, address: int) -> Description:
        """The description at an address."""
        found = self._descriptions.get(address)
        if found is None:
            found = self._descriptions[address] = Description(self, address)
        return found

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

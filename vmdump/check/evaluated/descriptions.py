"""VMStateDescriptions in the memory of an emulated machine: their function pointers, and which memory is migrated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from vmdump._core import ffi, lib
from vmdump.check.evaluated.answers import Key
from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.model import MappedObject
from vmdump.qemu.vmstate_flags import (
    ALLOC,
    ARRAY,
    ARRAY_OF_POINTER,
    MULTIPLY_ELEMENTS,
    POINTER,
    STRUCT,
    VARRAY,
    VSTRUCT,
)
from vmdump.sources.qemu_image.struct_layout import LAYOUTS, Layout, Reader

#: Limits of a list, of descriptions below one, and of the results of a search. All QEMUs stay far below.
_FIELDS_MAX, _SUBSECTIONS_MAX, _DEPTH_MAX, _ROOM = 4096, 512, 24, 1 << 16

#: VMStateInfo.name of queues, lists and trees, whose elements are sent one by one.
_LISTS = ("qtailq", "qlist", "gtree")

#: Limit of memory ranges of a section.
_RANGES_MAX = 1 << 18


class RawField(NamedTuple):
    """A VMStateField at an address of the guest.

    Attributes:
        nth: which of the fields of its name.
        start: of a list: offset of an element's link to the next one.
        length: offset and size of the member with the array's length, if there is one.
    """

    address: int
    name: str
    nth: int
    offset: int
    size: int
    num: int
    flags: int
    vmsd: int
    info: str
    length: tuple[int, int] | None
    start: int


class Hook(NamedTuple):
    """A function pointer of a description or field: its address, what it decides, and the description's address."""

    slot: int
    key: Key
    description: int


class Descriptions:
    """The descriptions of a guest, read in the layout that calibrate has found."""

    def __init__(self, guest: Guest, layout: Layout) -> None:
        self.guest, self._layout = guest, layout
        self._at = LAYOUTS[layout.structs]
        self._needed = self._at["desc_hooks"] + 8 * self._at["hooks"].index(lib.VMD_NEEDED)
        self._fields: dict[int, list[RawField]] = {}

    def find(self, objects: Iterable[MappedObject]) -> list[int]:
        """Return the addresses of all descriptions of objects."""
        reader = Reader(self.guest, self._layout.structs, self._layout.end_flags)
        found, addresses = ffi.new("uint64_t[]", _ROOM), []
        for mapped in objects:
            code = [segment for segment in mapped.segments if segment.executable]
            for segment in mapped.segments:
                if segment.has_addresses and code:
                    span = segment.start, segment.end, code[0].start, code[-1].end
                    count = min(reader.find_descs(*span, found, _ROOM), _ROOM)
                    addresses += ffi.unpack(found, count) if count else []
        return addresses

    def name(self, description: int) -> str:
        """Return the name of a description."""
        address = self.guest.pointer(description)
        return self.guest.text(address) if address else ""

    def forget(self, kept: Sequence[MappedObject]) -> None:
        """Forget the fields of descriptions outside of some objects."""
        self._fields = {
            address: fields for address, fields in self._fields.items() if any(each.holds(address) for each in kept)
        }

    def fields(self, description: int) -> list[RawField]:
        """Return the fields of a description."""
        known = self._fields.get(description)
        if known is None:
            known = self._fields[description] = list(self._read_fields(description))
        return known

    def _read_fields(self, description: int) -> Iterator[RawField]:
        guest, at, seen = self.guest, self._at, dict[str, int]()
        address = guest.pointer(description + at["desc_fields"])
        for _ in range(_FIELDS_MAX if address else 0):
            name, flags = guest.pointer(address + at["field_name"]), guest.number(address + at["field_flags"], 4)
            end = self._layout.end_flags
            if (end and flags == end) or (not name and not flags):
                return
            text = guest.text(name) if name else ""
            seen[text] = seen.get(text, -1) + 1
            yield RawField(
                address, text, seen[text], guest.pointer(address + at["field_offset"]),
                guest.pointer(address + at["field_bytes"]), guest.number(address + at["field_num"], 4, signed=True),
                flags, guest.pointer(address + at["field_vmsd"]),
                self._info(guest.pointer(address + at["field_info"])), self._length(address, flags),
                guest.pointer(address + at["field_start"]),
            )  # fmt: skip
            address += at["field_size"]

    def _length(self, field: int, flags: int) -> tuple[int, int] | None:
        """Return offset and size of the integer that contains the number of elements, if there is one."""
        at = self._at
        if not flags & VARRAY:
            return None
        if "field_num_offset" in at:
            return self.guest.pointer(field + at["field_num_offset"]), _length_size(flags)
        member = field + at["field_num_indirect"]
        return self.guest.number(member, 4), self.guest.number(member + 4, 1)

    def _info(self, info: int) -> str:
        """Return VMStateInfo.name; empty if there is none."""
        name = self.guest.pointer(info) if info and self.guest.holds(info, 8) else 0
        return self.guest.text(name) if name and self.guest.holds(name, 1) else ""

    def subsections(self, description: int) -> Iterator[int]:
        """Iterate over the addresses of a description's subsections."""
        address = self.guest.pointer(description + self._at["desc_subsections"])
        for _ in range(_SUBSECTIONS_MAX if address else 0):
            subsection = self.guest.pointer(address)
            if not subsection:
                return
            yield subsection
            address += 8

    def needed(self, description: int) -> int:
        """Return the address of a description's hook that decides whether it is sent; 0: none."""
        return self.guest.pointer(description + self._needed)

    def load_hook(self, description: int, name: str) -> int:
        """Return the address of a pre_load or post_load that returns an int; 0: there is none."""
        bit = lib.VMD_PRE_LOAD if name == "pre_load" else lib.VMD_POST_LOAD
        at = self._at["hooks"].index(bit)  # the variant with an Error, if there is one, follows
        return self.guest.pointer(description + self._at["desc_hooks"] + 8 * at)

    def hooks(self, roots: Iterable[int]) -> list[Hook]:
        """Return the function pointers of descriptions and of all that they refer to."""
        hooks, todo, seen = [], list(roots), set[int]()
        while todo:
            description = todo.pop()
            if description in seen or not self.guest.holds(description, self._at["desc_size"]):
                continue
            seen.add(description)
            name = self.name(description)
            if self.needed(description):
                hooks.append(Hook(description + self._needed, (name, "", 0), description))
            for field in self.fields(description):
                slot = field.address + self._at["field_exists"]
                if self.guest.pointer(slot):
                    hooks.append(Hook(slot, (name, field.name, field.nth), description))
                if field.vmsd:
                    todo.append(field.vmsd)
            todo += self.subsections(description)
        return hooks


class Walk:
    """The memory that a section migrates.

    Attributes:
        ranges: start and end of each field in the guest's memory, and its name.
        lengths: address and size of the member with an array's length, with the array's key.
        lists: keys of queues, lists and trees, and how many elements they have.
    """

    def __init__(self, descriptions: Descriptions) -> None:
        """Start empty."""
        self._of, self._guest = descriptions, descriptions.guest
        self.ranges: list[tuple[int, int, str]] = []
        self.lengths: list[tuple[Key, int, int]] = []
        self.lists: list[tuple[Key, int]] = []

    def add(self, description: int, opaque: int, depth: int) -> None:
        """Add a description's fields and subsections, whether or not they are sent at reset."""
        if depth > _DEPTH_MAX or not self._guest.holds(opaque, 1):
            return
        name = self._of.name(description)
        for field in self._of.fields(description):
            if len(self.ranges) < _RANGES_MAX:
                self._add_field(name, field, opaque, depth)
        for subsection in self._of.subsections(description):
            self.add(subsection, opaque, depth + 1)

    def _add_field(self, description: str, field: RawField, opaque: int, depth: int) -> None:
        base, count = opaque + field.offset, 1
        if field.flags & (POINTER | ALLOC):
            base = self._pointer(base)
        if field.info in _LISTS:
            self.lists.append(((description, field.name, field.nth), self._count(field, base)))
            return
        if field.info in ("pci config", "pci irq state"):
            return  # their size is not that of the member
        if field.flags & ARRAY or field.flags & MULTIPLY_ELEMENTS:
            count = max(field.num, 1)
        if field.length is not None:
            offset, size = field.length
            self.lengths.append(((description, field.name, field.nth), opaque + offset, size))
            count = max(self.value(opaque + offset, size), 1)
        if field.vmsd and not field.flags & (STRUCT | VSTRUCT):
            return  # a list, whose elements are elsewhere, or a temporary struct
        if not field.vmsd:
            self.ranges.append((base, base + max(field.size, 1) * count, field.name))
            return
        for index in range(min(count, _FIELDS_MAX)):
            element = base + field.size * index
            if field.flags & ARRAY_OF_POINTER:
                element = self._pointer(base + 8 * index)
            if field.vmsd and element and len(self.ranges) < _RANGES_MAX:
                self.add(field.vmsd, element, depth + 1)

    def _count(self, field: RawField, head: int) -> int:
        """Return the number of elements. Source: migration/vmstate-types.c put_qtailq, put_qlist, put_gtree."""
        if field.info == "gtree":
            return self._guest.call(self._guest.host_function("g_tree_nnodes"), head) if head else 0
        count, element = 0, self._pointer(head)
        while element and count < _FIELDS_MAX:
            count, element = count + 1, self._pointer(element + field.start)
        return count

    def value(self, address: int, size: int) -> int:
        """Return the unsigned integer at an address; 0 outside of the guest's memory."""
        return self._guest.number(address, size) if self._guest.holds(address, size) else 0

    def _pointer(self, address: int) -> int:
        return self.value(address, 8)

    def name_at(self, address: int, size: int) -> str | None:
        """Return the name of a field that covers memory, in part or all of it; None: it is not migrated."""
        covering = (name for start, end, name in self.ranges if start < address + size and address < end)
        return next(covering, None)


def _length_size(flags: int) -> int:
    """Return the size of an array's length in bytes. Source: VMS_VARRAY_UINT16, VMS_VARRAY_UINT8."""
    return 2 if flags & 0x80 else 1 if flags & 0x400 else 4

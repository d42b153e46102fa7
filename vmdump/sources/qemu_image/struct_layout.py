"""Detect the layouts of VMStateField, VMStateDescription and DeviceClass in an image.

The version does not determine them, as distributions backport changes. Instead, all known layouts are tried on the
classes, and the one in which most fields can be read is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from vmdump._core import ffi, lib
from vmdump.dump.tree import Tree
from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.model import MappedObject
from vmdump.errors import SourceError

_PRE_LOAD, _POST_LOAD, _PRE_SAVE, _POST_SAVE = lib.VMD_PRE_LOAD, lib.VMD_POST_LOAD, lib.VMD_PRE_SAVE, lib.VMD_POST_SAVE
_LAST_HOOKS = [lib.VMD_NEEDED, lib.VMD_DEV_UNPLUG_PENDING]
_HOOKS = [_PRE_LOAD, _POST_LOAD, _PRE_SAVE, _POST_SAVE, *_LAST_HOOKS]
_HOOKS_WITH_ERRP = [
    _PRE_LOAD, _PRE_LOAD, _POST_LOAD, _POST_LOAD, _PRE_SAVE, _PRE_SAVE, _POST_SAVE, *_LAST_HOOKS
]  # fmt: skip

#: struct VMStateField, by its size; newest first. In bytes, on 64-bit hosts. Terminators are detected separately.
FIELDS: dict[int, dict[str, int]] = {
    # QEMU 11.1
    96: {
        "field_name": 0, "field_offset": 8, "field_bytes": 16, "field_size_indirect": 24, "field_num_indirect": 32,
        "field_start": 40, "field_num": 48, "field_info": 56, "field_flags": 64, "field_vmsd": 72,
        "field_version_id": 80, "field_struct_version_id": 84, "field_exists": 88,
    },
    # QEMU 5 to 11.0
    104: {
        "field_name": 0, "field_err_hint": 8, "field_offset": 16, "field_bytes": 24, "field_start": 32, "field_num": 40,
        "field_num_offset": 48, "field_size_offset": 56, "field_info": 64, "field_flags": 72, "field_vmsd": 80,
        "field_version_id": 88, "field_struct_version_id": 92, "field_exists": 96,
    },
}  # fmt: skip

#: struct VMStateDescription, likewise.
DESCRIPTIONS: dict[int, dict[str, Any]] = {
    # QEMU 10.2 and later
    112: {
        "desc_priority": 20, "desc_fields": 96, "desc_subsections": 104, "desc_hooks": 24, "hooks": _HOOKS_WITH_ERRP,
    },
    # QEMU 6 to 10.1
    88: {"desc_priority": 20, "desc_fields": 72, "desc_subsections": 80, "desc_hooks": 24, "hooks": _HOOKS},
    # QEMU 5
    104: {
        "desc_priority": 24, "desc_fields": 88, "desc_subsections": 96, "desc_hooks": 32,
        "hooks": [lib.VMD_LOAD_STATE_OLD, *_HOOKS],
    },
}  # fmt: skip
_DESC = {"desc_name": 0, "desc_unmigratable": 8, "desc_version_id": 12, "desc_minimum_version_id": 16}


class StructSizes(NamedTuple):
    """Layouts of an image's structs: keys of FIELDS and DESCRIPTIONS, which changed independently."""

    field: int
    description: int


#: All combinations, including those without a known release.
LAYOUTS: dict[StructSizes, dict[str, Any]] = {
    StructSizes(field_size, desc_size): {"field_size": field_size, **field, "desc_size": desc_size, **_DESC, **desc}
    for field_size, field in FIELDS.items()
    for desc_size, desc in DESCRIPTIONS.items()
}

#: Penalty of an unreadable description in a layout's score, which is the number of readable fields.
_BAD = 100

#: Number of descriptions on which layouts are tried.
_SAMPLE = 64

#: Possible offsets of DeviceClass.vmsd, in bytes: after ObjectClass (96) and categories, in the smallest DeviceClass.
_VMSD_OFFSETS = range(104, 184, 8)


class Layout(NamedTuple):
    """Detected layout: key in LAYOUTS, flags of terminators, and offset of DeviceClass.vmsd in bytes."""

    structs: StructSizes
    end_flags: int
    vmsd_offset: int


class Reader:
    """Reads descriptions of a guest into a tree. Source: csrc/guest/read_descriptions.c."""

    def __init__(self, guest: Guest, structs: StructSizes, end_flags: int) -> None:
        self.guest, self.tree = guest, Tree()
        ret = ffi.new("struct vmd_guest_reader **")
        members = LAYOUTS[structs]
        self._layout = ffi.new(
            "struct vmd_layout *", {**members, "n_hooks": len(members["hooks"]), "end_flags": end_flags}
        )
        if lib.vmd_guest_reader_create(guest.native, self._layout, self.tree.native, ret):
            raise MemoryError("out of memory for a tree")
        self._native = ffi.gc(ret[0], lib.vmd_guest_reader_destroy)
        self._error = ffi.new("struct vmd_error *")
        self._seen = 0

    @property
    def desc_size(self) -> int:
        """sizeof(VMStateDescription), in bytes."""
        return int(self._layout.desc_size)

    def is_nested(self, address: int) -> bool:
        """Return whether a description read so far refers to the one at address."""
        return bool(lib.vmd_guest_reader_is_nested(self._native, address))

    def find_descs(self, begin: int, end: int, code_begin: int, code_end: int, found: Any, room: int) -> int:
        """Return the number of descriptions in [begin, end), and store up to ``room`` addresses in ``found``."""
        count = int(lib.vmd_guest_find_descs(self._native, begin, end, code_begin, code_end, found, room))
        if count == 2**64 - 1:
            raise MemoryError("out of memory for a tree")
        return count

    @property
    def end_flags(self) -> int:
        """Flags of the terminators of most lists of fields read so far."""
        return int(lib.vmd_guest_reader_end_flags(self._native))

    def set_slots(self, objects: Sequence[MappedObject]) -> None:
        """Set the addresses that the objects' relocations refer to, to tolerate unterminated lists."""
        each = [mapped.slots() for mapped in objects]
        self._slots = ffi.new("uint64_t[]", sum(count for _, count in each) + 1)
        at = 0
        for slots, count in each:
            ffi.memmove(self._slots + at, slots, 8 * count)
            at += count
        lib.vmd_guest_reader_set_slots(self._native, self._slots, at)

    def new_defects(self) -> list[tuple[str, int]]:
        """Return the defects tolerated since the last call: description and address."""
        defects = ffi.new("const struct vmd_guest_defect **")
        count = lib.vmd_guest_reader_defects(self._native, defects)
        new = [(ffi.string(defects[0][i].what).decode(), int(defects[0][i].address)) for i in range(self._seen, count)]
        self._seen = count
        return new

    def try_read(self, address: int) -> Any:
        """Return the ``struct vmd_desc *`` of the description at an address, or None if unreadable; see why()."""
        ret = ffi.new("const struct vmd_desc **")
        status = lib.vmd_guest_read_desc(self._native, address, ret, self._error)
        if status == lib.VMD_NO_MEMORY:
            raise MemoryError("out of memory for a tree")
        return None if status else ret[0]

    def why(self) -> str:
        """Return why the last description was unreadable, with the address."""
        message = ffi.string(self._error.message).decode()
        return f"{message} (at {self._error.index - self.guest.bias:#x})"


def calibrate(guest: Guest, classes: Sequence[int]) -> Layout:
    """Return the layout in which most fields of the classes' descriptions are readable. Raises SourceError: none is."""
    best, best_score = None, 0
    members = [guest.words(klass + _VMSD_OFFSETS[0], len(_VMSD_OFFSETS)) for klass in classes]
    for offset, pointers in zip(_VMSD_OFFSETS, zip(*members, strict=True), strict=False):
        # A sample suffices: with a wrong layout almost none are readable.
        addresses = sorted({*pointers} - {0})
        addresses = addresses[:: len(addresses) // _SAMPLE + 1]
        for structs in LAYOUTS:
            reader = Reader(guest, structs, lib.VMD_END_ANY)
            read = [vmsd for vmsd in map(reader.try_read, addresses) if vmsd is not None]
            # Count fields: an array of properties also begins with a name, and may look like an empty description.
            score = sum(vmsd.n_total for vmsd in read) - _BAD * (len(addresses) - len(read))
            if score > best_score:
                best, best_score = Layout(structs, reader.end_flags, offset), score
    if best is None:
        raise SourceError(
            f"{guest.name}: no known layout of VMStateField and VMStateDescription fits its device classes; "
            "use --run instead"
        )
    return best

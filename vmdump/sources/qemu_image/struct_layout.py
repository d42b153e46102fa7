"""How an image's VMStateField, VMStateDescription and DeviceClass are laid out: found out on the image itself.

A version number says little: distributions backport. So every layout that QEMU is known to have had is tried on the
classes, and the one counts in which every description that hangs on a class can be read to its end.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from vmdump._core import ffi, lib
from vmdump.dump.tree import Tree
from vmdump.emulator.elf import MappedObject
from vmdump.emulator.guest import Guest
from vmdump.errors import SourceError

_FIELD_104 = {
    "field_size": 104, "field_name": 0, "field_err_hint": 8, "field_offset": 16, "field_bytes": 24, "field_start": 32,
    "field_num": 40, "field_num_offset": 48, "field_size_offset": 56, "field_info": 64, "field_flags": 72,
    "field_vmsd": 80, "field_version_id": 88, "field_struct_version_id": 92, "field_exists": 96,
}  # fmt: skip
_FIELD_96 = {
    "field_size": 96, "field_name": 0, "field_offset": 8, "field_bytes": 16, "field_size_indirect": 24,
    "field_num_indirect": 32, "field_start": 40, "field_num": 48, "field_info": 56, "field_flags": 64, "field_vmsd": 72,
    "field_version_id": 80, "field_struct_version_id": 84, "field_exists": 88,
}  # fmt: skip
_DESC = {"desc_name": 0, "desc_unmigratable": 8, "desc_version_id": 12, "desc_minimum_version_id": 16}
_PRE_LOAD, _POST_LOAD, _PRE_SAVE, _POST_SAVE = lib.VMD_PRE_LOAD, lib.VMD_POST_LOAD, lib.VMD_PRE_SAVE, lib.VMD_POST_SAVE
_LAST_HOOKS = [lib.VMD_NEEDED, lib.VMD_DEV_UNPLUG_PENDING]
_HOOKS = [_PRE_LOAD, _POST_LOAD, _PRE_SAVE, _POST_SAVE, *_LAST_HOOKS]

#: In bytes, on 64-bit hosts; newest first. How lists of fields end is found out apart.
LAYOUTS: dict[str, dict[str, Any]] = {
    "QEMU 11": {
        **_FIELD_96, **_DESC, "desc_size": 112, "desc_priority": 20, "desc_fields": 96, "desc_subsections": 104,
        "desc_hooks": 24, "hooks": [
            _PRE_LOAD, _PRE_LOAD, _POST_LOAD, _POST_LOAD, _PRE_SAVE, _PRE_SAVE, _POST_SAVE, *_LAST_HOOKS
        ],
    },
    "QEMU 6 to 10": {
        **_FIELD_104, **_DESC, "desc_size": 88, "desc_priority": 20, "desc_fields": 72, "desc_subsections": 80,
        "desc_hooks": 24, "hooks": _HOOKS,
    },
    "QEMU 5": {
        **_FIELD_104, **_DESC, "desc_size": 104, "desc_priority": 24, "desc_fields": 88, "desc_subsections": 96,
        "desc_hooks": 32, "hooks": [lib.VMD_LOAD_STATE_OLD, *_HOOKS],
    },
}  # fmt: skip

#: What a description that can't be read takes off a layout's score, which is the number of fields that can be.
_BAD = 100

#: How many descriptions each layout is tried on.
_SAMPLE = 64

#: Where DeviceClass.vmsd may be, in bytes: behind ObjectClass (96) and categories, within the smallest DeviceClass.
_VMSD_OFFSETS = range(104, 184, 8)


class Layout(NamedTuple):
    """A layout that fits an image: its name in LAYOUTS, a terminator's flags, and the offset of DeviceClass.vmsd."""

    name: str
    end_flags: int
    vmsd_offset: int


class Reader:
    """Reads descriptions of a guest into a tree. Source: csrc/guest_tree.c."""

    def __init__(self, guest: Guest, layout_name: str, end_flags: int) -> None:
        self.guest, self.tree = guest, Tree()
        ret = ffi.new("struct vmd_guest_reader **")
        members = LAYOUTS[layout_name]
        self._layout = ffi.new(
            "struct vmd_layout *", {**members, "n_hooks": len(members["hooks"]), "end_flags": end_flags}
        )
        if lib.vmd_guest_reader_create(guest.native, self._layout, self.tree.native, ret):
            raise MemoryError("out of memory for a tree")
        self._native = ffi.gc(ret[0], lib.vmd_guest_reader_destroy)
        self._error = ffi.new("struct vmd_error *")
        self._told = 0

    @property
    def desc_size(self) -> int:
        """sizeof(VMStateDescription), in bytes."""
        return int(self._layout.desc_size)

    def is_nested(self, address: int) -> bool:
        """Whether a description that was read refers to the one at address."""
        return bool(lib.vmd_guest_reader_is_nested(self._native, address))

    def find_descs(self, begin: int, end: int, code_begin: int, code_end: int, found: Any, room: int) -> int:
        """How many descriptions there are from begin to end; the first room addresses go to found."""
        count = int(lib.vmd_guest_find_descs(self._native, begin, end, code_begin, code_end, found, room))
        if count == 2**64 - 1:
            raise MemoryError("out of memory for a tree")
        return count

    @property
    def end_flags(self) -> int:
        """How most of the lists of fields that were read end: the terminator's flags."""
        return int(lib.vmd_guest_reader_end_flags(self._native))

    def set_slots(self, objects: Sequence[MappedObject]) -> None:
        """Tells it what the objects point to, so that it gets over lists without a terminator."""
        each = [mapped.slots() for mapped in objects]
        self._slots = ffi.new("uint64_t[]", sum(count for _, count in each) + 1)
        at = 0
        for slots, count in each:
            ffi.memmove(self._slots + at, slots, 8 * count)
            at += count
        lib.vmd_guest_reader_set_slots(self._native, self._slots, at)

    def new_defects(self) -> list[tuple[str, int]]:
        """What it got over since the last call: what was wrong, and the address."""
        defects = ffi.new("const struct vmd_guest_defect **")
        count = lib.vmd_guest_reader_defects(self._native, defects)
        new = [(ffi.string(defects[0][i].what).decode(), int(defects[0][i].address)) for i in range(self._told, count)]
        self._told = count
        return new

    def try_read(self, address: int) -> Any:
        """The native description at an address, or None where there is none that can be read; see why()."""
        ret = ffi.new("const struct vmd_desc **")
        status = lib.vmd_guest_read_desc(self._native, address, ret, self._error)
        if status == lib.VMD_NO_MEMORY:
            raise MemoryError("out of memory for a tree")
        return None if status else ret[0]

    def why(self) -> str:
        """What was wrong with the last description that could not be read, and where."""
        message = ffi.string(self._error.message).decode()
        return f"{message} (at {self._error.index - self.guest.bias:#x})"


def calibrate(guest: Guest, classes: Sequence[int]) -> Layout:
    """The layout in which the most fields of the classes' descriptions can be read. Raises SourceError: none fits."""
    best, best_score = None, 0
    members = [
        struct.unpack(f"<{len(_VMSD_OFFSETS)}Q", guest.view(klass + _VMSD_OFFSETS[0], 8 * len(_VMSD_OFFSETS)))
        for klass in classes
    ]
    for offset, pointers in zip(_VMSD_OFFSETS, zip(*members, strict=True), strict=False):
        # Some tell as much as all: in a wrong layout nearly none can be read.
        addresses = sorted({*pointers} - {0})
        addresses = addresses[:: len(addresses) // _SAMPLE + 1]
        for name in LAYOUTS:
            reader = Reader(guest, name, lib.VMD_END_ANY)
            read = [vmsd for vmsd in map(reader.try_read, addresses) if vmsd is not None]
            # Fields count: an array of properties, too, begins with a name, and may look like an empty description.
            score = sum(vmsd.n_total for vmsd in read) - _BAD * (len(addresses) - len(read))
            if score > best_score:
                best, best_score = Layout(name, reader.end_flags, offset), score
    if best is None:
        raise SourceError(f"{guest.name}: no known layout of VMStateDescription fits its device classes; try --run")
    return best

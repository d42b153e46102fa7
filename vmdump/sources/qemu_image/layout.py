"""How an image's VMStateField, VMStateDescription and DeviceClass are laid out: found out on the image itself.

A version number says little: distributions backport. So every layout that QEMU is known to have had is tried on the
classes, and the one counts in which every description that hangs on a class can be read to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from vmdump._core import ffi, lib
from vmdump.engine import Tree
from vmdump.errors import SourceError
from vmdump.sources.qemu_image.guest import Guest

_FIELD_104 = {
    "field_size": 104, "field_name": 0, "field_bytes": 24, "field_num": 40, "field_flags": 72, "field_vmsd": 80,
    "field_version_id": 88, "field_exists": 96,
}  # fmt: skip
_FIELD_96 = {
    "field_size": 96, "field_name": 0, "field_bytes": 16, "field_num": 48, "field_flags": 64, "field_vmsd": 72,
    "field_version_id": 80, "field_exists": 88,
}  # fmt: skip
_DESC = {"desc_name": 0, "desc_version_id": 12, "desc_minimum_version_id": 16}

#: In bytes, on 64-bit hosts; newest first.
LAYOUTS = {
    "QEMU 11": {**_FIELD_96, **_DESC, "desc_fields": 96, "desc_subsections": 104},
    "QEMU 6 to 10": {**_FIELD_104, **_DESC, "desc_fields": 72, "desc_subsections": 80},
    "QEMU 5": {**_FIELD_104, **_DESC, "desc_fields": 88, "desc_subsections": 96},
}

#: What a description that can't be read takes off a layout's score, which is the number of fields that can be.
_BAD = 100

#: Where DeviceClass.vmsd may be, in bytes: behind ObjectClass (96) and categories, within the smallest DeviceClass.
_VMSD_OFFSETS = range(104, 184, 8)


class Layout(NamedTuple):
    """A layout that fits an image: its name in LAYOUTS, and the offset of DeviceClass.vmsd."""

    name: str
    vmsd_offset: int


class Reader:
    """Reads descriptions of a guest into a tree. Source: csrc/guest_tree.c."""

    def __init__(self, guest: Guest, layout_name: str) -> None:
        self.guest, self.tree = guest, Tree()
        ret = ffi.new("struct vmd_guest_reader **")
        layout = ffi.new("struct vmd_layout *", LAYOUTS[layout_name])
        if lib.vmd_guest_reader_create(guest.native, layout, self.tree.native, ret):
            raise MemoryError("out of memory for a tree")
        self._native = ffi.gc(ret[0], lib.vmd_guest_reader_destroy)
        self._error = ffi.new("struct vmd_error *")

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
    for offset in _VMSD_OFFSETS:
        addresses = {guest.pointer(klass + offset) for klass in classes} - {0}
        for name in LAYOUTS:
            reader = Reader(guest, name)
            read = [vmsd for vmsd in map(reader.try_read, addresses) if vmsd is not None]
            # Fields count: an array of properties, too, begins with a name, and may look like an empty description.
            score = sum(vmsd.n_total for vmsd in read) - _BAD * (len(addresses) - len(read))
            if score > best_score:
                best, best_score = Layout(name, offset), score
    if best is None:
        raise SourceError(f"{guest.name}: no known layout of VMStateDescription fits its device classes; try --run")
    return best

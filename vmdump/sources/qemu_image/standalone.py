"""Descriptions of an image that hang on no device class: found by their shape, and how each is used.

QEMU's own dump leaves them out, though they are migrated: the state of CPUs, of buses, of the machine, and what devices
save in their own code.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from vmdump._core import ffi, lib
from vmdump.dump.tree import text_of
from vmdump.emulator.elf import MappedObject
from vmdump.emulator.guest import Guest
from vmdump.sources.qemu_image.classes import Classes
from vmdump.sources.qemu_image.struct_layout import Reader

#: What calls of these functions mean, by how their names begin. Source: QEMU migration/savevm.c, migration/vmstate.c.
_CALLS = (
    ("vmstate_register_ram", None),  # RAM blocks, no descriptions
    ("vmstate_register", "register"),
    ("vmstate_save", "save"),
    ("vmstate_load", "save"),
)

#: Types whose classes have a member for a description, beside DeviceClass.vmsd, and what that is called.
_CLASS_MEMBERS = {"virtio-device": "VirtioDeviceClass", "cpu": "legacy_vmsd"}

#: How much of a struct that a CPU class points to is looked through, in bytes: SysemuCPUOps has 12 members.
_OPS_SIZE = 256

#: What stands for the name of a description that has none.
_NO_NAME = "(null)"

#: More descriptions than any QEMU has, and uses of them.
_ROOM = 1 << 16


class FoundRoot(NamedTuple):
    """A description that is on no device class. See vmdump.dump.device_dump.Root."""

    vmsd: Any
    symbol: str | None
    uses: tuple[str, ...]
    types: tuple[str, ...]


def find_roots(
    guest: Guest, reader: Reader, objects: Sequence[MappedObject], classes: Classes, device_vmsds: Iterable[int]
) -> list[FoundRoot]:
    """The descriptions in objects (the main binary first) that neither device_vmsds nor others lead to.

    What reader has read so far are those of the device classes. In the order of the objects and of addresses.
    """
    taken = set(device_vmsds)
    found = [address for each in objects for address in _find_descs(reader, each)]
    roots = sorted(address for address in found if address not in taken and not reader.is_nested(address))
    uses: dict[int, set[str]] = defaultdict(set)
    types: dict[int, set[str]] = defaultdict(set)
    for root, use in _uses_by_code(guest, objects, roots):
        uses[root].add(use)
    for root, use, typename in _uses_by_classes(guest, classes, set(roots)):
        uses[root].add(use)
        types[root].add(typename)
    for root in roots:
        # The second of a GTREE's two descriptions, of the key, stands behind the one that its field points to.
        if reader.is_nested(root - reader.desc_size):
            uses[root].add("GTREE")
    return [
        FoundRoot(vmsd, _symbol(objects, root), tuple(sorted(uses[root])), tuple(sorted(types[root])))
        for root, vmsd in ((root, reader.try_read(root)) for root in roots)
        if vmsd is not None and (uses[root] or _is_surely_one(vmsd))
    ]


def _is_surely_one(vmsd: Any) -> bool:
    """Whether it is a description even if nothing uses it as one: other structs begin with a name too, but have nothing
    like fields, and arrays of pointers have something like them, but no name. (A name may be given at run time.)
    """
    return bool((vmsd.n_fields or vmsd.n_subsections) and text_of(vmsd.name, vmsd.name_len) != _NO_NAME)


def _find_descs(reader: Reader, mapped: MappedObject) -> Iterator[int]:
    """What looks like a description in what is not constant: their pointers are relocated."""
    code = [segment for segment in mapped.segments if segment.executable]
    if not code:
        return
    found = ffi.new("uint64_t[]", _ROOM)
    for segment in mapped.segments:
        if segment.writable:
            count = reader.find_descs(segment.start, segment.end, code[0].start, code[-1].end, found, _ROOM)
            yield from ffi.unpack(found, min(count, _ROOM)) if count else ()


def _symbol(objects: Sequence[MappedObject], address: int) -> str | None:
    return next((symbol for each in objects if (symbol := each.symbol_at(address))), None)


def _meaning(function: str) -> str | None:
    return next((meaning for prefix, meaning in _CALLS if function.startswith(prefix)), None)


def _uses_by_code(guest: Guest, objects: Sequence[MappedObject], roots: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Which function's argument a root is, in the code of any object."""
    if not objects or not roots:
        return
    symbols = objects[0].symbols
    functions = {symbols[name]: meaning for name in symbols if (meaning := _meaning(name)) is not None}
    uses = ffi.new("struct vmd_guest_use[]", _ROOM)
    for mapped in objects:
        for segment in mapped.segments:
            if not segment.executable:
                continue
            known = functions
            if mapped is not objects[0]:  # who defines them calls them directly
                known = functions | _stubs(guest, segment.start, segment.end, functions)
            addresses = sorted(known)
            count = lib.vmd_guest_find_uses(
                guest.native, segment.start, segment.end, roots, len(roots), addresses, len(addresses), uses, _ROOM
            )
            for use in (uses[i] for i in range(min(count, _ROOM))):
                if use.function != lib.VMD_NO_CALL:
                    yield roots[use.target], known[addresses[use.function]]


#: jmp *disp32(%rip), with what may stand before it in a stub of .plt: endbr64, bnd.
_X86_64_STUB = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?\xf2?\xff\x25(....)", re.DOTALL)


def _stubs(guest: Guest, start: int, end: int, functions: Mapping[int, str]) -> dict[int, str]:
    """Stubs through which an object calls functions of another one: addresses, and what their functions mean."""
    code = guest.read(start, end - start)
    found = {}
    if guest.e_machine == 62:
        for match in _X86_64_STUB.finditer(code):
            slot = start + match.end() + struct.unpack("<i", match[1])[0]
            if guest.holds(slot, 8) and (target := guest.pointer(slot)) in functions:
                found[start + match.start()] = functions[target]
        return found
    words = struct.unpack(f"<{len(code) // 4}I", code[: len(code) // 4 * 4])
    for index, (adrp, ldr) in enumerate(pairwise(words)):
        # adrp x16, page; ldr x17, [x16, #offset]
        if adrp & 0x9F00001F == 0x90000010 and ldr & 0xFFC003FF == 0xF9400211:
            pages = (adrp >> 5 & 0x7FFFF) << 2 | adrp >> 29 & 3
            pages -= (pages & 1 << 20) << 1
            slot = (start + 4 * index & ~0xFFF) + pages * 4096 + (ldr >> 10 & 0xFFF) * 8
            if guest.holds(slot, 8) and (target := guest.pointer(slot)) in functions:
                found[start + 4 * index] = functions[target]
    return found


def _uses_by_classes(guest: Guest, classes: Classes, roots: set[int]) -> Iterator[tuple[int, str, str]]:
    """Which member of a class struct, or of what a CPU's class struct points to, a root is: root, use, type."""
    seen: dict[int, set[int]] = {}

    def within(struct_at: int) -> set[int]:
        """The roots that a struct in the guest's memory points to."""
        if struct_at not in seen:
            words = struct.unpack(f"<{_OPS_SIZE // 8}Q", guest.read(struct_at, _OPS_SIZE))
            seen[struct_at] = roots.intersection(words)
        return seen[struct_at]

    for klass in classes.addresses:
        parents = classes.parents(klass)
        use = next((use for parent, use in _CLASS_MEMBERS.items() if parent in parents), None)
        if use is None:
            continue
        words = classes.pointers(klass)
        hit = roots & words
        if use == "legacy_vmsd":
            hit |= {root for word in words if word % 8 == 0 and guest.holds(word, _OPS_SIZE) for root in within(word)}
        for root in hit:
            yield root, use, classes.name(klass)

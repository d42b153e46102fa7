"""Standalone descriptions of an image: descriptions that are not the vmsd of a device class, and their uses.

QEMU's own dump lacks them, though they are migrated: the state of CPUs, buses and the machine, and state that devices
save in their own code. They are found by the layout of the struct.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vmdump._core import ffi, lib
from vmdump.dump.tree import text_of
from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.model import MappedObject
from vmdump.sources.qemu_image.classes import Classes
from vmdump.sources.qemu_image.struct_layout import Reader

#: Uses of descriptions by the prefixes of functions that they are passed to. Source: QEMU migration/savevm.c,
#: migration/vmstate.c.
_CALLS = (
    ("vmstate_register_ram", None),  # RAM blocks, no descriptions
    ("vmstate_register", "register"),
    ("vmstate_save", "save"),
    ("vmstate_load", "save"),
)

#: Types whose class structs have another member for a description, and the name of the use.
_CLASS_MEMBERS = {"virtio-device": "VirtioDeviceClass", "cpu": "legacy_vmsd"}

#: Bytes searched in structs that CPU classes point to: SysemuCPUOps has 12 members.
_OPS_SIZE = 256

#: Placeholder for a missing name.
_NO_NAME = "(null)"

#: Limit of descriptions and of uses.
_ROOM = 1 << 16


class StandaloneDescription(NamedTuple):
    """A standalone description. See vmdump.dump.device.StandaloneVMState."""

    vmsd: Any
    symbol: str | None
    uses: tuple[str, ...]
    types: tuple[str, ...]


def find_standalone(
    guest: Guest, reader: Reader, objects: Sequence[MappedObject], classes: Classes, device_vmsds: Iterable[int]
) -> list[StandaloneDescription]:
    """Return the descriptions that are neither in device_vmsds nor nested in others, ordered by address.

    ``objects``: the main binary first. ``reader`` must have read exactly the descriptions of the device classes.
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
        # The field of a GTREE points to two descriptions: of the value and, following it, of the key.
        if reader.is_nested(root - reader.desc_size):
            uses[root].add("GTREE")
    return [
        StandaloneDescription(vmsd, _symbol(objects, root), tuple(sorted(uses[root])), tuple(sorted(types[root])))
        for root, vmsd in ((root, reader.try_read(root)) for root in roots)
        if vmsd is not None and (uses[root] or _is_surely_one(vmsd))
    ]


def _is_surely_one(vmsd: Any) -> bool:
    """Return whether it is certainly a description, even without a known use.

    Other structs may begin with a name, but have no fields; arrays of pointers may seem to have fields, but no name. A
    description may also get its name at run time.
    """
    return bool((vmsd.n_fields or vmsd.n_subsections) and text_of(vmsd.name, vmsd.name_len) != _NO_NAME)


def _find_descs(reader: Reader, mapped: MappedObject) -> Iterator[int]:
    """Iterate over potential descriptions in segments with addresses: their pointers need relocations."""
    code = [segment for segment in mapped.segments if segment.executable]
    if not code:
        return
    found = ffi.new("uint64_t[]", _ROOM)
    for segment in mapped.segments:
        if segment.has_addresses:
            count = reader.find_descs(segment.start, segment.end, code[0].start, code[-1].end, found, _ROOM)
            yield from ffi.unpack(found, min(count, _ROOM)) if count else ()


def _symbol(objects: Sequence[MappedObject], address: int) -> str | None:
    return next((symbol for each in objects if (symbol := each.symbol_at(address))), None)


def _meaning(function: str) -> str | None:
    return next((meaning for prefix, meaning in _CALLS if function.startswith(prefix)), None)


def _uses_by_code(guest: Guest, objects: Sequence[MappedObject], roots: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Yield (description, use) for descriptions passed to functions in the code of the objects."""
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
            if mapped is not objects[0]:  # the main binary calls them directly
                known = functions | _stubs(guest, segment.start, segment.end, functions)
            addresses = sorted(known)
            count = lib.vmd_guest_find_uses(
                guest.native, segment.start, segment.end, roots, len(roots), addresses, len(addresses), uses, _ROOM
            )
            for use in (uses[i] for i in range(min(count, _ROOM))):
                if use.function != lib.VMD_NO_CALL:
                    yield roots[use.target], known[addresses[use.function]]


def _stubs(guest: Guest, start: int, end: int, functions: Mapping[int, str]) -> dict[int, str]:
    """Return the PLT stubs of functions: uses by address."""
    return {
        stub: functions[target]
        for stub, slot in guest.host.stubs(start, guest.read(start, end - start))
        if guest.holds(slot, 8) and (target := guest.pointer(slot)) in functions
    }


def _uses_by_classes(guest: Guest, classes: Classes, roots: set[int]) -> Iterator[tuple[int, str, str]]:
    """Yield (description, use, type) for members of class structs, and of structs that CPU classes point to."""
    seen: dict[int, set[int]] = {}

    def within(struct_at: int) -> set[int]:
        """Return the descriptions that a struct in the guest's memory points to."""
        if struct_at not in seen:
            seen[struct_at] = roots.intersection(guest.words(struct_at, _OPS_SIZE // 8))
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

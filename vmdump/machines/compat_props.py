"""MachineClass.compat_props of a QEMU whose query-machines does not return them (before 9.1), from its memory.

The offset of the member differs between versions. It is the one word that in every machine class points to a GPtrArray
of GlobalProperty.

Source: QEMU 5.2 and 7.2 include/hw/boards.h MachineClass, include/hw/qdev-core.h GlobalProperty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.errors import SourceError
from vmdump.machines.model import CompatProperty

if TYPE_CHECKING:
    from vmdump.emulator.guest import Guest
    from vmdump.emulator.machine import Machine

#: First possible offset: MachineClass follows ObjectClass, which has 96 bytes in all versions.
_FIRST = 96

#: Limits against malformed memory: entries of an array, and machine classes.
_MAX_ENTRIES, _MAX_CLASSES = 4096, 4096

_SUFFIX = "-machine"


def read_compat_props(machine: Machine) -> dict[str, tuple[CompatProperty, ...]]:
    """Return the compat properties of each machine type by name.

    Raises:
        SourceError: the array was not found.
    """
    guest = machine.guest
    classes = _machine_classes(machine)
    size = min((_class_size(guest, klass) for klass in classes), default=0)
    arrays = []
    for offset in range(_FIRST, size - 7, 8):
        lists = [_properties(guest, guest.pointer(klass + offset)) for klass in classes]
        if all(each is not None for each in lists):
            arrays.append(lists)
    # Targets without versioned machine types may have none but empty arrays.
    found = [lists for lists in arrays if any(lists)] or arrays[:1]
    if len(found) != 1:
        raise SourceError(f"{guest.name}: {len(found)} candidates for MachineClass.compat_props; expected 1")
    names = [machine_name(guest, klass) for klass in classes]
    return {name: tuple(each or ()) for name, each in zip(names, found[0], strict=True)}


def _machine_classes(machine: Machine) -> list[int]:
    """Return the addresses of all concrete machine classes."""
    head = machine.call("object_class_get_list", machine.text("machine"), 0)
    classes = []
    for klass in machine.guest.slist(head):
        classes.append(klass)
        if len(classes) > _MAX_CLASSES:
            raise SourceError(f"{machine.name}: more than {_MAX_CLASSES} machine types")
    return classes


def machine_name(guest: Guest, klass: int) -> str:
    """Return the name of a machine class: its type's, without the suffix. ObjectClass and TypeImpl begin with it."""
    return guest.text(guest.pointer(guest.pointer(klass))).removesuffix(_SUFFIX)


def _class_size(guest: Guest, klass: int) -> int:
    """TypeImpl.class_size, limited to 64 KiB."""
    return min(guest.pointer(guest.pointer(klass) + 8), 1 << 16)


def _properties(guest: Guest, array: int) -> list[CompatProperty] | None:
    """Return the entries of a GPtrArray {void **pdata, guint len} of GlobalProperty; None if it is not one."""
    if array % 8 or not guest.holds(array, 16):
        return None
    data, length = guest.pointer(array), guest.number(array + 8, 4)
    if length > _MAX_ENTRIES or not (length == 0 or guest.holds(data, 8 * length)):
        return None
    if length == 0:
        return [] if data == 0 or guest.holds(data, 8) else None
    entries = []
    for index in range(length):
        entry = guest.pointer(data + 8 * index)
        words = [guest.pointer(entry + 8 * i) for i in range(3)] if guest.holds(entry, 32) else []
        if not words or not all(guest.holds(word, 1) for word in words):
            return None
        texts = [guest.text(word) for word in words]
        if not (texts[0] and texts[1] and all(text.isprintable() and text.isascii() for text in texts)):
            return None
        entries.append(CompatProperty(*texts))
    return entries

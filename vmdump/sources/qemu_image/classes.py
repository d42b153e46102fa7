"""Classes of an image: what QOM knows of the type behind one, and what the device class says of itself.

Source: QEMU 5.2 to 11.1 qom/object.c struct TypeImpl, include/hw/qdev-core.h struct DeviceClass.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cached_property

from vmdump.emulator.guest import Guest
from vmdump.errors import SourceError

#: In bytes. ObjectClass.type; TypeImpl.name and class_size; DeviceClass.desc.
_TYPE, _NAME, _CLASS_SIZE, _DESC = 0, 0, 8, 112

#: How far into a TypeImpl its member ``class`` is looked for, in bytes. Before it stand ``bool abstract``, ``const char
#: *parent`` and ``TypeImpl *parent_type``.
_TYPE_SIZE = 160

#: The largest class struct that is looked through, in bytes; QEMU's have hundreds.
_MAX_CLASS_SIZE = 1 << 16

#: More parents than any type has: what has more goes in a circle.
_MAX_PARENTS = 64


class Classes:
    """The classes of a guest, initialised ones. Nothing is called: structs are read."""

    def __init__(self, guest: Guest, classes: Sequence[int]) -> None:
        """classes: addresses, as object_class_get_list gives them."""
        self._guest = guest
        self.addresses = list(classes)

    def name(self, klass: int) -> str:
        """Its type's name."""
        return self._guest.text(self._guest.pointer(self._type(klass) + _NAME))

    def parents(self, klass: int) -> tuple[str, ...]:
        """The names of its parent types, nearest first."""
        return tuple(self._guest.text(self._guest.pointer(each + _NAME)) for each in self._parent_types(klass))

    def is_abstract(self, klass: int) -> bool:
        """Whether it has no instances."""
        return self._guest.read(self._type(klass) + self._class_member - 24, 1) != b"\0"

    def desc(self, klass: int) -> str | None:
        """DeviceClass.desc, of a device class."""
        desc = self._guest.pointer(klass + _DESC)
        return self._guest.text(desc) if desc else None

    def pointers(self, klass: int) -> set[int]:
        """All words of a class struct."""
        size = min(self._guest.pointer(self._type(klass) + _CLASS_SIZE), _MAX_CLASS_SIZE) & ~7
        return set(struct.unpack(f"<{size // 8}Q", self._guest.read(klass, size)))

    def _type(self, klass: int) -> int:
        return self._guest.pointer(klass + _TYPE)

    def _parent_types(self, klass: int) -> Iterator[int]:
        kind = self._type(klass)
        for _ in range(_MAX_PARENTS):
            kind = self._guest.pointer(kind + self._class_member - 8)
            if not kind:
                return
            yield kind
        raise SourceError(f"{self._guest.name}: the parents of a type go in a circle")

    @cached_property
    def _class_member(self) -> int:
        """The offset of TypeImpl.class: where every type has the address of its class."""
        for offset in range(32, _TYPE_SIZE, 8):
            if all(self._guest.pointer(self._type(klass) + offset) == klass for klass in self.addresses):
                return offset
        raise SourceError(f"{self._guest.name}: its TypeImpl has an unknown layout; --run runs it instead")

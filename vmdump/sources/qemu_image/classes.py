"""Classes of an image: type name, parents and members of ObjectClass, TypeImpl and DeviceClass.

Source: QEMU 5.2 to 11.1 qom/object.c struct TypeImpl, include/hw/qdev-core.h struct DeviceClass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from vmdump.emulator.guest import Guest
from vmdump.errors import SourceError

#: Offsets in bytes of ObjectClass.type, TypeImpl.name, TypeImpl.class_size and DeviceClass.desc.
_TYPE, _NAME, _CLASS_SIZE, _DESC = 0, 0, 8, 112

#: Limit of the search for the member ``class`` of TypeImpl, in bytes. ``bool abstract``, ``const char *parent`` and
#: ``TypeImpl *parent_type`` precede it.
_TYPE_SIZE = 160

#: Limit of class structs, in bytes; QEMU's have hundreds.
_MAX_CLASS_SIZE = 1 << 16

#: Limit of parents; more indicate a cycle.
_MAX_PARENTS = 64


class Classes:
    """Initialised classes of a guest. Reads structs only, calls no functions."""

    def __init__(self, guest: Guest, classes: Sequence[int]) -> None:
        """``classes``: addresses, in the order of object_class_get_list."""
        self._guest = guest
        self.addresses = list(classes)

    def name(self, klass: int) -> str:
        """Return the name of the type."""
        return self._guest.text(self._guest.pointer(self._type(klass) + _NAME))

    def parents(self, klass: int) -> tuple[str, ...]:
        """Return the names of the parent types, nearest first."""
        return tuple(self._guest.text(self._guest.pointer(each + _NAME)) for each in self._parent_types(klass))

    def is_abstract(self, klass: int) -> bool:
        """Return whether the type is abstract."""
        return self._guest.read(self._type(klass) + self._class_member - 24, 1) != b"\0"

    def desc(self, klass: int) -> str | None:
        """Return DeviceClass.desc of a device class."""
        desc = self._guest.pointer(klass + _DESC)
        return self._guest.text(desc) if desc else None

    def pointers(self, klass: int) -> set[int]:
        """Return all words of a class struct."""
        size = min(self._guest.pointer(self._type(klass) + _CLASS_SIZE), _MAX_CLASS_SIZE) & ~7
        return set(self._guest.words(klass, size // 8))

    def _type(self, klass: int) -> int:
        return self._guest.pointer(klass + _TYPE)

    def _parent_types(self, klass: int) -> Iterator[int]:
        kind = self._type(klass)
        for _ in range(_MAX_PARENTS):
            kind = self._guest.pointer(kind + self._class_member - 8)
            if not kind:
                return
            yield kind
        raise SourceError(f"{self._guest.name}: the parents of a type form a cycle")

    @cached_property
    def _class_member(self) -> int:
        """Offset of TypeImpl.class: the word that points to the class in all types."""
        for offset in range(32, _TYPE_SIZE, 8):
            if all(self._guest.pointer(self._type(klass) + offset) == klass for klass in self.addresses):
                return offset
        raise SourceError(f"{self._guest.name}: its TypeImpl has an unknown layout; use --run instead")

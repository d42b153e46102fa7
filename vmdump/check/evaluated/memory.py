"""Classifies memory of an emulated machine: constants, configuration (device properties), or state.

Configuration is the memory of a device's static properties: QEMU refuses to set them once the device is realized.

Source: qom/object.c TypeImpl, ObjectProperty; include/hw/qdev-properties.h Property.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from vmdump.emulator.elf import MappedObject
from vmdump.emulator.machine import Machine
from vmdump.emulator.trace import collect
from vmdump.errors import SourceError

#: Offsets in bytes. TypeImpl: name, class_size, instance_size. ObjectProperty: name, type, opaque. Property: name,
#: info, offset.
_CLASS_SIZE, _INSTANCE_SIZE, _PROPERTY_TYPE, _PROPERTY_OPAQUE, _INFO, _OFFSET = 8, 16, 8, 64, 8, 16

#: Size of ObjectPropertyIterator, in bytes, with a margin.
_ITERATOR = 128

#: Sizes of properties in memory by type, in bytes; enums have _ENUM, others at least as many.
_SIZES = {
    "bool": 1, "uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "uint64": 8, "int64": 8,
    "size": 8, "str": 8,
}  # fmt: skip
_ENUM = 4

#: PropertyInfos of single bits, by the size of the word that they are in.
_BITS = {"qdev_prop_bit": 4, "qdev_prop_bit64": 8}

#: Limit of properties of a class.
_PROPERTIES_MAX = 4096

#: Limit of an instance's size, in bytes.
_SIZE_MAX = 1 << 28


class PropertyField(NamedTuple):
    """A static property: its name, and where its value is in the instance. is_bit: one bit of the word there."""

    name: str
    offset: int
    size: int
    is_bit: bool


class Instance(NamedTuple):
    """A QOM object: its memory, its class and its type."""

    start: int
    end: int
    klass: int
    type: str


class Read(NamedTuple):
    """What a function has read.

    Attributes:
        kind: "constant", "configuration", or anything else in words.
        instance: the object that a property belongs to.
        properties: the properties at the address.
    """

    kind: str
    instance: Instance | None = None
    properties: tuple[PropertyField, ...] = ()


CONSTANT = Read("constant")


class Memory:
    """The memory of a machine. Valid as long as no objects are created."""

    def __init__(self, machine: Machine, objects: Sequence[MappedObject]) -> None:
        """``objects``: the binary and its libraries and modules."""
        self._machine, self._guest, self._objects = machine, machine.guest, objects
        root = machine.call("object_get_root")
        found = [root, *collect(machine.guest, machine.functions.get("object_child_foreach_recursive"), root)]
        instances = [self._instance(address) for address in dict.fromkeys(found)]
        self._instances = sorted(each for each in instances if each is not None)
        self._by_start = {each.start: each for each in self._instances}
        self._classes = self._class_ranges()
        self._properties: dict[int, list[PropertyField]] = {}

    def at(self, address: int) -> Instance | None:
        """Return the object that begins at an address."""
        return self._by_start.get(address)

    def _instance(self, address: int) -> Instance | None:
        klass = self._guest.pointer(address)
        type_ = self._guest.pointer(klass)
        size = self._guest.pointer(type_ + _INSTANCE_SIZE)
        if not 0 < size < _SIZE_MAX:
            return None
        return Instance(address, address + size, klass, self._guest.text(self._guest.pointer(type_)))

    def _class_ranges(self) -> list[tuple[int, int]]:
        head = self._machine.call("object_class_get_list", 0, 1)
        ranges = []
        for klass in self._guest.slist(head):
            size = self._guest.pointer(self._guest.pointer(klass) + _CLASS_SIZE)
            ranges.append((klass, klass + min(size, 1 << 16)))
        return sorted(ranges)

    def classify(self, address: int, size: int) -> Read:
        """Classify the memory at an address."""
        for mapped in self._objects:
            if mapped.holds(address):
                return self._of_object(mapped, address, size)
        if self._is_class(address, size):
            return CONSTANT
        owners = [each for each in self._instances if each.start <= address and address + size <= each.end]
        if any(address + size <= each.start + 8 for each in owners):
            return CONSTANT  # the class of an object
        for owner in reversed(owners):  # the innermost object begins last
            covering = self._covering(owner, address - owner.start, size)
            if covering:
                return Read("configuration", owner, covering)
        if owners:
            return Read(f"it reads the state of {owners[-1].type} (offset {address - owners[-1].start:#x})")
        return Read("it reads memory that is in no device (heap)")

    def _of_object(self, mapped: MappedObject, address: int, size: int) -> Read:
        """Classify an address in a binary or module."""
        segment = next(each for each in mapped.segments if each.start <= address < each.end)
        if not segment.writable or any(start <= address and address + size <= end for start, end in mapped.relocated):
            return CONSTANT
        name = mapped.symbol_at(address)
        if name and (name == "trace_events_enabled_count" or (name.startswith("_TRACE_") and name.endswith("_DSTATE"))):
            return CONSTANT  # trace points do not change what a function returns
        return Read(f"it reads the variable {name or hex(address - mapped.bias)} of QEMU")

    def _is_class(self, address: int, size: int) -> bool:
        index = bisect_right(self._classes, (address, 1 << 64)) - 1
        return index >= 0 and address + size <= self._classes[index][1]

    def _covering(self, owner: Instance, offset: int, size: int) -> tuple[PropertyField, ...]:
        """Return the properties that cover a range of an instance; empty if a byte is in none."""
        fields = self.properties(owner)
        within = [each for each in fields if each.offset < offset + size and offset < each.offset + each.size]
        covered = {byte for each in within for byte in range(each.offset, each.offset + each.size)}
        return tuple(within) if covered.issuperset(range(offset, offset + size)) else ()

    def properties(self, instance: Instance) -> list[PropertyField]:
        """Return the static properties of an object's class."""
        known = self._properties.get(instance.klass)
        if known is None:
            known = self._properties[instance.klass] = self._read_properties(instance)
        return known

    def _read_properties(self, instance: Instance) -> list[PropertyField]:
        machine, guest = self._machine, self._guest
        infos = {machine.functions.find(name): size for name, size in _BITS.items()}
        iterator = guest.call(guest.host_function("calloc"), 1, _ITERATOR)
        machine.call("object_property_iter_init", iterator, instance.start)
        fields: list[PropertyField] = []
        for _ in range(_PROPERTIES_MAX):
            address = machine.call("object_property_iter_next", iterator)
            if not address:
                break
            name, opaque = guest.text(guest.pointer(address)), guest.pointer(address + _PROPERTY_OPAQUE)
            if not self._is_static(opaque, name):
                continue
            info, offset = guest.pointer(opaque + _INFO), guest.pointer(opaque + _OFFSET)
            kind = guest.text(guest.pointer(address + _PROPERTY_TYPE))
            size = infos.get(info) or _SIZES.get(kind, _ENUM)
            if 40 <= offset < instance.end - instance.start:
                fields.append(PropertyField(name, offset, size, info in infos))
        guest.call(guest.host_function("free"), iterator)
        return fields

    def _is_static(self, opaque: int, name: str) -> bool:
        """Return whether the opaque of an ObjectProperty is a Property, which begins with the same name."""
        try:
            mapped = any(each.holds(opaque) for each in self._objects)
            return mapped and self._guest.text(self._guest.pointer(opaque)) == name
        except SourceError:
            return False

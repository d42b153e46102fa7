"""Classifies memory of an emulated machine: constant, configuration (device properties), or state.

Configuration is the memory of a device's static properties: QEMU refuses to set them once the device is realized.

Source: qom/object.c TypeImpl, ObjectProperty; include/hw/qdev-properties.h Property.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from vmdump.emulator.machine import Machine
from vmdump.emulator.objects.model import MappedObject
from vmdump.emulator.trace import collect
from vmdump.errors import SourceError

#: Offsets in bytes. TypeImpl: name, class_size, instance_size. ObjectProperty: name, type, opaque. Property: name,
#: info, offset.
_CLASS_SIZE, _INSTANCE_SIZE, _PROPERTY_TYPE, _PROPERTY_OPAQUE, _INFO, _OFFSET = 8, 16, 8, 64, 8, 16

#: Prefixes of variables of accelerators: kvm_allowed, xen_mode, kvm_has_pit_state2, vhost_...
_ACCELERATORS = ("kvm_", "tcg_", "xen_", "hvf_", "whpx_", "nvmm_", "mshv_", "vhost_")

#: Bytes of TypeImpl up to parent_type and class, which do not change once the class is initialised.
_TYPE_SIZE = 112

#: sizeof(ObjectClass), the same in all versions.
_OBJECT_CLASS_SIZE = 96

#: Suffixes of QOM types of machines, and of CPUs, whose properties the model and KVM set.
_MACHINE_SUFFIX, _CPU_SUFFIX = "-machine", "-cpu"

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
    """A static property: name, type, and where its value is in the instance. is_bit: one bit of the word there."""

    name: str
    kind: str
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
        kind: "constant"; "class", a constant of a type; "configuration"; or anything else in words.
        instance: the object that a property belongs to.
        properties: the properties at the address.
        type: name of the type, if kind is "class".
    """

    kind: str
    instance: Instance | None = None
    properties: tuple[PropertyField, ...] = ()
    type: str = ""


CONSTANT = Read("constant")


class Memory:
    """The memory of a machine. Valid as long as no objects are created."""

    def __init__(self, machine: Machine, objects: Sequence[MappedObject], type_table: int = 0) -> None:
        """``objects``: the binary, its libraries and modules. ``type_table``: QOM's GHashTable of types; 0: unknown."""
        self._type_table = type_table
        self._machine, self.guest, self._objects = machine, machine.guest, objects
        root = machine.call("object_get_root")
        found = [root, *collect(machine.guest, machine.functions.get("object_child_foreach_recursive"), root)]
        instances = [self._instance(address) for address in dict.fromkeys(found)]
        #: All objects of the QOM tree, by address.
        self.instances = sorted(each for each in instances if each is not None)
        self._by_start = {each.start: each for each in self.instances}
        self._types: set[int] = set()
        self._classes = self._class_ranges()
        self._sorted_types = sorted(self._types)
        self._properties: dict[int, list[PropertyField]] = {}

    def at(self, address: int) -> Instance | None:
        """Return the object that begins at an address."""
        return self._by_start.get(address)

    def _instance(self, address: int) -> Instance | None:
        klass = self.guest.pointer(address)
        type_ = self.guest.pointer(klass)
        size = self.guest.pointer(type_ + _INSTANCE_SIZE)
        if not 0 < size < _SIZE_MAX:
            return None
        return Instance(address, address + size, klass, self.guest.text(self.guest.pointer(type_)))

    def _class_ranges(self) -> list[tuple[int, int]]:
        head = self._machine.call("object_class_get_list", 0, 1)
        ranges = []
        for klass in self.guest.slist(head):
            type_ = self.guest.pointer(klass)
            self._types.add(type_)
            ranges.append((klass, klass + min(self.guest.pointer(type_ + _CLASS_SIZE), 1 << 16)))
        return sorted(ranges)

    def _is_type(self, address: int, size: int) -> bool:
        """Return whether an address is in a TypeImpl."""
        index = bisect_right(self._sorted_types, address) - 1
        return index >= 0 and address + size <= self._sorted_types[index] + _TYPE_SIZE

    def classify(self, address: int, size: int) -> Read:
        """Classify the memory at an address."""
        for mapped in self._objects:
            if mapped.holds(address):
                return self._of_object(mapped, address, size)
        index = bisect_right(self._classes, (address, 1 << 64)) - 1
        if index >= 0 and address + size <= self._classes[index][1]:
            return self._of_class(self._classes[index][0], address)
        if self._is_type(address, size):
            return CONSTANT
        owners = [each for each in self.instances if each.start <= address and address + size <= each.end]
        if any(address + size <= each.start + 8 for each in owners):
            return CONSTANT  # the class of an object
        for owner in reversed(owners):  # the innermost object begins last
            covering = self._covering(owner, address - owner.start, size)
            if covering and owner.type.endswith(_CPU_SUFFIX):
                return Read(f"it depends on the CPU model and the accelerator ({covering[0].name} of {owner.type})")
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
        value = self.guest.pointer(address) if size == 8 else 0
        if value and (value == self._type_table or value in self._types or self._is_machine(value)):
            return CONSTANT  # a process has one table of types, each type, and the machine for all of its life
        name = mapped.symbol_at(address)
        if name and (name == "trace_events_enabled_count" or (name.startswith("_TRACE_") and name.endswith("_DSTATE"))):
            return CONSTANT  # trace points do not change what a function returns
        if name and name.startswith(_ACCELERATORS):
            return Read(f"it depends on the accelerator and the host (variable {name})")
        return Read(f"it reads the variable {name or hex(address - mapped.bias)} of QEMU")

    def _of_class(self, klass: int, address: int) -> Read:
        """Classify an address in a class: members of ObjectClass itself do not say anything about the type."""
        if address < klass + _OBJECT_CLASS_SIZE:
            return CONSTANT
        return Read("class", type=self.guest.text(self.guest.pointer(self.guest.pointer(klass))))

    def _is_machine(self, address: int) -> bool:
        """Return whether the machine object begins at an address."""
        instance = self._by_start.get(address)
        return instance is not None and instance.type.endswith(_MACHINE_SUFFIX)

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

    def value(self, instance: Instance, field: PropertyField) -> int | None:
        """Return the value of a property; None if it is neither an integer nor a boolean."""
        if field.is_bit:
            with self._machine.out_parameters() as (_, errp):
                name = self._machine.text(field.name)
                return self._machine.call("object_property_get_bool", instance.start, name, errp) & 0xFF
        if field.kind not in _SIZES or field.kind == "str":
            return None
        return self.guest.number(instance.start + field.offset, field.size, signed=field.kind.startswith("int"))

    def _read_properties(self, instance: Instance) -> list[PropertyField]:
        machine, guest = self._machine, self.guest
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
                fields.append(PropertyField(name, kind, offset, size, info in infos))
        guest.call(guest.host_function("free"), iterator)
        return fields

    def _is_static(self, opaque: int, name: str) -> bool:
        """Return whether the opaque of an ObjectProperty is a Property, which begins with the same name."""
        try:
            mapped = any(each.holds(opaque) for each in self._objects)
            return mapped and self.guest.text(self.guest.pointer(opaque)) == name
        except SourceError:
            return False

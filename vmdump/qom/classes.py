"""Class structs of the base types, and what is registered about a type: TypeInfo.

Source: QEMU 8.2.2 include/qom/object.h, include/hw/qdev-core.h, include/hw/boards.h.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntFlag
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from vmdump.errors import QOMError

if TYPE_CHECKING:
    from vmdump.qom.type_table import TypeImpl
    from vmdump.vmstate import VMStateDescription

TYPE_OBJECT = "object"
TYPE_INTERFACE = "interface"
TYPE_DEVICE = "device"
TYPE_BUS = "bus"
TYPE_MACHINE = "machine"
TYPE_MACHINE_SUFFIX = "-machine"

OBJECT_CLASS_SIZE = 96
"""sizeof(ObjectClass) on 64-bit hosts, in bytes: the class_size of a root type that gives none."""

ClassInit: TypeAlias = Callable[[Any, Any], None]
"""``class_init(klass, class_data)``: fills in the class; klass is of the type's class_type."""


class ObjectClass:
    """What all objects of a type share: QEMU's ``struct ObjectClass``, and the base of all class structs.

    A class struct of one's own derives from this and declares its members as class attributes, whose values stand for
    C's zero. Python makes instances without ``__init__``; a class_init may set declared members only, as in C.

    >>> class PCIDeviceClass(DeviceClass):
    ...     vendor_id = 0
    >>> TypeInfo("pci-device", parent="device", class_type=PCIDeviceClass, abstract=True).class_type.vendor_id
    0
    """

    type: TypeImpl
    interfaces: tuple[InterfaceClass, ...] = ()

    def get_name(self) -> str:
        """The type's name (QEMU's object_class_get_name).

        >>> from vmdump.qom import TypeTable, register_base_types
        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.object_class_by_name("device").get_name()
        'device'
        """
        return self.type.name

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuses undeclared members: a misspelt ``vmsd`` would silently leave a device out of the dump."""
        if not hasattr(self.__class__, name):
            raise QOMError(f"{self.__class__.__name__} has no member '{name}'; declare it in a class_type of your own")
        _set(self, name, value)

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__} '{self.type.name}'>"


class InterfaceClass(ObjectClass):
    """The class struct of an interface, or of one type's implementation of it (named ``TYPE::INTERFACE``).

    >>> from vmdump.qom import TypeTable, register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> _ = table.type_register(TypeInfo("nmi", parent="interface"))
    >>> _ = table.type_register(TypeInfo("board", parent="device", interfaces=("nmi",)))
    >>> table.object_class_by_name("board").interfaces
    (<InterfaceClass 'board::nmi'>,)
    """

    interface_type: TypeImpl | None = None
    """The interface that is implemented; None in an interface's own class."""


class DeviceCategory(IntFlag):
    """What a device is for: the bits of ``DeviceClass.categories`` (QEMU's DEVICE_CATEGORY_* are the bits' numbers).

    >>> DeviceCategory.NETWORK | DeviceCategory.USB
    <DeviceCategory.USB|NETWORK: 10>
    """

    BRIDGE = 1 << 0
    USB = 1 << 1
    STORAGE = 1 << 2
    NETWORK = 1 << 3
    INPUT = 1 << 4
    DISPLAY = 1 << 5
    SOUND = 1 << 6
    MISC = 1 << 7
    CPU = 1 << 8
    WATCHDOG = 1 << 9


class DeviceClass(ObjectClass):
    """The class struct of devices. A device without ``vmsd`` has no place in the dump.

    >>> from vmdump.qom import TypeTable, register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> table.object_class_by_name("device").user_creatable
    True
    """

    vmsd: VMStateDescription | None = None
    desc: str | None = None
    categories: DeviceCategory = DeviceCategory(0)
    user_creatable: bool = False
    hotpluggable: bool = False
    bus_type: str | None = None
    fw_name: str | None = None


class MachineClass(ObjectClass):
    """The class struct of machine types. Children inherit all but ``name``: alias and is_default too, as in QEMU.

    >>> from vmdump.qom import TypeTable, register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> _ = table.type_register(TypeInfo("none-machine", parent="machine"))
    >>> table.object_class_by_name("none-machine").name
    'none'
    """

    name: str = ""
    """The type's name without "-machine"; empty in abstract machine types."""
    alias: str | None = None
    desc: str | None = None
    is_default: bool = False
    deprecation_reason: str | None = None
    family: str | None = None


_set = object.__setattr__  # past the class's own, which refuses what is not declared


class _Named(msgspec.Struct, frozen=True):
    """Keeps the name positional: msgspec's kw_only speaks for the fields of one class."""

    name: str


class TypeInfo(_Named, frozen=True, kw_only=True):
    """What is registered about a type (QEMU's ``struct TypeInfo``).

    >>> TypeInfo("isa-serial", parent="device", instance_size=640).parent
    'device'
    """

    parent: str | None = None
    """The parent's name. Only "object" and "interface" have none."""
    class_size: int = 0
    """sizeof the C class struct, in bytes; 0: the parent's. Types from Python need none."""
    class_type: type[ObjectClass] | None = None
    """Python's class struct, derived from the parent's; None: the parent's."""
    instance_size: int = 0
    """sizeof the C state struct, in bytes; 0: the parent's. A type whose ancestors have none either is abstract."""
    abstract: bool = False
    class_init: ClassInit | None = None
    class_base_init: ClassInit | None = None
    """Called for every descendant's class, before that one's class_init, with the descendant's class_data."""
    class_data: Any = None
    interfaces: tuple[str, ...] = ()
    """Names of the interfaces that the type adds to its parent's."""

"""Class structs of the base types, TypeInfo, and TypeImpl.

Source: QEMU 8.2.2 include/qom/object.h, include/hw/qdev-core.h, include/hw/boards.h.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntFlag
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from vmdump.errors import QOMError

if TYPE_CHECKING:
    from vmdump.vmstate import VMStateDescription

TYPE_OBJECT = "object"
TYPE_INTERFACE = "interface"
TYPE_DEVICE = "device"
TYPE_BUS = "bus"
TYPE_MACHINE = "machine"
TYPE_MACHINE_SUFFIX = "-machine"

OBJECT_CLASS_SIZE = 96
"""sizeof(ObjectClass) on 64-bit hosts, in bytes: the default class_size of a root type."""

ClassInit: TypeAlias = Callable[[Any, Any], None]
"""``class_init(klass, class_data)`` sets members of the class; klass is an instance of the type's class_type."""


class ObjectClass:
    """Base of all class structs (QEMU's ``struct ObjectClass``).

    Derived class structs declare their members as class attributes with the value that zero initialisation has in C.
    Instances are created without ``__init__``. A class_init can only set declared members, as in C.

    >>> class PCIDeviceClass(DeviceClass):
    ...     vendor_id = 0
    >>> TypeInfo("pci-device", parent="device", class_type=PCIDeviceClass, abstract=True).class_type.vendor_id
    0
    """

    type: TypeImpl
    interfaces: tuple[InterfaceClass, ...] = ()

    def get_name(self) -> str:
        """Return the type's name (QEMU's object_class_get_name).

        >>> from vmdump.qom import TypeTable, register_base_types
        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.object_class_by_name("device").get_name()
        'device'
        """
        return self.type.name

    def __setattr__(self, name: str, value: Any) -> None:
        """Reject undeclared members: a misspelt ``vmsd`` would silently omit the device from the dump."""
        if not hasattr(self.__class__, name):
            raise QOMError(f"{self.__class__.__name__} has no member '{name}'; declare it in a derived class_type")
        _set(self, name, value)

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__} '{self.type.name}'>"


class InterfaceClass(ObjectClass):
    """Class struct of an interface, or of a type's implementation of it (named ``TYPE::INTERFACE``).

    >>> from vmdump.qom import TypeTable, register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> _ = table.type_register(TypeInfo("nmi", parent="interface"))
    >>> _ = table.type_register(TypeInfo("board", parent="device", interfaces=("nmi",)))
    >>> table.object_class_by_name("board").interfaces
    (<InterfaceClass 'board::nmi'>,)
    """

    interface_type: TypeImpl | None = None
    """The implemented interface; None in the class of an interface itself."""


class DeviceCategory(IntFlag):
    """Categories of devices: bits of ``DeviceClass.categories`` (QEMU's DEVICE_CATEGORY_* are bit numbers).

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
    """Class struct of devices. Dumps do not contain devices without ``vmsd``.

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
    """Class struct of machine types. Derived types inherit all members except ``name``, as in QEMU.

    >>> from vmdump.qom import TypeTable, register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> _ = table.type_register(TypeInfo("none-machine", parent="machine"))
    >>> table.object_class_by_name("none-machine").name
    'none'
    """

    name: str = ""
    """Name of the type without "-machine"; empty for abstract machine types."""
    alias: str | None = None
    desc: str | None = None
    is_default: bool = False
    deprecation_reason: str | None = None
    family: str | None = None


_set = object.__setattr__  # bypasses the check of ObjectClass.__setattr__


class _Named(msgspec.Struct, frozen=True):
    """Make the name positional: msgspec's kw_only applies to the fields of one class only."""

    name: str


class TypeInfo(_Named, frozen=True, kw_only=True):
    """Registration of a type (QEMU's ``struct TypeInfo``).

    >>> TypeInfo("isa-serial", parent="device", instance_size=640).parent
    'device'
    """

    parent: str | None = None
    """Name of the parent. Only "object" and "interface" have none."""
    class_size: int = 0
    """Size of the C class struct, in bytes; 0: the parent's. Not needed for types without a C class struct."""
    class_type: type[ObjectClass] | None = None
    """Python class of the class struct, derived from the parent's; None: the parent's."""
    instance_size: int = 0
    """Size of the C state struct, in bytes; 0: the parent's. A type without any size is abstract."""
    abstract: bool = False
    class_init: ClassInit | None = None
    class_base_init: ClassInit | None = None
    """Called for each descendant's class before its class_init, with the descendant's class_data."""
    class_data: Any = None
    interfaces: tuple[str, ...] = ()
    """Names of interfaces that the type implements in addition to its parent's."""


class TypeImpl:
    """A type in the table. Sizes, ``abstract`` and ``parent_type`` are final once the class is initialised.

    >>> from vmdump.qom import TypeTable, register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> table.object_class_by_name("bus").type.parent_type
    <TypeImpl 'object'>
    """

    __slots__ = (
        "abstract",
        "base_inits",
        "class_size",
        "info",
        "initialised",
        "instance_size",
        "klass",
        "name",
        "parent_type",
    )

    def __init__(self, info: TypeInfo) -> None:
        self.name = info.name
        self.info = info
        self.reset()

    def reset(self) -> None:
        """Reset to the state after registration, without a class."""
        info = self.info
        self.class_size: int = info.class_size
        self.instance_size: int = info.instance_size
        self.abstract: bool = info.abstract
        self.parent_type: TypeImpl | None = None
        self.klass: ObjectClass | None = None
        self.initialised: bool = False
        #: The ancestors' class_base_init functions, nearest first. Shares the parent's tuple if equal.
        self.base_inits: tuple[ClassInit, ...] = ()

    def __repr__(self) -> str:
        return f"<TypeImpl '{self.name}'>"

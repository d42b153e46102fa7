"""QEMU's object model (QOM): a table of types, and classes that are initialised on first use.

A type is registered as a TypeInfo: name, parent's name and ``class_init``. The first lookup of a class initialises the
parent's class, copies it, and passes the copy to ``class_init``. So devices inherit their parent's ``vmsd``. Classes
are listed in QEMU's order, which is that of GLib's hash table.

>>> table = TypeTable()
>>> register_base_types(table)
>>> def e1000_class_init(klass, data):
...     klass.desc = "Intel Gigabit Ethernet"
>>> _ = table.type_register(TypeInfo("e1000", parent="device", instance_size=152, class_init=e1000_class_init))
>>> table.object_class_get_list("device", include_abstract=False)
[<DeviceClass 'e1000'>]

Source: QEMU 8.2.2 and 10.0.13, qom/object.c; hw/core/qdev.c; hw/core/machine.c.
"""

from vmdump.qom.base_types import register_base_types
from vmdump.qom.classes import (
    OBJECT_CLASS_SIZE,
    TYPE_BUS,
    TYPE_DEVICE,
    TYPE_INTERFACE,
    TYPE_MACHINE,
    TYPE_MACHINE_SUFFIX,
    TYPE_OBJECT,
    ClassInit,
    DeviceCategory,
    DeviceClass,
    InterfaceClass,
    MachineClass,
    ObjectClass,
    TypeImpl,
    TypeInfo,
)
from vmdump.qom.inheritance import type_is_ancestor
from vmdump.qom.type_table import TypeTable

__all__ = [
    "OBJECT_CLASS_SIZE", "TYPE_BUS", "TYPE_DEVICE", "TYPE_INTERFACE", "TYPE_MACHINE", "TYPE_MACHINE_SUFFIX",
    "TYPE_OBJECT", "ClassInit", "DeviceCategory", "DeviceClass", "InterfaceClass", "MachineClass", "ObjectClass",
    "TypeImpl", "TypeInfo", "TypeTable", "register_base_types", "type_is_ancestor",
]  # fmt: skip

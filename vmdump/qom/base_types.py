"""Base types: interface, object, device, bus, machine.

Source: QEMU 8.2.2 qom/object.c, hw/core/qdev.c, hw/core/bus.c, hw/core/machine.c.
"""

from __future__ import annotations

from typing import Any

from vmdump.errors import QOMError
from vmdump.qom.classes import (
    OBJECT_CLASS_SIZE,
    TYPE_BUS,
    TYPE_DEVICE,
    TYPE_INTERFACE,
    TYPE_MACHINE,
    TYPE_MACHINE_SUFFIX,
    TYPE_OBJECT,
    DeviceClass,
    MachineClass,
    TypeInfo,
)
from vmdump.qom.type_table import TypeTable


def _device_class_init(klass: DeviceClass, data: Any) -> None:
    klass.hotpluggable = True
    klass.user_creatable = True


def _machine_class_base_init(klass: MachineClass, data: Any) -> None:
    """Source: QEMU 8.2.2 hw/core/machine.c machine_class_base_init."""
    if klass.type.abstract:
        return
    if not klass.get_name().endswith(TYPE_MACHINE_SUFFIX):
        raise QOMError(f"the name of a non-abstract machine type must end in '{TYPE_MACHINE_SUFFIX}'")
    klass.name = klass.get_name().removesuffix(TYPE_MACHINE_SUFFIX)


#: Sizes are those of QEMU 10.0's structs (InterfaceClass, Object, DeviceClass, DeviceState, ...) on 64-bit hosts.
BASE_TYPES = (
    TypeInfo(TYPE_INTERFACE, class_size=104, abstract=True),
    TypeInfo(TYPE_OBJECT, class_size=OBJECT_CLASS_SIZE, instance_size=40, abstract=True),
    TypeInfo(
        TYPE_DEVICE,
        parent=TYPE_OBJECT,
        class_type=DeviceClass,
        class_size=184,
        instance_size=152,
        abstract=True,
        class_init=_device_class_init,
    ),
    TypeInfo(TYPE_BUS, parent=TYPE_OBJECT, class_size=152, instance_size=120, abstract=True),
    TypeInfo(
        TYPE_MACHINE,
        parent=TYPE_OBJECT,
        class_type=MachineClass,
        class_size=392,
        instance_size=392,
        abstract=True,
        class_base_init=_machine_class_base_init,
    ),
)


def register_base_types(table: TypeTable) -> None:
    """Register the base types: interface, object, device, bus, machine.

    Unlike in QEMU, "device" and "bus" implement no interfaces (vmstate-if, resettable): they do not affect dumps.

    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> table.type_get_by_name("machine")
    <TypeImpl 'machine'>
    """
    for info in BASE_TYPES:
        table.type_register(info)

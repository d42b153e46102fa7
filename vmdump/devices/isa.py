"""ISA devices: ISADevice and its abstract type.

Source: QEMU 10.0 include/hw/isa/isa.h, hw/isa/isa-bus.c.
"""

from typing import Any

from vmdump.devices.layout import opaque
from vmdump.qom import DeviceClass, TypeInfo, TypeTable

ISADevice = opaque("ISADevice", 160)


def isa_device_class_init(dc: DeviceClass, data: Any) -> None:
    dc.bus_type = "ISA"


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo("isa-device", parent="device", instance_size=160, abstract=True, class_init=isa_device_class_init)
    )

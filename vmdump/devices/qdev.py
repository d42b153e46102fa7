"""Base structs of all devices: DeviceState, SysBusDevice and its abstract type; timers.

Source: QEMU 10.0 include/hw/qdev-core.h, hw/core/sysbus.c, include/qemu/timer.h.
"""

from typing import Any

from vmdump.devices.layout import opaque
from vmdump.qom import DeviceClass, TypeInfo, TypeTable

DeviceState = opaque("DeviceState", 152)
SysBusDevice = opaque("SysBusDevice", 808)


def timer_pending(timer: Any) -> bool:
    """Return whether a ``QEMUTimer *`` is not NULL and its timer is armed."""
    return bool(timer) and timer.contents.expire_time >= 0


def sysbus_device_class_init(dc: DeviceClass, data: Any) -> None:
    dc.bus_type = "System"
    dc.user_creatable = False  # needs board code to wire it


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "sys-bus-device",
            parent="device",
            instance_size=808,
            abstract=True,
            class_init=sysbus_device_class_init,
        )
    )

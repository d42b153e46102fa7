"""State common to USB devices and host controllers: USBDevice, USBPort, VMSTATE_USB_DEVICE, and the abstract type.

Source: QEMU 10.0 include/hw/usb.h, hw/usb/bus.c.
"""

from ctypes import Structure, c_int32, c_uint8, sizeof
from typing import Any

from vmdump.devices.layout import opaque, sized
from vmdump.devices.qdev import DeviceState
from vmdump.qom import DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_INT32,
    VMSTATE_STRUCT,
    VMSTATE_UINT8,
    VMSTATE_UINT8_ARRAY,
    VMStateDescription,
    VMStateField,
)

USBPort = opaque("USBPort", 72)


@sized(5856)
class USBDevice(Structure):
    """First member of every USB device's state."""

    _fields_ = [
        ("qdev", DeviceState),
        ("addr", c_uint8),
        ("state", c_int32),
        ("setup_buf", c_uint8 * 8),
        ("remote_wakeup", c_int32),
        ("setup_state", c_int32),
        ("setup_len", c_int32),
        ("setup_index", c_int32),
    ]


vmstate_usb_device = VMStateDescription(
    "USBDevice",
    version_id=1,
    minimum_version_id=1,
    post_load=True,
    fields=(
        VMSTATE_UINT8("addr", USBDevice),
        VMSTATE_INT32("state", USBDevice),
        VMSTATE_INT32("remote_wakeup", USBDevice),
        VMSTATE_INT32("setup_state", USBDevice),
        VMSTATE_INT32("setup_len", USBDevice),
        VMSTATE_INT32("setup_index", USBDevice),
        VMSTATE_UINT8_ARRAY("setup_buf", USBDevice, 8),
    ),
)


def VMSTATE_USB_DEVICE(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of the USBDevice, the first member of a USB device's state."""
    return VMSTATE_STRUCT(_field, _state, 0, vmstate_usb_device, USBDevice)


def usb_device_class_init(dc: DeviceClass, data: Any) -> None:
    dc.bus_type = "usb-bus"


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "usb-device",
            parent="device",
            instance_size=sizeof(USBDevice),
            abstract=True,
            class_init=usb_device_class_init,
        )
    )

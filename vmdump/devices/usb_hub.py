"""USB hub: usb-hub.

Source: QEMU 10.0 hw/usb/dev-hub.c.
"""

from ctypes import POINTER, Structure, c_bool, c_uint16, sizeof
from typing import Any

from vmdump.devices.usb import VMSTATE_USB_DEVICE, USBDevice, USBPort
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_STRUCT_ARRAY,
    VMSTATE_TIMER_PTR,
    VMSTATE_UINT16,
    QEMUTimer,
    VMStateDescription,
)

MAX_PORTS = 8


class USBHubPort(Structure):
    """A port with its status and change bits."""

    _fields_ = [
        ("port", USBPort),
        ("wPortStatus", c_uint16),
        ("wPortChange", c_uint16),
    ]


class USBHubState(Structure):
    """The hub."""

    _fields_ = [
        ("dev", USBDevice),
        ("port_power", c_bool),
        ("port_timer", POINTER(QEMUTimer)),
        ("ports", USBHubPort * MAX_PORTS),
    ]


vmstate_usb_hub_port = VMStateDescription(
    "usb-hub-port",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT16("wPortStatus", USBHubPort),
        VMSTATE_UINT16("wPortChange", USBHubPort),
    ),
)


def usb_hub_port_timer_needed(s: USBHubState) -> bool:
    return bool(s.port_power)


vmstate_usb_hub_port_timer = VMStateDescription(
    "usb-hub/port-timer",
    version_id=1,
    minimum_version_id=1,
    needed=usb_hub_port_timer_needed,
    fields=(VMSTATE_TIMER_PTR("port_timer", USBHubState),),
)

vmstate_usb_hub = VMStateDescription(
    "usb-hub",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_USB_DEVICE("dev", USBHubState),
        VMSTATE_STRUCT_ARRAY("ports", USBHubState, MAX_PORTS, 0, vmstate_usb_hub_port, USBHubPort),
    ),
    subsections=(vmstate_usb_hub_port_timer,),
)


def usb_hub_class_initfn(dc: DeviceClass, data: Any) -> None:
    dc.fw_name = "hub"
    dc.vmsd = vmstate_usb_hub
    dc.categories |= DeviceCategory.BRIDGE


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo("usb-hub", parent="usb-device", instance_size=sizeof(USBHubState), class_init=usb_hub_class_initfn)
    )

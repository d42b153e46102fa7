"""Intel UHCI USB controllers: piix3-usb-uhci, piix4-usb-uhci and six of the ICH9.

Demonstrates class_data: all controllers share one class_init and inherit the description of the abstract pci-uhci-usb.

Source: QEMU 10.0 hw/usb/hcd-uhci.h, hw/usb/hcd-uhci.c.
"""

from ctypes import POINTER, Structure, c_int64, c_uint8, c_uint16, c_uint32, sizeof
from typing import Any

import msgspec

from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.devices.usb import USBPort
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_INT64_V,
    VMSTATE_STRUCT_ARRAY,
    VMSTATE_TIMER_PTR,
    VMSTATE_UINT8,
    VMSTATE_UINT8_EQUAL,
    VMSTATE_UINT16,
    VMSTATE_UINT32,
    VMSTATE_UINT32_V,
    QEMUTimer,
    VMStateDescription,
)

UHCI_PORTS = 2


class UHCIPort(Structure):
    """Port of the root hub."""

    _fields_ = [
        ("port", USBPort),
        ("ctrl", c_uint16),
    ]


class UHCIState(Structure):
    """The controller."""

    _fields_ = [
        ("dev", PCIDevice),
        ("cmd", c_uint16),
        ("status", c_uint16),
        ("intr", c_uint16),
        ("frnum", c_uint16),
        ("fl_base_addr", c_uint32),
        ("sof_timing", c_uint8),
        ("status2", c_uint8),
        ("expire_time", c_int64),
        ("frame_timer", POINTER(QEMUTimer)),
        ("ports", UHCIPort * UHCI_PORTS),
        ("pending_int_mask", c_uint32),
        ("num_ports_vmstate", c_uint8),
    ]


vmstate_uhci_port = VMStateDescription(
    "uhci port",
    version_id=1,
    minimum_version_id=1,
    fields=(VMSTATE_UINT16("ctrl", UHCIPort),),
)

vmstate_uhci = VMStateDescription(
    "uhci",
    version_id=3,
    minimum_version_id=1,
    post_load=True,
    fields=(
        VMSTATE_PCI_DEVICE("dev", UHCIState),
        VMSTATE_UINT8_EQUAL("num_ports_vmstate", UHCIState, None),
        VMSTATE_STRUCT_ARRAY("ports", UHCIState, UHCI_PORTS, 1, vmstate_uhci_port, UHCIPort),
        VMSTATE_UINT16("cmd", UHCIState),
        VMSTATE_UINT16("status", UHCIState),
        VMSTATE_UINT16("intr", UHCIState),
        VMSTATE_UINT16("frnum", UHCIState),
        VMSTATE_UINT32("fl_base_addr", UHCIState),
        VMSTATE_UINT8("sof_timing", UHCIState),
        VMSTATE_UINT8("status2", UHCIState),
        VMSTATE_TIMER_PTR("frame_timer", UHCIState),
        VMSTATE_INT64_V("expire_time", UHCIState, 2),
        VMSTATE_UINT32_V("pending_int_mask", UHCIState, 3),
    ),
)


class UHCIInfo(msgspec.Struct, frozen=True):
    """class_data of a controller. Companions of an EHCI controller can't be unplugged."""

    name: str
    unplug: bool = False


uhci_info = (
    UHCIInfo("piix3-usb-uhci", unplug=True),
    UHCIInfo("piix4-usb-uhci", unplug=True),
    UHCIInfo("ich9-usb-uhci1"),
    UHCIInfo("ich9-usb-uhci2"),
    UHCIInfo("ich9-usb-uhci3"),
    UHCIInfo("ich9-usb-uhci4"),
    UHCIInfo("ich9-usb-uhci5"),
    UHCIInfo("ich9-usb-uhci6"),
)


def uhci_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_uhci
    dc.categories |= DeviceCategory.USB


def uhci_data_class_init(dc: DeviceClass, info: UHCIInfo) -> None:
    if not info.unplug:
        dc.hotpluggable = False


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "pci-uhci-usb",
            parent="pci-device",
            instance_size=sizeof(UHCIState),
            abstract=True,
            class_init=uhci_class_init,
            interfaces=("conventional-pci-device",),
        )
    )
    for info in uhci_info:
        table.type_register(
            TypeInfo(info.name, parent="pci-uhci-usb", class_init=uhci_data_class_init, class_data=info)
        )

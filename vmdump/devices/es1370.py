"""Ensoniq AudioPCI sound card: ES1370.

Source: QEMU 10.0 hw/audio/es1370.c.
"""

from ctypes import Structure, c_uint32, sizeof
from typing import Any

from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import VMSTATE_STRUCT_ARRAY, VMSTATE_UINT32, VMStateDescription

NB_CHANNELS = 3


class Channel(Structure):
    """A channel: one of two DACs or the ADC (QEMU's struct chan)."""

    _fields_ = [
        ("shift", c_uint32),
        ("leftover", c_uint32),
        ("scount", c_uint32),
        ("frame_addr", c_uint32),
        ("frame_cnt", c_uint32),
    ]


class ES1370State(Structure):
    """The card."""

    _fields_ = [
        ("dev", PCIDevice),
        ("chan", Channel * NB_CHANNELS),
        ("ctl", c_uint32),
        ("status", c_uint32),
        ("mempage", c_uint32),
        ("codec", c_uint32),
        ("sctl", c_uint32),
    ]


vmstate_es1370_channel = VMStateDescription(
    "es1370_channel",
    version_id=2,
    minimum_version_id=2,
    fields=(
        VMSTATE_UINT32("shift", Channel),
        VMSTATE_UINT32("leftover", Channel),
        VMSTATE_UINT32("scount", Channel),
        VMSTATE_UINT32("frame_addr", Channel),
        VMSTATE_UINT32("frame_cnt", Channel),
    ),
)

vmstate_es1370 = VMStateDescription(
    "es1370",
    version_id=2,
    minimum_version_id=2,
    post_load=True,
    fields=(
        VMSTATE_PCI_DEVICE("dev", ES1370State),
        VMSTATE_STRUCT_ARRAY("chan", ES1370State, NB_CHANNELS, 2, vmstate_es1370_channel, Channel),
        VMSTATE_UINT32("ctl", ES1370State),
        VMSTATE_UINT32("status", ES1370State),
        VMSTATE_UINT32("mempage", ES1370State),
        VMSTATE_UINT32("codec", ES1370State),
        VMSTATE_UINT32("sctl", ES1370State),
    ),
)


def es1370_class_init(dc: DeviceClass, data: Any) -> None:
    dc.desc = "ENSONIQ AudioPCI ES1370"
    dc.vmsd = vmstate_es1370
    dc.categories |= DeviceCategory.SOUND


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "ES1370",
            parent="pci-device",
            instance_size=sizeof(ES1370State),
            class_init=es1370_class_init,
            interfaces=("conventional-pci-device",),
        )
    )

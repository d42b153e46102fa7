"""Cirrus Logic's GD5446 VGA: cirrus-vga on PCI, isa-cirrus-vga.

Demonstrates a device that embeds another one's state struct (VGACommonState) but migrates it with fields of its own.

Source: QEMU 10.0 hw/display/cirrus_vga_internal.h, hw/display/cirrus_vga.c, hw/display/cirrus_vga_isa.c.
"""

from ctypes import Structure, c_uint8, sizeof
from typing import Any

from vmdump.devices.isa import ISADevice
from vmdump.devices.layout import sized
from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.devices.vga import VGACommonState
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BUFFER,
    VMSTATE_BUFFER_START_MIDDLE,
    VMSTATE_INT32,
    VMSTATE_STRUCT,
    VMSTATE_UINT8,
    VMSTATE_UINT32,
    VMStateDescription,
)


@sized(78960)
class CirrusVGAState(Structure):
    """The card independently of its bus."""

    _fields_ = [
        ("vga", VGACommonState),
        ("cirrus_shadow_gr0", c_uint8),
        ("cirrus_shadow_gr1", c_uint8),
        ("cirrus_hidden_dac_lockindex", c_uint8),
        ("cirrus_hidden_dac_data", c_uint8),
    ]


class PCICirrusVGAState(Structure):
    """The PCI card."""

    _fields_ = [
        ("dev", PCIDevice),
        ("cirrus_vga", CirrusVGAState),
    ]


class ISACirrusVGAState(Structure):
    """The ISA card."""

    _fields_ = [
        ("parent_obj", ISADevice),
        ("cirrus_vga", CirrusVGAState),
    ]


vmstate_cirrus_vga = VMStateDescription(
    "cirrus_vga",
    version_id=2,
    minimum_version_id=1,
    post_load=True,
    fields=(
        VMSTATE_UINT32("vga.latch", CirrusVGAState),
        VMSTATE_UINT8("vga.sr_index", CirrusVGAState),
        VMSTATE_BUFFER("vga.sr", CirrusVGAState),
        VMSTATE_UINT8("vga.gr_index", CirrusVGAState),
        VMSTATE_UINT8("cirrus_shadow_gr0", CirrusVGAState),
        VMSTATE_UINT8("cirrus_shadow_gr1", CirrusVGAState),
        VMSTATE_BUFFER_START_MIDDLE("vga.gr", CirrusVGAState, 2),  # 0 and 1 are cirrus_shadow_gr0 and _gr1
        VMSTATE_UINT8("vga.ar_index", CirrusVGAState),
        VMSTATE_BUFFER("vga.ar", CirrusVGAState),
        VMSTATE_INT32("vga.ar_flip_flop", CirrusVGAState),
        VMSTATE_UINT8("vga.cr_index", CirrusVGAState),
        VMSTATE_BUFFER("vga.cr", CirrusVGAState),
        VMSTATE_UINT8("vga.msr", CirrusVGAState),
        VMSTATE_UINT8("vga.fcr", CirrusVGAState),
        VMSTATE_UINT8("vga.st00", CirrusVGAState),
        VMSTATE_UINT8("vga.st01", CirrusVGAState),
        VMSTATE_UINT8("vga.dac_state", CirrusVGAState),
        VMSTATE_UINT8("vga.dac_sub_index", CirrusVGAState),
        VMSTATE_UINT8("vga.dac_read_index", CirrusVGAState),
        VMSTATE_UINT8("vga.dac_write_index", CirrusVGAState),
        VMSTATE_BUFFER("vga.dac_cache", CirrusVGAState),
        VMSTATE_BUFFER("vga.palette", CirrusVGAState),
        VMSTATE_INT32("vga.bank_offset", CirrusVGAState),
        VMSTATE_UINT8("cirrus_hidden_dac_lockindex", CirrusVGAState),
        VMSTATE_UINT8("cirrus_hidden_dac_data", CirrusVGAState),
        VMSTATE_UINT32("vga.hw_cursor_x", CirrusVGAState),
        VMSTATE_UINT32("vga.hw_cursor_y", CirrusVGAState),
        # The blitter is not migrated: QEMU assumes that it is idle.
    ),
)

vmstate_pci_cirrus_vga = VMStateDescription(
    "cirrus_vga",
    version_id=2,
    minimum_version_id=2,
    fields=(
        VMSTATE_PCI_DEVICE("dev", PCICirrusVGAState),
        VMSTATE_STRUCT("cirrus_vga", PCICirrusVGAState, 0, vmstate_cirrus_vga, CirrusVGAState),
    ),
)


def cirrus_vga_class_init(dc: DeviceClass, data: Any) -> None:
    dc.desc = "Cirrus CLGD 54xx VGA"
    dc.vmsd = vmstate_pci_cirrus_vga
    dc.categories |= DeviceCategory.DISPLAY
    dc.hotpluggable = False


def isa_cirrus_vga_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_cirrus_vga  # sic: describes CirrusVGAState, not ISACirrusVGAState
    dc.categories |= DeviceCategory.DISPLAY


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "cirrus-vga",
            parent="pci-device",
            instance_size=sizeof(PCICirrusVGAState),
            class_init=cirrus_vga_class_init,
            interfaces=("conventional-pci-device",),
        )
    )
    table.type_register(
        TypeInfo(
            "isa-cirrus-vga",
            parent="isa-device",
            instance_size=sizeof(ISACirrusVGAState),
            class_init=isa_cirrus_vga_class_init,
        )
    )

"""Standard VGA: isa-vga; on PCI VGA and secondary-vga, which inherit the description of the abstract pci-vga.

Source: QEMU 10.0 hw/display/vga_int.h, hw/display/vga.c, hw/display/vga-isa.c, hw/display/vga-pci.c.
"""

from ctypes import Structure, c_bool, c_int, c_int32, c_uint8, c_uint16, c_uint32, sizeof
from typing import Any

from vmdump.devices.isa import ISADevice
from vmdump.devices.layout import sized
from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BOOL,
    VMSTATE_BUFFER,
    VMSTATE_INT32,
    VMSTATE_PARTIAL_BUFFER,
    VMSTATE_STRUCT,
    VMSTATE_UINT8,
    VMSTATE_UINT8_EQUAL,
    VMSTATE_UINT16,
    VMSTATE_UINT16_ARRAY,
    VMSTATE_UINT32,
    VMStateDescription,
)

VBE_DISPI_INDEX_NB = 10


@sized(68112)
class VGACommonState(Structure):
    """A VGA with VESA extensions independently of its bus. Other cards embed it and use more of its registers."""

    _fields_ = [
        ("latch", c_uint32),
        ("sr_index", c_uint8),
        ("sr", c_uint8 * 256),
        ("gr_index", c_uint8),
        ("gr", c_uint8 * 256),
        ("ar_index", c_uint8),
        ("ar", c_uint8 * 21),
        ("ar_flip_flop", c_int),
        ("cr_index", c_uint8),
        ("cr", c_uint8 * 256),
        ("msr", c_uint8),
        ("fcr", c_uint8),
        ("st00", c_uint8),
        ("st01", c_uint8),
        ("dac_state", c_uint8),
        ("dac_sub_index", c_uint8),
        ("dac_read_index", c_uint8),
        ("dac_write_index", c_uint8),
        ("dac_cache", c_uint8 * 3),
        ("palette", c_uint8 * 768),
        ("bank_offset", c_int32),
        ("vbe_index", c_uint16),
        ("vbe_regs", c_uint16 * VBE_DISPI_INDEX_NB),
        ("vbe_start_addr", c_uint32),
        ("vbe_line_offset", c_uint32),
        ("vbe_bank_mask", c_uint32),
        ("big_endian_fb", c_bool),
        ("default_endian_fb", c_bool),
        ("hw_cursor_x", c_uint32),
        ("hw_cursor_y", c_uint32),
        ("is_vbe_vmstate", c_uint8),
    ]


class ISAVGAState(Structure):
    """The ISA card."""

    _fields_ = [
        ("parent_obj", ISADevice),
        ("state", VGACommonState),
    ]


class PCIVGAState(Structure):
    """The PCI card."""

    _fields_ = [
        ("dev", PCIDevice),
        ("vga", VGACommonState),
    ]


def vga_endian_state_needed(s: VGACommonState) -> bool:
    return bool(s.default_endian_fb != s.big_endian_fb)


vmstate_vga_endian = VMStateDescription(
    "vga.endian",
    version_id=1,
    minimum_version_id=1,
    needed=vga_endian_state_needed,
    fields=(VMSTATE_BOOL("big_endian_fb", VGACommonState),),
)

vmstate_vga_common = VMStateDescription(
    "vga",
    version_id=2,
    minimum_version_id=2,
    post_load=True,
    fields=(
        VMSTATE_UINT32("latch", VGACommonState),
        VMSTATE_UINT8("sr_index", VGACommonState),
        VMSTATE_PARTIAL_BUFFER("sr", VGACommonState, 8),
        VMSTATE_UINT8("gr_index", VGACommonState),
        VMSTATE_PARTIAL_BUFFER("gr", VGACommonState, 16),
        VMSTATE_UINT8("ar_index", VGACommonState),
        VMSTATE_BUFFER("ar", VGACommonState),
        VMSTATE_INT32("ar_flip_flop", VGACommonState),
        VMSTATE_UINT8("cr_index", VGACommonState),
        VMSTATE_BUFFER("cr", VGACommonState),
        VMSTATE_UINT8("msr", VGACommonState),
        VMSTATE_UINT8("fcr", VGACommonState),
        VMSTATE_UINT8("st00", VGACommonState),
        VMSTATE_UINT8("st01", VGACommonState),
        VMSTATE_UINT8("dac_state", VGACommonState),
        VMSTATE_UINT8("dac_sub_index", VGACommonState),
        VMSTATE_UINT8("dac_read_index", VGACommonState),
        VMSTATE_UINT8("dac_write_index", VGACommonState),
        VMSTATE_BUFFER("dac_cache", VGACommonState),
        VMSTATE_BUFFER("palette", VGACommonState),
        VMSTATE_INT32("bank_offset", VGACommonState),
        VMSTATE_UINT8_EQUAL("is_vbe_vmstate", VGACommonState, None),
        VMSTATE_UINT16("vbe_index", VGACommonState),
        VMSTATE_UINT16_ARRAY("vbe_regs", VGACommonState, VBE_DISPI_INDEX_NB),
        VMSTATE_UINT32("vbe_start_addr", VGACommonState),
        VMSTATE_UINT32("vbe_line_offset", VGACommonState),
        VMSTATE_UINT32("vbe_bank_mask", VGACommonState),
    ),
    subsections=(vmstate_vga_endian,),
)

vmstate_vga_pci = VMStateDescription(
    "vga",
    version_id=2,
    minimum_version_id=2,
    fields=(
        VMSTATE_PCI_DEVICE("dev", PCIVGAState),
        VMSTATE_STRUCT("vga", PCIVGAState, 0, vmstate_vga_common, VGACommonState),
    ),
)


def vga_isa_class_initfn(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_vga_common  # sic: describes VGACommonState, not ISAVGAState
    dc.categories |= DeviceCategory.DISPLAY


def vga_pci_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_vga_pci
    dc.categories |= DeviceCategory.DISPLAY


def vga_class_init(dc: DeviceClass, data: Any) -> None:
    dc.hotpluggable = False


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "isa-vga",
            parent="isa-device",
            instance_size=sizeof(ISAVGAState),
            class_init=vga_isa_class_initfn,
        )
    )
    table.type_register(
        TypeInfo(
            "pci-vga",
            parent="pci-device",
            instance_size=sizeof(PCIVGAState),
            abstract=True,
            class_init=vga_pci_class_init,
            interfaces=("conventional-pci-device",),
        )
    )
    table.type_register(TypeInfo("VGA", parent="pci-vga", class_init=vga_class_init))
    table.type_register(TypeInfo("secondary-vga", parent="pci-vga"))

"""Firmware configuration interface: fw_cfg_io, fw_cfg_mem, which inherit the description of the abstract fw_cfg.

Demonstrates a VMStateInfo of the device's own, which loads the 16-bit value of an old version into a 32-bit member.

Source: QEMU 10.0 include/hw/nvram/fw_cfg.h, hw/nvram/fw_cfg.c.
"""

import mmap
from ctypes import Structure, c_bool, c_uint16, c_uint32, c_uint64, sizeof
from typing import Any

from vmdump.devices.qdev import SysBusDevice
from vmdump.qom import DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_SINGLE_TEST,
    VMSTATE_UINT16,
    VMSTATE_UINT32_V,
    VMSTATE_UINT64,
    FieldTest,
    VMStateDescription,
    VMStateField,
    VMStateInfo,
)


class FWCfgState(Structure):
    """Selected entry and read position, DMA address, and sizes of the memory regions that hold the ACPI tables."""

    _fields_ = [
        ("parent_obj", SysBusDevice),
        ("cur_entry", c_uint16),
        ("cur_offset", c_uint32),
        ("dma_enabled", c_bool),
        ("dma_addr", c_uint64),
        ("acpi_mr_restore", c_bool),
        ("table_mr_size", c_uint64),
        ("linker_mr_size", c_uint64),
        ("rsdp_mr_size", c_uint64),
    ]


vmstate_hack_uint32_as_uint16 = VMStateInfo("int32_as_uint16")


def VMSTATE_UINT16_HACK(_f: str, _s: type[Structure] | None, _t: FieldTest) -> VMStateField:
    """Return the field of a uint32_t that old versions send as a uint16_t. It is loaded only, never sent."""
    return VMSTATE_SINGLE_TEST(_f, _s, _t, 0, vmstate_hack_uint32_as_uint16, c_uint32)


def is_version_1(s: FWCfgState, version_id: int) -> bool:
    return version_id == 1


def fw_cfg_dma_enabled(s: FWCfgState) -> bool:
    return bool(s.dma_enabled)


def fw_cfg_acpi_mr_restore(s: FWCfgState) -> bool:
    # Page-aligned sizes are not sent: the destination computes the same ones.
    in_pages = not any(size % mmap.PAGESIZE for size in (s.table_mr_size, s.linker_mr_size, s.rsdp_mr_size))
    return bool(s.acpi_mr_restore) and not in_pages


vmstate_fw_cfg_dma = VMStateDescription(
    "fw_cfg/dma",
    needed=fw_cfg_dma_enabled,
    fields=(VMSTATE_UINT64("dma_addr", FWCfgState),),
)

vmstate_fw_cfg_acpi_mr = VMStateDescription(
    "fw_cfg/acpi_mr",
    version_id=1,
    minimum_version_id=1,
    needed=fw_cfg_acpi_mr_restore,
    post_load=True,
    fields=(
        VMSTATE_UINT64("table_mr_size", FWCfgState),
        VMSTATE_UINT64("linker_mr_size", FWCfgState),
        VMSTATE_UINT64("rsdp_mr_size", FWCfgState),
    ),
)

vmstate_fw_cfg = VMStateDescription(
    "fw_cfg",
    version_id=2,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT16("cur_entry", FWCfgState),
        VMSTATE_UINT16_HACK("cur_offset", FWCfgState, is_version_1),
        VMSTATE_UINT32_V("cur_offset", FWCfgState, 2),
    ),
    subsections=(
        vmstate_fw_cfg_dma,
        vmstate_fw_cfg_acpi_mr,
    ),
)


def fw_cfg_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_fw_cfg


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "fw_cfg",
            parent="sys-bus-device",
            instance_size=sizeof(FWCfgState),
            abstract=True,
            class_init=fw_cfg_class_init,
        )
    )
    table.type_register(TypeInfo("fw_cfg_io", parent="fw_cfg", instance_size=sizeof(FWCfgState)))
    table.type_register(TypeInfo("fw_cfg_mem", parent="fw_cfg", instance_size=sizeof(FWCfgState)))

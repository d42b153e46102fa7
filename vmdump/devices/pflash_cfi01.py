"""NOR flash with the Intel command set: cfi.pflash01, used for UEFI firmware and its variables.

Demonstrates a buffer whose size is a member. The contents of the flash are a RAM block and migrated as RAM.

Source: QEMU 10.0 hw/block/pflash_cfi01.c.
"""

from ctypes import POINTER, Structure, c_ubyte, c_uint8, c_uint32, c_uint64, sizeof
from typing import Any

from vmdump.devices.qdev import SysBusDevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_UINT8,
    VMSTATE_UINT32,
    VMSTATE_UINT64,
    VMSTATE_VBUFFER_UINT32,
    VMStateDescription,
)


class PFlashCFI01(Structure):
    """The flash and the state of a block write."""

    _fields_ = [
        ("parent_obj", SysBusDevice),
        ("wcycle", c_uint8),
        ("cmd", c_uint8),
        ("status", c_uint8),
        ("counter", c_uint64),
        ("writeblock_size", c_uint32),
        ("blk_bytes", POINTER(c_ubyte)),
        ("blk_offset", c_uint32),
    ]


def pflash_blk_write_state_needed(pfl: PFlashCFI01) -> bool:
    return bool(pfl.blk_offset != 0xFFFFFFFF)


vmstate_pflash_blk_write = VMStateDescription(
    "pflash_cfi01_blk_write",
    version_id=1,
    minimum_version_id=1,
    needed=pflash_blk_write_state_needed,
    fields=(
        VMSTATE_VBUFFER_UINT32("blk_bytes", PFlashCFI01, 0, None, "writeblock_size"),
        VMSTATE_UINT32("blk_offset", PFlashCFI01),
    ),
)

vmstate_pflash = VMStateDescription(
    "pflash_cfi01",
    version_id=1,
    minimum_version_id=1,
    post_load=True,
    fields=(
        VMSTATE_UINT8("wcycle", PFlashCFI01),
        VMSTATE_UINT8("cmd", PFlashCFI01),
        VMSTATE_UINT8("status", PFlashCFI01),
        VMSTATE_UINT64("counter", PFlashCFI01),
    ),
    subsections=(vmstate_pflash_blk_write,),
)


def pflash_cfi01_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_pflash
    dc.categories |= DeviceCategory.STORAGE


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "cfi.pflash01",
            parent="sys-bus-device",
            instance_size=sizeof(PFlashCFI01),
            class_init=pflash_cfi01_class_init,
        )
    )

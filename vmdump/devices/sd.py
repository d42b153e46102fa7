"""SD and eMMC cards: sd-card, sd-card-spi, emmc, which inherit the description of the abstract sdmmc-common.

Demonstrates a bitmap, and a default for an absent subsection: pre_load powers the card up in case "ocr-state" is not
sent.

Source: QEMU 10.0 hw/sd/sdmmc-internal.h, hw/sd/sd.c.
"""

from ctypes import (
    POINTER,
    Structure,
    c_bool,
    c_int32,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_ulong,
    sizeof,
)
from typing import Any

from vmdump.devices.qdev import DeviceState
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BITMAP,
    VMSTATE_BOOL,
    VMSTATE_INT32,
    VMSTATE_PARTIAL_BUFFER,
    VMSTATE_TIMER_PTR,
    VMSTATE_UINT8,
    VMSTATE_UINT8_ARRAY,
    VMSTATE_UINT16,
    VMSTATE_UINT32,
    VMSTATE_UINT64,
    VMSTATE_UNUSED,
    VMSTATE_UNUSED_V,
    QEMUTimer,
    VMStateDescription,
)

OCR_CARD_POWER_UP = 1 << 31


class SDState(Structure):
    """A card: its registers and the command in progress."""

    _fields_ = [
        ("parent_obj", DeviceState),
        ("ocr", c_uint32),
        ("cid", c_uint8 * 16),
        ("csd", c_uint8 * 16),
        ("rca", c_uint16),
        ("card_status", c_uint32),
        ("sd_status", c_uint8 * 64),
        ("ext_csd_rw", c_uint8 * 192),
        ("mode", c_uint32),
        ("state", c_int32),
        ("vhs", c_uint32),
        ("wp_group_bmap", POINTER(c_ulong)),
        ("wp_group_bits", c_int32),
        ("blk_len", c_uint32),
        ("multi_blk_cnt", c_uint32),
        ("erase_start", c_uint32),
        ("erase_end", c_uint32),
        ("pwd", c_uint8 * 16),
        ("pwd_len", c_uint32),
        ("function_group", c_uint8 * 6),
        ("current_cmd", c_uint8),
        ("expecting_acmd", c_bool),
        ("blk_written", c_uint32),
        ("data_start", c_uint64),
        ("data_offset", c_uint32),
        ("data", c_uint8 * 512),
        ("ocr_power_timer", POINTER(QEMUTimer)),
    ]


def sd_vmstate_pre_load(sd: SDState) -> int:
    sd.ocr |= OCR_CARD_POWER_UP
    return 0


def sd_ocr_vmstate_needed(sd: SDState) -> bool:
    return not sd.ocr & OCR_CARD_POWER_UP


sd_ocr_vmstate = VMStateDescription(
    "sd-card/ocr-state",
    version_id=1,
    minimum_version_id=1,
    needed=sd_ocr_vmstate_needed,
    fields=(
        VMSTATE_UINT32("ocr", SDState),
        VMSTATE_TIMER_PTR("ocr_power_timer", SDState),
    ),
)

emmc_extcsd_vmstate = VMStateDescription(
    "sd-card/ext_csd_modes-state",
    version_id=1,
    minimum_version_id=1,
    needed=True,  # depends on the class: whether the card is an eMMC
    fields=(VMSTATE_UINT8_ARRAY("ext_csd_rw", SDState, 192),),
)

sd_vmstate = VMStateDescription(
    "sd-card",
    version_id=2,
    minimum_version_id=2,
    pre_load=sd_vmstate_pre_load,
    fields=(
        VMSTATE_UINT32("mode", SDState),
        VMSTATE_INT32("state", SDState),
        VMSTATE_UINT8_ARRAY("cid", SDState, 16),
        VMSTATE_UINT8_ARRAY("csd", SDState, 16),
        VMSTATE_UINT16("rca", SDState),
        VMSTATE_UINT32("card_status", SDState),
        VMSTATE_PARTIAL_BUFFER("sd_status", SDState, 1),
        VMSTATE_UINT32("vhs", SDState),
        VMSTATE_BITMAP("wp_group_bmap", SDState, 0, "wp_group_bits"),
        VMSTATE_UINT32("blk_len", SDState),
        VMSTATE_UINT32("multi_blk_cnt", SDState),
        VMSTATE_UINT32("erase_start", SDState),
        VMSTATE_UINT32("erase_end", SDState),
        VMSTATE_UINT8_ARRAY("pwd", SDState, 16),
        VMSTATE_UINT32("pwd_len", SDState),
        VMSTATE_UINT8_ARRAY("function_group", SDState, 6),
        VMSTATE_UINT8("current_cmd", SDState),
        VMSTATE_BOOL("expecting_acmd", SDState),
        VMSTATE_UINT32("blk_written", SDState),
        VMSTATE_UINT64("data_start", SDState),
        VMSTATE_UINT32("data_offset", SDState),
        VMSTATE_UINT8_ARRAY("data", SDState, 512),
        VMSTATE_UNUSED_V(1, 512),
        VMSTATE_UNUSED(1),
    ),
    subsections=(
        sd_ocr_vmstate,
        emmc_extcsd_vmstate,
    ),
)


def sdmmc_common_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = sd_vmstate
    dc.bus_type = "sd-bus"
    dc.categories |= DeviceCategory.STORAGE


def sd_spi_class_init(dc: DeviceClass, data: Any) -> None:
    dc.desc = "SD SPI"


def emmc_class_init(dc: DeviceClass, data: Any) -> None:
    dc.desc = "eMMC"
    dc.user_creatable = False  # soldered to the board


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "sdmmc-common",
            parent="device",
            instance_size=sizeof(SDState),
            abstract=True,
            class_init=sdmmc_common_class_init,
        )
    )
    table.type_register(TypeInfo("sd-card", parent="sdmmc-common"))
    table.type_register(TypeInfo("sd-card-spi", parent="sd-card", class_init=sd_spi_class_init))
    table.type_register(TypeInfo("emmc", parent="sdmmc-common", class_init=emmc_class_init))

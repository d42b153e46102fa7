"""IDE buses and drives, and the PCI controllers of the PIIX: piix3-ide, piix4-ide.

Demonstrates members that exist only for compatibility of the stream and are set by pre_save, and arrays nested in array
elements.

Source: QEMU 10.0 hw/ide/ide-internal.h, hw/ide/core.c, include/hw/ide/pci.h, hw/ide/pci.c, hw/ide/piix.c.
"""

from ctypes import POINTER, Structure, c_bool, c_int, c_int32, c_int64, c_uint8, c_uint32, c_void_p, cast, sizeof
from typing import Any

from vmdump.devices.layout import sized
from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BOOL,
    VMSTATE_BUFFER_TEST,
    VMSTATE_INT32,
    VMSTATE_INT64,
    VMSTATE_INT64_V,
    VMSTATE_STRUCT,
    VMSTATE_STRUCT_ARRAY,
    VMSTATE_UINT8,
    VMSTATE_UINT8_V,
    VMSTATE_UINT32,
    VMSTATE_UINT32_V,
    VMSTATE_VARRAY_INT32,
    VMStateDescription,
    VMStateField,
    vmstate_info_uint8,
)

DRQ_STAT = 0x08
IDE_RETRY_DMA = 0x08
IDE_RETRY_PIO = 0x10
IDE_RETRY_READ = 0x20
IDE_RETRY_FLUSH = 0x40
# Bits of the bus master's status register in which old versions kept the bus's error status.
BM_MIGRATION_COMPAT_STATUS_BITS = IDE_RETRY_DMA | IDE_RETRY_PIO | IDE_RETRY_READ | IDE_RETRY_FLUSH


class UnreportedEvents(Structure):
    """Media events that an ATAPI drive has not reported to the guest yet."""

    _fields_ = [
        ("eject_request", c_bool),
        ("new_media", c_bool),
    ]


@sized(984)
class IDEState(Structure):
    """A drive, possibly absent."""

    _fields_ = [
        ("bus", c_void_p),  # IDEBus *
        ("mult_sectors", c_int),
        ("identify_set", c_int),
        ("identify_data", c_uint8 * 512),
        ("feature", c_uint8),
        ("error", c_uint8),
        ("nsector", c_uint32),
        ("sector", c_uint8),
        ("lcyl", c_uint8),
        ("hcyl", c_uint8),
        ("hob_feature", c_uint8),
        ("hob_nsector", c_uint8),
        ("hob_sector", c_uint8),
        ("hob_lcyl", c_uint8),
        ("hob_hcyl", c_uint8),
        ("select", c_uint8),
        ("status", c_uint8),
        ("lba48", c_uint8),
        ("events", UnreportedEvents),
        ("sense_key", c_uint8),
        ("asc", c_uint8),
        ("tray_open", c_bool),
        ("tray_locked", c_bool),
        ("cdrom_changed", c_uint8),
        ("packet_transfer_size", c_int),
        ("elementary_transfer_size", c_int),
        ("req_nb_sectors", c_int),
        ("io_buffer", POINTER(c_uint8)),
        ("io_buffer_total_len", c_int32),
        ("cur_io_buffer_offset", c_int32),
        ("cur_io_buffer_len", c_int32),
        ("end_transfer_fn_idx", c_uint8),
    ]


@sized(2304)
class IDEBus(Structure):
    """A bus with two drives and the request to retry after an error."""

    _fields_ = [
        ("ifs", IDEState * 2),
        ("unit", c_uint8),
        ("cmd", c_uint8),
        ("error_status", c_int),
        ("retry_unit", c_uint8),
        ("retry_sector_num", c_int64),
        ("retry_nsector", c_uint32),
    ]


def is_identify_set(s: IDEState, version_id: int) -> bool:
    return bool(s.identify_set != 0)


def ide_drive_pio_state_needed(s: IDEState) -> bool:
    bus = cast(s.bus, POINTER(IDEBus)).contents
    return bool(s.status & DRQ_STAT or bus.error_status & IDE_RETRY_PIO)


def ide_tray_state_needed(s: IDEState) -> bool:
    return bool(s.tray_open or s.tray_locked)


def ide_atapi_gesn_needed(s: IDEState) -> bool:
    return bool(s.events.new_media or s.events.eject_request)


def ide_error_needed(bus: IDEBus) -> bool:
    return bool(bus.error_status != 0)


vmstate_ide_atapi_gesn_state = VMStateDescription(
    "ide_drive/atapi/gesn_state",
    version_id=1,
    minimum_version_id=1,
    needed=ide_atapi_gesn_needed,
    fields=(
        VMSTATE_BOOL("events.new_media", IDEState),
        VMSTATE_BOOL("events.eject_request", IDEState),
    ),
)

vmstate_ide_tray_state = VMStateDescription(
    "ide_drive/tray_state",
    version_id=1,
    minimum_version_id=1,
    needed=ide_tray_state_needed,
    fields=(
        VMSTATE_BOOL("tray_open", IDEState),
        VMSTATE_BOOL("tray_locked", IDEState),
    ),
)

vmstate_ide_drive_pio_state = VMStateDescription(
    "ide_drive/pio_state",
    version_id=1,
    minimum_version_id=1,
    pre_save=True,
    post_load=True,
    needed=ide_drive_pio_state_needed,
    fields=(
        VMSTATE_INT32("req_nb_sectors", IDEState),
        VMSTATE_VARRAY_INT32("io_buffer", IDEState, "io_buffer_total_len", 1, vmstate_info_uint8, c_uint8),
        VMSTATE_INT32("cur_io_buffer_offset", IDEState),
        VMSTATE_INT32("cur_io_buffer_len", IDEState),
        VMSTATE_UINT8("end_transfer_fn_idx", IDEState),
        VMSTATE_INT32("elementary_transfer_size", IDEState),
        VMSTATE_INT32("packet_transfer_size", IDEState),
    ),
)

vmstate_ide_drive = VMStateDescription(
    "ide_drive",
    version_id=3,
    minimum_version_id=0,
    post_load=True,
    fields=(
        VMSTATE_INT32("mult_sectors", IDEState),
        VMSTATE_INT32("identify_set", IDEState),
        VMSTATE_BUFFER_TEST("identify_data", IDEState, is_identify_set),
        VMSTATE_UINT8("feature", IDEState),
        VMSTATE_UINT8("error", IDEState),
        VMSTATE_UINT32("nsector", IDEState),
        VMSTATE_UINT8("sector", IDEState),
        VMSTATE_UINT8("lcyl", IDEState),
        VMSTATE_UINT8("hcyl", IDEState),
        VMSTATE_UINT8("hob_feature", IDEState),
        VMSTATE_UINT8("hob_sector", IDEState),
        VMSTATE_UINT8("hob_nsector", IDEState),
        VMSTATE_UINT8("hob_lcyl", IDEState),
        VMSTATE_UINT8("hob_hcyl", IDEState),
        VMSTATE_UINT8("select", IDEState),
        VMSTATE_UINT8("status", IDEState),
        VMSTATE_UINT8("lba48", IDEState),
        VMSTATE_UINT8("sense_key", IDEState),
        VMSTATE_UINT8("asc", IDEState),
        VMSTATE_UINT8_V("cdrom_changed", IDEState, 3),
    ),
    subsections=(
        vmstate_ide_drive_pio_state,
        vmstate_ide_tray_state,
        vmstate_ide_atapi_gesn_state,
    ),
)

vmstate_ide_error_status = VMStateDescription(
    "ide_bus/error",
    version_id=2,
    minimum_version_id=1,
    needed=ide_error_needed,
    fields=(
        VMSTATE_INT32("error_status", IDEBus),
        VMSTATE_INT64_V("retry_sector_num", IDEBus, 2),
        VMSTATE_UINT32_V("retry_nsector", IDEBus, 2),
        VMSTATE_UINT8_V("retry_unit", IDEBus, 2),
    ),
)

vmstate_ide_bus = VMStateDescription(
    "ide_bus",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT8("cmd", IDEBus),
        VMSTATE_UINT8("unit", IDEBus),
    ),
    subsections=(vmstate_ide_error_status,),
)


def VMSTATE_IDE_BUS(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of an IDEBus, without its drives."""
    return VMSTATE_STRUCT(_field, _state, 1, vmstate_ide_bus, IDEBus)


def VMSTATE_IDE_BUS_ARRAY(_field: str, _state: type[Structure] | None, _num: int) -> VMStateField:
    """Return the field of an array of ``_num`` IDEBus, without their drives."""
    return VMSTATE_STRUCT_ARRAY(_field, _state, _num, 1, vmstate_ide_bus, IDEBus)


def VMSTATE_IDE_DRIVES(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of a bus's two IDEState."""
    return VMSTATE_STRUCT_ARRAY(_field, _state, 2, 3, vmstate_ide_drive, IDEState)


def VMSTATE_IDE_DRIVE(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of an IDEState."""
    return VMSTATE_STRUCT(_field, _state, 1, vmstate_ide_drive, IDEState)


@sized(688)
class BMDMAState(Structure):
    """Bus master of an IDE bus. Its ``migration_`` members exist only for the stream."""

    _fields_ = [
        ("cmd", c_uint8),
        ("status", c_uint8),
        ("addr", c_uint32),
        ("cur_addr", c_uint32),
        ("cur_prd_last", c_uint32),
        ("cur_prd_addr", c_uint32),
        ("cur_prd_len", c_uint32),
        ("migration_compat_status", c_uint8),
        ("migration_retry_unit", c_uint8),
        ("migration_retry_sector_num", c_int64),
        ("migration_retry_nsector", c_uint32),
    ]


class PCIIDEState(Structure):
    """A controller with two buses."""

    _fields_ = [
        ("parent_obj", PCIDevice),
        ("bus", IDEBus * 2),
        ("bmdma", BMDMAState * 2),
    ]


def ide_bmdma_current_needed(bm: BMDMAState) -> bool:
    return bool(bm.cur_prd_len != 0)


def ide_bmdma_status_needed(bm: BMDMAState) -> bool:
    return bool(bm.status & BM_MIGRATION_COMPAT_STATUS_BITS)


vmstate_bmdma_current = VMStateDescription(
    "ide bmdma_current",
    version_id=1,
    minimum_version_id=1,
    needed=ide_bmdma_current_needed,
    fields=(
        VMSTATE_UINT32("cur_addr", BMDMAState),
        VMSTATE_UINT32("cur_prd_last", BMDMAState),
        VMSTATE_UINT32("cur_prd_addr", BMDMAState),
        VMSTATE_UINT32("cur_prd_len", BMDMAState),
    ),
)

vmstate_bmdma_status = VMStateDescription(
    "ide bmdma/status",
    version_id=1,
    minimum_version_id=1,
    needed=ide_bmdma_status_needed,
    fields=(VMSTATE_UINT8("status", BMDMAState),),
)

vmstate_bmdma = VMStateDescription(
    "ide bmdma",
    version_id=3,
    minimum_version_id=0,
    pre_save=True,
    fields=(
        VMSTATE_UINT8("cmd", BMDMAState),
        VMSTATE_UINT8("migration_compat_status", BMDMAState),
        VMSTATE_UINT32("addr", BMDMAState),
        VMSTATE_INT64("migration_retry_sector_num", BMDMAState),
        VMSTATE_UINT32("migration_retry_nsector", BMDMAState),
        VMSTATE_UINT8("migration_retry_unit", BMDMAState),
    ),
    subsections=(
        vmstate_bmdma_current,
        vmstate_bmdma_status,
    ),
)

vmstate_ide_pci = VMStateDescription(
    "ide",
    version_id=3,
    minimum_version_id=0,
    post_load=True,
    fields=(
        VMSTATE_PCI_DEVICE("parent_obj", PCIIDEState),
        VMSTATE_STRUCT_ARRAY("bmdma", PCIIDEState, 2, 0, vmstate_bmdma, BMDMAState),
        VMSTATE_IDE_BUS_ARRAY("bus", PCIIDEState, 2),
        VMSTATE_IDE_DRIVES("bus[0].ifs", PCIIDEState),
        VMSTATE_IDE_DRIVES("bus[1].ifs", PCIIDEState),
    ),
)


def piix_ide_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_ide_pci
    dc.categories |= DeviceCategory.STORAGE
    dc.hotpluggable = False


def register_types(table: TypeTable) -> None:
    # No description: other controllers derived from it migrate other state.
    table.type_register(
        TypeInfo(
            "pci-ide",
            parent="pci-device",
            instance_size=sizeof(PCIIDEState),
            abstract=True,
            interfaces=("conventional-pci-device",),
        )
    )
    table.type_register(TypeInfo("piix3-ide", parent="pci-ide", class_init=piix_ide_class_init))
    table.type_register(TypeInfo("piix4-ide", parent="pci-ide", class_init=piix_ide_class_init))

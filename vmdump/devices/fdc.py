"""Floppy disk controller on the ISA bus: isa-fdc.

Demonstrates subsections of array elements, a value that must be equal in the destination, and state that is sent only
if the destination would derive another value from the registers (`fdc_phase_needed`).

Source: QEMU 10.0 hw/block/fdc-internal.h, hw/block/fdc.c, hw/block/fdc-isa.c.
"""

from ctypes import POINTER, Structure, c_bool, c_int, c_int32, c_uint8, c_uint16, c_uint32, c_void_p, sizeof
from enum import IntEnum
from typing import Any

from vmdump.devices.isa import ISADevice
from vmdump.devices.layout import sized
from vmdump.devices.qdev import timer_pending
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_INT32,
    VMSTATE_STRUCT,
    VMSTATE_STRUCT_ARRAY,
    VMSTATE_TIMER_PTR,
    VMSTATE_UINT8,
    VMSTATE_UINT8_EQUAL,
    VMSTATE_UINT32,
    VMSTATE_VARRAY_INT32,
    QEMUTimer,
    VMStateDescription,
    vmstate_info_uint8,
)

MAX_FD = 2
FD_MSR_NONDMA = 0x20
FD_MSR_DIO = 0x40
FD_MSR_RQM = 0x80
FD_DOR_SELMASK = 0x01  # selects the drive


class FDPhase(IntEnum):
    """Phase of a command: how the controller interprets accesses to its FIFO."""

    RECONSTRUCT = 0  # set by pre_load: not known yet
    COMMAND = 1
    EXECUTION = 2
    RESULT = 3


class FDrive(Structure):
    """A drive. All members are declared: 48 bytes."""

    _fields_ = [
        ("fdctrl", c_void_p),
        ("blk", c_void_p),
        ("conf", c_void_p),
        ("drive", c_int),
        ("perpendicular", c_uint8),
        ("head", c_uint8),
        ("track", c_uint8),
        ("sect", c_uint8),
        ("disk", c_int),
        ("flags", c_int),
        ("last_sect", c_uint8),
        ("max_track", c_uint8),
        ("bps", c_uint16),
        ("ro", c_uint8),
        ("media_changed", c_uint8),
        ("media_rate", c_uint8),
        ("media_validated", c_bool),
    ]


@sized(336)
class FDCtrl(Structure):
    """The controller independently of its bus."""

    _fields_ = [
        ("result_timer", POINTER(QEMUTimer)),
        ("phase", c_uint8),
        ("sra", c_uint8),
        ("srb", c_uint8),
        ("dor", c_uint8),
        ("dor_vmstate", c_uint8),
        ("tdr", c_uint8),
        ("dsr", c_uint8),
        ("msr", c_uint8),
        ("cur_drv", c_uint8),
        ("status0", c_uint8),
        ("status1", c_uint8),
        ("status2", c_uint8),
        ("fifo", POINTER(c_uint8)),
        ("fifo_size", c_int32),
        ("data_pos", c_uint32),
        ("data_len", c_uint32),
        ("data_state", c_uint8),
        ("data_dir", c_uint8),
        ("eot", c_uint8),
        ("precomp_trk", c_uint8),
        ("config", c_uint8),
        ("lock", c_uint8),
        ("pwrd", c_uint8),
        ("num_floppies", c_uint8),
        ("drives", FDrive * MAX_FD),
        ("reset_sensei", c_int),
        ("timer0", c_uint8),
        ("timer1", c_uint8),
    ]


class FDCtrlISABus(Structure):
    """The ISA device."""

    _fields_ = [
        ("parent_obj", ISADevice),
        ("state", FDCtrl),
    ]


def fdrive_media_changed_needed(drive: FDrive) -> bool:
    return bool(drive.blk is not None and drive.media_changed != 1)


vmstate_fdrive_media_changed = VMStateDescription(
    "fdrive/media_changed",
    version_id=1,
    minimum_version_id=1,
    needed=fdrive_media_changed_needed,
    fields=(VMSTATE_UINT8("media_changed", FDrive),),
)

# No `needed`: the subsection is always sent.
vmstate_fdrive_media_rate = VMStateDescription(
    "fdrive/media_rate",
    version_id=1,
    minimum_version_id=1,
    fields=(VMSTATE_UINT8("media_rate", FDrive),),
)


def fdrive_perpendicular_needed(drive: FDrive) -> bool:
    return bool(drive.perpendicular != 0)


vmstate_fdrive_perpendicular = VMStateDescription(
    "fdrive/perpendicular",
    version_id=1,
    minimum_version_id=1,
    needed=fdrive_perpendicular_needed,
    fields=(VMSTATE_UINT8("perpendicular", FDrive),),
)

vmstate_fdrive = VMStateDescription(
    "fdrive",
    version_id=1,
    minimum_version_id=1,
    post_load=True,
    fields=(
        VMSTATE_UINT8("head", FDrive),
        VMSTATE_UINT8("track", FDrive),
        VMSTATE_UINT8("sect", FDrive),
    ),
    subsections=(
        vmstate_fdrive_media_changed,
        vmstate_fdrive_media_rate,
        vmstate_fdrive_perpendicular,
    ),
)


def reconstruct_phase(fdctrl: FDCtrl) -> FDPhase:
    """Return the phase implied by a stream without the subsection fdc/phase.

    This is part of the stream format and must never change.
    """
    if fdctrl.msr & FD_MSR_NONDMA or not fdctrl.msr & FD_MSR_RQM:
        return FDPhase.EXECUTION
    return FDPhase.RESULT if fdctrl.msr & FD_MSR_DIO else FDPhase.COMMAND


def fdc_pre_save(s: FDCtrl) -> int:
    s.dor_vmstate = s.dor | s.cur_drv
    return 0


def fdc_pre_load(s: FDCtrl) -> int:
    s.phase = FDPhase.RECONSTRUCT
    return 0


def fdc_post_load(s: FDCtrl, version_id: int) -> int:
    s.cur_drv = s.dor_vmstate & FD_DOR_SELMASK
    s.dor = s.dor_vmstate & ~FD_DOR_SELMASK
    if s.phase == FDPhase.RECONSTRUCT:
        s.phase = reconstruct_phase(s)
    return 0


def fdc_reset_sensei_needed(s: FDCtrl) -> bool:
    return bool(s.reset_sensei != 0)


vmstate_fdc_reset_sensei = VMStateDescription(
    "fdc/reset_sensei",
    version_id=1,
    minimum_version_id=1,
    needed=fdc_reset_sensei_needed,
    fields=(VMSTATE_INT32("reset_sensei", FDCtrl),),
)


def fdc_result_timer_needed(s: FDCtrl) -> bool:
    return timer_pending(s.result_timer)


vmstate_fdc_result_timer = VMStateDescription(
    "fdc/result_timer",
    version_id=1,
    minimum_version_id=1,
    needed=fdc_result_timer_needed,
    fields=(VMSTATE_TIMER_PTR("result_timer", FDCtrl),),
)


def fdc_phase_needed(fdctrl: FDCtrl) -> bool:
    return bool(reconstruct_phase(fdctrl) != fdctrl.phase)


vmstate_fdc_phase = VMStateDescription(
    "fdc/phase",
    version_id=1,
    minimum_version_id=1,
    needed=fdc_phase_needed,
    fields=(VMSTATE_UINT8("phase", FDCtrl),),
)

vmstate_fdc = VMStateDescription(
    "fdc",
    version_id=2,
    minimum_version_id=2,
    pre_save=fdc_pre_save,
    pre_load=fdc_pre_load,
    post_load=fdc_post_load,
    fields=(
        # Controller registers
        VMSTATE_UINT8("sra", FDCtrl),
        VMSTATE_UINT8("srb", FDCtrl),
        VMSTATE_UINT8("dor_vmstate", FDCtrl),
        VMSTATE_UINT8("tdr", FDCtrl),
        VMSTATE_UINT8("dsr", FDCtrl),
        VMSTATE_UINT8("msr", FDCtrl),
        VMSTATE_UINT8("status0", FDCtrl),
        VMSTATE_UINT8("status1", FDCtrl),
        VMSTATE_UINT8("status2", FDCtrl),
        # FIFO
        VMSTATE_VARRAY_INT32("fifo", FDCtrl, "fifo_size", 0, vmstate_info_uint8, c_uint8),
        VMSTATE_UINT32("data_pos", FDCtrl),
        VMSTATE_UINT32("data_len", FDCtrl),
        VMSTATE_UINT8("data_state", FDCtrl),
        VMSTATE_UINT8("data_dir", FDCtrl),
        VMSTATE_UINT8("eot", FDCtrl),
        # Without effect, but the guest can read back what it wrote
        VMSTATE_UINT8("timer0", FDCtrl),
        VMSTATE_UINT8("timer1", FDCtrl),
        VMSTATE_UINT8("precomp_trk", FDCtrl),
        VMSTATE_UINT8("config", FDCtrl),
        VMSTATE_UINT8("lock", FDCtrl),
        VMSTATE_UINT8("pwrd", FDCtrl),
        VMSTATE_UINT8_EQUAL("num_floppies", FDCtrl, None),
        VMSTATE_STRUCT_ARRAY("drives", FDCtrl, MAX_FD, 1, vmstate_fdrive, FDrive),
    ),
    subsections=(
        vmstate_fdc_reset_sensei,
        vmstate_fdc_result_timer,
        vmstate_fdc_phase,
    ),
)

vmstate_isa_fdc = VMStateDescription(
    "fdc",
    version_id=2,
    minimum_version_id=2,
    fields=(VMSTATE_STRUCT("state", FDCtrlISABus, 0, vmstate_fdc, FDCtrl),),
)


def isabus_fdc_class_init(dc: DeviceClass, data: Any) -> None:
    dc.desc = "virtual floppy controller"
    dc.fw_name = "fdc"
    dc.vmsd = vmstate_isa_fdc
    dc.categories |= DeviceCategory.STORAGE


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "isa-fdc",
            parent="isa-device",
            instance_size=sizeof(FDCtrlISABus),
            class_init=isabus_fdc_class_init,
        )
    )

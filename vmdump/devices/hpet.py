"""High Precision Event Timer: hpet.

Demonstrates an array of structs whose length is a member, and VMSTATE_VALIDATE, an assertion on loaded values that is
not in dumps.

Source: QEMU 10.0 include/hw/timer/hpet.h, hw/timer/hpet.c.
"""

from ctypes import POINTER, Structure, c_bool, c_uint8, c_uint64, c_void_p, sizeof
from typing import Any

from vmdump.devices.qdev import SysBusDevice
from vmdump.qom import DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_STRUCT_VARRAY_UINT8,
    VMSTATE_TIMER_PTR,
    VMSTATE_UINT8,
    VMSTATE_UINT8_V,
    VMSTATE_UINT64,
    VMSTATE_VALIDATE,
    QEMUTimer,
    VMStateDescription,
)

HPET_MAX_TIMERS = 32
HPET_CFG_ENABLE = 0x001


class HPETTimer(Structure):
    """A comparator. All members are declared: 80 bytes."""

    _fields_ = [
        ("tn", c_uint8),
        ("qemu_timer", POINTER(QEMUTimer)),
        ("state", c_void_p),
        ("config", c_uint64),
        ("cmp", c_uint64),
        ("fsb", c_uint64),
        ("cmp64", c_uint64),
        ("period", c_uint64),
        ("wrap_flag", c_uint8),
        ("last", c_uint64),
    ]


class HPETState(Structure):
    """The main counter and its comparators, of which ``num_timers`` are in use."""

    _fields_ = [
        ("parent_obj", SysBusDevice),
        ("hpet_offset", c_uint64),
        ("hpet_offset_saved", c_bool),
        ("rtc_irq_level", c_uint8),
        ("num_timers", c_uint8),
        ("num_timers_save", c_uint8),
        ("timer", HPETTimer * HPET_MAX_TIMERS),
        ("config", c_uint64),
        ("isr", c_uint64),
        ("hpet_counter", c_uint64),
    ]


def hpet_validate_num_timers(s: HPETState, version_id: int) -> bool:
    return bool(s.num_timers == s.num_timers_save)


def hpet_rtc_irq_level_needed(s: HPETState) -> bool:
    return bool(s.rtc_irq_level != 0)


vmstate_hpet_rtc_irq_level = VMStateDescription(
    "hpet/rtc_irq_level",
    version_id=1,
    minimum_version_id=1,
    needed=hpet_rtc_irq_level_needed,
    fields=(VMSTATE_UINT8("rtc_irq_level", HPETState),),
)


def hpet_offset_needed(s: HPETState) -> bool:
    return bool(s.config & HPET_CFG_ENABLE and s.hpet_offset_saved)


vmstate_hpet_offset = VMStateDescription(
    "hpet/offset",
    version_id=1,
    minimum_version_id=1,
    needed=hpet_offset_needed,
    fields=(VMSTATE_UINT64("hpet_offset", HPETState),),
)

vmstate_hpet_timer = VMStateDescription(
    "hpet_timer",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT8("tn", HPETTimer),
        VMSTATE_UINT64("config", HPETTimer),
        VMSTATE_UINT64("cmp", HPETTimer),
        VMSTATE_UINT64("fsb", HPETTimer),
        VMSTATE_UINT64("period", HPETTimer),
        VMSTATE_UINT8("wrap_flag", HPETTimer),
        VMSTATE_TIMER_PTR("qemu_timer", HPETTimer),
    ),
)

vmstate_hpet = VMStateDescription(
    "hpet",
    version_id=2,
    minimum_version_id=1,
    pre_save=True,
    post_load=True,
    fields=(
        VMSTATE_UINT64("config", HPETState),
        VMSTATE_UINT64("isr", HPETState),
        VMSTATE_UINT64("hpet_counter", HPETState),
        VMSTATE_UINT8_V("num_timers_save", HPETState, 2),
        VMSTATE_VALIDATE("num_timers must match", hpet_validate_num_timers),
        VMSTATE_STRUCT_VARRAY_UINT8("timer", HPETState, "num_timers", 0, vmstate_hpet_timer, HPETTimer),
    ),
    subsections=(
        vmstate_hpet_rtc_irq_level,
        vmstate_hpet_offset,
    ),
)


def hpet_device_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_hpet


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo("hpet", parent="sys-bus-device", instance_size=sizeof(HPETState), class_init=hpet_device_class_init)
    )

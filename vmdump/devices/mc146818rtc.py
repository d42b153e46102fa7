"""Real-time clock and CMOS RAM of the PC: mc146818rtc.

Demonstrates how a stream stays compatible: VMSTATE_UNUSED replaces removed fields, ``_V`` macros mark fields that were
added in a later version.

Source: QEMU 10.0 include/hw/rtc/mc146818rtc.h, hw/rtc/mc146818rtc.c.
"""

from ctypes import POINTER, Structure, c_int64, c_uint8, c_uint16, c_uint32, c_uint64, sizeof
from typing import Any

from vmdump.devices.isa import ISADevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BUFFER,
    VMSTATE_INT64,
    VMSTATE_INT64_V,
    VMSTATE_TIMER_PTR,
    VMSTATE_TIMER_PTR_V,
    VMSTATE_UINT8,
    VMSTATE_UINT16,
    VMSTATE_UINT32_V,
    VMSTATE_UINT64_V,
    VMSTATE_UNUSED,
    QEMUTimer,
    VMStateDescription,
)


class MC146818RtcState(Structure):
    """The clock, its 128 bytes of CMOS RAM and its timers."""

    _fields_ = [
        ("parent_obj", ISADevice),
        ("cmos_data", c_uint8 * 128),
        ("cmos_index", c_uint8),
        ("base_rtc", c_uint64),
        ("last_update", c_uint64),
        ("offset", c_int64),
        ("periodic_timer", POINTER(QEMUTimer)),
        ("next_periodic_time", c_int64),
        ("update_timer", POINTER(QEMUTimer)),
        ("next_alarm_time", c_uint64),
        ("irq_reinject_on_ack_count", c_uint16),
        ("irq_coalesced", c_uint32),
        ("period", c_uint32),
    ]


def rtc_irq_reinject_on_ack_count_needed(s: MC146818RtcState) -> bool:
    return bool(s.irq_reinject_on_ack_count != 0)


vmstate_rtc_irq_reinject_on_ack_count = VMStateDescription(
    "mc146818rtc/irq_reinject_on_ack_count",
    version_id=1,
    minimum_version_id=1,
    needed=rtc_irq_reinject_on_ack_count_needed,
    fields=(VMSTATE_UINT16("irq_reinject_on_ack_count", MC146818RtcState),),
)

vmstate_rtc = VMStateDescription(
    "mc146818rtc",
    version_id=3,
    minimum_version_id=1,
    pre_save=True,
    post_load=True,
    fields=(
        VMSTATE_BUFFER("cmos_data", MC146818RtcState),
        VMSTATE_UINT8("cmos_index", MC146818RtcState),
        VMSTATE_UNUSED(7 * 4),
        VMSTATE_TIMER_PTR("periodic_timer", MC146818RtcState),
        VMSTATE_INT64("next_periodic_time", MC146818RtcState),
        VMSTATE_UNUSED(3 * 8),
        VMSTATE_UINT32_V("irq_coalesced", MC146818RtcState, 2),
        VMSTATE_UINT32_V("period", MC146818RtcState, 2),
        VMSTATE_UINT64_V("base_rtc", MC146818RtcState, 3),
        VMSTATE_UINT64_V("last_update", MC146818RtcState, 3),
        VMSTATE_INT64_V("offset", MC146818RtcState, 3),
        VMSTATE_TIMER_PTR_V("update_timer", MC146818RtcState, 3),
        VMSTATE_UINT64_V("next_alarm_time", MC146818RtcState, 3),
    ),
    subsections=(vmstate_rtc_irq_reinject_on_ack_count,),
)


def rtc_class_initfn(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_rtc
    dc.categories |= DeviceCategory.MISC


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "mc146818rtc",
            parent="isa-device",
            instance_size=sizeof(MC146818RtcState),
            class_init=rtc_class_initfn,
        )
    )

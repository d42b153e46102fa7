"""Interval timer of the PC: isa-pit (emulated), kvm-pit (KVM), which inherit pit-common's description.

Source: QEMU 10.0 include/hw/timer/i8254_internal.h, hw/timer/i8254_common.c, hw/timer/i8254.c, hw/i386/kvm/i8254.c.
"""

from ctypes import POINTER, Structure, c_int, c_int64, c_uint8, c_uint16, c_uint32, c_void_p, sizeof
from typing import Any

from vmdump.devices.isa import ISADevice
from vmdump.qom import DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_INT32,
    VMSTATE_INT64,
    VMSTATE_STRUCT_ARRAY,
    VMSTATE_UINT8,
    VMSTATE_UINT16,
    VMSTATE_UINT32_V,
    QEMUTimer,
    VMStateDescription,
)


class PITChannelState(Structure):
    """A counter. All members are declared: 56 bytes, as printed in the dump."""

    _fields_ = [
        ("count", c_int),
        ("latched_count", c_uint16),
        ("count_latched", c_uint8),
        ("status_latched", c_uint8),
        ("status", c_uint8),
        ("read_state", c_uint8),
        ("write_state", c_uint8),
        ("write_latch", c_uint8),
        ("rw_mode", c_uint8),
        ("mode", c_uint8),
        ("bcd", c_uint8),
        ("gate", c_uint8),
        ("count_load_time", c_int64),
        ("next_transition_time", c_int64),
        ("irq_timer", POINTER(QEMUTimer)),
        ("irq", c_void_p),
        ("irq_disabled", c_uint32),
    ]


class PITCommonState(Structure):
    """The three counters."""

    _fields_ = [
        ("dev", ISADevice),
        ("channels", PITChannelState * 3),
    ]


vmstate_pit_channel = VMStateDescription(
    "pit channel",
    version_id=2,
    minimum_version_id=2,
    fields=(
        VMSTATE_INT32("count", PITChannelState),
        VMSTATE_UINT16("latched_count", PITChannelState),
        VMSTATE_UINT8("count_latched", PITChannelState),
        VMSTATE_UINT8("status_latched", PITChannelState),
        VMSTATE_UINT8("status", PITChannelState),
        VMSTATE_UINT8("read_state", PITChannelState),
        VMSTATE_UINT8("write_state", PITChannelState),
        VMSTATE_UINT8("write_latch", PITChannelState),
        VMSTATE_UINT8("rw_mode", PITChannelState),
        VMSTATE_UINT8("mode", PITChannelState),
        VMSTATE_UINT8("bcd", PITChannelState),
        VMSTATE_UINT8("gate", PITChannelState),
        VMSTATE_INT64("count_load_time", PITChannelState),
        VMSTATE_INT64("next_transition_time", PITChannelState),
    ),
)

vmstate_pit_common = VMStateDescription(
    "i8254",
    version_id=3,
    minimum_version_id=2,
    pre_save=True,
    post_load=True,
    fields=(
        VMSTATE_UINT32_V("channels[0].irq_disabled", PITCommonState, 3),
        VMSTATE_STRUCT_ARRAY("channels", PITCommonState, 3, 2, vmstate_pit_channel, PITChannelState),
        VMSTATE_INT64("channels[0].next_transition_time", PITCommonState),  # sent twice: old versions sent a timer here
    ),
)


def pit_common_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_pit_common
    dc.user_creatable = False  # board code wires it to the HPET


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "pit-common",
            parent="isa-device",
            instance_size=sizeof(PITCommonState),
            abstract=True,
            class_init=pit_common_class_init,
        )
    )
    table.type_register(TypeInfo("isa-pit", parent="pit-common", instance_size=sizeof(PITCommonState)))
    table.type_register(TypeInfo("kvm-pit", parent="pit-common", instance_size=sizeof(PITCommonState)))

"""Keyboard and mouse controller of the PC: i8042. Keyboard and mouse are devices of their own, see ps2.py.

Demonstrates subsections that are sent only if the value differs from the default, and a pre_save that converts state
into the encoding of older versions.

Source: QEMU 10.0 include/hw/input/i8042.h, hw/input/pckbd.c.
"""

from ctypes import POINTER, Structure, c_bool, c_uint8, c_uint32, sizeof
from typing import Any

from vmdump.devices.isa import ISADevice
from vmdump.devices.layout import sized
from vmdump.devices.qdev import timer_pending
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import VMSTATE_STRUCT, VMSTATE_UINT8, VMSTATE_UINT32, QEMUTimer, VMStateDescription

KBD_STAT_OBF = 0x01
KBD_STAT_MOUSE_OBF = 0x20
KBD_OUT_RESET = 0x01
KBD_OUT_A20 = 0x02
KBD_OUT_OBF = 0x10
KBD_OUT_MOUSE_OBF = 0x20
KBD_OUT_ONES = 0xCC
KBD_PENDING_KBD_COMPAT = 0x01
KBD_PENDING_AUX_COMPAT = 0x02
KBD_PENDING_KBD = 0x10
KBD_PENDING_AUX = 0x20
KBD_MIGR_TIMER_PENDING = 0x1


@sized(2312)
class KBDState(Structure):
    """The controller independently of its bus."""

    _fields_ = [
        ("write_cmd", c_uint8),
        ("status", c_uint8),
        ("mode", c_uint8),
        ("outport", c_uint8),
        ("migration_flags", c_uint32),
        ("obsrc", c_uint32),
        ("extended_state", c_bool),
        ("pending", c_uint8),
        ("obdata", c_uint8),
        ("cbdata", c_uint8),
        ("pending_tmp", c_uint8),
        ("throttle_timer", POINTER(QEMUTimer)),
    ]


class ISAKBDState(Structure):
    """The ISA device."""

    _fields_ = [
        ("parent_obj", ISADevice),
        ("kbd", KBDState),
    ]


def kbd_outport_default(s: KBDState) -> int:
    """Return the value of the output port that the status register implies."""
    outport = KBD_OUT_RESET | KBD_OUT_A20 | KBD_OUT_ONES
    if s.status & KBD_STAT_OBF:
        outport |= KBD_OUT_OBF
    if s.status & KBD_STAT_MOUSE_OBF:
        outport |= KBD_OUT_MOUSE_OBF
    return outport


def kbd_outport_needed(s: KBDState) -> bool:
    return bool(s.outport != kbd_outport_default(s))


vmstate_kbd_outport = VMStateDescription(
    "pckbd_outport",
    version_id=1,
    minimum_version_id=1,
    post_load=True,
    needed=kbd_outport_needed,
    fields=(VMSTATE_UINT8("outport", KBDState),),
)


def kbd_extended_state_pre_save(s: KBDState) -> int:
    s.migration_flags = KBD_MIGR_TIMER_PENDING if timer_pending(s.throttle_timer) else 0
    return 0


def kbd_extended_state_needed(s: KBDState) -> bool:
    return bool(s.extended_state)


vmstate_kbd_extended_state = VMStateDescription(
    "pckbd/extended_state",
    post_load=True,
    pre_save=kbd_extended_state_pre_save,
    needed=kbd_extended_state_needed,
    fields=(
        VMSTATE_UINT32("migration_flags", KBDState),
        VMSTATE_UINT32("obsrc", KBDState),
        VMSTATE_UINT8("obdata", KBDState),
        VMSTATE_UINT8("cbdata", KBDState),
    ),
)


def kbd_pre_save(s: KBDState) -> int:
    """Set ``pending_tmp``, the member that is sent: without extended state, in the encoding of older versions."""
    if s.extended_state:
        s.pending_tmp = s.pending
        return 0
    s.pending_tmp = 0
    if s.pending & KBD_PENDING_KBD:
        s.pending_tmp |= KBD_PENDING_KBD_COMPAT
    if s.pending & KBD_PENDING_AUX:
        s.pending_tmp |= KBD_PENDING_AUX_COMPAT
    return 0


vmstate_kbd = VMStateDescription(
    "pckbd",
    version_id=3,
    minimum_version_id=3,
    pre_load=True,
    post_load=True,
    pre_save=kbd_pre_save,
    fields=(
        VMSTATE_UINT8("write_cmd", KBDState),
        VMSTATE_UINT8("status", KBDState),
        VMSTATE_UINT8("mode", KBDState),
        VMSTATE_UINT8("pending_tmp", KBDState),
    ),
    subsections=(
        vmstate_kbd_outport,
        vmstate_kbd_extended_state,
    ),
)

vmstate_kbd_isa = VMStateDescription(
    "pckbd",
    version_id=3,
    minimum_version_id=3,
    fields=(VMSTATE_STRUCT("kbd", ISAKBDState, 0, vmstate_kbd, KBDState),),
)


def i8042_class_initfn(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_kbd_isa
    dc.categories |= DeviceCategory.INPUT


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo("i8042", parent="isa-device", instance_size=sizeof(ISAKBDState), class_init=i8042_class_initfn)
    )

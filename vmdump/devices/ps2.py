"""PS/2 keyboard and mouse: ps2-kbd, ps2-mouse.

Demonstrates a field that migrates the state of the base class, and a subsection with members of the base class.

Source: QEMU 10.0 include/hw/input/ps2.h, hw/input/ps2.c.
"""

from ctypes import Structure, c_bool, c_int, c_int32, c_uint, c_uint8, c_void_p, sizeof
from typing import Any

from vmdump.devices.qdev import SysBusDevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BOOL,
    VMSTATE_BUFFER,
    VMSTATE_INT32,
    VMSTATE_INT32_V,
    VMSTATE_STRUCT,
    VMSTATE_UINT8,
    VMStateDescription,
)

PS2_BUFFER_SIZE = 256


class PS2Queue(Structure):
    """Queue of bytes for the guest. ``cwptr``: index after the last reply to a command, -1 if there is none."""

    _fields_ = [
        ("data", c_uint8 * PS2_BUFFER_SIZE),
        ("rptr", c_int),
        ("wptr", c_int),
        ("cwptr", c_int),
        ("count", c_int),
    ]


class PS2State(Structure):
    """State common to keyboard and mouse."""

    _fields_ = [
        ("parent_obj", SysBusDevice),
        ("queue", PS2Queue),
        ("write_cmd", c_int32),
        ("irq", c_void_p),
    ]


class PS2KbdState(Structure):
    """The keyboard."""

    _fields_ = [
        ("parent_obj", PS2State),
        ("scan_enabled", c_int),
        ("translate", c_int),
        ("scancode_set", c_int),
        ("ledstate", c_int),
        ("need_high_bit", c_bool),
        ("modifiers", c_uint),
    ]


class PS2MouseState(Structure):
    """The mouse."""

    _fields_ = [
        ("parent_obj", PS2State),
        ("mouse_status", c_uint8),
        ("mouse_resolution", c_uint8),
        ("mouse_sample_rate", c_uint8),
        ("mouse_wrap", c_uint8),
        ("mouse_type", c_uint8),
        ("mouse_detect_state", c_uint8),
        ("mouse_dx", c_int),
        ("mouse_dy", c_int),
        ("mouse_dz", c_int),
        ("mouse_dw", c_int),
        ("mouse_buttons", c_uint8),
    ]


vmstate_ps2_common = VMStateDescription(
    "PS2 Common State",
    version_id=3,
    minimum_version_id=2,
    fields=(
        VMSTATE_INT32("write_cmd", PS2State),
        VMSTATE_INT32("queue.rptr", PS2State),
        VMSTATE_INT32("queue.wptr", PS2State),
        VMSTATE_INT32("queue.count", PS2State),
        VMSTATE_BUFFER("queue.data", PS2State),
    ),
)


def ps2_keyboard_ledstate_needed(s: PS2KbdState) -> bool:
    return bool(s.ledstate != 0)


vmstate_ps2_keyboard_ledstate = VMStateDescription(
    "ps2kbd/ledstate",
    version_id=3,
    minimum_version_id=2,
    post_load=True,
    needed=ps2_keyboard_ledstate_needed,
    fields=(VMSTATE_INT32("ledstate", PS2KbdState),),
)


def ps2_keyboard_need_high_bit_needed(s: PS2KbdState) -> bool:
    return bool(s.need_high_bit)


vmstate_ps2_keyboard_need_high_bit = VMStateDescription(
    "ps2kbd/need_high_bit",
    version_id=1,
    minimum_version_id=1,
    needed=ps2_keyboard_need_high_bit_needed,
    fields=(VMSTATE_BOOL("need_high_bit", PS2KbdState),),
)


def ps2_keyboard_cqueue_needed(s: PS2KbdState) -> bool:
    return bool(s.parent_obj.queue.cwptr != -1)


vmstate_ps2_keyboard_cqueue = VMStateDescription(
    "ps2kbd/command_reply_queue",
    needed=ps2_keyboard_cqueue_needed,
    fields=(VMSTATE_INT32("parent_obj.queue.cwptr", PS2KbdState),),
)

vmstate_ps2_keyboard = VMStateDescription(
    "ps2kbd",
    version_id=3,
    minimum_version_id=2,
    post_load=True,
    fields=(
        VMSTATE_STRUCT("parent_obj", PS2KbdState, 0, vmstate_ps2_common, PS2State),
        VMSTATE_INT32("scan_enabled", PS2KbdState),
        VMSTATE_INT32("translate", PS2KbdState),
        VMSTATE_INT32_V("scancode_set", PS2KbdState, 3),
    ),
    subsections=(
        vmstate_ps2_keyboard_ledstate,
        vmstate_ps2_keyboard_need_high_bit,
        vmstate_ps2_keyboard_cqueue,
    ),
)

vmstate_ps2_mouse = VMStateDescription(
    "ps2mouse",
    version_id=2,
    minimum_version_id=2,
    post_load=True,
    fields=(
        VMSTATE_STRUCT("parent_obj", PS2MouseState, 0, vmstate_ps2_common, PS2State),
        VMSTATE_UINT8("mouse_status", PS2MouseState),
        VMSTATE_UINT8("mouse_resolution", PS2MouseState),
        VMSTATE_UINT8("mouse_sample_rate", PS2MouseState),
        VMSTATE_UINT8("mouse_wrap", PS2MouseState),
        VMSTATE_UINT8("mouse_type", PS2MouseState),
        VMSTATE_UINT8("mouse_detect_state", PS2MouseState),
        VMSTATE_INT32("mouse_dx", PS2MouseState),
        VMSTATE_INT32("mouse_dy", PS2MouseState),
        VMSTATE_INT32("mouse_dz", PS2MouseState),
        VMSTATE_UINT8("mouse_buttons", PS2MouseState),
    ),
)


def ps2_class_init(dc: DeviceClass, data: Any) -> None:
    dc.categories |= DeviceCategory.INPUT


def ps2_kbd_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_ps2_keyboard


def ps2_mouse_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_ps2_mouse


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "ps2-device",
            parent="sys-bus-device",
            instance_size=sizeof(PS2State),
            abstract=True,
            class_init=ps2_class_init,
        )
    )
    table.type_register(
        TypeInfo("ps2-kbd", parent="ps2-device", instance_size=sizeof(PS2KbdState), class_init=ps2_kbd_class_init)
    )
    table.type_register(
        TypeInfo("ps2-mouse", parent="ps2-device", instance_size=sizeof(PS2MouseState), class_init=ps2_mouse_class_init)
    )

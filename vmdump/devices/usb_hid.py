"""USB keyboard, mouse and tablet: usb-kbd, usb-mouse, usb-tablet.

Demonstrates a union: one state struct with two descriptions.

Source: QEMU 10.0 include/hw/input/hid.h, hw/input/hid.c, hw/usb/dev-hid.c.
"""

from ctypes import POINTER, Structure, Union, c_bool, c_int, c_int32, c_uint8, c_uint16, c_uint32, c_void_p, sizeof
from typing import Any

from vmdump.devices.usb import VMSTATE_USB_DEVICE, USBDevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_INT32,
    VMSTATE_STRUCT,
    VMSTATE_STRUCT_ARRAY,
    VMSTATE_UINT8,
    VMSTATE_UINT8_ARRAY,
    VMSTATE_UINT16,
    VMSTATE_UINT32,
    VMSTATE_UINT32_ARRAY,
    QEMUTimer,
    VMStateDescription,
    VMStateField,
)

QUEUE_LENGTH = 16


class HIDPointerEvent(Structure):
    """A pointer event: relative movement of a mouse, absolute position of a tablet."""

    _fields_ = [
        ("xdx", c_int32),
        ("ydy", c_int32),
        ("dz", c_int32),
        ("buttons_state", c_int32),
    ]


class HIDMouseState(Structure):
    """Queue of events of a mouse or tablet."""

    _fields_ = [
        ("queue", HIDPointerEvent * QUEUE_LENGTH),
        ("mouse_grabbed", c_int),
    ]


class HIDKeyboardState(Structure):
    """Queue of key codes of a keyboard, and the keys that are pressed."""

    _fields_ = [
        ("keycodes", c_uint32 * QUEUE_LENGTH),
        ("modifiers", c_uint16),
        ("leds", c_uint8),
        ("key", c_uint8 * 16),
        ("keys", c_int32),
    ]


class HIDKindState(Union):
    """State that depends on the kind of device."""

    _fields_ = [
        ("ptr", HIDMouseState),
        ("kbd", HIDKeyboardState),
    ]


class HIDState(Structure):
    """A keyboard, mouse or tablet independently of its bus. All members are declared: 304 bytes."""

    _anonymous_ = ("u",)
    _fields_ = [
        ("u", HIDKindState),
        ("head", c_uint32),
        ("n", c_uint32),
        ("kind", c_int),
        ("protocol", c_int32),
        ("idle", c_uint8),
        ("idle_pending", c_bool),
        ("idle_timer", POINTER(QEMUTimer)),
        ("event", c_void_p),
        ("s", c_void_p),
    ]


class USBHIDState(Structure):
    """The USB device."""

    _fields_ = [
        ("dev", USBDevice),
        ("hid", HIDState),
    ]


vmstate_hid_ptr_queue = VMStateDescription(
    "HIDPointerEventQueue",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_INT32("xdx", HIDPointerEvent),
        VMSTATE_INT32("ydy", HIDPointerEvent),
        VMSTATE_INT32("dz", HIDPointerEvent),
        VMSTATE_INT32("buttons_state", HIDPointerEvent),
    ),
)

vmstate_hid_ptr_device = VMStateDescription(
    "HIDPointerDevice",
    version_id=1,
    minimum_version_id=1,
    post_load=True,
    fields=(
        VMSTATE_STRUCT_ARRAY("ptr.queue", HIDState, QUEUE_LENGTH, 0, vmstate_hid_ptr_queue, HIDPointerEvent),
        VMSTATE_UINT32("head", HIDState),
        VMSTATE_UINT32("n", HIDState),
        VMSTATE_INT32("protocol", HIDState),
        VMSTATE_UINT8("idle", HIDState),
    ),
)

vmstate_hid_keyboard_device = VMStateDescription(
    "HIDKeyboardDevice",
    version_id=1,
    minimum_version_id=1,
    post_load=True,
    fields=(
        VMSTATE_UINT32_ARRAY("kbd.keycodes", HIDState, QUEUE_LENGTH),
        VMSTATE_UINT32("head", HIDState),
        VMSTATE_UINT32("n", HIDState),
        VMSTATE_UINT16("kbd.modifiers", HIDState),
        VMSTATE_UINT8("kbd.leds", HIDState),
        VMSTATE_UINT8_ARRAY("kbd.key", HIDState, 16),
        VMSTATE_INT32("kbd.keys", HIDState),
        VMSTATE_INT32("protocol", HIDState),
        VMSTATE_UINT8("idle", HIDState),
    ),
)


def VMSTATE_HID_POINTER_DEVICE(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of a HIDState that is a mouse or tablet."""
    return VMSTATE_STRUCT(_field, _state, 0, vmstate_hid_ptr_device, HIDState)


def VMSTATE_HID_KEYBOARD_DEVICE(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of a HIDState that is a keyboard."""
    return VMSTATE_STRUCT(_field, _state, 0, vmstate_hid_keyboard_device, HIDState)


vmstate_usb_ptr = VMStateDescription(
    "usb-ptr",
    version_id=1,
    minimum_version_id=1,
    post_load=True,
    fields=(
        VMSTATE_USB_DEVICE("dev", USBHIDState),
        VMSTATE_HID_POINTER_DEVICE("hid", USBHIDState),
    ),
)

vmstate_usb_kbd = VMStateDescription(
    "usb-kbd",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_USB_DEVICE("dev", USBHIDState),
        VMSTATE_HID_KEYBOARD_DEVICE("hid", USBHIDState),
    ),
)


def usb_ptr_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_usb_ptr
    dc.categories |= DeviceCategory.INPUT


def usb_keyboard_class_initfn(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_usb_kbd
    dc.categories |= DeviceCategory.INPUT


def register_types(table: TypeTable) -> None:
    table.type_register(TypeInfo("usb-hid", parent="usb-device", instance_size=sizeof(USBHIDState), abstract=True))
    table.type_register(TypeInfo("usb-tablet", parent="usb-hid", class_init=usb_ptr_class_init))
    table.type_register(TypeInfo("usb-mouse", parent="usb-hid", class_init=usb_ptr_class_init))
    table.type_register(TypeInfo("usb-kbd", parent="usb-hid", class_init=usb_keyboard_class_initfn))

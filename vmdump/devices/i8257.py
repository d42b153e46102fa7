"""ISA DMA controller: i8257.

Demonstrates an array of structs that contain arrays.

Source: QEMU 10.0 include/hw/dma/i8257.h, hw/dma/i8257.c.
"""

from ctypes import Structure, c_int, c_int32, c_uint8, c_uint16, c_void_p, sizeof
from typing import Any

from vmdump.devices.isa import ISADevice
from vmdump.qom import DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_INT32,
    VMSTATE_INT32_ARRAY,
    VMSTATE_STRUCT_ARRAY,
    VMSTATE_UINT8,
    VMSTATE_UINT16_ARRAY,
    VMStateDescription,
)


class I8257Regs(Structure):
    """A channel."""

    _fields_ = [
        ("now", c_int * 2),
        ("base", c_uint16 * 2),
        ("mode", c_uint8),
        ("page", c_uint8),
        ("pageh", c_uint8),
        ("dack", c_uint8),
        ("eop", c_uint8),
        ("transfer_handler", c_void_p),
        ("opaque", c_void_p),
    ]


class I8257State(Structure):
    """A controller with four channels. A PC has two, cascaded."""

    _fields_ = [
        ("parent_obj", ISADevice),
        ("dshift", c_int32),
        ("command", c_uint8),
        ("mask", c_uint8),
        ("flip_flop", c_uint8),
        ("regs", I8257Regs * 4),
    ]


vmstate_i8257_regs = VMStateDescription(
    "dma_regs",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_INT32_ARRAY("now", I8257Regs, 2),
        VMSTATE_UINT16_ARRAY("base", I8257Regs, 2),
        VMSTATE_UINT8("mode", I8257Regs),
        VMSTATE_UINT8("page", I8257Regs),
        VMSTATE_UINT8("pageh", I8257Regs),
        VMSTATE_UINT8("dack", I8257Regs),
        VMSTATE_UINT8("eop", I8257Regs),
    ),
)

vmstate_i8257 = VMStateDescription(
    "dma",
    version_id=1,
    minimum_version_id=1,
    post_load=True,
    fields=(
        VMSTATE_UINT8("command", I8257State),
        VMSTATE_UINT8("mask", I8257State),
        VMSTATE_UINT8("flip_flop", I8257State),
        VMSTATE_INT32("dshift", I8257State),
        VMSTATE_STRUCT_ARRAY("regs", I8257State, 4, 1, vmstate_i8257_regs, I8257Regs),
    ),
)


def i8257_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_i8257
    dc.user_creatable = False  # board code connects it to the ISA bus


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo("i8257", parent="isa-device", instance_size=sizeof(I8257State), class_init=i8257_class_init)
    )

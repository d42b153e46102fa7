"""Interrupt controller of the PC: isa-i8259 (emulated), kvm-i8259 (KVM), which inherit pic-common's description.

Source: QEMU 10.0 include/hw/isa/i8259_internal.h, hw/intc/i8259_common.c, hw/intc/i8259.c, hw/i386/kvm/i8259.c.
"""

from ctypes import Structure, c_uint8, sizeof
from typing import Any

from vmdump.devices.isa import ISADevice
from vmdump.qom import DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import VMSTATE_UINT8, VMStateDescription


class PICCommonState(Structure):
    """One of two cascaded controllers."""

    _fields_ = [
        ("parent_obj", ISADevice),
        ("last_irr", c_uint8),
        ("irr", c_uint8),
        ("imr", c_uint8),
        ("isr", c_uint8),
        ("priority_add", c_uint8),
        ("irq_base", c_uint8),
        ("read_reg_select", c_uint8),
        ("poll", c_uint8),
        ("special_mask", c_uint8),
        ("init_state", c_uint8),
        ("auto_eoi", c_uint8),
        ("rotate_on_auto_eoi", c_uint8),
        ("special_fully_nested_mode", c_uint8),
        ("init4", c_uint8),
        ("single_mode", c_uint8),
        ("elcr", c_uint8),
        ("ltim", c_uint8),
    ]


def ltim_state_needed(s: PICCommonState) -> bool:
    return bool(s.ltim)


vmstate_pic_ltim = VMStateDescription(
    "i8259/ltim",
    version_id=1,
    minimum_version_id=1,
    needed=ltim_state_needed,
    fields=(VMSTATE_UINT8("ltim", PICCommonState),),
)

vmstate_pic_common = VMStateDescription(
    "i8259",
    version_id=1,
    minimum_version_id=1,
    pre_save=True,
    post_load=True,
    fields=(
        VMSTATE_UINT8("last_irr", PICCommonState),
        VMSTATE_UINT8("irr", PICCommonState),
        VMSTATE_UINT8("imr", PICCommonState),
        VMSTATE_UINT8("isr", PICCommonState),
        VMSTATE_UINT8("priority_add", PICCommonState),
        VMSTATE_UINT8("irq_base", PICCommonState),
        VMSTATE_UINT8("read_reg_select", PICCommonState),
        VMSTATE_UINT8("poll", PICCommonState),
        VMSTATE_UINT8("special_mask", PICCommonState),
        VMSTATE_UINT8("init_state", PICCommonState),
        VMSTATE_UINT8("auto_eoi", PICCommonState),
        VMSTATE_UINT8("rotate_on_auto_eoi", PICCommonState),
        VMSTATE_UINT8("special_fully_nested_mode", PICCommonState),
        VMSTATE_UINT8("init4", PICCommonState),
        VMSTATE_UINT8("single_mode", PICCommonState),
        VMSTATE_UINT8("elcr", PICCommonState),
    ),
    subsections=(vmstate_pic_ltim,),
)


def pic_common_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_pic_common
    dc.user_creatable = False  # board code wires its inputs and cascades the two controllers


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "pic-common",
            parent="isa-device",
            instance_size=sizeof(PICCommonState),
            abstract=True,
            class_init=pic_common_class_init,
        )
    )
    table.type_register(TypeInfo("isa-i8259", parent="pic-common", instance_size=sizeof(PICCommonState)))
    table.type_register(TypeInfo("kvm-i8259", parent="pic-common", instance_size=sizeof(PICCommonState)))

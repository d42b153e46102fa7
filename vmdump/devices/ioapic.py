"""I/O APIC: ioapic (emulated), kvm-ioapic (KVM), which inherit the description of the abstract ioapic-common.

Source: QEMU 10.0 hw/intc/ioapic_internal.h, hw/intc/ioapic_common.c, hw/intc/ioapic.c, hw/i386/kvm/ioapic.c.
"""

from ctypes import Structure, c_uint8, c_uint32, c_uint64, sizeof
from typing import Any

from vmdump.devices.qdev import SysBusDevice
from vmdump.qom import DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_UINT8,
    VMSTATE_UINT32_V,
    VMSTATE_UINT64_ARRAY,
    VMSTATE_UNUSED_V,
    VMStateDescription,
)

IOAPIC_NUM_PINS = 24


class IOAPICCommonState(Structure):
    """The redirection table and the registers to access it."""

    _fields_ = [
        ("busdev", SysBusDevice),
        ("id", c_uint8),
        ("ioregsel", c_uint8),
        ("irr", c_uint32),
        ("ioredtbl", c_uint64 * IOAPIC_NUM_PINS),
    ]


vmstate_ioapic_common = VMStateDescription(
    "ioapic",
    version_id=3,
    minimum_version_id=1,
    pre_save=True,
    post_load=True,
    fields=(
        VMSTATE_UINT8("id", IOAPICCommonState),
        VMSTATE_UINT8("ioregsel", IOAPICCommonState),
        VMSTATE_UNUSED_V(2, 8),  # sent by the qemu-kvm fork
        VMSTATE_UINT32_V("irr", IOAPICCommonState, 2),
        VMSTATE_UINT64_ARRAY("ioredtbl", IOAPICCommonState, IOAPIC_NUM_PINS),
    ),
)


def ioapic_common_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_ioapic_common


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "ioapic-common",
            parent="sys-bus-device",
            instance_size=sizeof(IOAPICCommonState),
            abstract=True,
            class_init=ioapic_common_class_init,
        )
    )
    table.type_register(TypeInfo("ioapic", parent="ioapic-common", instance_size=sizeof(IOAPICCommonState)))
    table.type_register(TypeInfo("kvm-ioapic", parent="ioapic-common", instance_size=sizeof(IOAPICCommonState)))

"""Intel 6300ESB watchdog: i6300esb.

Demonstrates a version_id that was chosen to exceed all those of released versions.

Source: QEMU 10.0 hw/watchdog/wdt_i6300esb.c.
"""

from ctypes import POINTER, Structure, c_int, c_uint32, sizeof
from typing import Any

from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import VMSTATE_INT32, VMSTATE_TIMER_PTR, VMSTATE_UINT32, QEMUTimer, VMStateDescription


class I6300State(Structure):
    """The watchdog."""

    _fields_ = [
        ("dev", PCIDevice),
        ("reboot_enabled", c_int),
        ("clock_scale", c_int),
        ("int_type", c_int),
        ("free_run", c_int),
        ("locked", c_int),
        ("enabled", c_int),
        ("timer", POINTER(QEMUTimer)),
        ("timer1_preload", c_uint32),
        ("timer2_preload", c_uint32),
        ("stage", c_int),
        ("unlock_state", c_int),
        ("previous_reboot_flag", c_int),
    ]


vmstate_i6300esb = VMStateDescription(
    "i6300esb_wdt",
    # version_id was sizeof(I6300State) once, which differed between builds. 10000 exceeds all of those.
    version_id=10000,
    minimum_version_id=1,
    fields=(
        VMSTATE_PCI_DEVICE("dev", I6300State),
        VMSTATE_INT32("reboot_enabled", I6300State),
        VMSTATE_INT32("clock_scale", I6300State),
        VMSTATE_INT32("int_type", I6300State),
        VMSTATE_INT32("free_run", I6300State),
        VMSTATE_INT32("locked", I6300State),
        VMSTATE_INT32("enabled", I6300State),
        VMSTATE_TIMER_PTR("timer", I6300State),
        VMSTATE_UINT32("timer1_preload", I6300State),
        VMSTATE_UINT32("timer2_preload", I6300State),
        VMSTATE_INT32("stage", I6300State),
        VMSTATE_INT32("unlock_state", I6300State),
        VMSTATE_INT32("previous_reboot_flag", I6300State),
    ),
)


def i6300esb_class_init(dc: DeviceClass, data: Any) -> None:
    dc.desc = "Intel 6300ESB"
    dc.vmsd = vmstate_i6300esb
    dc.categories |= DeviceCategory.WATCHDOG


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "i6300esb",
            parent="pci-device",
            instance_size=sizeof(I6300State),
            class_init=i6300esb_class_init,
            interfaces=("conventional-pci-device",),
        )
    )

"""LSI SCSI controllers: lsi53c895a, and lsi53c810, which inherits its description and differs only in the PCI ID.

Source: QEMU 10.0 hw/scsi/lsi53c895a.c.
"""

from ctypes import Structure, c_int, c_uint8, c_uint32, sizeof
from typing import Any

from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BUFFER,
    VMSTATE_BUFFER_UNSAFE,
    VMSTATE_INT32,
    VMSTATE_UINT8,
    VMSTATE_UINT8_V,
    VMSTATE_UINT32,
    VMStateDescription,
)

LSI_MAX_MSGIN_LEN = 8


class LSIState(Structure):
    """The controller with its registers and SCRIPTS RAM."""

    _fields_ = [
        ("parent_obj", PCIDevice),
        ("carry", c_int),
        ("status", c_int),
        ("msg_action", c_int),
        ("msg_len", c_int),
        ("msg", c_uint8 * LSI_MAX_MSGIN_LEN),
        ("waiting", c_int),
        ("dsa", c_uint32),
        ("temp", c_uint32),
        ("dnad", c_uint32),
        ("dbc", c_uint32),
        ("istat0", c_uint8),
        ("istat1", c_uint8),
        ("dcmd", c_uint8),
        ("dstat", c_uint8),
        ("dien", c_uint8),
        ("sist0", c_uint8),
        ("sist1", c_uint8),
        ("sien0", c_uint8),
        ("sien1", c_uint8),
        ("mbox0", c_uint8),
        ("mbox1", c_uint8),
        ("dfifo", c_uint8),
        ("ctest2", c_uint8),
        ("ctest3", c_uint8),
        ("ctest4", c_uint8),
        ("ctest5", c_uint8),
        ("ccntl0", c_uint8),
        ("ccntl1", c_uint8),
        ("dsp", c_uint32),
        ("dsps", c_uint32),
        ("dmode", c_uint8),
        ("dcntl", c_uint8),
        ("scntl0", c_uint8),
        ("scntl1", c_uint8),
        ("scntl2", c_uint8),
        ("scntl3", c_uint8),
        ("sstat0", c_uint8),
        ("sstat1", c_uint8),
        ("scid", c_uint8),
        ("sxfer", c_uint8),
        ("socl", c_uint8),
        ("sdid", c_uint8),
        ("ssid", c_uint8),
        ("sfbr", c_uint8),
        ("sbcl", c_uint8),
        ("stest1", c_uint8),
        ("stest2", c_uint8),
        ("stest3", c_uint8),
        ("sidl", c_uint8),
        ("stime0", c_uint8),
        ("respid0", c_uint8),
        ("respid1", c_uint8),
        ("mmrs", c_uint32),
        ("mmws", c_uint32),
        ("sfs", c_uint32),
        ("drs", c_uint32),
        ("sbms", c_uint32),
        ("dbms", c_uint32),
        ("dnad64", c_uint32),
        ("pmjad1", c_uint32),
        ("pmjad2", c_uint32),
        ("rbc", c_uint32),
        ("ua", c_uint32),
        ("ia", c_uint32),
        ("sbc", c_uint32),
        ("csbc", c_uint32),
        ("scratch", c_uint32 * 18),
        ("sbr", c_uint8),
        ("script_ram", c_uint8 * 8192),
    ]


vmstate_lsi_scsi = VMStateDescription(
    "lsiscsi",
    version_id=1,
    minimum_version_id=0,
    pre_save=True,
    post_load=True,
    fields=(
        VMSTATE_PCI_DEVICE("parent_obj", LSIState),
        VMSTATE_INT32("carry", LSIState),
        VMSTATE_INT32("status", LSIState),
        VMSTATE_INT32("msg_action", LSIState),
        VMSTATE_INT32("msg_len", LSIState),
        VMSTATE_BUFFER("msg", LSIState),
        VMSTATE_INT32("waiting", LSIState),
        VMSTATE_UINT32("dsa", LSIState),
        VMSTATE_UINT32("temp", LSIState),
        VMSTATE_UINT32("dnad", LSIState),
        VMSTATE_UINT32("dbc", LSIState),
        VMSTATE_UINT8("istat0", LSIState),
        VMSTATE_UINT8("istat1", LSIState),
        VMSTATE_UINT8("dcmd", LSIState),
        VMSTATE_UINT8("dstat", LSIState),
        VMSTATE_UINT8("dien", LSIState),
        VMSTATE_UINT8("sist0", LSIState),
        VMSTATE_UINT8("sist1", LSIState),
        VMSTATE_UINT8("sien0", LSIState),
        VMSTATE_UINT8("sien1", LSIState),
        VMSTATE_UINT8("mbox0", LSIState),
        VMSTATE_UINT8("mbox1", LSIState),
        VMSTATE_UINT8("dfifo", LSIState),
        VMSTATE_UINT8("ctest2", LSIState),
        VMSTATE_UINT8("ctest3", LSIState),
        VMSTATE_UINT8("ctest4", LSIState),
        VMSTATE_UINT8("ctest5", LSIState),
        VMSTATE_UINT8("ccntl0", LSIState),
        VMSTATE_UINT8("ccntl1", LSIState),
        VMSTATE_UINT32("dsp", LSIState),
        VMSTATE_UINT32("dsps", LSIState),
        VMSTATE_UINT8("dmode", LSIState),
        VMSTATE_UINT8("dcntl", LSIState),
        VMSTATE_UINT8("scntl0", LSIState),
        VMSTATE_UINT8("scntl1", LSIState),
        VMSTATE_UINT8("scntl2", LSIState),
        VMSTATE_UINT8("scntl3", LSIState),
        VMSTATE_UINT8("sstat0", LSIState),
        VMSTATE_UINT8("sstat1", LSIState),
        VMSTATE_UINT8("scid", LSIState),
        VMSTATE_UINT8("sxfer", LSIState),
        VMSTATE_UINT8("socl", LSIState),
        VMSTATE_UINT8("sdid", LSIState),
        VMSTATE_UINT8("ssid", LSIState),
        VMSTATE_UINT8("sfbr", LSIState),
        VMSTATE_UINT8("stest1", LSIState),
        VMSTATE_UINT8("stest2", LSIState),
        VMSTATE_UINT8("stest3", LSIState),
        VMSTATE_UINT8("sidl", LSIState),
        VMSTATE_UINT8("stime0", LSIState),
        VMSTATE_UINT8("respid0", LSIState),
        VMSTATE_UINT8("respid1", LSIState),
        VMSTATE_UINT8_V("sbcl", LSIState, 1),
        VMSTATE_UINT32("mmrs", LSIState),
        VMSTATE_UINT32("mmws", LSIState),
        VMSTATE_UINT32("sfs", LSIState),
        VMSTATE_UINT32("drs", LSIState),
        VMSTATE_UINT32("sbms", LSIState),
        VMSTATE_UINT32("dbms", LSIState),
        VMSTATE_UINT32("dnad64", LSIState),
        VMSTATE_UINT32("pmjad1", LSIState),
        VMSTATE_UINT32("pmjad2", LSIState),
        VMSTATE_UINT32("rbc", LSIState),
        VMSTATE_UINT32("ua", LSIState),
        VMSTATE_UINT32("ia", LSIState),
        VMSTATE_UINT32("sbc", LSIState),
        VMSTATE_UINT32("csbc", LSIState),
        # UNSAFE: no check that the member is an array of bytes. It has 32-bit words, sent in the host's byte order.
        VMSTATE_BUFFER_UNSAFE("scratch", LSIState, 0, 18 * sizeof(c_uint32)),
        VMSTATE_UINT8("sbr", LSIState),
        VMSTATE_BUFFER_UNSAFE("script_ram", LSIState, 0, 8192),
    ),
)


def lsi_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_lsi_scsi
    dc.categories |= DeviceCategory.STORAGE


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "lsi53c895a",
            parent="pci-device",
            instance_size=sizeof(LSIState),
            class_init=lsi_class_init,
            interfaces=("conventional-pci-device",),
        )
    )
    table.type_register(TypeInfo("lsi53c810", parent="lsi53c895a"))

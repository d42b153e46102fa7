"""SATA controller of the ICH9: ich9-ahci.

Demonstrates descriptions nested over several levels: each AHCI port embeds an IDE bus and migrates ide.py's
description.

Source: QEMU 10.0 include/hw/ide/ahci.h, hw/ide/ahci-internal.h, hw/ide/ahci.c, hw/ide/ich.c.
"""

from ctypes import POINTER, Structure, c_bool, c_int32, c_uint8, c_uint32, c_uint64, sizeof
from typing import Any

from vmdump.devices.ide import VMSTATE_IDE_BUS, VMSTATE_IDE_DRIVE, IDEBus
from vmdump.devices.layout import sized
from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BOOL,
    VMSTATE_INT32,
    VMSTATE_STRUCT,
    VMSTATE_STRUCT_ARRAY,
    VMSTATE_STRUCT_VARRAY_POINTER_UINT32,
    VMSTATE_UINT8,
    VMSTATE_UINT32,
    VMSTATE_UINT32_EQUAL,
    VMSTATE_UINT64,
    VMStateDescription,
    VMStateField,
)

AHCI_MAX_CMDS = 32


@sized(112)
class NCQTransferState(Structure):
    """A command of Native Command Queuing."""

    _fields_ = [
        ("sector_count", c_uint32),
        ("lba", c_uint64),
        ("tag", c_uint8),
        ("cmd", c_uint8),
        ("slot", c_uint8),
        ("used", c_bool),
        ("halt", c_bool),
    ]


class AHCIPortRegs(Structure):
    """Registers of a port, as the guest sees them."""

    _fields_ = [
        ("lst_addr", c_uint32),
        ("lst_addr_hi", c_uint32),
        ("fis_addr", c_uint32),
        ("fis_addr_hi", c_uint32),
        ("irq_stat", c_uint32),
        ("irq_mask", c_uint32),
        ("cmd", c_uint32),
        ("unused0", c_uint32),
        ("tfdata", c_uint32),
        ("sig", c_uint32),
        ("scr_stat", c_uint32),
        ("scr_ctl", c_uint32),
        ("scr_err", c_uint32),
        ("scr_act", c_uint32),
        ("cmd_issue", c_uint32),
        ("reserved", c_uint32),
    ]


@sized(6088)
class AHCIDevice(Structure):
    """A port with its drive."""

    _fields_ = [
        ("port", IDEBus),
        ("port_state", c_uint32),
        ("finished", c_uint32),
        ("port_regs", AHCIPortRegs),
        ("done_first_drq", c_bool),
        ("busy_slot", c_int32),
        ("init_d2h_sent", c_bool),
        ("ncq_tfs", NCQTransferState * AHCI_MAX_CMDS),
    ]


class AHCIControlRegs(Structure):
    """Registers of the controller, as the guest sees them."""

    _fields_ = [
        ("cap", c_uint32),
        ("ghc", c_uint32),
        ("irqstatus", c_uint32),
        ("impl", c_uint32),
        ("version", c_uint32),
    ]


@sized(608)
class AHCIState(Structure):
    """The controller independently of its bus. ``dev`` has ``ports`` elements."""

    _fields_ = [
        ("dev", POINTER(AHCIDevice)),
        ("control_regs", AHCIControlRegs),
        ("idp_index", c_uint32),
        ("ports", c_uint32),
    ]


class AHCIPCIState(Structure):
    """The PCI function."""

    _fields_ = [
        ("parent_obj", PCIDevice),
        ("ahci", AHCIState),
    ]


vmstate_ncq_tfs = VMStateDescription(
    "ncq state",
    version_id=1,
    fields=(
        VMSTATE_UINT32("sector_count", NCQTransferState),
        VMSTATE_UINT64("lba", NCQTransferState),
        VMSTATE_UINT8("tag", NCQTransferState),
        VMSTATE_UINT8("cmd", NCQTransferState),
        VMSTATE_UINT8("slot", NCQTransferState),
        VMSTATE_BOOL("used", NCQTransferState),
        VMSTATE_BOOL("halt", NCQTransferState),
    ),
)

vmstate_ahci_device = VMStateDescription(
    "ahci port",
    version_id=1,
    fields=(
        VMSTATE_IDE_BUS("port", AHCIDevice),
        VMSTATE_IDE_DRIVE("port.ifs[0]", AHCIDevice),
        VMSTATE_UINT32("port_state", AHCIDevice),
        VMSTATE_UINT32("finished", AHCIDevice),
        VMSTATE_UINT32("port_regs.lst_addr", AHCIDevice),
        VMSTATE_UINT32("port_regs.lst_addr_hi", AHCIDevice),
        VMSTATE_UINT32("port_regs.fis_addr", AHCIDevice),
        VMSTATE_UINT32("port_regs.fis_addr_hi", AHCIDevice),
        VMSTATE_UINT32("port_regs.irq_stat", AHCIDevice),
        VMSTATE_UINT32("port_regs.irq_mask", AHCIDevice),
        VMSTATE_UINT32("port_regs.cmd", AHCIDevice),
        VMSTATE_UINT32("port_regs.tfdata", AHCIDevice),
        VMSTATE_UINT32("port_regs.sig", AHCIDevice),
        VMSTATE_UINT32("port_regs.scr_stat", AHCIDevice),
        VMSTATE_UINT32("port_regs.scr_ctl", AHCIDevice),
        VMSTATE_UINT32("port_regs.scr_err", AHCIDevice),
        VMSTATE_UINT32("port_regs.scr_act", AHCIDevice),
        VMSTATE_UINT32("port_regs.cmd_issue", AHCIDevice),
        VMSTATE_BOOL("done_first_drq", AHCIDevice),
        VMSTATE_INT32("busy_slot", AHCIDevice),
        VMSTATE_BOOL("init_d2h_sent", AHCIDevice),
        VMSTATE_STRUCT_ARRAY("ncq_tfs", AHCIDevice, AHCI_MAX_CMDS, 1, vmstate_ncq_tfs, NCQTransferState),
    ),
)

vmstate_ahci = VMStateDescription(
    "ahci",
    version_id=1,
    post_load=True,
    fields=(
        VMSTATE_STRUCT_VARRAY_POINTER_UINT32("dev", AHCIState, "ports", vmstate_ahci_device, AHCIDevice),
        VMSTATE_UINT32("control_regs.cap", AHCIState),
        VMSTATE_UINT32("control_regs.ghc", AHCIState),
        VMSTATE_UINT32("control_regs.irqstatus", AHCIState),
        VMSTATE_UINT32("control_regs.impl", AHCIState),
        VMSTATE_UINT32("control_regs.version", AHCIState),
        VMSTATE_UINT32("idp_index", AHCIState),
        # The count follows the array that it counts: if the destination has another number of ports, it reads the
        # check value from the wrong place in the stream.
        VMSTATE_UINT32_EQUAL("ports", AHCIState, None),
    ),
)


def VMSTATE_AHCI(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of an AHCIState."""
    return VMSTATE_STRUCT(_field, _state, 0, vmstate_ahci, AHCIState)


vmstate_ich9_ahci = VMStateDescription(
    "ich9_ahci",
    version_id=1,
    fields=(
        VMSTATE_PCI_DEVICE("parent_obj", AHCIPCIState),
        VMSTATE_AHCI("ahci", AHCIPCIState),
    ),
)


def ich_ahci_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_ich9_ahci
    dc.categories |= DeviceCategory.STORAGE


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "ich9-ahci",
            parent="pci-device",
            instance_size=sizeof(AHCIPCIState),
            class_init=ich_ahci_class_init,
            interfaces=("conventional-pci-device",),
        )
    )

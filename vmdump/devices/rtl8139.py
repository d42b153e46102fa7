"""Realtek RTL8139C+ network card: rtl8139.

Demonstrates fields for members of nested structs, fields added in versions 4 and 5, and a subsection without fields,
whose presence in the stream is the information.

Source: QEMU 10.0 hw/net/rtl8139.c.
"""

from ctypes import Structure, c_int, c_int64, c_uint8, c_uint16, c_uint32, c_uint64, sizeof
from typing import Any

from vmdump.devices.net import VMSTATE_MACADDR, NICConf
from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BUFFER,
    VMSTATE_INT32,
    VMSTATE_INT64,
    VMSTATE_PARTIAL_BUFFER,
    VMSTATE_UINT8,
    VMSTATE_UINT16,
    VMSTATE_UINT16_ARRAY,
    VMSTATE_UINT32,
    VMSTATE_UINT32_ARRAY,
    VMSTATE_UINT32_V,
    VMSTATE_UINT64,
    VMSTATE_UNUSED,
    VMStateDescription,
)

EEPROM_9346_SIZE = 64


class EEprom9346(Structure):
    """Serial EEPROM of the card."""

    _fields_ = [
        ("contents", c_uint16 * EEPROM_9346_SIZE),
        ("mode", c_int),
        ("tick", c_uint32),
        ("address", c_uint8),
        ("input", c_uint16),
        ("output", c_uint16),
        ("eecs", c_uint8),
        ("eesk", c_uint8),
        ("eedi", c_uint8),
        ("eedo", c_uint8),
    ]


class RTL8139TallyCounters(Structure):
    """Statistics counters of the card."""

    _fields_ = [
        ("TxOk", c_uint64),
        ("RxOk", c_uint64),
        ("TxERR", c_uint64),
        ("RxERR", c_uint32),
        ("MissPkt", c_uint16),
        ("FAE", c_uint16),
        ("Tx1Col", c_uint32),
        ("TxMCol", c_uint32),
        ("RxOkPhy", c_uint64),
        ("RxOkBrd", c_uint64),
        ("RxOkMul", c_uint32),
        ("TxAbt", c_uint16),
        ("TxUndrn", c_uint16),
    ]


class RTL8139State(Structure):
    """The card."""

    _fields_ = [
        ("parent_obj", PCIDevice),
        ("phys", c_uint8 * 8),
        ("mult", c_uint8 * 8),
        ("TxStatus", c_uint32 * 4),
        ("TxAddr", c_uint32 * 4),
        ("RxBuf", c_uint32),
        ("RxBufferSize", c_uint32),
        ("RxBufPtr", c_uint32),
        ("RxBufAddr", c_uint32),
        ("IntrStatus", c_uint16),
        ("IntrMask", c_uint16),
        ("TxConfig", c_uint32),
        ("RxConfig", c_uint32),
        ("RxMissed", c_uint32),
        ("CSCR", c_uint16),
        ("Cfg9346", c_uint8),
        ("Config0", c_uint8),
        ("Config1", c_uint8),
        ("Config3", c_uint8),
        ("Config4", c_uint8),
        ("Config5", c_uint8),
        ("clock_enabled", c_uint8),
        ("bChipCmdState", c_uint8),
        ("MultiIntr", c_uint16),
        ("BasicModeCtrl", c_uint16),
        ("BasicModeStatus", c_uint16),
        ("NWayAdvert", c_uint16),
        ("NWayLPAR", c_uint16),
        ("NWayExpansion", c_uint16),
        ("CpCmd", c_uint16),
        ("TxThresh", c_uint8),
        ("conf", NICConf),
        ("currTxDesc", c_uint32),
        ("cplus_enabled", c_uint32),
        ("currCPlusRxDesc", c_uint32),
        ("currCPlusTxDesc", c_uint32),
        ("RxRingAddrLO", c_uint32),
        ("RxRingAddrHI", c_uint32),
        ("eeprom", EEprom9346),
        ("TCTR", c_uint32),
        ("TimerInt", c_uint32),
        ("TCTR_base", c_int64),
        ("tally_counters", RTL8139TallyCounters),
        ("rtl8139_mmio_io_addr_dummy", c_int),
    ]


vmstate_rtl8139_hotplug_ready = VMStateDescription(
    "rtl8139/hotplug_ready",
    version_id=1,
    minimum_version_id=1,
    needed=True,  # depends on the machine: whether a device has been hotplugged or unplugged
    fields=(),
)

vmstate_rtl8139 = VMStateDescription(
    "rtl8139",
    version_id=5,
    minimum_version_id=3,
    post_load=True,
    pre_save=True,
    fields=(
        VMSTATE_PCI_DEVICE("parent_obj", RTL8139State),
        VMSTATE_PARTIAL_BUFFER("phys", RTL8139State, 6),
        VMSTATE_BUFFER("mult", RTL8139State),
        VMSTATE_UINT32_ARRAY("TxStatus", RTL8139State, 4),
        VMSTATE_UINT32_ARRAY("TxAddr", RTL8139State, 4),
        VMSTATE_UINT32("RxBuf", RTL8139State),
        VMSTATE_UINT32("RxBufferSize", RTL8139State),
        VMSTATE_UINT32("RxBufPtr", RTL8139State),
        VMSTATE_UINT32("RxBufAddr", RTL8139State),
        VMSTATE_UINT16("IntrStatus", RTL8139State),
        VMSTATE_UINT16("IntrMask", RTL8139State),
        VMSTATE_UINT32("TxConfig", RTL8139State),
        VMSTATE_UINT32("RxConfig", RTL8139State),
        VMSTATE_UINT32("RxMissed", RTL8139State),
        VMSTATE_UINT16("CSCR", RTL8139State),
        VMSTATE_UINT8("Cfg9346", RTL8139State),
        VMSTATE_UINT8("Config0", RTL8139State),
        VMSTATE_UINT8("Config1", RTL8139State),
        VMSTATE_UINT8("Config3", RTL8139State),
        VMSTATE_UINT8("Config4", RTL8139State),
        VMSTATE_UINT8("Config5", RTL8139State),
        VMSTATE_UINT8("clock_enabled", RTL8139State),
        VMSTATE_UINT8("bChipCmdState", RTL8139State),
        VMSTATE_UINT16("MultiIntr", RTL8139State),
        VMSTATE_UINT16("BasicModeCtrl", RTL8139State),
        VMSTATE_UINT16("BasicModeStatus", RTL8139State),
        VMSTATE_UINT16("NWayAdvert", RTL8139State),
        VMSTATE_UINT16("NWayLPAR", RTL8139State),
        VMSTATE_UINT16("NWayExpansion", RTL8139State),
        VMSTATE_UINT16("CpCmd", RTL8139State),
        VMSTATE_UINT8("TxThresh", RTL8139State),
        VMSTATE_UNUSED(4),
        VMSTATE_MACADDR("conf.macaddr", RTL8139State),
        VMSTATE_INT32("rtl8139_mmio_io_addr_dummy", RTL8139State),
        VMSTATE_UINT32("currTxDesc", RTL8139State),
        VMSTATE_UINT32("currCPlusRxDesc", RTL8139State),
        VMSTATE_UINT32("currCPlusTxDesc", RTL8139State),
        VMSTATE_UINT32("RxRingAddrLO", RTL8139State),
        VMSTATE_UINT32("RxRingAddrHI", RTL8139State),
        VMSTATE_UINT16_ARRAY("eeprom.contents", RTL8139State, EEPROM_9346_SIZE),
        VMSTATE_INT32("eeprom.mode", RTL8139State),
        VMSTATE_UINT32("eeprom.tick", RTL8139State),
        VMSTATE_UINT8("eeprom.address", RTL8139State),
        VMSTATE_UINT16("eeprom.input", RTL8139State),
        VMSTATE_UINT16("eeprom.output", RTL8139State),
        VMSTATE_UINT8("eeprom.eecs", RTL8139State),
        VMSTATE_UINT8("eeprom.eesk", RTL8139State),
        VMSTATE_UINT8("eeprom.eedi", RTL8139State),
        VMSTATE_UINT8("eeprom.eedo", RTL8139State),
        VMSTATE_UINT32("TCTR", RTL8139State),
        VMSTATE_UINT32("TimerInt", RTL8139State),
        VMSTATE_INT64("TCTR_base", RTL8139State),
        VMSTATE_UINT64("tally_counters.TxOk", RTL8139State),
        VMSTATE_UINT64("tally_counters.RxOk", RTL8139State),
        VMSTATE_UINT64("tally_counters.TxERR", RTL8139State),
        VMSTATE_UINT32("tally_counters.RxERR", RTL8139State),
        VMSTATE_UINT16("tally_counters.MissPkt", RTL8139State),
        VMSTATE_UINT16("tally_counters.FAE", RTL8139State),
        VMSTATE_UINT32("tally_counters.Tx1Col", RTL8139State),
        VMSTATE_UINT32("tally_counters.TxMCol", RTL8139State),
        VMSTATE_UINT64("tally_counters.RxOkPhy", RTL8139State),
        VMSTATE_UINT64("tally_counters.RxOkBrd", RTL8139State),
        VMSTATE_UINT32_V("tally_counters.RxOkMul", RTL8139State, 5),
        VMSTATE_UINT16("tally_counters.TxAbt", RTL8139State),
        VMSTATE_UINT16("tally_counters.TxUndrn", RTL8139State),
        VMSTATE_UINT32_V("cplus_enabled", RTL8139State, 4),
    ),
    subsections=(vmstate_rtl8139_hotplug_ready,),
)


def rtl8139_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_rtl8139
    dc.categories |= DeviceCategory.NETWORK


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "rtl8139",
            parent="pci-device",
            instance_size=sizeof(RTL8139State),
            class_init=rtl8139_class_init,
            interfaces=("conventional-pci-device",),
        )
    )

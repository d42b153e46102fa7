"""Intel's 8254x network cards: e1000, e1000-82544gc, e1000-82545em.

Demonstrates array elements selected by register name, sub-arrays, a field that only version 1 sends, and subsections
that old machine types disable for compatibility with older QEMU versions.

Source: QEMU 10.0 hw/net/e1000.c, hw/net/e1000x_common.h, hw/net/e1000x_regs.h, hw/net/e1000_regs.h.
"""

from ctypes import Structure, c_bool, c_int8, c_ubyte, c_uint8, c_uint16, c_uint32, sizeof
from typing import Any

from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BOOL,
    VMSTATE_BUFFER,
    VMSTATE_INT8,
    VMSTATE_UINT8,
    VMSTATE_UINT16,
    VMSTATE_UINT16_ARRAY,
    VMSTATE_UINT32,
    VMSTATE_UINT32_ARRAY,
    VMSTATE_UINT32_SUB_ARRAY,
    VMSTATE_UNUSED,
    VMSTATE_UNUSED_TEST,
    VMStateDescription,
)

E1000_FLAG_MAC = 1 << 2
E1000_FLAG_TSO = 1 << 3
E1000_MC_TBL_SIZE = 128
E1000_VLAN_FILTER_TBL_SIZE = 128


class TxdProps(Structure):
    """Offload context of a transmit descriptor (QEMU's e1000x_txd_props)."""

    _fields_ = [
        ("ipcss", c_uint8),
        ("ipcso", c_uint8),
        ("ipcse", c_uint16),
        ("tucss", c_uint8),
        ("tucso", c_uint8),
        ("tucse", c_uint16),
        ("paylen", c_uint32),
        ("hdr_len", c_uint8),
        ("mss", c_uint16),
        ("ip", c_int8),
        ("tcp", c_int8),
        ("tse", c_bool),
    ]


class Tx(Structure):
    """A packet being transmitted (QEMU's struct e1000_tx)."""

    _fields_ = [
        ("header", c_ubyte * 256),
        ("data", c_ubyte * 0x10000),
        ("size", c_uint16),
        ("sum_needed", c_ubyte),
        ("props", TxdProps),
        ("tso_props", TxdProps),
        ("tso_frames", c_uint16),
    ]


class EECDState(Structure):
    """State of the serial EEPROM interface within a word."""

    _fields_ = [
        ("val_in", c_uint32),
        ("bitnum_in", c_uint16),
        ("bitnum_out", c_uint16),
        ("reading", c_uint16),
        ("old_eecd", c_uint32),
    ]


class E1000State(Structure):
    """The card."""

    _fields_ = [
        ("parent_obj", PCIDevice),
        ("mac_reg", c_uint32 * 0x8000),
        ("phy_reg", c_uint16 * 0x20),
        ("eeprom_data", c_uint16 * 64),
        ("rxbuf_size", c_uint32),
        ("rxbuf_min_shift", c_uint32),
        ("tx", Tx),
        ("eecd_state", EECDState),
        ("mit_irq_level", c_bool),
        ("compat_flags", c_uint32),
        ("received_tx_tso", c_bool),
        ("use_tso_for_migration", c_bool),
        ("mig_props", TxdProps),
    ]

    # Indices of registers in mac_reg[]: offset in the BAR in bytes, divided by the size of a register. Names used as
    # indices, as in "mac_reg[CTRL]", are looked up as attributes of the struct.
    CTRL = 0x00000 >> 2
    STATUS = 0x00008 >> 2
    EECD = 0x00010 >> 2
    EERD = 0x00014 >> 2
    MDIC = 0x00020 >> 2
    VET = 0x00038 >> 2
    ICR = 0x000C0 >> 2
    ITR = 0x000C4 >> 2
    ICS = 0x000C8 >> 2
    IMS = 0x000D0 >> 2
    IMC = 0x000D8 >> 2
    RCTL = 0x00100 >> 2
    TCTL = 0x00400 >> 2
    LEDCTL = 0x00E00 >> 2
    PBA = 0x01000 >> 2
    RDBAL = 0x02800 >> 2
    RDBAH = 0x02804 >> 2
    RDLEN = 0x02808 >> 2
    RDH = 0x02810 >> 2
    RDT = 0x02818 >> 2
    RDTR = 0x02820 >> 2
    RADV = 0x0282C >> 2
    TDBAL = 0x03800 >> 2
    TDBAH = 0x03804 >> 2
    TDLEN = 0x03808 >> 2
    TDH = 0x03810 >> 2
    TDT = 0x03818 >> 2
    TXDCTL = 0x03828 >> 2
    TADV = 0x0382C >> 2
    MPC = 0x04010 >> 2
    GPRC = 0x04074 >> 2
    GPTC = 0x04080 >> 2
    TORL = 0x040C0 >> 2
    TORH = 0x040C4 >> 2
    TOTL = 0x040C8 >> 2
    TOTH = 0x040CC >> 2
    TPR = 0x040D0 >> 2
    TPT = 0x040D4 >> 2
    MTA = 0x05200 >> 2
    RA = 0x05400 >> 2
    VFTA = 0x05600 >> 2
    WUFC = 0x05808 >> 2
    MANC = 0x05820 >> 2
    SWSM = 0x05B50 >> 2


def is_version_1(s: E1000State, version_id: int) -> bool:
    return version_id == 1


def e1000_tx_tso_post_load(s: E1000State, version_id: int) -> int:
    s.received_tx_tso = True
    return 0


def e1000_full_mac_needed(s: E1000State) -> bool:
    return bool(s.compat_flags & E1000_FLAG_MAC)


def e1000_tso_state_needed(s: E1000State) -> bool:
    return bool(s.compat_flags & E1000_FLAG_TSO)


vmstate_e1000_mit_state = VMStateDescription(
    "e1000/mit_state",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT32("mac_reg[RDTR]", E1000State),
        VMSTATE_UINT32("mac_reg[RADV]", E1000State),
        VMSTATE_UINT32("mac_reg[TADV]", E1000State),
        VMSTATE_UINT32("mac_reg[ITR]", E1000State),
        VMSTATE_BOOL("mit_irq_level", E1000State),
    ),
)

vmstate_e1000_full_mac_state = VMStateDescription(
    "e1000/full_mac_state",
    version_id=1,
    minimum_version_id=1,
    needed=e1000_full_mac_needed,
    fields=(VMSTATE_UINT32_ARRAY("mac_reg", E1000State, 0x8000),),
)

vmstate_e1000_tx_tso_state = VMStateDescription(
    "e1000/tx_tso_state",
    version_id=1,
    minimum_version_id=1,
    needed=e1000_tso_state_needed,
    post_load=e1000_tx_tso_post_load,
    fields=(
        VMSTATE_UINT8("tx.tso_props.ipcss", E1000State),
        VMSTATE_UINT8("tx.tso_props.ipcso", E1000State),
        VMSTATE_UINT16("tx.tso_props.ipcse", E1000State),
        VMSTATE_UINT8("tx.tso_props.tucss", E1000State),
        VMSTATE_UINT8("tx.tso_props.tucso", E1000State),
        VMSTATE_UINT16("tx.tso_props.tucse", E1000State),
        VMSTATE_UINT32("tx.tso_props.paylen", E1000State),
        VMSTATE_UINT8("tx.tso_props.hdr_len", E1000State),
        VMSTATE_UINT16("tx.tso_props.mss", E1000State),
        VMSTATE_INT8("tx.tso_props.ip", E1000State),
        VMSTATE_INT8("tx.tso_props.tcp", E1000State),
    ),
)

vmstate_e1000 = VMStateDescription(
    "e1000",
    version_id=2,
    minimum_version_id=1,
    pre_save=True,
    post_load=True,
    fields=(
        VMSTATE_PCI_DEVICE("parent_obj", E1000State),
        VMSTATE_UNUSED_TEST(is_version_1, 4),  # an instance id
        VMSTATE_UNUSED(4),  # the MMIO region's address
        VMSTATE_UINT32("rxbuf_size", E1000State),
        VMSTATE_UINT32("rxbuf_min_shift", E1000State),
        VMSTATE_UINT32("eecd_state.val_in", E1000State),
        VMSTATE_UINT16("eecd_state.bitnum_in", E1000State),
        VMSTATE_UINT16("eecd_state.bitnum_out", E1000State),
        VMSTATE_UINT16("eecd_state.reading", E1000State),
        VMSTATE_UINT32("eecd_state.old_eecd", E1000State),
        VMSTATE_UINT8("mig_props.ipcss", E1000State),
        VMSTATE_UINT8("mig_props.ipcso", E1000State),
        VMSTATE_UINT16("mig_props.ipcse", E1000State),
        VMSTATE_UINT8("mig_props.tucss", E1000State),
        VMSTATE_UINT8("mig_props.tucso", E1000State),
        VMSTATE_UINT16("mig_props.tucse", E1000State),
        VMSTATE_UINT32("mig_props.paylen", E1000State),
        VMSTATE_UINT8("mig_props.hdr_len", E1000State),
        VMSTATE_UINT16("mig_props.mss", E1000State),
        VMSTATE_UINT16("tx.size", E1000State),
        VMSTATE_UINT16("tx.tso_frames", E1000State),
        VMSTATE_UINT8("tx.sum_needed", E1000State),
        VMSTATE_INT8("mig_props.ip", E1000State),
        VMSTATE_INT8("mig_props.tcp", E1000State),
        VMSTATE_BUFFER("tx.header", E1000State),
        VMSTATE_BUFFER("tx.data", E1000State),
        VMSTATE_UINT16_ARRAY("eeprom_data", E1000State, 64),
        VMSTATE_UINT16_ARRAY("phy_reg", E1000State, 0x20),
        VMSTATE_UINT32("mac_reg[CTRL]", E1000State),
        VMSTATE_UINT32("mac_reg[EECD]", E1000State),
        VMSTATE_UINT32("mac_reg[EERD]", E1000State),
        VMSTATE_UINT32("mac_reg[GPRC]", E1000State),
        VMSTATE_UINT32("mac_reg[GPTC]", E1000State),
        VMSTATE_UINT32("mac_reg[ICR]", E1000State),
        VMSTATE_UINT32("mac_reg[ICS]", E1000State),
        VMSTATE_UINT32("mac_reg[IMC]", E1000State),
        VMSTATE_UINT32("mac_reg[IMS]", E1000State),
        VMSTATE_UINT32("mac_reg[LEDCTL]", E1000State),
        VMSTATE_UINT32("mac_reg[MANC]", E1000State),
        VMSTATE_UINT32("mac_reg[MDIC]", E1000State),
        VMSTATE_UINT32("mac_reg[MPC]", E1000State),
        VMSTATE_UINT32("mac_reg[PBA]", E1000State),
        VMSTATE_UINT32("mac_reg[RCTL]", E1000State),
        VMSTATE_UINT32("mac_reg[RDBAH]", E1000State),
        VMSTATE_UINT32("mac_reg[RDBAL]", E1000State),
        VMSTATE_UINT32("mac_reg[RDH]", E1000State),
        VMSTATE_UINT32("mac_reg[RDLEN]", E1000State),
        VMSTATE_UINT32("mac_reg[RDT]", E1000State),
        VMSTATE_UINT32("mac_reg[STATUS]", E1000State),
        VMSTATE_UINT32("mac_reg[SWSM]", E1000State),
        VMSTATE_UINT32("mac_reg[TCTL]", E1000State),
        VMSTATE_UINT32("mac_reg[TDBAH]", E1000State),
        VMSTATE_UINT32("mac_reg[TDBAL]", E1000State),
        VMSTATE_UINT32("mac_reg[TDH]", E1000State),
        VMSTATE_UINT32("mac_reg[TDLEN]", E1000State),
        VMSTATE_UINT32("mac_reg[TDT]", E1000State),
        VMSTATE_UINT32("mac_reg[TORH]", E1000State),
        VMSTATE_UINT32("mac_reg[TORL]", E1000State),
        VMSTATE_UINT32("mac_reg[TOTH]", E1000State),
        VMSTATE_UINT32("mac_reg[TOTL]", E1000State),
        VMSTATE_UINT32("mac_reg[TPR]", E1000State),
        VMSTATE_UINT32("mac_reg[TPT]", E1000State),
        VMSTATE_UINT32("mac_reg[TXDCTL]", E1000State),
        VMSTATE_UINT32("mac_reg[WUFC]", E1000State),
        VMSTATE_UINT32("mac_reg[VET]", E1000State),
        VMSTATE_UINT32_SUB_ARRAY("mac_reg", E1000State, E1000State.RA, 32),
        VMSTATE_UINT32_SUB_ARRAY("mac_reg", E1000State, E1000State.MTA, E1000_MC_TBL_SIZE),
        VMSTATE_UINT32_SUB_ARRAY("mac_reg", E1000State, E1000State.VFTA, E1000_VLAN_FILTER_TBL_SIZE),
    ),
    subsections=(
        vmstate_e1000_mit_state,
        vmstate_e1000_full_mac_state,
        vmstate_e1000_tx_tso_state,
    ),
)


def e1000_class_init(dc: DeviceClass, data: Any) -> None:
    dc.desc = "Intel Gigabit Ethernet"
    dc.vmsd = vmstate_e1000
    dc.categories |= DeviceCategory.NETWORK


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "e1000-base",
            parent="pci-device",
            instance_size=sizeof(E1000State),
            abstract=True,
            interfaces=("conventional-pci-device",),
        )
    )
    for name in ("e1000", "e1000-82544gc", "e1000-82545em"):
        table.type_register(TypeInfo(name, parent="e1000-base", class_init=e1000_class_init))

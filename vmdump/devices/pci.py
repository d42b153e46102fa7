"""State common to PCI devices: PCIDevice with its config space, MSI-X, the PCI Express AER log, and the abstract type.

Demonstrates a member that is sent in one of two sizes, VMStateInfos of the device's own, and an assertion on loaded
values.

Source: QEMU 10.0 include/hw/pci/pci_device.h, hw/pci/pci.c, include/hw/pci/msix.h, hw/pci/msix.c,
hw/pci/pcie_aer.c.
"""

from ctypes import POINTER, Structure, c_int32, c_uint8, c_uint16, c_uint32, sizeof
from typing import Any

from vmdump.devices.layout import sized
from vmdump.devices.qdev import DeviceState
from vmdump.qom import DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BUFFER_UNSAFE_INFO,
    VMSTATE_BUFFER_UNSAFE_INFO_TEST,
    VMSTATE_INT32_POSITIVE_LE,
    VMSTATE_STRUCT,
    VMSTATE_STRUCT_TEST,
    VMSTATE_STRUCT_VARRAY_POINTER_UINT16,
    VMSTATE_UINT16,
    VMSTATE_UINT16_EQUAL,
    VMSTATE_UINT32,
    VMSTATE_UINT32_ARRAY,
    VMSTATE_VALIDATE,
    FieldTest,
    VMStateDescription,
    VMStateField,
    VMStateFlags,
    VMStateInfo,
)

PCI_CONFIG_SPACE_SIZE = 256
PCIE_CONFIG_SPACE_SIZE = 4096
PCI_NUM_PINS = 4
QEMU_PCI_CAP_EXPRESS = 0x4


class PCIEAERErr(Structure):
    """An error logged by a PCI Express function."""

    _fields_ = [
        ("status", c_uint32),
        ("source_id", c_uint16),
        ("flags", c_uint16),
        ("header", c_uint32 * 4),
        ("prefix", c_uint32 * 4),
    ]


class PCIEAERLog(Structure):
    """The error log: ``log_num`` of at most ``log_max`` entries are in use."""

    _fields_ = [
        ("log_num", c_uint16),
        ("log_max", c_uint16),
        ("log", POINTER(PCIEAERErr)),
    ]


class PCIExpressDevice(Structure):
    """PCI Express state of a PCIDevice."""

    _fields_ = [("aer_log", PCIEAERLog)]


@sized(2736)
class PCIDevice(Structure):
    """First member of every PCI device's state."""

    _fields_ = [
        ("qdev", DeviceState),
        ("config", POINTER(c_uint8)),
        ("irq_state", c_uint8),
        ("cap_present", c_uint32),
        ("version_id", c_int32),
        ("exp", PCIExpressDevice),
    ]


# get() compares the bits of the config space that the guest can't write with those of the destination. The member is a
# pointer.
vmstate_info_pci_config = VMStateInfo("pci config")
# Each of the four pin levels is one bit in memory and an int32_t in the stream.
vmstate_info_pci_irq_state = VMStateInfo("pci irq state")


def migrate_is_pcie(s: PCIDevice, version_id: int) -> bool:
    return bool(s.cap_present & QEMU_PCI_CAP_EXPRESS)


def migrate_is_not_pcie(s: PCIDevice, version_id: int) -> bool:
    return not migrate_is_pcie(s, version_id)


vmstate_pci_device = VMStateDescription(
    "PCIDevice",
    version_id=2,
    minimum_version_id=1,
    post_load=True,
    fields=(
        VMSTATE_INT32_POSITIVE_LE("version_id", PCIDevice),
        # One member, two sizes: exactly one of the two tests returns true.
        VMSTATE_BUFFER_UNSAFE_INFO_TEST(
            "config", PCIDevice, migrate_is_not_pcie, 0, vmstate_info_pci_config, PCI_CONFIG_SPACE_SIZE
        ),
        VMSTATE_BUFFER_UNSAFE_INFO_TEST(
            "config", PCIDevice, migrate_is_pcie, 0, vmstate_info_pci_config, PCIE_CONFIG_SPACE_SIZE
        ),
        VMSTATE_BUFFER_UNSAFE_INFO(
            "irq_state", PCIDevice, 2, vmstate_info_pci_irq_state, PCI_NUM_PINS * sizeof(c_int32)
        ),
    ),
)


def VMSTATE_PCI_DEVICE(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of the PCIDevice, the first member of a PCI device's state."""
    return VMSTATE_STRUCT(_field, _state, 0, vmstate_pci_device, PCIDevice)


vmstate_msix = VMStateDescription(
    "msix",
    fields=(VMStateField("msix", offset=0, flags=VMStateFlags.SINGLE, info=VMStateInfo("msix state")),),
)


def VMSTATE_MSIX_TEST(_field: str, _state: type[Structure] | None, _test: FieldTest) -> VMStateField:
    """Return the field of a PCIDevice's MSI-X table and pending bits, whose size is known only at run time."""
    return VMSTATE_STRUCT_TEST(_field, _state, _test, 0, vmstate_msix, PCIDevice)


def VMSTATE_MSIX(_f: str, _s: type[Structure] | None) -> VMStateField:
    """Return the unconditional field of a PCIDevice's MSI-X state."""
    return VMSTATE_MSIX_TEST(_f, _s, None)


vmstate_pcie_aer_err = VMStateDescription(
    "PCIE_AER_ERROR",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT32("status", PCIEAERErr),
        VMSTATE_UINT16("source_id", PCIEAERErr),
        VMSTATE_UINT16("flags", PCIEAERErr),
        VMSTATE_UINT32_ARRAY("header", PCIEAERErr, 4),
        VMSTATE_UINT32_ARRAY("prefix", PCIEAERErr, 4),
    ),
)


def pcie_aer_state_log_num_valid(s: PCIEAERLog, version_id: int) -> bool:
    return bool(s.log_num <= s.log_max)


vmstate_pcie_aer_log = VMStateDescription(
    "PCIE_AER_ERROR_LOG",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT16("log_num", PCIEAERLog),
        VMSTATE_UINT16_EQUAL("log_max", PCIEAERLog, None),
        # An assertion: it sends no data and is not in dumps. It rejects streams whose log_num exceeds the log.
        VMSTATE_VALIDATE("log_num <= log_max", pcie_aer_state_log_num_valid),
        VMSTATE_STRUCT_VARRAY_POINTER_UINT16("log", PCIEAERLog, "log_num", vmstate_pcie_aer_err, PCIEAERErr),
    ),
)


def pci_device_class_init(dc: DeviceClass, data: Any) -> None:
    dc.bus_type = "PCI"


def register_types(table: TypeTable) -> None:
    table.type_register(TypeInfo("conventional-pci-device", parent="interface"))
    table.type_register(TypeInfo("pci-express-device", parent="interface"))
    table.type_register(
        TypeInfo(
            "pci-device",
            parent="device",
            instance_size=sizeof(PCIDevice),
            abstract=True,
            class_init=pci_device_class_init,
        )
    )

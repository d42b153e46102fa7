"""Generic PCI Express root port: pcie-root-port.

Demonstrates fields for members of nested base classes (four levels), a field that names another struct than the rest,
and a priority, so that the port is loaded before the devices behind it.

Source: QEMU 10.0 include/hw/pci/pci_bridge.h, include/hw/pci/pcie_port.h, hw/pci/pci_bridge.c, hw/pci/pcie_port.c,
hw/pci-bridge/pcie_root_port.c, hw/pci-bridge/gen_pcie_root_port.c.
"""

from ctypes import Structure, c_bool, sizeof
from typing import Any

from vmdump.devices.pci import VMSTATE_MSIX_TEST, VMSTATE_PCI_DEVICE, PCIDevice, PCIEAERLog, vmstate_pcie_aer_log
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import VMSTATE_STRUCT, MigrationPriority, VMStateDescription


class PCIBridge(Structure):
    """A bridge to another PCI bus."""

    _fields_ = [("parent_obj", PCIDevice)]


class PCIEPort(Structure):
    """A bridge that is a port of PCI Express."""

    _fields_ = [("parent_obj", PCIBridge)]


class PCIESlot(Structure):
    """A port with a slot."""

    _fields_ = [("parent_obj", PCIEPort)]


class GenPCIERootPort(Structure):
    """The root port."""

    _fields_ = [
        ("parent_obj", PCIESlot),
        ("migrate_msix", c_bool),
    ]


def gen_rp_test_migrate_msix(rp: GenPCIERootPort, version_id: int) -> bool:
    return bool(rp.migrate_msix)


vmstate_rp_dev = VMStateDescription(
    "pcie-root-port",
    priority=MigrationPriority.PCI_BUS,
    version_id=1,
    minimum_version_id=1,
    post_load=True,
    fields=(
        VMSTATE_PCI_DEVICE("parent_obj.parent_obj.parent_obj", PCIESlot),
        VMSTATE_STRUCT("parent_obj.parent_obj.parent_obj.exp.aer_log", PCIESlot, 0, vmstate_pcie_aer_log, PCIEAERLog),
        VMSTATE_MSIX_TEST("parent_obj.parent_obj.parent_obj.parent_obj", GenPCIERootPort, gen_rp_test_migrate_msix),
    ),
)


def rp_class_init(dc: DeviceClass, data: Any) -> None:
    dc.categories |= DeviceCategory.BRIDGE


def gen_rp_dev_class_init(dc: DeviceClass, data: Any) -> None:
    dc.desc = "PCI Express Root Port"
    dc.vmsd = vmstate_rp_dev


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo("base-pci-bridge", parent="pci-device", instance_size=sizeof(PCIBridge), abstract=True)
    )
    table.type_register(TypeInfo("pcie-port", parent="base-pci-bridge", instance_size=sizeof(PCIEPort), abstract=True))
    table.type_register(TypeInfo("pcie-slot", parent="pcie-port", instance_size=sizeof(PCIESlot), abstract=True))
    table.type_register(
        TypeInfo(
            "pcie-root-port-base",
            parent="pcie-slot",
            abstract=True,
            class_init=rp_class_init,
            interfaces=("pci-express-device",),
        )
    )
    table.type_register(
        TypeInfo(
            "pcie-root-port",
            parent="pcie-root-port-base",
            instance_size=sizeof(GenPCIERootPort),
            class_init=gen_rp_dev_class_init,
        )
    )

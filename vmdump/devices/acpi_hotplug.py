"""ACPI hotplug of PCI devices, memory and CPUs, as power management devices embed it.

Source: QEMU 10.0 include/hw/acpi/pcihp.h, include/hw/acpi/memory_hotplug.h, include/hw/acpi/cpu.h, and the C files of
the same names in hw/acpi/.
"""

from ctypes import POINTER, Structure, c_bool, c_uint8, c_uint32, c_uint64, c_void_p

from vmdump.devices.layout import sized
from vmdump.vmstate import (
    VMSTATE_BOOL,
    VMSTATE_STRUCT,
    VMSTATE_STRUCT_ARRAY_TEST,
    VMSTATE_STRUCT_VARRAY_POINTER_UINT32,
    VMSTATE_UINT8,
    VMSTATE_UINT32,
    VMSTATE_UINT32_TEST,
    FieldTest,
    VMStateDescription,
    VMStateField,
)

ACPI_PCIHP_MAX_HOTPLUG_BUS = 256


class AcpiPciHpPciStatus(Structure):
    """Slots of a bus with a pending hotplug (``up``) or unplug (``down``) request, one bit each."""

    _fields_ = [
        ("up", c_uint32),
        ("down", c_uint32),
        ("hotplug_enable", c_uint32),
    ]


class AcpiPciHpState(Structure):
    """Registers for PCI hotplug."""

    _fields_ = [
        ("acpi_pcihp_pci_status", AcpiPciHpPciStatus * ACPI_PCIHP_MAX_HOTPLUG_BUS),
        ("hotplug_select", c_uint32),
        ("acpi_index", c_uint32),
        ("use_acpi_hotplug_bridge", c_bool),
    ]


vmstate_acpi_pcihp_pci_status = VMStateDescription(
    "acpi_pcihp_pci_status",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT32("up", AcpiPciHpPciStatus),
        VMSTATE_UINT32("down", AcpiPciHpPciStatus),
    ),
)


def VMSTATE_PCI_HOTPLUG(
    pcihp: str, state: type[Structure] | None, test_pcihp: FieldTest, test_acpi_index: FieldTest
) -> tuple[VMStateField, VMStateField, VMStateField]:
    """Return the three fields that the macro expands to, for the AcpiPciHpState member ``pcihp``."""
    return (
        VMSTATE_UINT32_TEST(f"{pcihp}.hotplug_select", state, test_pcihp),
        VMSTATE_STRUCT_ARRAY_TEST(
            f"{pcihp}.acpi_pcihp_pci_status",
            state,
            ACPI_PCIHP_MAX_HOTPLUG_BUS,
            test_pcihp,
            1,
            vmstate_acpi_pcihp_pci_status,
            AcpiPciHpPciStatus,
        ),
        VMSTATE_UINT32_TEST(f"{pcihp}.acpi_index", state, test_acpi_index),
    )


class MemStatus(Structure):
    """A slot for memory. All members are declared: 24 bytes."""

    _fields_ = [
        ("dimm", c_void_p),
        ("is_enabled", c_bool),
        ("is_inserting", c_bool),
        ("is_removing", c_bool),
        ("ost_event", c_uint32),
        ("ost_status", c_uint32),
    ]


@sized(304)
class MemHotplugState(Structure):
    """Registers for memory hotplug, with ``dev_count`` slots."""

    _fields_ = [
        ("is_enabled", c_bool),
        ("selector", c_uint32),
        ("dev_count", c_uint32),
        ("devs", POINTER(MemStatus)),
    ]


vmstate_memhp_sts = VMStateDescription(
    "memory hotplug device state",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_BOOL("is_enabled", MemStatus),
        VMSTATE_BOOL("is_inserting", MemStatus),
        VMSTATE_UINT32("ost_event", MemStatus),
        VMSTATE_UINT32("ost_status", MemStatus),
    ),
)

vmstate_memory_hotplug = VMStateDescription(
    "memory hotplug state",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT32("selector", MemHotplugState),
        VMSTATE_STRUCT_VARRAY_POINTER_UINT32("devs", MemHotplugState, "dev_count", vmstate_memhp_sts, MemStatus),
    ),
)


def VMSTATE_MEMORY_HOTPLUG(memhp: str, state: type[Structure] | None) -> VMStateField:
    """Return the field of a MemHotplugState."""
    return VMSTATE_STRUCT(memhp, state, 1, vmstate_memory_hotplug, MemHotplugState)


class AcpiCpuStatus(Structure):
    """A slot for a CPU. All members are declared: 32 bytes."""

    _fields_ = [
        ("cpu", c_void_p),
        ("arch_id", c_uint64),
        ("is_inserting", c_bool),
        ("is_removing", c_bool),
        ("fw_remove", c_bool),
        ("ost_event", c_uint32),
        ("ost_status", c_uint32),
    ]


@sized(304)
class CPUHotplugState(Structure):
    """Registers for CPU hotplug, with ``dev_count`` slots."""

    _fields_ = [
        ("selector", c_uint32),
        ("command", c_uint8),
        ("dev_count", c_uint32),
        ("devs", POINTER(AcpiCpuStatus)),
    ]


vmstate_cpuhp_sts = VMStateDescription(
    "CPU hotplug device state",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_BOOL("is_inserting", AcpiCpuStatus),
        VMSTATE_BOOL("is_removing", AcpiCpuStatus),
        VMSTATE_UINT32("ost_event", AcpiCpuStatus),
        VMSTATE_UINT32("ost_status", AcpiCpuStatus),
    ),
)

vmstate_cpu_hotplug = VMStateDescription(
    "CPU hotplug state",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT32("selector", CPUHotplugState),
        VMSTATE_UINT8("command", CPUHotplugState),
        VMSTATE_STRUCT_VARRAY_POINTER_UINT32("devs", CPUHotplugState, "dev_count", vmstate_cpuhp_sts, AcpiCpuStatus),
    ),
)


def VMSTATE_CPU_HOTPLUG(cpuhp: str, state: type[Structure] | None) -> VMStateField:
    """Return the field of a CPUHotplugState."""
    return VMSTATE_STRUCT(cpuhp, state, 1, vmstate_cpu_hotplug, CPUHotplugState)

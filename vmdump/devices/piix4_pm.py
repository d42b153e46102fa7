"""Power management function of the PIIX4 with SMBus controller and ACPI hotplug: PIIX4_PM.

Demonstrates alternative fields selected by the machine type, and a field that sends too few bytes and must continue to
do so for compatibility.

Source: QEMU 10.0 include/hw/acpi/acpi.h, include/hw/acpi/piix4.h, hw/acpi/piix4.c, hw/isa/apm.c, hw/i2c/pm_smbus.c.
"""

from ctypes import POINTER, Structure, c_bool, c_int64, c_uint8, c_uint16, c_uint32, sizeof
from typing import Any

from vmdump.devices.acpi_hotplug import (
    VMSTATE_CPU_HOTPLUG,
    VMSTATE_MEMORY_HOTPLUG,
    VMSTATE_PCI_HOTPLUG,
    AcpiPciHpPciStatus,
    AcpiPciHpState,
    CPUHotplugState,
    MemHotplugState,
)
from vmdump.devices.layout import sized
from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.qom import DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_BOOL,
    VMSTATE_INT64,
    VMSTATE_STRUCT,
    VMSTATE_STRUCT_TEST,
    VMSTATE_TIMER_PTR,
    VMSTATE_UINT8,
    VMSTATE_UINT8_ARRAY,
    VMSTATE_UINT16,
    VMSTATE_UINT32,
    QEMUTimer,
    VMStateDescription,
    VMStateField,
    VMStateFlags,
    vmstate_info_uint16,
)

PM_SMBUS_MAX_MSG_SIZE = 32


@sized(304)
class APMState(Structure):
    """Registers of Advanced Power Management."""

    _fields_ = [
        ("apmc", c_uint8),
        ("apms", c_uint8),
    ]


vmstate_apm = VMStateDescription(
    "APM State",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT8("apmc", APMState),
        VMSTATE_UINT8("apms", APMState),
    ),
)


@sized(384)
class PMSMBus(Structure):
    """An SMBus host controller."""

    _fields_ = [
        ("smb_stat", c_uint8),
        ("smb_ctl", c_uint8),
        ("smb_cmd", c_uint8),
        ("smb_addr", c_uint8),
        ("smb_data0", c_uint8),
        ("smb_data1", c_uint8),
        ("smb_data", c_uint8 * PM_SMBUS_MAX_MSG_SIZE),
        ("smb_blkdata", c_uint8),
        ("smb_auxctl", c_uint8),
        ("smb_index", c_uint32),
        ("i2c_enable", c_bool),
        ("op_done", c_bool),
        ("in_i2c_block_read", c_bool),
        ("start_transaction_on_status_read", c_bool),
    ]


pmsmb_vmstate = VMStateDescription(
    "pmsmb",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT8("smb_stat", PMSMBus),
        VMSTATE_UINT8("smb_ctl", PMSMBus),
        VMSTATE_UINT8("smb_cmd", PMSMBus),
        VMSTATE_UINT8("smb_addr", PMSMBus),
        VMSTATE_UINT8("smb_data0", PMSMBus),
        VMSTATE_UINT8("smb_data1", PMSMBus),
        VMSTATE_UINT32("smb_index", PMSMBus),
        VMSTATE_UINT8_ARRAY("smb_data", PMSMBus, PM_SMBUS_MAX_MSG_SIZE),
        VMSTATE_UINT8("smb_auxctl", PMSMBus),
        VMSTATE_UINT8("smb_blkdata", PMSMBus),
        VMSTATE_BOOL("i2c_enable", PMSMBus),
        VMSTATE_BOOL("op_done", PMSMBus),
        VMSTATE_BOOL("in_i2c_block_read", PMSMBus),
        VMSTATE_BOOL("start_transaction_on_status_read", PMSMBus),
    ),
)


class ACPIPMTimer(Structure):
    """Power management timer."""

    _fields_ = [
        ("timer", POINTER(QEMUTimer)),
        ("overflow_time", c_int64),
    ]


class ACPIPM1EVT(Structure):
    """Registers of fixed events."""

    _fields_ = [
        ("sts", c_uint16),
        ("en", c_uint16),
    ]


class ACPIPM1CNT(Structure):
    """Control register."""

    _fields_ = [("cnt", c_uint16)]


class ACPIPM1(Structure):
    """PM1 register blocks."""

    _fields_ = [
        ("evt", ACPIPM1EVT),
        ("cnt", ACPIPM1CNT),
    ]


class ACPIGPE(Structure):
    """Registers of general purpose events: pointers to ``len / 2`` bytes each. All members are declared: 24 bytes."""

    _fields_ = [
        ("len", c_uint8),
        ("sts", POINTER(c_uint8)),
        ("en", POINTER(c_uint8)),
    ]


class ACPIREGS(Structure):
    """Fixed hardware of ACPI."""

    _fields_ = [
        ("tmr", ACPIPMTimer),
        ("gpe", ACPIGPE),
        ("pm1", ACPIPM1),
    ]


class PIIX4PMState(Structure):
    """The PCI function."""

    _fields_ = [
        ("parent_obj", PCIDevice),
        ("ar", ACPIREGS),
        ("apm", APMState),
        ("smb", PMSMBus),
        ("acpi_pci_hotplug", AcpiPciHpState),
        ("not_migrate_acpi_index", c_bool),
        ("cpu_hotplug_legacy", c_bool),
        ("cpuhp_state", CPUHotplugState),
        ("acpi_memory_hotplug", MemHotplugState),
    ]


def VMSTATE_GPE_ARRAY(_field: str, _state: type[Structure]) -> VMStateField:
    """Return the field of a ``uint8_t *`` that is sent as one uint16_t, even if it points to more bytes.

    Old versions did so, thus the stream must stay like this.
    """
    flags = VMStateFlags.SINGLE | VMStateFlags.POINTER
    offset = getattr(_state, _field).offset
    return VMStateField(_field, offset=offset, size=sizeof(c_uint16), flags=flags, info=vmstate_info_uint16)


vmstate_gpe = VMStateDescription(
    "gpe",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_GPE_ARRAY("sts", ACPIGPE),
        VMSTATE_GPE_ARRAY("en", ACPIGPE),
    ),
)

vmstate_pci_status = VMStateDescription(
    "pci_status",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT32("up", AcpiPciHpPciStatus),
        VMSTATE_UINT32("down", AcpiPciHpPciStatus),
    ),
)


def vmstate_test_use_acpi_hotplug_bridge(s: PIIX4PMState, version_id: int) -> bool:
    return bool(s.acpi_pci_hotplug.use_acpi_hotplug_bridge)


def vmstate_test_no_use_acpi_hotplug_bridge(s: PIIX4PMState, version_id: int) -> bool:
    return not s.acpi_pci_hotplug.use_acpi_hotplug_bridge


def vmstate_test_migrate_acpi_index(s: PIIX4PMState, version_id: int) -> bool:
    # Machine types up to 6.2 did not send the index, by mistake, and must continue not to.
    return bool(s.acpi_pci_hotplug.use_acpi_hotplug_bridge and not s.not_migrate_acpi_index)


def vmstate_test_use_memhp(s: PIIX4PMState) -> bool:
    return bool(s.acpi_memory_hotplug.is_enabled)


vmstate_memhp_state = VMStateDescription(
    "piix4_pm/memhp",
    version_id=1,
    minimum_version_id=1,
    needed=vmstate_test_use_memhp,
    fields=(VMSTATE_MEMORY_HOTPLUG("acpi_memory_hotplug", PIIX4PMState),),
)


def vmstate_test_use_cpuhp(s: PIIX4PMState) -> bool:
    return not s.cpu_hotplug_legacy


vmstate_cpuhp_state = VMStateDescription(
    "piix4_pm/cpuhp",
    version_id=1,
    minimum_version_id=1,
    needed=vmstate_test_use_cpuhp,
    pre_load=True,
    fields=(VMSTATE_CPU_HOTPLUG("cpuhp_state", PIIX4PMState),),
)


def piix4_vmstate_need_smbus(s: PIIX4PMState, version_id: int) -> bool:
    return True  # False in machine types up to 3.1


vmstate_acpi = VMStateDescription(
    "piix4_pm",
    version_id=3,
    minimum_version_id=3,
    post_load=True,
    fields=(
        VMSTATE_PCI_DEVICE("parent_obj", PIIX4PMState),
        VMSTATE_UINT16("ar.pm1.evt.sts", PIIX4PMState),
        VMSTATE_UINT16("ar.pm1.evt.en", PIIX4PMState),
        VMSTATE_UINT16("ar.pm1.cnt.cnt", PIIX4PMState),
        VMSTATE_STRUCT("apm", PIIX4PMState, 0, vmstate_apm, APMState),
        VMSTATE_STRUCT_TEST("smb", PIIX4PMState, piix4_vmstate_need_smbus, 3, pmsmb_vmstate, PMSMBus),
        VMSTATE_TIMER_PTR("ar.tmr.timer", PIIX4PMState),
        VMSTATE_INT64("ar.tmr.overflow_time", PIIX4PMState),
        VMSTATE_STRUCT("ar.gpe", PIIX4PMState, 2, vmstate_gpe, ACPIGPE),
        # QEMU passes ACPI_PCIHP_BSEL_DEFAULT, a macro: the field's name contains its expansion, 0x0.
        VMSTATE_STRUCT_TEST(
            "acpi_pci_hotplug.acpi_pcihp_pci_status[0x0]",
            PIIX4PMState,
            vmstate_test_no_use_acpi_hotplug_bridge,
            2,
            vmstate_pci_status,
            AcpiPciHpPciStatus,
        ),
        *VMSTATE_PCI_HOTPLUG(
            "acpi_pci_hotplug",
            PIIX4PMState,
            vmstate_test_use_acpi_hotplug_bridge,
            vmstate_test_migrate_acpi_index,
        ),
    ),
    subsections=(
        vmstate_memhp_state,
        vmstate_cpuhp_state,
    ),
)


def piix4_pm_class_init(dc: DeviceClass, data: Any) -> None:
    dc.desc = "PM"
    dc.vmsd = vmstate_acpi
    dc.user_creatable = False  # part of the southbridge
    dc.hotpluggable = False


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "PIIX4_PM",
            parent="pci-device",
            instance_size=sizeof(PIIX4PMState),
            class_init=piix4_pm_class_init,
            interfaces=("conventional-pci-device",),
        )
    )

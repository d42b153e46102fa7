"""EEPROM of a memory module on the SMBus: smbus-eeprom.

Demonstrates `needed` on a device's description: the whole section is omitted until the guest has accessed the device.

Source: QEMU 10.0 hw/i2c/smbus_eeprom.c.
"""

from ctypes import Structure, c_bool, c_uint8, sizeof
from typing import Any

from vmdump.devices.i2c import VMSTATE_SMBUS_DEVICE, SMBusDevice, smbus_vmstate_needed
from vmdump.qom import DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import VMSTATE_BOOL, VMSTATE_UINT8, VMSTATE_UINT8_ARRAY, VMStateDescription

SMBUS_EEPROM_SIZE = 256


class SMBusEEPROMDevice(Structure):
    """The EEPROM."""

    _fields_ = [
        ("smbusdev", SMBusDevice),
        ("data", c_uint8 * SMBUS_EEPROM_SIZE),
        ("offset", c_uint8),
        ("accessed", c_bool),
    ]


def smbus_eeprom_vmstate_needed(eeprom: SMBusEEPROMDevice) -> bool:
    # Machine types up to 3.1 never send it.
    return bool(eeprom.accessed) or smbus_vmstate_needed(eeprom.smbusdev)


vmstate_smbus_eeprom = VMStateDescription(
    "smbus-eeprom",
    version_id=1,
    minimum_version_id=1,
    needed=smbus_eeprom_vmstate_needed,
    fields=(
        VMSTATE_SMBUS_DEVICE("smbusdev", SMBusEEPROMDevice),
        VMSTATE_UINT8_ARRAY("data", SMBusEEPROMDevice, SMBUS_EEPROM_SIZE),
        VMSTATE_UINT8("offset", SMBusEEPROMDevice),
        VMSTATE_BOOL("accessed", SMBusEEPROMDevice),
    ),
)


def smbus_eeprom_class_initfn(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_smbus_eeprom
    dc.user_creatable = False  # board code provides its contents


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "smbus-eeprom",
            parent="smbus-device",
            instance_size=sizeof(SMBusEEPROMDevice),
            class_init=smbus_eeprom_class_initfn,
        )
    )

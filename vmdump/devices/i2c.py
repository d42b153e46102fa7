"""I2C and SMBus devices: I2CSlave, SMBusDevice and their abstract types.

Source: QEMU 10.0 include/hw/i2c/i2c.h, hw/i2c/core.c, include/hw/i2c/smbus_slave.h, hw/i2c/smbus_slave.c.
"""

from ctypes import Structure, c_int32, c_uint8, sizeof
from typing import Any

from vmdump.devices.qdev import DeviceState
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_INT32,
    VMSTATE_STRUCT,
    VMSTATE_UINT8,
    VMSTATE_UINT8_ARRAY,
    VMStateDescription,
    VMStateField,
)

SMBUS_DATA_MAX_LEN = 34  # a command, a length and 32 bytes of data
SMBUS_IDLE = 0


class I2CSlave(Structure):
    """A device with an address on the bus."""

    _fields_ = [
        ("qdev", DeviceState),
        ("address", c_uint8),
    ]


vmstate_i2c_slave = VMStateDescription(
    "I2CSlave",
    version_id=1,
    minimum_version_id=1,
    post_load=True,
    fields=(VMSTATE_UINT8("address", I2CSlave),),
)


def VMSTATE_I2C_SLAVE(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of the I2CSlave, the first member of an I2C device's state."""
    return VMSTATE_STRUCT(_field, _state, 0, vmstate_i2c_slave, I2CSlave)


class SMBusDevice(Structure):
    """An I2C device with the state of an SMBus transfer."""

    _fields_ = [
        ("i2c", I2CSlave),
        ("mode", c_int32),
        ("data_len", c_int32),
        ("data_buf", c_uint8 * SMBUS_DATA_MAX_LEN),
    ]


def smbus_vmstate_needed(dev: SMBusDevice) -> bool:
    return bool(dev.mode != SMBUS_IDLE)


vmstate_smbus_device = VMStateDescription(
    "smbus-device",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_I2C_SLAVE("i2c", SMBusDevice),
        VMSTATE_INT32("mode", SMBusDevice),
        VMSTATE_INT32("data_len", SMBusDevice),
        VMSTATE_UINT8_ARRAY("data_buf", SMBusDevice, SMBUS_DATA_MAX_LEN),
    ),
)


def VMSTATE_SMBUS_DEVICE(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of the SMBusDevice, the first member of an SMBus device's state."""
    return VMSTATE_STRUCT(_field, _state, 0, vmstate_smbus_device, SMBusDevice)


def i2c_slave_class_init(dc: DeviceClass, data: Any) -> None:
    dc.categories |= DeviceCategory.MISC
    dc.bus_type = "i2c-bus"


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "i2c-slave",
            parent="device",
            instance_size=sizeof(I2CSlave),
            abstract=True,
            class_init=i2c_slave_class_init,
        )
    )
    table.type_register(TypeInfo("smbus-device", parent="i2c-slave", instance_size=sizeof(SMBusDevice), abstract=True))

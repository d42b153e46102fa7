"""The base types that every table has."""

import pytest
from support.qom_types import device, make_table

from vmdump.qom import DeviceCategory, DeviceClass, InterfaceClass, MachineClass, ObjectClass


def test_device_class():
    """QEMU's defaults: devices are user_creatable and hotpluggable unless they say otherwise."""
    klass = make_table(device("x")).object_class_by_name("x")
    assert (klass.user_creatable, klass.hotpluggable, klass.vmsd, klass.desc) == (True, True, None, None)
    klass.categories |= DeviceCategory.NETWORK
    assert klass.categories == 1 << 3  # DEVICE_CATEGORY_NETWORK is 3


@pytest.mark.parametrize(
    ("name", "class_type", "class_size", "instance_size"),
    [
        ("object", ObjectClass, 96, 40),
        ("interface", InterfaceClass, 104, 0),
        ("device", DeviceClass, 184, 152),
        ("bus", ObjectClass, 152, 120),
        ("machine", MachineClass, 392, 392),
    ],
)
def test_base_types(name, class_type, class_size, instance_size):
    """All base types are abstract, with the sizes of QEMU 10.0's structs."""
    klass = make_table().object_class_by_name(name)
    assert type(klass) is class_type
    assert (klass.type.class_size, klass.type.instance_size) == (class_size, instance_size)
    assert klass.type.abstract

"""Virtio devices: virtio-rng-device, virtio-balloon-device, virtio-blk-device, virtio-net-device.

Virtio's own code sends their state, partly by a second description, VirtioDeviceClass.vmsd, that dumps do not contain.
A dump shows one field without a size, so equal dumps do not imply compatible streams here.

Source: QEMU 10.0 include/hw/virtio/virtio.h, hw/virtio/virtio.c, hw/virtio/virtio-rng.c, hw/virtio/virtio-balloon.c,
hw/block/virtio-blk.c, hw/net/virtio-net.c.
"""

from typing import Any

from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo

VIRTIO_NET_VM_VERSION = 11

virtio_vmstate_info = VMStateInfo("virtio")

#: In C a macro without parameters. The field represents the whole device.
VMSTATE_VIRTIO_DEVICE = VMStateField("virtio", offset=0, flags=VMStateFlags.SINGLE, info=virtio_vmstate_info)

vmstate_virtio_rng = VMStateDescription(
    "virtio-rng",
    version_id=1,
    minimum_version_id=1,
    fields=(VMSTATE_VIRTIO_DEVICE,),
)

vmstate_virtio_balloon = VMStateDescription(
    "virtio-balloon",
    version_id=1,
    minimum_version_id=1,
    fields=(VMSTATE_VIRTIO_DEVICE,),
)

vmstate_virtio_blk = VMStateDescription(
    "virtio-blk",
    version_id=2,
    minimum_version_id=2,
    fields=(VMSTATE_VIRTIO_DEVICE,),
)

vmstate_virtio_net = VMStateDescription(
    "virtio-net",
    version_id=VIRTIO_NET_VM_VERSION,
    minimum_version_id=VIRTIO_NET_VM_VERSION,
    pre_save=True,
    dev_unplug_pending=True,  # migration waits until the primary device of a failover pair has been unplugged
    fields=(VMSTATE_VIRTIO_DEVICE,),
)


def virtio_device_class_init(dc: DeviceClass, data: Any) -> None:
    dc.bus_type = "virtio-bus"


def virtio_rng_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_virtio_rng
    dc.categories |= DeviceCategory.MISC


def virtio_balloon_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_virtio_balloon
    dc.categories |= DeviceCategory.MISC


def virtio_blk_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_virtio_blk
    dc.categories |= DeviceCategory.STORAGE


def virtio_net_class_init(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_virtio_net
    dc.categories |= DeviceCategory.NETWORK


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "virtio-device",
            parent="device",
            abstract=True,
            class_init=virtio_device_class_init,
        )
    )
    table.type_register(TypeInfo("virtio-rng-device", parent="virtio-device", class_init=virtio_rng_class_init))
    table.type_register(TypeInfo("virtio-balloon-device", parent="virtio-device", class_init=virtio_balloon_class_init))
    table.type_register(TypeInfo("virtio-blk-device", parent="virtio-device", class_init=virtio_blk_class_init))
    table.type_register(TypeInfo("virtio-net-device", parent="virtio-device", class_init=virtio_net_class_init))

"""Virtio features: names of the bits by device, and the properties of QEMU that set them.

Restated from the virtio specification 1.3 and QEMU 11.1; a binary that is given replaces both by its own.
"""

from __future__ import annotations

from typing import NamedTuple

#: Bits that belong to the transport and the queues; all others belong to the device type.
TRANSPORT_BITS = range(24, 42)

#: Names of the transport's bits, and the properties of virtio devices that set them.
TRANSPORT = {
    24: ("NOTIFY_ON_EMPTY", "notify_on_empty"), 26: ("LOG_ALL", ""), 27: ("ANY_LAYOUT", "any_layout"),
    28: ("INDIRECT_DESC", "indirect_desc"), 29: ("EVENT_IDX", "event_idx"), 30: ("PROTOCOL_FEATURES", ""),
    32: ("VERSION_1", "disable-modern"), 33: ("IOMMU_PLATFORM", "iommu_platform"), 34: ("RING_PACKED", "packed"),
    35: ("IN_ORDER", "in_order"), 36: ("ORDER_PLATFORM", ""), 37: ("SR_IOV", ""), 38: ("NOTIFICATION_DATA", ""),
    39: ("NOTIF_CONFIG_DATA", ""), 40: ("RING_RESET", "queue_reset"), 41: ("ADMIN_VQ", ""),
}  # fmt: skip

#: Names of a device's bits and the properties that set them, by the device's name in virtio's headers.
DEVICES: dict[str, dict[int, tuple[str, str]]] = {
    "net": {
        0: ("CSUM", "csum"), 1: ("GUEST_CSUM", "guest_csum"), 2: ("CTRL_GUEST_OFFLOADS", "ctrl_guest_offloads"),
        3: ("MTU", "host_mtu"), 5: ("MAC", ""), 6: ("GSO", "gso"), 7: ("GUEST_TSO4", "guest_tso4"),
        8: ("GUEST_TSO6", "guest_tso6"), 9: ("GUEST_ECN", "guest_ecn"), 10: ("GUEST_UFO", "guest_ufo"),
        11: ("HOST_TSO4", "host_tso4"), 12: ("HOST_TSO6", "host_tso6"), 13: ("HOST_ECN", "host_ecn"),
        14: ("HOST_UFO", "host_ufo"), 15: ("MRG_RXBUF", "mrg_rxbuf"), 16: ("STATUS", "status"),
        17: ("CTRL_VQ", "ctrl_vq"), 18: ("CTRL_RX", "ctrl_rx"), 19: ("CTRL_VLAN", "ctrl_vlan"),
        20: ("CTRL_RX_EXTRA", "ctrl_rx_extra"), 21: ("GUEST_ANNOUNCE", "guest_announce"), 22: ("MQ", "mq"),
        23: ("CTRL_MAC_ADDR", "ctrl_mac_addr"), 50: ("DEVICE_STATS", ""), 51: ("HASH_TUNNEL", ""),
        52: ("VQ_NOTF_COAL", ""), 53: ("NOTF_COAL", ""), 54: ("GUEST_USO4", "guest_uso4"),
        55: ("GUEST_USO6", "guest_uso6"), 56: ("HOST_USO", "host_uso"), 57: ("HASH_REPORT", "hash"),
        59: ("GUEST_HDRLEN", ""), 60: ("RSS", "rss"), 61: ("RSC_EXT", "guest_rsc_ext"), 62: ("STANDBY", "failover"),
        63: ("SPEED_DUPLEX", "speed"), 65: ("GUEST_UDP_TUNNEL_GSO", "guest_tunnel"),
        66: ("GUEST_UDP_TUNNEL_GSO_CSUM", "guest_tunnel_csum"), 67: ("HOST_UDP_TUNNEL_GSO", "host_tunnel"),
        68: ("HOST_UDP_TUNNEL_GSO_CSUM", "host_tunnel_csum"),
    },
    "blk": {
        0: ("BARRIER", ""), 1: ("SIZE_MAX", ""), 2: ("SEG_MAX", ""), 4: ("GEOMETRY", ""), 5: ("RO", ""),
        6: ("BLK_SIZE", ""), 7: ("SCSI", "scsi"), 9: ("FLUSH", "drive"), 10: ("TOPOLOGY", ""),
        11: ("CONFIG_WCE", "config-wce"), 12: ("MQ", "num-queues"), 13: ("DISCARD", "discard"),
        14: ("WRITE_ZEROES", "write-zeroes"), 16: ("SECURE_ERASE", ""), 17: ("ZONED", ""),
    },
    "scsi": {
        0: ("INOUT", ""), 1: ("HOTPLUG", "hotplug"), 2: ("CHANGE", "param_change"), 3: ("T10_PI", "t10_pi"),
    },
    "balloon": {
        0: ("MUST_TELL_HOST", ""), 1: ("STATS_VQ", ""), 2: ("DEFLATE_ON_OOM", "deflate-on-oom"),
        3: ("FREE_PAGE_HINT", "free-page-hint"), 4: ("PAGE_POISON", "page-poison"),
        5: ("REPORTING", "free-page-reporting"),
    },
    "console": {0: ("SIZE", ""), 1: ("MULTIPORT", "max_ports"), 2: ("EMERG_WRITE", "emergency-write")},
    "gpu": {
        0: ("VIRGL", "virgl"), 1: ("EDID", "edid"), 2: ("RESOURCE_UUID", ""), 3: ("RESOURCE_BLOB", "blob"),
        4: ("CONTEXT_INIT", "context_init"),
    },
    "iommu": {
        0: ("INPUT_RANGE", ""), 1: ("DOMAIN_RANGE", ""), 2: ("MAP_UNMAP", ""), 3: ("BYPASS", ""), 4: ("PROBE", ""),
        5: ("MMIO", ""), 6: ("BYPASS_CONFIG", "boot-bypass"),
    },
    "mem": {
        0: ("ACPI_PXM", ""), 1: ("UNPLUGGED_INACCESSIBLE", "unplugged-inaccessible"), 2: ("PERSISTENT_SUSPEND", ""),
    },
    "vsock": {0: ("STREAM", ""), 1: ("SEQPACKET", "seqpacket"), 2: ("NO_IMPLIED_STREAM", "")},
    "fs": {0: ("NOTIFICATION", "")},
    "9p": {0: ("MOUNT_TAG", "mount_tag")},
    "i2c": {0: ("ZERO_LENGTH_REQUEST", "")},
    "gpio": {0: ("IRQ", "")},
    "pmem": {0: ("SHMEM_REGION", "")},
    "snd": {0: ("CTLS", "")},
    "rng": {},
    "input": {},
    "crypto": {},
}  # fmt: skip

#: Names of sections and types that differ from virtio's headers.
_ALIASES = {
    "serial": "console", "scsi-common": "scsi", "vhost_vsock": "vsock", "vsock": "vsock", "vhost-vsock": "vsock",
    "keyboard": "input", "mouse": "input", "tablet": "input", "multitouch": "input", "sound": "snd", "vga": "gpu",
}  # fmt: skip

#: Features of virtio-net that QEMU clears unless the backend of the destination supports them, by bit.
_HOST = {
    **dict.fromkeys((0, 1, 7, 8, 9, 11, 12, 13), "needs a backend with vnet headers, such as a tap device"),
    **dict.fromkeys((10, 14), "needs a tap device with UFO, which Linux 4.14 removed and 4.15 brought back in part"),
    **dict.fromkeys((54, 55, 56), "needs a tap device with USO: Linux 6.2 and newer"),
    **dict.fromkeys((57, 60), "with vhost needs eBPF, or vhost-vdpa"),
    **dict.fromkeys((65, 66, 67, 68), "needs a tap device with tunnel offloads: Linux 6.17 and newer"),
    15: "with vhost needs its support", 3: "with vhost needs its support",
    33: "with vhost needs its support", 34: "with vhost needs its support", 35: "with vhost needs its support",
    38: "with vhost needs its support", 40: "with vhost needs its support",
}  # fmt: skip


class Feature(NamedTuple):
    """A feature bit: its name without VIRTIO_*_F_, and the property that sets it; empty if unknown or none."""

    bit: int
    name: str
    property: str


class FeatureTables(NamedTuple):
    """Names and properties by bit: of the transport, and of each device."""

    transport: dict[int, tuple[str, str]]
    devices: dict[str, dict[int, tuple[str, str]]]

    def feature(self, device: str | None, bit: int) -> Feature:
        """Return a bit of a device; None: of any device."""
        table = self.transport if bit in TRANSPORT_BITS else self.devices.get(device or "", {})
        name, prop = table.get(bit, ("", ""))
        return Feature(bit, name, prop)

    def fitting(self, bits: int) -> list[str]:
        """Return the devices whose tables name all of these bits."""
        own = [bit for bit in bits_of(bits) if bit not in TRANSPORT_BITS]
        return [device for device, table in self.devices.items() if own and all(bit in table for bit in own)]


#: The tables of this file.
STANDARD = FeatureTables(TRANSPORT, DEVICES)


def device_of(section: str) -> str | None:
    """Return the device in virtio's headers for a section, description or QOM type; None if it is no virtio device.

    >>> device_of("0000:00:02.0:00.0/virtio-net"), device_of("virtio-serial"), device_of("e1000")
    ('net', 'console', None)
    """
    name = section.rpartition("/")[2]
    for prefix in ("vhost-user-", "virtio-", "vhost-"):
        if name.startswith(prefix):
            name = name.removeprefix(prefix)
            for suffix in ("-device", "-pci", "-ccw", "-base", "-hid", "-non-transitional", "-transitional"):
                name = name.removesuffix(suffix)
            name = _ALIASES.get(name, name)
            return name if name in DEVICES else None
    return None


def host_condition(device: str | None, bit: int) -> str:
    """Return what a feature of virtio-net needs from the host; empty if nothing."""
    return _HOST.get(bit, "") if device == "net" else ""


def bits_of(value: int) -> list[int]:
    """Return the numbers of the bits that are set."""
    return [bit for bit in range(value.bit_length()) if value >> bit & 1]

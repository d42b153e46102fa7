"""Virtio devices: features, queues, and what a backend must offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.explain.emulated_device import as_option
from vmdump.explain.known_line import line
from vmdump.explain.virtio_features import STANDARD, bits_of, device_of, host_condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmdump.explain.context import Context, Row
    from vmdump.explain.virtio_features import FeatureTables

_LOAD = "hw/virtio/virtio.c virtio_load"

#: Properties that set a feature in passing and are no switches.
_NO_SWITCHES = ("drive", "speed", "host_mtu", "num-queues", "max_ports", "mount_tag")

#: Limit of rows for bits, as a mask of any length may be pasted.
_MAX_BITS = 32

_SAME_QUEUES = "give the device the same numbers of queues and the same queue size on both sides"


def _features(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    """The guest's features that the destination lacks. Source: virtio_set_features_nocheck."""
    wanted, allowed = int(arguments["wanted"], 16), int(arguments["allowed"], 16)
    tables = context.image.features if context.image else STANDARD
    device, fitting = _device(context, tables, wanted)
    if device:
        yield "device", f"virtio-{device}" + ("" if context.section else ", judging by the bits")
    elif fitting:
        yield "device", f"not named in this line; the bits fit {', '.join(f'virtio-{each}' for each in fitting[:6])}"
    refused = wanted & ~allowed
    if not refused:
        yield "refused", "none: all bits of the first value are allowed by the second; the line may be truncated"
        return
    yield from _bits("refused", refused, device, tables, context)
    yield from _effective(refused, device, tables, context)
    properties = [
        prop for bit in bits_of(refused)[:_MAX_BITS]
        if (prop := _property(tables, device, bit) or _property(STANDARD, device, bit)) and prop not in _NO_SWITCHES
    ]  # fmt: skip
    if properties:
        off = ",".join(f"{each}={'on' if each.startswith('disable-') else 'off'}" for each in properties)
        yield (
            "properties",
            f"on the source, from the start of the machine: -device virtio-{device or 'DEVICE'}-pci,{off}",
        )
    if missing := [bit for bit in bits_of(allowed & ~wanted)[:_MAX_BITS] if bit not in (26, 30)]:
        names = ", ".join(_named(tables, device, bit) for bit in missing)
        yield "not used", f"offered by the destination and not negotiated by the guest, which is harmless: {names}"


def _device(context: Context, tables: FeatureTables, bits: int) -> tuple[str | None, list[str]]:
    """Return the device, and else those whose tables name all bits."""
    known = device_of(context.section or "") or device_of((context.field_failed or ("",))[0])
    if known:
        return known, []
    fitting = tables.fitting(bits)
    return (fitting[0] if len(fitting) == 1 else None), fitting


def _effective(bits: int, device: str | None, tables: FeatureTables, context: Context) -> Iterator[Row]:
    """The values of the properties under the machine type that the user named, in the emulator."""
    if context.image is None or device is None:
        return
    names = [name for bit in bits_of(bits)[:_MAX_BITS] if (name := _property(tables, device, bit))]
    section = context.section or f"virtio-{device}"
    types = context.image.types_of(section)
    command_line, values = context.image.values_of(section, types, names) if names else ("", {})
    if values:
        options = ", ".join(f"{name}={as_option(value)}" for name, value in values.items())
        yield "values", f"{options}, emulated ({command_line})"


def _bits(label: str, bits: int, device: str | None, tables: FeatureTables, context: Context) -> Iterator[Row]:
    numbers = bits_of(bits)
    for bit in numbers[:_MAX_BITS]:
        prop = _property(tables, device, bit)
        other = _property(STANDARD, device, bit)
        known = f"property {prop}" if prop else "no property"
        if not prop and other and context.image:
            known = f"property {other}, which {context.image.label} does not have"
        parts = [f"bit {bit}: {_named(tables, device, bit)}", known]
        if condition := host_condition(device, bit):
            parts.append(condition)
        yield label, "; ".join(parts)
    if len(numbers) > _MAX_BITS:
        yield label, f"and {len(numbers) - _MAX_BITS} more bits"


def _named(tables: FeatureTables, device: str | None, bit: int) -> str:
    """Return a bit's name: the binary's, else the specification's, else the number."""
    return tables.feature(device, bit).name or STANDARD.feature(device, bit).name or f"bit {bit}"


def _property(tables: FeatureTables, device: str | None, bit: int) -> str:
    return tables.feature(device, bit).property


def _mask(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    tables = context.image.features if context.image else STANDARD
    device = device_of(context.section or "") or "net"
    yield from _bits("missing", int(arguments["features"], 16), device, tables, context)


def _mask_decimal(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    yield from _mask({"features": f"{int(arguments['features']):x}"}, context)


LINES = (
    line(
        "virtio_features",
        "Features 0x{wanted:x} unsupported. Allowed features: 0x{allowed:x}",
        what="the guest's driver has negotiated virtio features that the destination's device does not offer. Features "
        "can't be taken from a running guest",
        remedy="make the destination offer them (newer QEMU, kernel or vhost backend), or start the machine anew on "
        "the source with the features off, by the properties named here or a machine type that turns them off; a "
        "reboot of the guest negotiates again, but only what the source's device offers",
        source=_LOAD,
        details=_features,
    ),
    line(
        "vhost_features",
        "vhost lacks feature mask 0x{features:x} for backend",
        what="the vhost backend of this host lacks features that the device must offer",
        remedy="load the vhost module of a newer kernel, use another backend, or turn the properties off",
        source="hw/net/vhost_net.c vhost_net_init",
        details=_mask,
    ),
    line(
        "vhost_features_decimal",
        "vhost lacks feature mask {features:d} for backend",
        what="the vhost backend of this host lacks features that the device must offer (the number is decimal)",
        remedy="load the vhost module of a newer kernel, use another backend, or turn the properties off",
        source="hw/net/vhost_net.c vhost_net_init",
        details=_mask_decimal,
    ),
    line(
        "virtio_ring_size",
        "VQ {queue:d} vring.num {sent:d} exceeds allocated max {local:d}",
        what="queue {queue} has {sent} entries in the stream, and the destination allocated {local}. QEMU 11.1 checks "
        "this; up to then, a device sent the maximum (1024) for queues that it had not set up",
        remedy=f"{_SAME_QUEUES}; without such a difference, the source is a QEMU whose stable series lacks the fix: "
        "update it, and start the machine anew",
        source=_LOAD,
    ),
    line(
        "virtio_queue_number",
        "Invalid number of virtqueues: 0x{sent:x}",
        what="the stream has 0x{sent} queues of a virtio device, more than a device can have (1024): the destination "
        "lost its position in the stream, or the stream is damaged",
        source=_LOAD,
    ),
    line(
        "virtio_queue_index",
        "VQ {queue:d} size 0x{size:x} Guest index 0x{guest:x} inconsistent with Host index 0x{host:x}: delta "
        "0x{delta:x}",
        what="queue {queue}: the guest has put 0x{guest} buffers into the ring of 0x{size} entries, and the device has "
        "taken 0x{host}; the difference is larger than the ring. The ring is in the guest's memory, the index in the "
        "device's state: they were saved at different times",
        remedy="the source ran on while it was saved, or its memory did not arrive (a vhost-user backend without "
        "logging, x-ignore-shared with a copy of the memory). Save again with the machine stopped",
        source=_LOAD,
    ),
    line(
        "virtio_queue_used",
        "VQ {queue:d} size 0x{size:x} < last_avail_idx 0x{available:x} - used_idx 0x{used:x}",
        what="queue {queue}: more requests are in flight than the ring of 0x{size} entries holds: the index in the "
        "guest's memory does not belong to the device's state",
        remedy="save again with the machine stopped; a vhost backend must be stopped before",
        source=_LOAD,
    ),
    line(
        "virtio_queue_address",
        "VQ {queue:d} address 0x0 inconsistent with Host index 0x{host:x}",
        what="queue {queue} has no ring in the guest's memory, yet the device has taken 0x{host} buffers from it",
        remedy="a defect of the device or its backend on the source",
        source=_LOAD,
    ),
    line(
        "virtio_net_header",
        "virtio-net: saved image requires vnet_hdr=on",
        what="the source's network backend passes headers with offloads, and the destination's does not",
        remedy="use the same kind of backend on both sides: tap with vnet_hdr=on (the default), or vhost",
        source="hw/net/virtio-net.c virtio_net_vnet_post_load",
    ),
    line(
        "virtio_net_ufo",
        "virtio-net: saved image requires TUN_F_UFO support",
        what="the guest has negotiated UDP fragmentation offload (GUEST_UFO, HOST_UFO), which the destination's tap "
        "device lacks: Linux 4.14 has no UFO",
        remedy="use a kernel with UFO on the destination, or guest_ufo=off,host_ufo=off from the start of the machine",
        source="hw/net/virtio-net.c virtio_net_ufo_post_load",
    ),
    line(
        "virtio_net_queues",
        "virtio-net: curr_queue_pairs {sent:x} > max_queue_pairs {local:x}",
        "virtio-net: curr_queues {sent:x} > max_queues {local:x}",
        what="the guest uses {sent} pairs of queues (hexadecimal), and the destination's device has {local}",
        remedy="give the backend of the destination the same number of queues (-netdev ...,queues=N)",
        source="hw/net/virtio-net.c virtio_net_tx_waiting_pre_load",
    ),
    line(
        "virtio_net_rss",
        "virtio-net: saved image has invalid RSS indirections_len: {length:d}",
        what="the table that spreads packets over queues has {length} entries in the stream, which is impossible",
        remedy="the stream is damaged, or the destination lost its position in it",
        source="hw/net/virtio-net.c",
    ),
    line(
        "virtio_legacy",
        "device is modern-only, but for backward compatibility legacy is allowed",
        what="a note, not an error: the machine type keeps the legacy interface of a device that has only the modern "
        "one",
        source="hw/virtio/virtio.c virtio_legacy_check_disabled",
        is_note=True,
    ),
    line(
        "vhost_set_features",
        "vhost_set_features failed: {error:line}",
        what="the vhost backend refused the features that the guest negotiated",
        remedy="the destination's kernel or vhost-user process lacks one of them: use the version of the source",
        source="hw/virtio/vhost.c vhost_dev_set_features",
    ),
    line(
        "vhost_vring",
        "vhost_set_vring_{call} failed: {error:line}",
        "vhost vring error in virtqueue {queue:d}: {error:line}",
        what="the vhost backend refused to set a queue up, or stopped it",
        remedy="look at the log of the vhost-user process, or the kernel's log",
        source="hw/virtio/vhost.c vhost_virtqueue_start",
    ),
)

"""VMStateInfos whose bytes are determined by code: virtio, MSI-X, requests in flight, registers of some CPUs.

Source: QEMU 10.0.13 and 7.2.22: hw/virtio/virtio.c virtio_save, virtio-pci.c, virtio-mmio.c, hw/s390x/virtio-ccw.c,
hw/pci/msix.c, shpc.c, hw/scsi/scsi-bus.c, hw/display/virtio-gpu.c, hw/usb/redirect.c, target/*/machine.c.
"""

from __future__ import annotations

import re

from vmdump.stream.values import Node

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmdump.stream.description_reader import DescriptionReader
    from vmdump.vmstate.model import VMStateField

    Reader = Callable[[DescriptionReader, Node, VMStateField], None]

#: Bytes of a register by VMStateInfo.name where targets differ; the end of the section shows which.
_ALTERNATIVES = {
    "fpr": [8, 16], "fsr": [4, 8], "psw": [8, 4], "fd": [4, 0], "tlb": [32], "llm": [8],
    "tlb_entry": [32, 28, 36, 30, 24],
}  # fmt: skip

#: sizeof(VirtQueueElementOld).
_ELEMENT = 49168

#: Limits: VIRTIO_QUEUE_MAX, records of a list.
_MAX_QUEUES, _MAX_RECORDS = 1024, 65536

_CCW = re.compile(r"(^|/)[0-9a-f]{1,2}\.[0-9a-f]\.[0-9a-f]{4}/")
_PCI = re.compile(r"[0-9a-f]{2}\.[0-9a-f]/")


def read_info(reader: DescriptionReader, node: Node, field: VMStateField, info: str | None) -> None:
    """Read a value into node. Raises MismatchError for an unknown VMStateInfo."""
    if info in _ALTERNATIVES:
        node.value = reader.take(reader.choose("size", info, _ALTERNATIVES[info]))
    elif info in _READERS:
        _READERS[info](reader, node, field)
    else:
        raise reader.fail(f"{field.name} has the VMStateInfo {info!r}, whose bytes are not known")


def _counted(width: int, unit: int = 1) -> Reader:
    """Return the reader of a number of width bytes, followed by that many units."""

    def read(reader: DescriptionReader, node: Node, field: VMStateField) -> None:
        node.value = reader.take(unit * reader.uint(width))

    return read


def _read_bufpq(reader: DescriptionReader, node: Node, field: VMStateField) -> None:
    node.children = []
    for number in range(_records(reader, reader.uint(4))):
        size = reader.uint(4)
        reader.take(4)  # status
        packet = reader.node("packet", "buffer", size)
        packet.index = number
        node.children.append(packet)


def _records(reader: DescriptionReader, count: int) -> int:
    if count > _MAX_RECORDS:
        raise reader.fail(f"{count} records")
    return count


def _read_msix(reader: DescriptionReader, node: Node, field: VMStateField | None) -> None:
    """Source: msix_save. The number of entries is in the MSI-X capability of the configuration space."""
    entries = msix_entries(reader.pci_config)
    node.value = reader.take(16 * entries + (entries + 7) // 8)


def msix_entries(config: bytes) -> int:
    """Return the number of MSI-X vectors of a PCI configuration space; 0: no such capability."""
    if len(config) < 256 or not config[6] & 0x10:
        return 0
    at = config[0x34] & ~3
    for _ in range(64):
        if not at:
            return 0
        if config[at] == 0x11:
            return (int.from_bytes(config[at + 2 : at + 4], "little") & 0x7FF) + 1
        at = config[at + 1] & ~3
    return 0


def _read_shpc(reader: DescriptionReader, node: Node, field: VMStateField) -> None:
    """Source: shpc_save: SHPC_SIZEOF, by the number of slots in the registers."""
    slots = reader.body[reader.at + 0x0C] & 0x1F if reader.at + 0x0C < len(reader.body) else 0
    node.value = reader.take(0x24 + 4 * slots)


def _read_scsi_requests(reader: DescriptionReader, node: Node, field: VMStateField) -> None:
    """Source: put_scsi_req, virtio_scsi_save_request."""
    node.children = []
    while reader.uint(1):
        request = Node("request", "struct", reader.at, index=len(node.children))
        request.children = [
            reader.node("cmd", "buffer", 16), reader.node("tag", "uint32", 4), reader.node("lun", "uint32", 4),
        ]  # fmt: skip
        if "virtio-scsi" not in reader.name and not reader.choose("virtio-scsi", "request", [0, 1]):
            raise reader.fail("SCSI requests in flight of an adapter with an unknown format")
        request.children += [reader.node("queue", "uint32", 4), reader.node("element", "buffer", _ELEMENT)]
        node.children.append(request)


def _read_virtio_gpu(reader: DescriptionReader, node: Node, field: VMStateField) -> None:
    """Source: virtio_gpu_save."""
    node.children = []
    while resource := reader.uint(4):
        width, height, format, count = (reader.uint(4) for _ in range(4))
        reader.take(12 * _records(reader, count))
        image = reader.node(f"resource {resource} ({width}x{height}, format {format})", "buffer", 4 * width * height)
        node.children.append(image)
    node.children += _described(reader, "virtio-gpu-scanouts", version=None)


def _described(reader: DescriptionReader, name: str, version: int | None) -> list[Node]:
    """Read the state of a description of the image."""
    vmsd = reader.descriptions.find(name)
    if vmsd is None:
        raise reader.fail(f"the image has no description {name!r}")
    return reader.description(vmsd, vmsd.version_id if version is None else version, reader.new_object())


# virtio ------------------------------------------------------------------------------------------------------------


def _transport(name: str) -> str:
    """Return the transport of a virtio device by its idstr."""
    if re.search(r"(^|/)virtio-mmio@", name):
        return "mmio"
    if _CCW.search(name):
        return "ccw"
    return "pci" if _PCI.search(name) else "mmio"


def _read_virtio(reader: DescriptionReader, node: Node, field: VMStateField) -> None:
    """Source: virtio_save."""
    transport = _transport(reader.name)
    nodes = node.children = []
    has_vectors = _read_config(reader, transport, nodes)
    nodes += [
        reader.node("status", "uint8", 1), reader.node("isr", "uint8", 1), reader.node("queue_sel", "uint16", 2),
        reader.node("guest_features_lo", "uint32", 4),
    ]  # fmt: skip
    nodes.append(reader.node("config", "buffer", reader.uint(4)))
    queues = reader.uint(4)
    if queues > _MAX_QUEUES:
        raise reader.fail(f"{queues} virtqueues")
    for number in range(queues):
        queue = Node("vq", "struct", reader.at, index=number)
        queue.children = [reader.node("vring.num", "uint32", 4)]
        if transport == "mmio":
            queue.children.append(reader.node("vring.align", "uint32", 4))
        queue.children += [reader.node("vring.desc", "uint64", 8), reader.node("last_avail_idx", "uint16", 2)]
        if has_vectors:
            queue.children.append(reader.node("vector", "uint16", 2))
        queue.size = reader.at - queue.offset
        nodes.append(queue)
    _read_device(reader, nodes)


def _read_config(reader: DescriptionReader, transport: str, nodes: list[Node]) -> bool:
    """Read the state of the transport; return whether queues have vectors. Source: VirtioBusClass.save_config."""
    if transport == "mmio":
        for name in ("host_features_sel", "guest_features_sel", "guest_page_shift"):
            nodes.append(reader.node(name, "uint32", 4))
        return False
    device = Node("PCIDevice" if transport == "pci" else "s390_virtio_ccw_dev", "struct", reader.at)
    device.children = _described(reader, device.name, version=None)
    device.size = reader.at - device.offset
    nodes.append(device)
    if transport == "ccw":
        return True
    msix = Node("msix", "msix state", reader.at)
    _read_msix(reader, msix, None)
    msix.size = reader.at - msix.offset
    if msix.size:
        nodes += [msix, reader.node("config_vector", "uint16", 2)]
    return msix.size > 0


def _read_device(reader: DescriptionReader, nodes: list[Node]) -> None:
    """Read what VirtioDeviceClass.save and its vmsd wrote, then the subsections of all virtio devices."""
    name = reader.name.rpartition("/")[2]
    if name == "virtio-blk":
        _read_blk_requests(reader, nodes)
    elif name in ("virtio-console", "virtio-serial"):
        _read_serial_ports(reader, nodes)
    vmsd = reader.descriptions.virtio_class(name)
    if vmsd is not None:
        node = Node(vmsd.name, "struct", reader.at)
        node.children = reader.description(vmsd, vmsd.version_id, reader.new_object())
        node.size = reader.at - node.offset
        nodes.append(node)
    nodes += _described(reader, "virtio", version=1)


def _read_blk_requests(reader: DescriptionReader, nodes: list[Node]) -> None:
    """Source: hw/block/virtio-blk.c virtio_blk_save_device. Devices with several queues send the queue's number."""
    while reader.uint(1):
        if reader.choose("queue", "request", [4, 0]):
            nodes.append(reader.node("request.queue", "uint32", 4))
        nodes.append(reader.node("request", "buffer", _ELEMENT))


def _read_serial_ports(reader: DescriptionReader, nodes: list[Node]) -> None:
    """Source: hw/char/virtio-serial-bus.c virtio_serial_save_device."""
    nodes += [reader.node("config.cols", "uint16", 2), reader.node("config.rows", "uint16", 2)]
    ports = reader.uint(4)
    nodes.append(reader.node("ports_map", "buffer", (ports + 31) // 32 * 4))
    for number in range(_records(reader, reader.uint(4))):
        port = Node("port", "struct", reader.at, index=number)
        port.children = [
            reader.node("id", "uint32", 4), reader.node("guest_connected", "bool", 1),
            reader.node("host_connected", "bool", 1),
        ]  # fmt: skip
        if reader.uint(4):
            reader.take(4 + 8)  # iov_idx, iov_offset
            port.children.append(reader.node("element", "buffer", _ELEMENT))
        port.size = reader.at - port.offset
        nodes.append(port)


def _read_extra_state(reader: DescriptionReader, node: Node, field: VMStateField) -> None:
    """Source: VirtioBusClass.save_extra_state."""
    node.children = _described(reader, f"virtio_{_transport(reader.name)}", version=None)


_READERS: dict[str | None, Reader] = {
    "capability": _counted(1), "usb-redir-parser": _counted(4), "GByteArray": _counted(4),
    "usb-redir-packet-id-q": _counted(4, 8), "usb-redir-bufpq": _read_bufpq, "msix state": _read_msix,
    "shpc": _read_shpc, "scsi-requests": _read_scsi_requests, "virtio-gpu": _read_virtio_gpu, "virtio": _read_virtio,
    "virtqueue_extra_state": _read_extra_state,
}  # fmt: skip

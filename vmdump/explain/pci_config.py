"""The PCI configuration space of a device, from an emulated machine that has it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.emulator.migration import save_stream
from vmdump.errors import SourceError
from vmdump.explain.emulated_device import EmulatedDevice, start_device
from vmdump.explain.pci_registers import CONVENTIONAL, EXPRESS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vmdump.explain.emulated_device import Binary

#: Version of PCIDevice, the first word of its state. Source: hw/pci/pci.c vmstate_pci_device.
_PCI_DEVICE_VERSION = 2

#: The stream's last section: QEMU_VM_VMDESCRIPTION, its length, the description.
_VMDESCRIPTION = b"\x06"


class PciConfig(NamedTuple):
    """The configuration space of a device type after reset.

    ``data``: 256 bytes, or 4096 of a PCI Express device; None if it is unknown; ``origin``: the command line, or the
    reason; ``type``: the QOM type; ``values``: values of the requested properties that the type has.
    """

    data: bytes | None
    origin: str
    type: str = ""
    values: Mapping[str, Any] = {}


def read_config(
    binary: Binary, section: str, types: Sequence[str], *, is_extended: bool, properties: Iterable[str] = ()
) -> PciConfig:
    """Return the configuration space of a device after reset.

    Args:
        binary: the QEMU.
        section: the device's section: device path and name.
        types: QOM types that have the section.
        is_extended: the register is beyond the first 256 bytes, so the device needs a PCI Express bus.
        properties: names of properties to read.
    """
    device = start_device(binary, section, types, needs_express=is_extended)
    if not isinstance(device, EmulatedDevice):
        return PciConfig(None, f"unknown: the device could not be emulated: {device}")
    values = device.values(properties)
    try:
        config = _config_of(save_stream(device.machine), section.rpartition("/")[2])
    except SourceError as error:
        return PciConfig(None, f"unknown: the device could not be saved: {error}")
    if config is None:
        return PciConfig(None, f"unknown: {device.type} has no PCI configuration space in its state")
    return PciConfig(config, f"of {device.type} after reset, emulated ({device.command_line})", device.type, values)


def _config_of(stream: bytes, name: str) -> bytes | None:
    """Return the configuration space in the section of a device; None if it has none."""
    for device in _description(stream).get("devices", ()):
        idstr = device.get("name", "")
        if idstr.rpartition("/")[2] != name or "/" not in idstr:
            continue
        head = bytes([len(idstr)]) + idstr.encode() + int(device.get("instance_id", 0)).to_bytes(4, "big")
        start = _section_start(stream, head)
        if start is None:
            continue
        before = _bytes_before_config(device.get("fields", ()))
        if before is not None:
            at, size = before
            return stream[start + at : start + at + size]
        if stream[start : start + 4] == _PCI_DEVICE_VERSION.to_bytes(4, "big"):  # the transport's, written by code
            return _config_at(stream, start + 4)
    return None


def _config_at(stream: bytes, at: int) -> bytes:
    """Return the configuration space at an offset: 4096 bytes if its extended part is one, else 256.

    The levels of the interrupt pins follow, zeros after reset; an Express device has the capability 0x10.
    """
    config = stream[at : at + CONVENTIONAL]
    seen: set[int] = set()
    pointer = config[0x34] & ~3
    while 0x40 <= pointer < CONVENTIONAL - 1 and pointer not in seen:
        seen.add(pointer)
        if config[pointer] == 0x10:
            return stream[at : at + EXPRESS]
        pointer = config[pointer + 1] & ~3
    return config


def _section_start(stream: bytes, head: bytes) -> int | None:
    """Return where the data of a full section begins: after type, id, name, instance and version."""
    at = stream.find(head)
    while at >= 5:
        if stream[at - 5] in (1, 4):  # QEMU_VM_SECTION_START, QEMU_VM_SECTION_FULL
            return at + len(head) + 4
        at = stream.find(head, at + 1)
    return None


def _bytes_before_config(fields: Sequence[dict[str, Any]]) -> tuple[int, int] | None:
    """Return offset and size of the field with the encoding "pci config" in a section; None if there is none.

    The fields before it must have no nested part that hides their order.
    """
    at = 0
    for field in fields:
        if field.get("type") == "pci config":
            return at, int(field["size"])
        if "struct" in field and (inner := _bytes_before_config(field["struct"].get("fields", ()))) is not None:
            return at + inner[0], inner[1]
        at += int(field.get("size", 0)) * int(field.get("array_len", 1))
    return None


def _description(stream: bytes) -> dict[str, Any]:
    """Return the description at the end of a stream; empty if there is none."""
    for match in re.finditer(
        re.escape(_VMDESCRIPTION) + rb"(.{4})\{\"(?:configuration|page_size|devices)\"", stream, re.S
    ):
        size = int.from_bytes(match[1], "big")
        if match.start() + 5 + size == len(stream):
            break
    else:
        return {}
    try:
        found = json.loads(stream[match.start() + 5 :])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

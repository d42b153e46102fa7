"""PCI: configuration space that differs, and devices that do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.explain.emulated_device import as_option
from vmdump.explain.known_line import line
from vmdump.explain.pci_registers import PROPERTIES, describe, known_properties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmdump.explain.context import Context, Row
    from vmdump.explain.pci_config import PciConfig
    from vmdump.explain.pci_registers import Register

#: PCI_CAPABILITY_LIST.
_CAPABILITIES_POINTER = 0x34


def _config(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    """The register at an offset, and the bits that may not differ. Source: hw/pci/pci.c get_pci_config_device."""
    offset = int(arguments["offset"], 16)
    sent, local, checked, writable, w1c = (
        int(arguments[name], 16) & 0xFF for name in ("sent", "local", "checked", "writable", "w1c")
    )
    if context.section:
        yield "device", context.section
    device = context.pci_config(offset, PROPERTIES)
    config = device.data
    register = describe(offset, config)
    yield "register", f"0x{offset:x}: {register.name}"
    if device.origin:
        yield "layout", device.origin
    differing = (sent ^ local) & checked & ~writable & ~w1c
    names = [register.bit_name(bit) for bit in range(8) if differing >> bit & 1]
    if any(names):
        yield "bits", ", ".join(name for name in names if name)
    yield "values", f"source 0x{sent:02x}, destination 0x{local:02x}; differing and not writable by the guest: "\
        f"0x{differing:02x}"  # fmt: skip
    if config is not None and offset == _CAPABILITIES_POINTER:
        first = (f"{side} 0x{at:02x} ({describe(at, config).capability or 'none in this layout'})"
                 for side, at in (("source", sent), ("destination", local)))  # fmt: skip
        yield "first capability", ", ".join(first)
    yield from _properties(register, device)


LINES = (
    line(
        "pci_config",
        "Bad config data: i=0x{offset:x} read: {sent:x} device: {local:x} cmask: {checked:x} wmask: {writable:x} "
        "w1cmask:{w1c:x}",
        what="byte 0x{offset} of the device's PCI configuration space is 0x{sent} in the stream and 0x{local} in the "
        "destination, and the guest can't write the bits that differ: the two devices are not the same to the guest",
        remedy="a property of the device, its default in another QEMU version, or an unset compat property of the "
        "machine type changes the register: compare both sides (vmdump properties, vmdump abi), and set the property "
        "to the source's value on the destination",
        source="hw/pci/pci.c get_pci_config_device",
        details=_config,
    ),
    line(
        "pci_config_short",
        "Bad config data: i=0x{offset:x}",
        what="byte 0x{offset} of the device's PCI configuration space differs between the stream and the destination, "
        "in bits that the guest can't write",
        remedy="give the whole line: its values say which bits differ",
        source="hw/pci/pci.c get_pci_config_device",
        details=lambda arguments, context: _register(arguments, context),
    ),
    line(
        "pci_capability_overlap",
        "Attempt to add PCI capability {capability:x} at offset {offset:x} overlaps existing capability {other:x} at "
        "offset {place:x}",
        what="two capabilities of a PCI device would overlap in its configuration space",
        source="hw/pci/pci.c pci_add_capability",
    ),
    line(
        "pci_bus_kind",
        "{type} devices cannot reside on a PCIe bus",
        "{type} devices cannot reside on a PCI bus",
        what="the device {type} was put on the wrong kind of bus",
        remedy="name a bus of the other kind (bus=): a PCIe root bus for PCIe devices, a conventional one for others",
        source="hw/pci-bridge/pci_expander_bridge.c",
    ),
)


def _register(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    offset = int(arguments["offset"], 16)
    device = context.pci_config(offset, PROPERTIES)
    register = describe(offset, device.data)
    yield "register", f"0x{offset:x}: {register.name}"
    if device.origin:
        yield "layout", device.origin
    yield from _properties(register, device)


def _properties(register: Register, device: PciConfig) -> Iterator[Row]:
    """The properties that are known to change a register; those that the emulated device has, and the others."""
    exact, others = known_properties(register)
    if device.data is None:
        if names := [*exact, *others]:
            yield "properties", f"known to change it in some devices: {', '.join(names)}"
        return
    if names := [name for name in (*exact, *others) if name in device.values]:
        values = ", ".join(f"{name}={as_option(device.values[name])}" for name in names)
        yield "properties", f"of {device.type}, known to change it, with their values here: {values}"
    if names := [name for name in exact if name not in device.values]:
        yield "other QEMUs", f"have properties that change it, which this {device.type} lacks: {', '.join(names)}"

"""Registers of PCI configuration space: the header, and capabilities where a device has them.

Source: PCI Local Bus Specification 3.0, PCI Express Base Specification 6.0; names as in Linux' pci_regs.h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Sizes of configuration space, conventional and Express, in bytes.
CONVENTIONAL, EXPRESS = 0x100, 0x1000

#: Limit of capabilities in a chain, which may be a loop.
_MAX_CAPABILITIES = 64

#: Registers by offset and size: (offset, size, name). Of both header types, and of the types 0 and 1.
_HEADER = (
    (0x00, 2, "Vendor ID"), (0x02, 2, "Device ID"), (0x04, 2, "Command"), (0x06, 2, "Status"), (0x08, 1, "Revision ID"),
    (0x09, 3, "Class Code"), (0x0C, 1, "Cache Line Size"), (0x0D, 1, "Latency Timer"), (0x0E, 1, "Header Type"),
    (0x0F, 1, "BIST"), (0x10, 4, "BAR 0"), (0x14, 4, "BAR 1"), (0x34, 1, "Capabilities Pointer"),
    (0x3C, 1, "Interrupt Line"), (0x3D, 1, "Interrupt Pin"),
)  # fmt: skip
_TYPE_0 = (
    (0x18, 4, "BAR 2"), (0x1C, 4, "BAR 3"), (0x20, 4, "BAR 4"), (0x24, 4, "BAR 5"), (0x28, 4, "CardBus CIS Pointer"),
    (0x2C, 2, "Subsystem Vendor ID"), (0x2E, 2, "Subsystem ID"), (0x30, 4, "Expansion ROM Base Address"),
    (0x3E, 1, "Min_Gnt"), (0x3F, 1, "Max_Lat"),
)  # fmt: skip
_TYPE_1 = (
    (0x18, 1, "Primary Bus Number"), (0x19, 1, "Secondary Bus Number"), (0x1A, 1, "Subordinate Bus Number"),
    (0x1B, 1, "Secondary Latency Timer"), (0x1C, 1, "I/O Base"), (0x1D, 1, "I/O Limit"), (0x1E, 2, "Secondary Status"),
    (0x20, 2, "Memory Base"), (0x22, 2, "Memory Limit"), (0x24, 2, "Prefetchable Memory Base"),
    (0x26, 2, "Prefetchable Memory Limit"), (0x28, 4, "Prefetchable Base Upper 32 Bits"),
    (0x2C, 4, "Prefetchable Limit Upper 32 Bits"), (0x30, 2, "I/O Base Upper 16 Bits"),
    (0x32, 2, "I/O Limit Upper 16 Bits"), (0x38, 4, "Expansion ROM Base Address"), (0x3E, 2, "Bridge Control"),
)  # fmt: skip

#: Capabilities by id: name, registers after id and next pointer.
_CAPABILITIES: dict[int, tuple[str, tuple[tuple[int, int, str], ...]]] = {
    0x01: ("Power Management", ((2, 2, "Capabilities"), (4, 2, "Control/Status"), (6, 1, "Bridge Extensions"),
    (7, 1, "Data"))),
    0x02: ("AGP", ()), 0x03: ("Vital Product Data", ((2, 2, "Address"), (4, 4, "Data"))),
    0x04: ("Slot Identification", ()),
    0x05: ("MSI", ((2, 2, "Message Control"), (4, 8, "Message Address"), (12, 12, "Message Data, Mask and Pending"))),
    0x07: ("PCI-X", ()), 0x09: ("Vendor-Specific", ()), 0x0C: ("Hot-Plug", ()),
    0x0D: ("Bridge Subsystem ID", ((4, 2, "Subsystem Vendor ID"), (6, 2, "Subsystem ID"))),
    0x10: ("PCI Express", (
        (2, 2, "Capabilities"), (4, 4, "Device Capabilities"), (8, 2, "Device Control"), (10, 2, "Device Status"),
        (12, 4, "Link Capabilities"), (16, 2, "Link Control"), (18, 2, "Link Status"), (20, 4, "Slot Capabilities"),
        (24, 2, "Slot Control"), (26, 2, "Slot Status"), (28, 2, "Root Control"), (30, 2, "Root Capabilities"),
        (32, 4, "Root Status"), (36, 4, "Device Capabilities 2"), (40, 2, "Device Control 2"),
        (42, 2, "Device Status 2"), (44, 4, "Link Capabilities 2"), (48, 2, "Link Control 2"), (50, 2, "Link Status 2"),
        (52, 4, "Slot Capabilities 2"), (56, 2, "Slot Control 2"), (58, 2, "Slot Status 2"))),
    0x11: ("MSI-X", ((2, 2, "Message Control"), (4, 4, "Table Offset and BAR"), (8, 4, "Pending Bits Offset and BAR"))),
    0x12: ("SATA Data/Index", ()), 0x13: ("Advanced Features", ((3, 1, "Capabilities"), (4, 1, "Control"),
    (5, 1, "Status"))),
    0x14: ("Enhanced Allocation", ()),
}  # fmt: skip

#: Extended capabilities by id.
_EXTENDED: dict[int, tuple[str, tuple[tuple[int, int, str], ...]]] = {
    0x01: ("Advanced Error Reporting (AER)", (
        (4, 4, "Uncorrectable Error Status"), (8, 4, "Uncorrectable Error Mask"),
        (12, 4, "Uncorrectable Error Severity"),
        (16, 4, "Correctable Error Status"), (20, 4, "Correctable Error Mask"),
        (24, 4, "Capabilities and Control"), (28, 16, "Header Log"), (44, 4, "Root Error Command"),
        (48, 4, "Root Error Status"), (52, 4, "Error Source Identification"))),
    0x02: ("Virtual Channel", ()), 0x03: ("Device Serial Number", ((4, 8, "Serial Number"),)),
    0x0B: ("Vendor-Specific", ()), 0x0D: ("Access Control Services (ACS)", ((4, 2, "Capability"), (6, 2, "Control"))),
    0x0E: ("Alternative Routing-ID (ARI)", ((4, 2, "Capability"), (6, 2, "Control"))),
    0x0F: ("Address Translation Services (ATS)", ((4, 2, "Capability"), (6, 2, "Control"))),
    0x10: ("SR-IOV", ((4, 4, "Capabilities"), (8, 2, "Control"), (10, 2, "Status"), (12, 2, "InitialVFs"),
                      (14, 2, "TotalVFs"), (16, 2, "NumVFs"), (20, 2, "First VF Offset"), (22, 2, "VF Stride"),
                      (26, 2, "VF Device ID"), (36, 24, "VF BARs"))),
    0x13: ("Page Request", ((4, 2, "Control"), (6, 2, "Status"))), 0x15: ("Resizable BAR", ()),
    0x17: ("TPH Requester", ()),
    0x18: ("Latency Tolerance Reporting", ()), 0x1B: ("PASID", ((4, 2, "Capability"), (6, 2, "Control"))),
    0x1D: ("Downstream Port Containment", ()), 0x1E: ("L1 PM Substates", ()),
    0x23: ("Designated Vendor-Specific (CXL)", ()),
    0x2E: ("Data Object Exchange (DOE)", ()),
}  # fmt: skip

_UNCORRECTABLE = {
    4: "Data Link Protocol", 5: "Surprise Down", 12: "Poisoned TLP", 13: "Flow Control Protocol",
    14: "Completion Timeout",
    15: "Completer Abort", 16: "Unexpected Completion", 17: "Receiver Overflow", 18: "Malformed TLP", 19: "ECRC",
    20: "Unsupported Request", 21: "ACS Violation", 22: "Uncorrectable Internal", 23: "MC Blocked TLP",
    24: "AtomicOp Egress Blocked", 25: "TLP Prefix Blocked",
}  # fmt: skip
_SLOT_STATUS = {
    0: "Attention Button Pressed", 1: "Power Fault Detected", 2: "MRL Sensor Changed", 3: "Presence Detect Changed",
    4: "Command Completed", 5: "MRL Sensor State", 6: "Presence Detect State", 7: "Interlock Status",
    8: "Link State Changed",
}  # fmt: skip

#: Names of bits, by capability and register; "" is the header.
_BITS: dict[tuple[str, str], dict[int, str]] = {
    ("Advanced Error Reporting (AER)", "Uncorrectable Error Status"): _UNCORRECTABLE,
    ("Advanced Error Reporting (AER)", "Uncorrectable Error Mask"): _UNCORRECTABLE,
    ("Advanced Error Reporting (AER)", "Uncorrectable Error Severity"): _UNCORRECTABLE,
    ("Address Translation Services (ATS)", "Capability"): {5: "Page Aligned Request"},
    ("PCI Express", "Slot Status"): _SLOT_STATUS,
    ("PCI Express", "Slot Capabilities"): {
        0: "Attention Button", 1: "Power Controller", 2: "MRL Sensor", 3: "Attention Indicator", 4: "Power Indicator",
        5: "Hot-Plug Surprise", 6: "Hot-Plug Capable", 17: "Interlock", 18: "No Command Completed",
    },
    ("PCI Express", "Device Capabilities"): {28: "Function Level Reset"},
    ("Power Management", "Control/Status"): {3: "No Soft Reset"},
    ("", "Command"): {0: "I/O Space", 1: "Memory Space", 2: "Bus Master", 10: "Interrupt Disable"},
    ("", "Status"): {3: "Interrupt Status", 4: "Capabilities List"},
    ("", "Header Type"): {7: "Multi-Function Device"},
}  # fmt: skip

#: Properties that are known to change a register, by capability and register ("" for all of the capability).
_PROPERTIES: dict[tuple[str, str], tuple[str, ...]] = {
    ("Advanced Error Reporting (AER)", "Uncorrectable Error Mask"): ("x-pcie-err-unc-mask",),
    ("Advanced Error Reporting (AER)", ""): ("aer",),
    ("Address Translation Services (ATS)", "Capability"): ("x-ats-page-aligned",),
    ("Address Translation Services (ATS)", ""): ("ats",),
    ("Alternative Routing-ID (ARI)", ""): ("x-pcie-ari-nextfn-1",),
    ("Access Control Services (ACS)", ""): ("disable-acs",),
    ("PCI Express", "Slot Status"): ("x-native-hotplug", "hotplug"),
    ("PCI Express", "Slot Capabilities"): ("x-native-hotplug", "power_controller_present", "hotplug"),
    ("PCI Express", "Slot Control"): ("x-native-hotplug", "power_controller_present"),
    ("PCI Express", "Link Capabilities"): ("x-speed", "x-width"),
    ("PCI Express", "Link Status"): ("x-speed", "x-width"),
    ("PCI Express", "Link Control"): ("x-pcie-lnkctl-init", "x-pcie-lnksta-dllla"),
    ("PCI Express", "Device Control"): ("x-pcie-deverr-init",),
    ("PCI Express", "Device Capabilities"): ("x-pcie-flr-init", "x-pcie-extcap-init"),
    ("Power Management", "Control/Status"): ("x-pcie-pm-no-soft-reset", "x-pcie-pm-init"),
    ("Power Management", ""): ("x-pcie-pm-init",),
    ("MSI-X", ""): ("vectors", "msix"),
    ("MSI", ""): ("msi",),
    ("", "Capabilities Pointer"): ("vectors", "msix", "msi", "disable-modern", "x-disable-pcie"),
    ("", "Header Type"): ("multifunction",),
    ("", "Revision ID"): ("x-pci-revision",),
    ("", "Expansion ROM Base Address"): ("romfile", "rombar", "romsize"),
}  # fmt: skip

#: All of these properties.
PROPERTIES = tuple(dict.fromkeys(name for names in _PROPERTIES.values() for name in names))


class Register(NamedTuple):
    """A register: full name; capability ("" for the header, None if unknown) and register; byte within it; bits."""

    name: str
    capability: str | None
    register: str
    byte: int

    def bit_name(self, bit: int) -> str:
        """Return the name of a bit of this byte; empty if it has none."""
        return _BITS.get((self.capability or "", self.register), {}).get(8 * self.byte + bit, "")


def describe(offset: int, config: bytes | None) -> Register:
    """Return the register at an offset; config: the device's configuration space, None if it is unknown."""
    if offset >= EXPRESS:
        return Register("outside of configuration space, which has 4096 bytes", None, "", 0)
    if offset < 0x40:
        is_bridge = config is not None and len(config) > 0x0E and config[0x0E] & 0x7F == 1
        return _header_register(offset, is_bridge, known=config is not None)
    if config is None:
        return _without_layout(offset)
    for start, name, registers in capabilities(config):
        if offset >= start:
            found = (name, registers, start)
            size = max((at + size for at, size, _ in registers), default=0x40)
            if offset < start + size and not any(start < other <= offset for other, _, _ in capabilities(config)):
                return _in_capability(offset, *found)
    return Register("in none of the device's capabilities", None, "", 0)


def _header_register(offset: int, is_bridge: bool, *, known: bool) -> Register:
    table = _HEADER + (_TYPE_1 if is_bridge else _TYPE_0)
    for start, size, name in table:
        if start <= offset < start + size:
            other = next((each for at, length, each in _TYPE_1 if at <= offset < at + length), None)
            suffix = f" (of a bridge: {other})" if other and not known and not is_bridge else ""
            place = f", byte {offset - start}" if size > 1 else ""
            return Register(f"{name}{place}{suffix}", "", name, offset - start)
    return Register("reserved", "", "", 0)


def _without_layout(offset: int) -> Register:
    """A register after the header, of an unknown device."""
    if offset < CONVENTIONAL:
        return Register(
            "a capability, or a register of its own, of the device; give the QEMU binary as IMAGE", None, "", 0
        )
    if offset < 0x100 + 0x38:  # AER is the first extended capability of most of QEMU's PCIe devices
        at = _in_capability(offset, *_EXTENDED[0x01], 0x100)
        return at._replace(name=f"{at.name}, if the first extended capability is AER, as in most PCIe devices of QEMU")
    return Register("an extended capability; give the QEMU binary as IMAGE", None, "", 0)


def _in_capability(offset: int, name: str, registers: tuple[tuple[int, int, str], ...], start: int) -> Register:
    inside = offset - start
    for at, size, register in registers:
        if at <= inside < at + size:
            return Register(f"{name} at 0x{start:x}: {register}, byte {inside - at}", name, register, inside - at)
    head = 4 if start >= CONVENTIONAL else 2
    what = "header" if inside < head else f"byte {inside}"
    return Register(f"{name} at 0x{start:x}: {what}", name, "", 0)


def capabilities(config: bytes) -> Iterator[tuple[int, str, tuple[tuple[int, int, str], ...]]]:
    """Yield the capabilities of a configuration space: offset, name, registers. A loop ends the chain."""
    seen: set[int] = set()
    at = config[0x34] & ~3 if len(config) >= CONVENTIONAL else 0
    while 0x40 <= at < CONVENTIONAL - 1 and at not in seen:
        seen.add(at)
        name, registers = _CAPABILITIES.get(config[at], (f"capability {config[at]:#x}", ()))
        yield at, name, registers
        at = config[at + 1] & ~3
    at = CONVENTIONAL
    while CONVENTIONAL <= at <= len(config) - 4 and at not in seen and len(seen) < _MAX_CAPABILITIES:
        seen.add(at)
        header = int.from_bytes(config[at : at + 4], "little")
        if not header:
            return
        name, registers = _EXTENDED.get(header & 0xFFFF, (f"extended capability {header & 0xFFFF:#x}", ()))
        yield at, name, registers
        at = header >> 20 & ~3


def known_properties(register: Register) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the properties that are known to change a register, and others that change its capability."""
    if register.capability is None:
        return (), ()
    exact = _PROPERTIES.get((register.capability, register.register), ())
    others = _PROPERTIES.get((register.capability, ""), ()) if register.capability else ()
    return exact, tuple(name for name in others if name not in exact)

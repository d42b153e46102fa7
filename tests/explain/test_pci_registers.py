"""Registers of PCI configuration space by offset, of malformed ones too."""

import struct

import pytest

from vmdump.explain.pci_registers import capabilities, describe


def space(*chain: tuple[int, int], extended: tuple[tuple[int, int], ...] = (), header_type: int = 0) -> bytes:
    """A configuration space with capabilities (offset, id), in this order."""
    config = bytearray(4096 if extended else 256)
    config[0x0E] = header_type
    pointers = [0x34, *(offset + 1 for offset, _ in chain)]
    for pointer, (offset, number) in zip(pointers, chain, strict=False):
        config[pointer], config[offset] = offset, number
    for index, (offset, number) in enumerate(extended):
        following = extended[index + 1][0] if index + 1 < len(extended) else 0
        struct.pack_into("<I", config, offset, number | 1 << 16 | following << 20)
    return bytes(config)


@pytest.mark.parametrize(
    ("offset", "config", "name"),
    [
        (0x00, None, "Vendor ID, byte 0"),
        (0x34, None, "Capabilities Pointer"),
        (0x10, None, "BAR 0, byte 0"),
        (0x18, None, "BAR 2, byte 0 (of a bridge: Primary Bus Number)"),
        (0x19, space(header_type=1), "Secondary Bus Number"),
        (0x3E, space(header_type=0x81), "Bridge Control, byte 0"),
        (0x1B, space(), "BAR 2, byte 3"),
        (0x35, None, "reserved"),
        (0x42, space((0x40, 0x11)), "MSI-X at 0x40: Message Control, byte 0"),
        (0x40, space((0x40, 0x11)), "MSI-X at 0x40: header"),
        (0x9A, space((0x80, 0x10), (0x98, 0x05)), "MSI at 0x98: Message Control, byte 0"),
        (0x9A, space((0x80, 0x10)), "PCI Express at 0x80: Slot Status, byte 0"),
        (0xF0, space((0x80, 0x11)), "in none of the device's capabilities"),
        (0x10A, space((0x80, 0x10), extended=((0x100, 1),)),
         "Advanced Error Reporting (AER) at 0x100: Uncorrectable Error Mask, byte 2"),
        (0x144, space(extended=((0x100, 1), (0x140, 0x0F))),
        "Address Translation Services (ATS) at 0x140: Capability, byte 0"),
        (0x5000, None, "outside of configuration space, which has 4096 bytes"),
        (1 << 80, space(), "outside of configuration space, which has 4096 bytes"),
    ],
)  # fmt: skip
def test_describe(offset: int, config: bytes | None, name: str) -> None:
    """An offset is a register of the header, or of the capability that it is in."""
    assert describe(offset, config).name == name


def test_without_layout() -> None:
    """Without the device, the usual first extended capability is assumed, and said so."""
    register = describe(0x10A, None)
    assert register.name.endswith("if the first extended capability is AER, as in most PCIe devices of QEMU")
    assert register.bit_name(6) == "Uncorrectable Internal"
    assert "give the QEMU binary" in describe(0x50, None).name


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"\xff" * 256,
        b"\xff" * 4096,
        b"\xff" * 300,
        space((0x40, 1), (0x40, 1)),
        space(extended=((0x100, 1), (0x100, 2))),
        bytes(0x34) + b"\xfc" + bytes(203),
    ],
)
def test_malformed(config: bytes) -> None:
    """Chains that loop or leave the space end."""
    assert len(list(capabilities(config))) <= 128
    for offset in range(0, 4096, 7):
        assert describe(offset, config).name

"""Builds migration streams byte by byte, independently of the package, after migration/savevm.c and migration/ram.c."""

from __future__ import annotations

import json
import lzma
import struct
from pathlib import Path
from typing import Any

from support.paths import DATA

#: Real streams of small machines, xz. manifest.json says how they were made.
STREAMS = DATA / "streams"

HEADER = b"QEVM" + struct.pack(">I", 3)
EOF = b"\0"
PAGE = 4096
ZERO, MEM_SIZE, FULL_PAGE, EOS, CONTINUE, XBZRLE, COMPRESS, FLUSH = 2, 4, 8, 0x10, 0x20, 0x40, 0x100, 0x200


def str8(text: str) -> bytes:
    """A length byte and the text."""
    return bytes([len(text)]) + text.encode()


def be(size: int, *values: int) -> bytes:
    """Big-endian integers."""
    return b"".join(value.to_bytes(size, "big") for value in values)


def configuration(machine: str, *subsections: bytes) -> bytes:
    """The element with the machine type."""
    return b"\x07" + be(4, len(machine)) + machine.encode() + b"".join(subsections)


def subsection(name: str, state: bytes, version: int = 1) -> bytes:
    """A subsection of a description."""
    return b"\x05" + str8(name) + be(4, version) + state


def capabilities(*names: str) -> bytes:
    """The configuration's subsection of capabilities."""
    return subsection("configuration/capabilities", be(4, len(names)) + b"".join(map(str8, names)))


def footer(id: int) -> bytes:
    """The footer of a section."""
    return b"\x7e" + be(4, id)


def section(
    id: int, name: str, body: bytes, *, type: int = 4, instance: int = 0, version: int = 1, footers: bool = True
) -> bytes:
    """A section with its header: type 4 is FULL, 1 is START."""
    end = footer(id) if footers else b""
    return be(1, type) + be(4, id) + str8(name) + be(4, instance, version) + body + end


def part(id: int, body: bytes, *, type: int = 3, footers: bool = True) -> bytes:
    """A PART (2) or END (3) of a live section."""
    return be(1, type) + be(4, id) + body + (footer(id) if footers else b"")


def command(number: int, data: bytes = b"") -> bytes:
    """A MIG_CMD_*."""
    return b"\x08" + be(2, number, len(data)) + data


def ram_setup(blocks: dict[str, int], extra: bytes = b"", *, footers: bool = True) -> bytes:
    """The START of RAM, section id 2. extra: bytes after each block's size."""
    listed = b"".join(str8(name) + be(8, size) + extra for name, size in blocks.items())
    body = be(8, sum(blocks.values()) | MEM_SIZE) + listed + be(8, EOS)
    return section(2, "ram", body, type=1, version=4, footers=footers)


def page(address: int, flags: int, data: bytes = b"", block: str | None = None) -> bytes:
    """A record of a RAM page. block: None: the same as before."""
    word = be(8, address | flags | (CONTINUE if block is None else 0))
    return word + (b"" if block is None else str8(block)) + data


def vmdescription(devices: list[dict[str, Any]], page_size: int = PAGE) -> bytes:
    """The element with the vmdescription."""
    text = json.dumps({"page_size": page_size, "devices": devices}).encode()
    return b"\x06" + be(4, len(text)) + text


def described(name: str, fields: list[tuple[str, str, int]], *, instance: int = 0, version: int = 1) -> dict[str, Any]:
    """The object of a section in the vmdescription; fields: name, type and size."""
    return {
        "name": name, "instance_id": instance, "vmsd_name": name.rpartition("/")[2], "version": version,
        "fields": [dict(zip(("name", "type", "size"), each, strict=True)) for each in fields],
    }  # fmt: skip


def small_stream(*, footers: bool = True, description: bool = True) -> bytes:
    """RAM of two pages, a device of 8 bytes, and one of 4."""
    blocks = {"pc.ram": 2 * PAGE}
    pages = page(0, FULL_PAGE, bytes(range(256)) * 16, "pc.ram") + page(PAGE, ZERO, b"\0") + be(8, EOS)
    devices = [
        described("timer", [("ticks", "int64", 8)], version=2),
        described("0000:00:03.0/nic", [("status", "uint32", 4)], version=3),
    ]
    return (
        HEADER
        + configuration("pc-test-1.0")
        + ram_setup(blocks, footers=footers)
        + part(2, pages, footers=footers)
        + section(4, "timer", be(8, 77), version=2, footers=footers)
        + section(9, "0000:00:03.0/nic", be(4, 0x80), version=3, footers=footers)
        + EOF
        + (vmdescription(devices) if description else b"")
    )


def real_stream(name: str) -> bytes:
    """A real stream of tests/data/streams."""
    return lzma.decompress((STREAMS / f"{name}.xz").read_bytes())


def write(path: Path, data: bytes) -> str:
    """Write a file and return its path as text."""
    path.write_bytes(data)
    return str(path)

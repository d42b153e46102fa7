"""Streams built by hand are decoded by their description; damaged ones are errors."""

import contextlib
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdump.errors import SourceError
from vmdump.machines.model import RamBlock, Section
from vmdump.machines.stream import read_stream

#: The state of a device with an array, a struct in an array, and a subsection.
DESCRIPTION: dict[str, Any] = {
    "name": "dev", "instance_id": 0, "vmsd_name": "dev", "version": 2,
    "fields": [
        {"name": "id", "type": "uint8", "size": 1},
        {"name": "regs", "array_len": 2, "type": "uint16", "size": 2},
        {"name": "ring", "index": 0, "type": "struct", "size": 1,
         "struct": {"vmsd_name": "ring", "version": 1, "fields": [{"name": "head", "type": "uint8", "size": 1}]}},
    ],
    "subsections": [{"vmsd_name": "dev/more", "version": 1, "fields": [{"name": "x", "type": "uint8", "size": 1}]}],
}  # fmt: skip
CONTENT = b"\x01" + b"\0\2\0\3" + b"\x04" + b"\x05\x08dev/more\0\0\0\1" + b"\x05"


def head(kind: int, number: int, idstr: bytes, version: int) -> bytes:
    """The head of a section. Source: migration/savevm.c save_section_header."""
    return struct.pack(">BIB", kind, number, len(idstr)) + idstr + struct.pack(">II", 0, version)


def footer(number: int) -> bytes:
    """The end of a section."""
    return struct.pack(">BI", 0x7E, number)


def ram(*, footers: bool = True) -> bytes:
    """Section "ram": set-up, and the end without pages."""
    blocks = b"\x06pc.ram" + struct.pack(">Q", 8192) + struct.pack(">Q", 0x10)
    end = footer(2) if footers else b""
    setup = head(1, 2, b"ram", 4) + struct.pack(">Q", 8192 | 4) + blocks + end
    return setup + struct.pack(">BI", 3, 2) + struct.pack(">Q", 0x10) + end


def stream(*parts: bytes, description: Any = None, footers: bool = True) -> bytes:
    """A stream with section "ram", a device, and the description."""
    text = json.dumps({"page_size": 4096, "devices": [description or DESCRIPTION]}).encode()
    device = head(4, 3, b"dev", 2) + CONTENT + (footer(3) if footers else b"")
    body = b"".join(parts) + ram(footers=footers) + device
    return b"QEVM" + struct.pack(">I", 3) + body + b"\0" + struct.pack(">BI", 6, len(text)) + text


@pytest.mark.parametrize("footers", [True, False])
def test_stream(footers: bool) -> None:
    """Sections, RAM blocks and fields; machine types up to 2.3 send no footers."""
    found = read_stream(stream(footers=footers))
    assert found.sections == (Section("ram", 0, 4), Section("dev", 0, 2))
    assert found.ram_blocks == (RamBlock("pc.ram", 8192),)
    assert [(each.path, each.data) for each in found.fields] == [
        ("id", b"\x01"), ("regs", b"\0\2\0\3"), ("ring[0].head", b"\x04"), ("dev/more/x", b"\x05"),
    ]  # fmt: skip


def test_configuration_and_command() -> None:
    """The machine's name, its subsections and commands precede the sections."""
    configuration = b"\x07\0\0\0\x02pc" + b"\x05\x1econfiguration/target-page-bits\0\0\0\1" + b"\0\0\0\x0c"
    assert read_stream(stream(configuration, b"\x08\0\x0b\0\0")).sections[1].idstr == "dev"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty; give a saved VM"),
        (b"QEVM" + bytes(100), "malformed migration stream"),
        (b"QEVM" + struct.pack(">I", 3) + b"\0", "the stream has no description"),
        (stream(b"\x99"), "0x99"),
        (stream(description={**DESCRIPTION, "name": "other"}), "the description lacks section 'dev'"),
        (stream(description={**DESCRIPTION, "fields": [{"name": "a", "size": 9999}]}), "ends within a field of 9999"),
        (stream(description={**DESCRIPTION, "fields": [{"name": "a", "size": -1}]}), "size"),
        (
            stream(description={**DESCRIPTION, "fields": [{"name": "a", "size": 1}], "subsections": []}),
            "20 bytes early",
        ),
        (stream(description=[1]), "malformed migration stream"),
        (stream(description={"name": 1}), "the description lacks section"),
    ],
)
def test_malformed(data: bytes, message: str) -> None:
    """What is wrong is named."""
    with pytest.raises(SourceError, match=message):
        read_stream(data)


def test_without_fields() -> None:
    """Sections and RAM blocks can be read where the description does not cover the fields, as of s390_css in 7.2."""
    short = {**DESCRIPTION, "fields": [{"name": "a", "size": 1}], "subsections": []}
    found = read_stream(stream(description=short), has_fields=False)
    assert found == read_stream(stream())._replace(fields=())


@given(st.data())
def test_damaged(data: st.DataObject) -> None:
    """Any damage is decoded differently, or an error."""
    content = bytearray(stream())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    for each in (bytes(content), bytes(content[:end])):
        with contextlib.suppress(SourceError):
            read_stream(each)


def test_nesting() -> None:
    """Endless nesting ends."""
    inner: dict[str, Any] = {"name": "a", "size": 0, "type": "struct"}
    for _ in range(200):
        inner = {"name": "a", "size": 0, "type": "struct", "struct": {"fields": [inner]}}
    with pytest.raises(SourceError, match="too deeply"):
        read_stream(stream(description={**DESCRIPTION, "fields": [inner]}))


@pytest.mark.parametrize("size", [0, 1])
def test_huge_count(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A count of structs that the stream cannot hold ends with the stream, and one of empty structs at a limit."""
    monkeypatch.setattr("vmdump.machines.stream._MAX_FIELDS", 1000)
    field = {"name": "a", "size": 0, "array_len": 1 << 60, "struct": {"fields": [{"name": "b", "size": size}]}}
    with pytest.raises(SourceError):
        read_stream(stream(description={**DESCRIPTION, "fields": [field]}))

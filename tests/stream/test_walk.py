"""Walking streams: real ones of small machines, built ones of every kind of element, and broken ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import streams
from support.paths import ROOT
from support.streams import PAGE, STREAMS, be, page, part, ram_setup, real_stream, section, small_stream, write

from vmdump.errors import SourceError
from vmdump.stream.vmdescription import section_sizes
from vmdump.stream.walk import read_saved_vm

MANIFEST = [json.loads(line) for line in (STREAMS / "manifest.jsonl").read_text().splitlines()]

#: QEMU 7.2 describes NULL elements of an array of pointers as structs.
WRONG_SIZES = {("s39072-7.2", "s390_css")}


@pytest.fixture
def walk(tmp_path: Path):
    """Walk a stream in memory."""
    return lambda data: read_saved_vm(write(tmp_path / "vm.save", data))


@pytest.mark.parametrize("row", MANIFEST, ids=lambda row: row["name"])
def test_real_streams(row, walk) -> None:
    """Machine, RAM blocks as QEMU's "info ramblock" had them, each page once, and sections as long as QEMU says."""
    vm = walk(real_stream(row["name"]))
    assert vm.machine == row["machine"]
    blocks = {block.name: block for block in vm.blocks}
    for name, used in row["ram"]:
        if name in blocks:
            assert blocks[name].size == used
            assert blocks[name].pages + blocks[name].zero_pages == used // vm.page_size
    assert {name for name, _ in row["ram"]} >= set(blocks)
    assert vm.page_size == vm.document["page_size"]
    expected = dict(section_sizes(vm.document))
    devices = [each for each in vm.sections if not each.is_live]
    assert len(devices) == len(expected)
    for each in devices:
        if (row["name"], each.name) not in WRONG_SIZES:
            assert each.size == expected[each.name, each.instance_id], each.name
            assert len(each.body) == each.size


def test_without_footers(walk) -> None:
    """Sections of a stream without footers end where the next header begins, and as the vmdescription says."""
    vm = walk(small_stream(footers=False))
    assert [(each.name, each.size) for each in vm.sections[1:]] == [("timer", 8), ("0000:00:03.0/nic", 4)]
    assert not vm.has_footers
    vm = walk(small_stream(footers=False, description=False))
    assert [each.size for each in vm.sections[1:]] == [8, 4]


@pytest.mark.parametrize("footers", [True, False])
def test_state_that_looks_like_an_end(walk, footers: bool) -> None:
    """State that contains a footer and a header does not end the section if the vmdescription has its size."""
    forged = streams.footer(4) + section(99, "forged", b"")
    devices = [streams.described("timer", [("ticks", "buffer", len(forged))])]
    start = streams.HEADER + ram_setup({"pc.ram": PAGE}, footers=footers)
    stream = start + section(4, "timer", forged, footers=footers) + streams.EOF + streams.vmdescription(devices)
    assert [each.name for each in walk(stream).sections] == ["ram", "timer"]


def test_ram_records(walk) -> None:
    """Pages of every encoding are counted by block."""
    blocks = {"pc.ram": 4 * PAGE, "vga.vram": PAGE}
    records = (
        page(0, streams.FULL_PAGE, bytes(PAGE), "pc.ram")
        + page(PAGE, streams.FULL_PAGE, bytes(PAGE))
        + page(0, streams.ZERO, b"\0", "vga.vram")
        + be(8, streams.FLUSH)
        + page(PAGE, streams.XBZRLE, b"\x01" + be(2, 5) + b"delta", "pc.ram")
        + page(PAGE, streams.COMPRESS, be(4, 3) + b"zip")
        + be(8, streams.EOS)
    )
    end = part(2, be(8, streams.EOS))
    vm = walk(streams.HEADER + ram_setup(blocks) + part(2, records, type=2) + end + streams.EOF)
    counts = [(b.pages, b.zero_pages, b.xbzrle_pages, b.compressed_pages) for b in vm.blocks]
    assert counts == [(2, 0, 1, 1), (0, 1, 0, 0)]
    assert vm.sections[0].parts == 3


@pytest.mark.parametrize("size", [1024, 2048, 4096, 8192, 16384, 65536])
def test_page_size_is_found(walk, size: int) -> None:
    """Without target-page-bits, the size of pages follows from where the records are."""
    records = b"".join(
        page(number * size, streams.FULL_PAGE, bytes([number]) * size, None if number else "ram") for number in range(8)
    )
    stream = streams.HEADER + ram_setup({"ram": 8 * size}) + part(2, records + be(8, streams.EOS)) + streams.EOF
    vm = walk(stream)
    assert (vm.page_size, vm.blocks[0].pages) == (size, 8)


def test_ignore_shared_and_uuid(walk) -> None:
    """The configuration's subsections, and addresses of blocks with x-ignore-shared."""
    uuid = bytes(range(16))
    configuration = streams.configuration(
        "virt",
        streams.subsection("configuration/target-page-bits", be(4, 12)),
        streams.capabilities("x-ignore-shared"),
        streams.subsection("configuration/uuid", uuid),
    )
    vm = walk(streams.HEADER + configuration + ram_setup({"m0": PAGE}, be(8, 0x40000000)) + streams.EOF)
    assert (vm.page_size, vm.capabilities, vm.blocks[0].address) == (4096, ("x-ignore-shared",), 0x40000000)
    assert vm.uuid == "00010203-0405-0607-0809-0a0b0c0d0e0f"


def test_mapped_ram(walk) -> None:
    """mapped-ram: pages are counted in the bitmap, and the stream continues after them, at absolute offsets."""
    configuration = streams.HEADER + streams.configuration("pc", streams.capabilities("mapped-ram"))
    size, bitmap, pages = 128 * PAGE, 4096, 1 << 20
    header = be(4, 1) + be(8, PAGE, bitmap, pages)
    body = be(8, size | streams.MEM_SIZE) + streams.str8("pc.ram") + be(8, size) + header
    start = b"\x01" + be(4, 2) + streams.str8("ram") + be(4, 0, 4)
    head = (configuration + start + body).ljust(bitmap, b"\0") + b"\x07" + bytes(7) + b"\xff" + bytes(7)
    rest = be(8, streams.EOS) + streams.footer(2) + section(3, "timer", be(8, 1)) + streams.EOF
    vm = walk(head.ljust(pages, b"\0") + bytes(size) + rest)
    assert (vm.blocks[0].pages, vm.blocks[0].is_mapped) == (11, True)
    assert [each.name for each in vm.sections] == ["ram", "timer"]


def test_live_sections(walk) -> None:
    """Live sections of other handlers end where their formats say, whatever they contain."""
    fake = streams.footer(7) + streams.EOF
    bodies = {
        "spapr/htab": be(4, 0) + be(4, 1) + be(2, 2, 0) + fake.ljust(32, b"\0") + bytes(8),
        "s390-storage_attributes": be(8, 0x1002, len(fake)) + fake + be(8, 1),
        "dirty-bitmap": b"\x4c"
        + streams.str8("n")
        + streams.str8("b")
        + be(8, 0)
        + be(4, 1)
        + be(8, 6)
        + fake
        + b"\x01",
        "block": be(8, 0x201) + streams.str8("d") + fake.ljust(1 << 20, b"\0") + be(8, 2),
        "0000:00:05.0/vfio": be(8, 0xFFFFFFFFEF100004, 6) + fake + be(8, 0xFFFFFFFFEF100001),
    }
    for name, body in bodies.items():
        vm = walk(streams.HEADER + section(7, name, body, type=1) + part(7, body) + streams.EOF)
        assert [(each.name, each.size) for each in vm.sections] == [(name, 2 * len(body))]


def test_postcopy(walk) -> None:
    """Commands are counted, and the sections of a package are found."""
    package = section(5, "nic", bytes(4)) + streams.command(5)
    vm = walk(
        streams.HEADER
        + streams.command(3, be(8, 4096, 4096))
        + streams.command(6, b"\0" + streams.str8("pc.ram") + b"\0" + be(8, 0, 4096))
        + streams.command(7, be(4, len(package)))
        + package
        + section(6, "late", bytes(2))
        + streams.EOF
    )
    assert vm.commands == {
        "postcopy advise": 1, "postcopy run": 1, "postcopy ram discard": 1, "packaged": 1,
    }  # fmt: skip
    assert [(each.name, each.is_packaged) for each in vm.sections] == [("nic", True), ("late", False)]


def test_real_postcopy(walk) -> None:
    """A stream of QEMU 7.2 that switched to postcopy, recorded between source and destination, is walked to its end."""
    data = real_stream("postcopy-7.2")
    vm = walk(data)
    assert (vm.machine, vm.size) == ("microvm", len(data))
    assert {"postcopy advise", "postcopy listen", "postcopy run", "packaged", "ping"} <= vm.commands.keys()
    assert all(each.is_packaged for each in vm.sections if not each.is_live)
    assert [each.pages + each.zero_pages for each in vm.blocks] == [each.size // PAGE for each in vm.blocks]
    assert vm.vmdescription is None  # postcopy sends none


def test_huge_page_sizes_of_postcopy(walk) -> None:
    """With postcopy, blocks of huge pages have their size after the length."""
    blocks = streams.str8("mem") + be(8, 4 << 20, 2 << 20) + streams.str8("pc.bios") + be(8, PAGE)
    body = be(8, (4 << 20) + PAGE | streams.MEM_SIZE) + blocks + be(8, streams.EOS)
    vm = walk(streams.HEADER + streams.command(3) + section(2, "ram", body, type=1, version=4) + streams.EOF)
    assert [(each.name, each.page_size) for each in vm.blocks] == [("mem", 2 << 20), ("pc.bios", None)]


BROKEN = {
    "version": (b"QEVM\0\0\0\2", "a migration stream of version 2; version 3 can be read"),
    "element": (streams.HEADER + b"\x55", "an element of unknown type 0x55 after the stream; the file may be corrupt"),
    "unknown section": (streams.HEADER + part(3, b""), "a part of section id 3, which has not been started"),
    "flags": (
        streams.HEADER + section(2, "ram", be(8, 0x3), type=1, version=4),
        "a RAM record with unknown flags 0x3; the file may be corrupt",
    ),
    "block": (
        streams.HEADER + section(2, "ram", page(0, streams.ZERO, b"\0", "x"), type=1, version=4),
        "a page of a RAM block that section 'ram' (instance 0x0) does not list",
    ),
    "sizes": (
        streams.HEADER + section(2, "ram", be(8, PAGE | 4) + streams.str8("x") + be(8, 2 * PAGE), type=1, version=4),
        "a RAM block of 8192 bytes, more than is left of the total",
    ),
    "RAM version": (streams.HEADER + section(2, "ram", be(8, 16), type=1, version=3), "RAM in version 3"),
    "configuration": (
        streams.HEADER + streams.configuration("pc", streams.subsection("configuration/new", b"")),
        "an unknown subsection of the configuration; the stream may be from a newer QEMU",
    ),
    "multifd": (be(4, 0x11223344) + bytes(8), "not a saved VM"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_streams(walk, kind: str) -> None:
    """A broken stream is reported in one line that says what is wrong and where."""
    data, words = BROKEN[kind]
    with pytest.raises(SourceError) as raised:
        walk(data + bytes(8) if kind != "element" else data)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def truncations(data: bytes, path: Path, ends: set[int], points) -> None:
    """Walk every truncation; ends: those that are whole streams."""
    for size in points:
        path.write_bytes(data[:size])
        try:
            read_saved_vm(str(path))
        except SourceError as error:
            assert size not in ends
            assert str(error).count("\n") == 0
            words = ("the file is truncated", "not a saved VM", "empty; give a saved VM")
            assert any(each in str(error) for each in words), (size, str(error))
            if size >= 16:
                assert f"ends at byte {size}," in str(error)
            if size > min(ends):  # within the vmdescription
                assert ", after its last section;" in str(error)
        else:
            assert size in ends, size


@pytest.mark.parametrize("footers", [True, False])
def test_truncated_streams(tmp_path: Path, footers: bool) -> None:
    """Every truncation is reported in one line with the byte where the stream ends; but after EOF it is complete."""
    data = small_stream(footers=footers)
    eof = len(small_stream(footers=footers, description=False))
    points = [*range(120), *range(4090, len(data) + 1)]
    if footers:
        truncations(data, tmp_path / "vm.save", {eof, len(data)}, points)
    else:  # without footers, zeros at the end may be EOF: QEMU can't tell, either
        for size in points:
            (tmp_path / "vm.save").write_bytes(data[:size])
            try:
                read_saved_vm(str(tmp_path / "vm.save"))
            except SourceError as error:
                assert "\n" not in str(error)


@pytest.mark.slow
def test_truncated_real_stream(tmp_path: Path) -> None:
    """Every truncation of a real stream is reported in one line."""
    data = real_stream("m68kvirt72-7.2")
    eof = data.rindex(b"\0\x06") + 1
    truncations(data, tmp_path / "vm.save", {eof, len(data)}, range(len(data) + 1))


def test_every_real_stream(tmp_path: Path) -> None:
    """All streams of $VMDUMP_STREAMS (a folder per QEMU version, *.bin.xz) have sections as long as QEMU says."""
    folder = os.environ.get("VMDUMP_STREAMS")
    if folder is None:
        pytest.skip("VMDUMP_STREAMS names no folder with streams")
    paths = sorted(Path(folder).glob("*/*.bin.xz"))
    assert paths
    for path in paths:
        vm = read_saved_vm(str(path)) if "fileoffset" not in path.name else None
        if vm is None or vm.document is None:
            continue
        expected = dict(section_sizes(vm.document))
        for each in vm.sections:
            if not each.is_live and each.name != "s390_css":
                assert each.size == expected[each.name, each.instance_id], (path, each.name)


def test_pipe() -> None:
    """A stream is read from standard input."""
    command = [sys.executable, "-m", "vmdump", "stream", "-", "--json"]
    done = subprocess.run(command, input=small_stream(), capture_output=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout)["machine"] == "pc-test-1.0"

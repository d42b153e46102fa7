"""Containers: libvirt's saves, filters, offsets; what can't be read is refused with a reason."""

import bz2
import gzip
import lzma
import struct
from pathlib import Path

import pytest
from support.streams import STREAMS, be, real_stream, small_stream, write

from vmdump.errors import SourceError
from vmdump.files.decompress import Limits
from vmdump.stream.container import open_container
from vmdump.stream.walk import read_saved_vm

XML = "<domain type='kvm'><name>tiny</name></domain>"
COOKIE = "<cookie><cpu mode='custom'/></cookie>"


def libvirt(stream: bytes, format: int, *, magic: bytes = b"LibvirtQemudSave", order: str = "<") -> bytes:
    """A save as libvirt 11.3 writes it: header, XML, cookie, padding to 64 KiB, stream."""
    xml = XML.encode() + b"\0"
    size = 65536 - 92
    header = magic + struct.pack(f"{order}5I", 2, size, 1, format, len(xml)) + bytes(56)
    return header + (xml + COOKIE.encode() + b"\0").ljust(size, b"\0") + stream


FILTERS = {
    "gzip": (1, lambda data: gzip.compress(data, mtime=1700000000)),
    "bzip2": (2, bz2.compress),
    "xz": (3, lzma.compress),
    "lzop": (4, lambda data: (STREAMS / "m68kvirt72-7.2.lzo").read_bytes()),
    "Zstandard": (5, lambda data: pytest.importorskip("zstandard").compress(data)),
}


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("in_libvirt", [False, True])
def test_filters(tmp_path: Path, name: str, in_libvirt: bool) -> None:
    """Every compression format is read, alone and in libvirt's save. The lzop file is of lzop 1.04 -9."""
    format, compress = FILTERS[name]
    stream = real_stream("m68kvirt72-7.2")
    data = compress(stream)
    vm = read_saved_vm(write(tmp_path / "vm", libvirt(data, format) if in_libvirt else data))
    assert (vm.machine, vm.size, len(vm.sections)) == ("virt-7.2", len(stream), 15)
    assert vm.container.filters == (name,)
    assert vm.container.kind == ("libvirt save" if in_libvirt else "plain")


@pytest.mark.parametrize("order", ["<", ">"])
def test_libvirt_header(tmp_path: Path, order: str) -> None:
    """XML, cookie, state and format of libvirt's header, in either byte order; also within a filter."""
    for compress in (bytes, lzma.compress):
        path = write(tmp_path / "vm.save", compress(libvirt(small_stream(), 0, order=order)))
        container = read_saved_vm(path).container
        assert (container.xml, container.cookie) == (XML, COOKIE)
        assert (container.was_running, container.format, container.offset) == (True, "raw", 65536)


def test_saving_time_of_gzip(tmp_path: Path) -> None:
    """The header of gzip has the time of saving."""
    path = write(tmp_path / "vm", gzip.compress(small_stream(), mtime=1700000000))
    assert read_saved_vm(path).container.saved_at == 1700000000


def test_offset(tmp_path: Path) -> None:
    """A stream after a hole is found, as QEMU's file:NAME,offset=8192 leaves it; --offset needs no search."""
    path = write(tmp_path / "vm", bytes(8192) + small_stream())
    assert read_saved_vm(path).container.offset == 8192
    path = write(tmp_path / "vm", b"x" * 7 + small_stream())
    assert read_saved_vm(path, offset=7).machine == "pc-test-1.0"
    with pytest.raises(SourceError, match="--offset selects"):
        read_saved_vm(path)


def test_what_follows_the_stream(tmp_path: Path) -> None:
    """A volume larger than its stream, as Proxmox' state volumes are."""
    assert read_saved_vm(write(tmp_path / "vm", small_stream() + bytes(1 << 20))).size == len(small_stream())


REFUSED = {
    "part": (libvirt(b"", 0, magic=b"LibvirtQemudPart"), "libvirt did not finish saving this VM; save it again"),
    "version": (b"LibvirtQemudSave" + be(4, 7).ljust(100, b"\0"), "libvirt's save format; versions other than 2"),
    "format": (libvirt(b"", 9), "libvirt's save format number 9 is not known"),
    "header": (libvirt(b"", 0)[:50], "ends within libvirt's header of 92 bytes"),
    "XML": (libvirt(b"", 0)[:500], "ends within the domain's XML"),
    "LUKS": (b"LUKS\xba\xbe" + bytes(100), "encrypted with LUKS; open it with cryptsetup"),
    "ELF": (b"\x7fELF" + bytes(100), "a binary, not a saved VM"),
    "empty": (b"", "empty; give a saved VM"),
    "text": (b"hello", "not a saved VM: neither a migration stream (QEVM)"),
    "truncated": (lzma.compress(small_stream())[:200], "not a whole xz file"),
    "qcow2": (gzip.compress(b"QFI\xfb" + bytes(100)), "a compressed qcow2 image, which can't be read in place"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(tmp_path: Path, kind: str) -> None:
    """What is no saved VM, or can't be read, is refused in one line with the reason."""
    data, words = REFUSED[kind]
    with pytest.raises(SourceError) as raised:
        read_saved_vm(write(tmp_path / "vm", data))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bomb(tmp_path: Path) -> None:
    """A small file that decompresses to much more than its size is refused; --max-size allows it up to a limit."""
    path = write(tmp_path / "vm", bz2.compress(b"QEVM\0\0\0\3" + bytes(100 << 20)))
    with open_container(path) as opened, pytest.raises(SourceError, match="--max-size"):
        opened.input.read_at(90 << 20, 1)
    with open_container(path, Limits(1 << 20, None)) as opened, pytest.raises(SourceError, match="more than 1 MiB"):
        opened.input.read_at(2 << 20, 1)


@pytest.mark.parametrize("damage", ["byte", "end", "header", "method"])
def test_corrupt_lzop(tmp_path: Path, damage: str) -> None:
    """Damaged lzop files are reported: checksums, truncation, headers."""
    data = bytearray((STREAMS / "m68kvirt72-7.2.lzo").read_bytes())
    if damage == "byte":
        data[5000] ^= 1
    elif damage == "end":
        del data[9000:]
    elif damage == "header":
        del data[12:]
    else:
        data[15] = 9
    with pytest.raises(SourceError, match="not a whole lzop file"):
        read_saved_vm(write(tmp_path / "vm", bytes(data)))

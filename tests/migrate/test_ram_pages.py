"""RAM pages that are kept for a load."""

import zlib
from pathlib import Path

import pytest
from support import streams
from support.streams import COMPRESS, EOS, FULL_PAGE, PAGE, XBZRLE, ZERO, be, page, part, write

from vmdump.errors import SourceError
from vmdump.migrate.ram_pages import Window, read_ram_pages
from vmdump.stream.walk import read_saved_vm

A, B = b"a" * PAGE, b"b" * PAGE


def kept(tmp_path: Path, *elements: bytes, limit: int | None = None):
    """The pages that are kept of parts of RAM."""
    parts = [part(2, each + be(8, EOS), type=2 if at + 1 < len(elements) else 3) for at, each in enumerate(elements)]
    device = streams.section(4, "timer", be(8, 77), version=2)
    setup = streams.ram_setup({"pc.ram": 512 * PAGE, "vga": PAGE})
    data = streams.HEADER + streams.configuration("pc") + setup + b"".join(parts) + device + streams.EOF
    path = write(tmp_path / "vm", data)
    options = {} if limit is None else {"limit": limit}
    return read_ram_pages(read_saved_vm(path), lambda at, size: data[at : at + size], **options)


def test_pages(tmp_path: Path) -> None:
    """The last contents of each page; a part continues the block of the part before."""
    found = kept(
        tmp_path,
        page(0, FULL_PAGE, A, "pc.ram") + page(PAGE, FULL_PAGE, A) + page(0, FULL_PAGE, B, "vga"),
        page(0, FULL_PAGE, A) + page(PAGE, ZERO, b"\0", "pc.ram"),
    )
    assert found.is_complete
    assert found.pages == {("pc.ram", 0): A, ("vga", 0): A}
    assert found.records({"vga"}) == page(0, FULL_PAGE, A, "vga")


def test_encodings(tmp_path: Path) -> None:
    """Compressed pages, and changes of a page."""
    packed = zlib.compress(B)
    found = kept(
        tmp_path,
        page(0, COMPRESS, be(4, len(packed)) + packed, "pc.ram") + page(PAGE, FULL_PAGE, A),
        page(PAGE, XBZRLE, b"\1" + be(2, 6) + b"\x80\x01\x02xy\x00"),
    )
    assert found.pages["pc.ram", 0] == B
    assert found.pages["pc.ram", PAGE] == A[:128] + b"xy" + A[130:]


def test_limit(tmp_path: Path) -> None:
    """Of larger VMs, pages in the first MiB are kept."""
    last = 300 * PAGE
    found = kept(tmp_path, page(0, FULL_PAGE, A, "pc.ram") + page(last, FULL_PAGE, A), limit=PAGE)
    assert not found.is_complete
    assert list(found.pages) == [("pc.ram", 0)]


def test_window() -> None:
    """A stream that ends early is an error."""
    data = bytes(range(100))
    window = Window(lambda at, size: data[at : at + size], chunk=16)
    assert window.get(0, 4) == data[:4]
    assert window.get(14, 40) == data[14:54]
    assert window.get(50, 4) == data[50:54]
    with pytest.raises(SourceError, match="ends within its RAM"):
        window.get(98, 3)

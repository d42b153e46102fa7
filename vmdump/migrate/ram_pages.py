"""RAM pages that the destination's devices read while they load: rings of virtio queues, option ROMs.

Of a small VM all pages are kept. Of others, those in the first MiB of each block, and those that a value in the state
of a device may refer to: too many do no harm.

Source: QEMU 7.2 and 10.0 migration/ram.c ram_load_precopy, migration/xbzrle.c.
"""

from __future__ import annotations

import itertools
import struct
import sys
import zlib
from typing import TYPE_CHECKING

from vmdump.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vmdump.stream.saved_vm import SavedVM, Section

    Read = Callable[[int, int], bytes]

#: Limit of kept pages, in bytes, below which all are kept.
SMALL = 32 << 20

_ZERO, _MEM_SIZE, _PAGE, _EOS, _CONTINUE, _XBZRLE, _HOOK, _COMPRESSED, _FLUSH = (
    2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200,
)  # fmt: skip

_LOW = 1 << 20

#: Where boards map the RAM behind the 32-bit hole, and where RAM begins: differences of guest and block addresses.
_BASES = (0, 0x40000000, 0x80000000, *((4 << 30) - low for low in (2 << 30, 0xB0000000, 3 << 30, 0xE0000000)))

#: Pages from a referenced address on: descriptors and rings of a queue of 1,024 elements.
_SPAN = 8


class Window:
    """Reads a stream at offsets that do not decrease by more than a chunk.

    Attributes:
        end: offset after the last walked element.
        block: RAM block of the last page; records of the next element may continue with it.
    """

    def __init__(self, read: Read, chunk: int = 1 << 20) -> None:
        self._read, self._chunk = read, chunk
        self._start, self._data = 0, b""
        self.end = 0
        self.block = ""

    def get(self, at: int, size: int) -> bytes:
        """Return bytes. Raises SourceError at the end of the stream."""
        if not self._start <= at or at + size > self._start + len(self._data):
            self._fill(at, size)
        data = self._data[at - self._start : at - self._start + size]
        if len(data) < size:
            raise SourceError("the stream ends within its RAM")
        return data

    def _fill(self, at: int, size: int) -> None:
        end = self._start + len(self._data)
        parts = [self._data[at - self._start :]] if self._start <= at < end else []
        have = sum(map(len, parts))
        while have < size:
            part = self._read(at + have, max(self._chunk, size - have))
            if not part:
                break
            parts.append(part)
            have += len(part)
        self._start, self._data = at, b"".join(parts)


class RamPages:
    """Kept pages of a saved VM.

    Attributes:
        pages: contents by block and address, without zero pages.
        is_complete: whether all pages are kept.
    """

    def __init__(self) -> None:
        self.pages: dict[tuple[str, int], bytes] = {}
        self.is_complete = True

    def records(self, blocks: set[str]) -> bytes:
        """Return the RAM records of the pages of some blocks, without the end mark."""
        parts = []
        for (block, address), page in self.pages.items():
            if block in blocks:
                name = block.encode("latin-1")
                parts += [struct.pack(">QB", address | _PAGE, len(name)), name, page]
        return b"".join(parts)


def read_ram_pages(vm: SavedVM, read: Read, base: int = 0, limit: int = SMALL) -> RamPages:
    """Return the pages of RAM sections that are in the stream.

    Args:
        vm: the saved VM.
        read: returns up to size bytes of the stream from an offset on; offsets do not decrease.
        base: offset of the stream in its file, which offsets of mapped-ram count from.
        limit: kept bytes above which only pages that devices may read are kept.

    Raises:
        SourceError: the stream ends early.
    """
    kept = RamPages()
    ram = next((each for each in vm.sections if each.name == "ram" and each.is_live), None)
    if ram is None:
        return kept
    size = vm.page_size or 4096
    sent = sum(each.pages + each.xbzrle_pages + each.compressed_pages for each in vm.blocks) * size
    wanted = None if sent <= limit else referenced_pages(vm, size)
    if any(each.is_mapped for each in vm.blocks):
        _read_mapped(vm, read, base, ram, kept, limit)
        return kept
    kept.is_complete = wanted is None
    end = min((each.offset for each in vm.sections if not each.is_live and each.offset > ram.offset), default=vm.size)
    window = Window(read)
    for at in _elements(window, ram, end, bool(vm.has_footers)):
        _walk(window, at, size, wanted, kept)
    return kept


#: Limit of the state of devices in which addresses are searched, in bytes.
_SEARCHED = 4 << 20

#: Limit of a RAM block in mapped-ram, in bytes.
_BLOCK_MAX = 1 << 44

#: Header of a block in mapped-ram: version, page size, offsets of the bitmap and of the pages.
_MAPPED = struct.Struct(">IQQQ")


def _read_mapped(vm: SavedVM, read: Read, base: int, ram: Section, kept: RamPages, limit: int) -> None:
    """Read pages at fixed offsets. Source: QEMU 10.0 migration/ram.c mapped_ram_read_header, parse_ramblock_mapped_ram.

    Bits of the bitmap are in words of the host that wrote it.
    """
    at = ram.offset + 14 + len(ram.name) + 8
    left = limit
    for block in vm.blocks:
        at += 1 + len(block.name) + 8 + (8 if block.address is not None else 0)
        version, size, bitmap_at, pages_at = _MAPPED.unpack(read(at, _MAPPED.size).ljust(_MAPPED.size, b"\0"))
        if version != 1 or size not in (1 << bits for bits in range(8, 17)) or block.size > _BLOCK_MAX:
            raise SourceError(f"{vm.path}: RAM block {block.name} has a mapped-ram header of version {version}")
        bitmap = read(bitmap_at - base, (block.size // size + 63) // 64 * 8)
        order = ">" if sys.byteorder == "big" else "<"
        words = struct.unpack_from(f"{order}{len(bitmap) // 8}Q", bitmap)
        for index in (64 * number + bit for number, word in enumerate(words) if word for bit in range(64)
                      if word >> bit & 1):  # fmt: skip
            if left < size and index * size >= _LOW:
                kept.is_complete = False
                break
            kept.pages[block.name, index * size] = read(pages_at - base + index * size, size).ljust(size, b"\0")
            left -= size
        at = pages_at - base + block.size


def referenced_pages(vm: SavedVM, size: int) -> set[int]:
    """Return the numbers of pages that values in the state of devices may refer to."""
    largest = max((each.size for each in vm.blocks), default=0)
    found = set(range(_LOW // size))
    left = _SEARCHED
    for section in vm.sections:
        body = bytes(section.body)
        if section.is_live or len(body) > left or b"virtio" not in section.name.encode() + body[-4096:]:
            continue
        left -= len(body)
        for address in _addresses(body):
            for base in _BASES:
                if 0 < address - base < largest:
                    found.update(range((address - base) // size, (address - base) // size + _SPAN))
    return found


def _addresses(body: bytes) -> set[int]:
    """Return the 64-bit numbers in a section's state, and those that are sent as lower and upper half."""
    found = set()
    for shift in range(min(4, len(body))):
        words = struct.unpack_from(f">{(len(body) - shift) // 4}I", body, shift)
        for high, low in itertools.pairwise(words):
            if high or low:
                found |= {high << 32 | low, low << 32 | high}
    return found


def _elements(window: Window, ram: Section, end: int, has_footers: bool) -> Iterator[int]:
    """Yield the offset of the body of each PART and END of RAM: where their header follows a footer."""
    at = ram.offset
    header = struct.pack(">I", ram.id)
    while at < end - 5:
        data = window.get(at, min(1 << 16, end - at))
        found = next(
            (
                position
                for kind in (b"\x02", b"\x03")
                for position in _finds(data, kind + header)
                if not has_footers or position < 5 or data[position - 5 : position - 4] == b"\x7e"
            ),
            None,
        )
        if found is None:
            at += max(len(data) - 16, 1)
            continue
        yield at + found + 5
        at = max(window.end, at + found + 5)


def _finds(data: bytes, wanted: bytes) -> Iterator[int]:
    at = data.find(wanted)
    while at >= 0:
        yield at
        at = data.find(wanted, at + 1)


def _walk(window: Window, at: int, size: int, wanted: set[int] | None, kept: RamPages) -> None:
    """Read records up to the end mark."""
    mask = size - 1
    while True:
        (word,) = struct.unpack(">Q", window.get(at, 8))
        at += 8
        flags, address = word & mask, word & ~mask
        if flags & _EOS:
            break
        if flags & (_ZERO | _PAGE | _XBZRLE | _COMPRESSED) and not flags & _CONTINUE:
            length = window.get(at, 1)[0]
            window.block = window.get(at + 1, length).decode("latin-1")
            at += 1 + length
        block = window.block
        is_wanted = wanted is None or address // size in wanted
        if flags & _COMPRESSED:
            length = int.from_bytes(window.get(at, 4), "big")
            if is_wanted:
                kept.pages[block, address] = _inflated(window.get(at + 4, length), size)
            at += 4 + length
        elif flags & _PAGE:
            if is_wanted:
                kept.pages[block, address] = window.get(at, size)
            at += size
        elif flags & _ZERO:
            kept.pages.pop((block, address), None)
            at += 1
        elif flags & _XBZRLE:
            length = int.from_bytes(window.get(at + 1, 2), "big")
            if is_wanted:
                old = kept.pages.get((block, address), bytes(size))
                kept.pages[block, address] = _xbzrle(old, window.get(at + 3, length))
            at += 3 + length
        elif not flags & (_FLUSH | _HOOK):
            raise SourceError(f"a RAM record with unknown flags {flags:#x}")
    window.end = at


def _inflated(data: bytes, size: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, size).ljust(size, b"\0")
    except zlib.error:
        return bytes(size)


def _xbzrle(old: bytes, data: bytes) -> bytes:
    """Apply runs: a number of unchanged bytes, a number of changed ones, those bytes."""
    page = bytearray(old)
    at = out = 0
    while at < len(data):
        unchanged, at = _uleb128(data, at)
        out += unchanged
        changed, at = _uleb128(data, at)
        page[out : out + changed] = data[at : at + changed]
        out, at = out + changed, at + changed
    return bytes(page[: len(old)]).ljust(len(old), b"\0")


def _uleb128(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of up to two bytes, and the offset after it."""
    if at >= len(data):
        return 0, at + 1
    value = data[at] & 0x7F
    if data[at] & 0x80 and at + 1 < len(data):
        return value | data[at + 1] << 7, at + 2
    return value, at + 1

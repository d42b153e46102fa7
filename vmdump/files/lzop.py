"""lzop files: a header, then blocks of LZO1X with checksums. The C core decompresses a block.

Source: lzop 1.04 src/lzop.c (p_header, x_get_header), src/p_lzo.c.
"""

from __future__ import annotations

import io
import struct
import zlib

from vmdump._core import ffi, lib

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Protocol

    class Stream(Protocol):
        """A sequential byte stream."""

        def read(self, size: int, /) -> bytes:
            """Return up to size bytes; none at the end."""


MAGIC = b"\x89LZO\x00\x0d\x0a\x1a\x0a"

#: lzop's MAX_BLOCK_SIZE, in bytes.
MAX_BLOCK = 64 << 20

#: Flags of the header, and the first version of the format that has a level.
_ADLER32_D, _ADLER32_C, _EXTRA, _CRC32_D, _CRC32_C, _FILTER = 1, 2, 0x40, 0x100, 0x200, 0x800
_WITH_LEVEL = 0x940

#: LZO1X_1, LZO1X_1_15, LZO1X_999: one decompressor.
_METHODS = (1, 2, 3)


class LzopReader(io.RawIOBase):
    """The content of an lzop stream. Reads raise EOFError and ValueError for truncated and corrupt data."""

    def __init__(self, file: Stream) -> None:
        super().__init__()
        self._file = file
        self._block = b""
        self._is_ended = False
        self._flags: int | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill buffer and return the number of bytes; 0 at the end."""
        while not self._block and not self._is_ended:
            self._read_block()
        size = min(len(buffer), len(self._block))
        buffer[:size], self._block = self._block[:size], self._block[size:]
        return size

    def _take(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self._file.read(size - len(data))):
            data += more
        if len(data) < size:
            raise EOFError("unexpected end of data")
        return data

    def _number(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def _read_header(self) -> int:
        """Consume the header and return its flags."""
        if self._take(len(MAGIC)) != MAGIC:
            raise ValueError("not an lzop header")
        version, _ = struct.unpack(">HH", self._take(4))
        has_level = version >= _WITH_LEVEL
        self._take(2 if has_level else 0)  # the version needed to extract
        method = self._take(1)[0]
        self._take(1 if has_level else 0)
        if method not in _METHODS:
            raise ValueError(f"compression method {method} is not LZO1X")
        flags = self._number()
        if flags & _FILTER:
            raise ValueError("filtered data")
        self._take(12 if has_level else 8)  # mode, time
        self._take(self._take(1)[0])  # the name
        self._number()  # checksum
        if flags & _EXTRA:
            self._take(min(self._number(), 1 << 20) + 4)
        return flags

    def _read_block(self) -> None:
        if self._flags is None:
            self._flags = self._read_header()
        flags = self._flags
        size = self._number()
        if not size:
            self._is_ended = True
            return
        packed_size = self._number()
        if size > MAX_BLOCK or packed_size > size:
            raise ValueError(f"a block of {size} bytes, compressed {packed_size}")
        sums = [(check, self._number()) for flag, check in ((_ADLER32_D, zlib.adler32), (_CRC32_D, zlib.crc32))
                if flags & flag]  # fmt: skip
        if packed_size < size:
            self._take(4 * sum(bool(flags & flag) for flag in (_ADLER32_C, _CRC32_C)))
        data = self._take(packed_size)
        if packed_size < size:
            out = ffi.new("char[]", size)
            if lib.vmd_lzo1x_decompress(data, packed_size, out, size) != size:
                raise ValueError("a block that can't be decompressed")
            data = bytes(ffi.buffer(out, size))
        if any(check(data) != expected for check, expected in sums):
            raise ValueError("a block with a wrong checksum")
        self._block = data

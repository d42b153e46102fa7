"""Decompression of untrusted data, for dump files, packages and saved VMs: bounded in size, ratio and memory.

A small compressed file can decompress to any number of bytes and require any amount of memory. All streams here raise
SourceError at their limits and for corrupt data.
"""

from __future__ import annotations

import io
import sys
from typing import NamedTuple

from vmdump.errors import SourceError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Stream(Protocol):
        """A sequential byte stream."""

        def read(self, size: int, /) -> bytes:
            """Return up to size bytes; none at the end."""


#: Limit of the compression ratio, and the decompressed size in bytes up to which it does not apply. Real dumps reach 75
#: with xz.
MAX_RATIO = 200
FREE_BYTES = 64 << 20

#: Limit of compressed data that produces no output, in bytes beyond twice the output: empty members, file names in gzip
#: headers, padding.
_MAX_FRUITLESS = 16 << 20

#: Memory limit of a decompressor, in bytes. xz -9 takes 65 MiB, zstd --ultra -22 128 MiB.
MAX_MEMORY = 512 << 20

#: Limit of the window of a Zstandard frame, as a power of two. zstd --ultra -22 uses 27.
_MAX_ZSTD_WINDOW_LOG = 28

#: Size of one read of compressed data, in bytes.
_CHUNK = 1 << 16

GZIP, BZIP2, XZ, ZSTD, LZMA = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x5d\0\0"
LZOP = b"\x89LZO\0\r"

#: Magic numbers and names of formats.
_FORMATS = ((GZIP, "gzip"), (BZIP2, "bzip2"), (XZ, "xz"), (LZMA, "lzma"), (ZSTD, "Zstandard"), (LZOP, "lzop"))

#: Length of the longest magic number, in bytes.
MAGIC_BYTES = 6


class Limits(NamedTuple):
    """Limits of decompressed data. ``size``: in bytes; ``ratio``: to the compressed size; None: unlimited."""

    size: int
    ratio: int | None


def limits(max_size: int | None, default: int) -> Limits:
    """Return the limits for a --max-size; None: not given."""
    return Limits(default, MAX_RATIO) if max_size is None else Limits(max_size, None)


def format_of(start: bytes) -> str | None:
    """Return the name of the compression format that data begins with; None if it is not compressed.

    >>> format_of(b"BZh9"), format_of(b"{")
    ('bzip2', None)
    """
    return next((name for magic, name in _FORMATS if start.startswith(magic)), None)


def decompressed(file: Stream, name: str, limits: Limits) -> BoundedStream:
    """Return the decompressed content of a file or stream from the current position on. The magic number decides.

    ``name`` is the file's name in errors.

    Raises:
        SourceError: here and on reads: a limit is exceeded, the data are corrupt or truncated, a package is missing.
        OSError: of the file itself.
    """
    source = _Source(file, name)
    format = format_of(source.start)
    buffered = io.BufferedReader(source, _CHUNK)
    try:
        content: Any = buffered if format is None else _open(format, buffered)
    except ImportError:
        raise SourceError(
            f"{name}: compressed with Zstandard, which needs a package: pip install 'vmdump[zstd]'"
        ) from None
    return BoundedStream(content, source, format, name, limits)


def size_error(name: str, limits: Limits, format: str | None = None) -> SourceError:
    """Return the error for data that exceed the size limit."""
    what = "larger than" if format is None else f"{format} data that decompresses to more than"
    return SourceError(f"{name}: {what} {in_words(limits.size)}, the limit; raise it with --max-size SIZE")


def in_words(size: int) -> str:
    """Return a size in words.

    >>> in_words(1 << 30), in_words(3 << 19), in_words(1000)
    ('1 GiB', '1.5 MiB', '1000 bytes')
    """
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << shift:
            return f"{size / (1 << shift):.4g} {unit}"
    return f"{size} bytes"


class BoundedStream(io.RawIOBase):
    """Content that raises SourceError at its limits."""

    def __init__(self, content: Any, source: _Source, format: str | None, name: str, limits: Limits) -> None:
        super().__init__()
        self._content, self._source, self._format, self._name, self._limits = content, source, format, name, limits
        self._size = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return up to size bytes; none at the end. ``size`` is required."""
        if size < 0:
            raise ValueError("read() of an untrusted stream requires a size")
        try:
            data: bytes = self._content.read(size)
        except (MemoryError, SourceError):
            raise
        except Exception as error:  # each library raises its own exceptions
            if self._source.error is not None:
                raise self._source.error from None
            raise SourceError(
                f"{self._name}: not a whole {self._format} file: {_reason(error)}; it may be truncated or corrupt"
            ) from error
        self._size = self._source.produced = self._size + len(data)
        self._check()
        return data

    def _check(self) -> None:
        if self._size > self._limits.size:
            raise size_error(self._name, self._limits, self._format)
        ratio = self._limits.ratio
        if self._format and ratio and self._size > max(FREE_BYTES, ratio * self._source.size):
            raise SourceError(
                f"{self._name}: {self._format} data that decompresses to more than {in_words(FREE_BYTES)} and {ratio} "
                "times its size, the default limits; allow it with --max-size SIZE"
            )


def _reason(error: Exception) -> str:
    return " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())


class _Source(io.RawIOBase):
    """Compressed data. Counts the bytes read, and stores an error of the file, which libraries may wrap."""

    def __init__(self, file: Stream, name: str) -> None:
        super().__init__()
        self._file, self._name = file, name
        #: Compressed and decompressed bytes so far.
        self.size, self.produced = 0, 0
        self.error: OSError | SourceError | EOFError | None = None
        self.start = b""
        while len(self.start) < MAGIC_BYTES and (more := file.read(MAGIC_BYTES - len(self.start))):
            self.start += more
        self._left = self.start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._left[: len(buffer)] or self._file.read(len(buffer))
            if self.size > _MAX_FRUITLESS + 2 * self.produced:
                raise SourceError(f"{self._name}: compressed data that produces no output; it may be endless")
        except (OSError, SourceError, EOFError) as error:
            self.error = error
            raise
        self._left = self._left[len(buffer) :]
        buffer[: len(data)] = data
        self.size += len(data)
        return len(data)


def _open(format: str, file: Any) -> Any:
    """Open compressed data. Raises ImportError if a package is missing."""
    if format == "gzip":
        import gzip

        return gzip.GzipFile(fileobj=file)
    if format == "bzip2":
        import bz2

        return bz2.BZ2File(file)
    if format == "Zstandard":
        return open_zstd(file)
    if format == "lzop":
        from vmdump.files.lzop import LzopReader

        return io.BufferedReader(LzopReader(file), 1 << 18)
    return io.BufferedReader(_Xz(file), 1 << 18)


def open_zstd(file: Any) -> Any:
    """Return the content of a Zstandard stream, with a memory limit. Raises ImportError if a package is missing."""
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.ZstdFile(file, options={zstd.DecompressionParameter.window_log_max: _MAX_ZSTD_WINDOW_LOG})
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << _MAX_ZSTD_WINDOW_LOG)
    return decompressor.stream_reader(file, read_across_frames=True)


class _Xz(io.RawIOBase):
    """An xz or lzma stream with a memory limit, which lzma.LZMAFile lacks."""

    def __init__(self, file: Stream) -> None:
        super().__init__()
        self._file = file
        self._new()

    def _new(self) -> None:
        import lzma

        self._decompressor = lzma.LZMADecompressor(memlimit=MAX_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._decompressor.eof:
                rest = self._next_stream()
                if not rest:
                    return 0
                self._new()
            else:
                rest = self._file.read(_CHUNK) if self._decompressor.needs_input else b""
                if not rest and self._decompressor.needs_input:
                    raise EOFError("unexpected end of data")
            if data := self._decompressor.decompress(rest, len(buffer)):
                buffer[: len(data)] = data
                return len(data)

    def _next_stream(self) -> bytes:
        """Return the data after a stream and its padding."""
        rest = self._decompressor.unused_data.lstrip(b"\0")
        while not rest and (more := self._file.read(_CHUNK)):
            rest = more.lstrip(b"\0")
        return rest

"""The VM state of an internal snapshot in a qcow2 image, read without QEMU.

Every offset and size is checked; clusters are mapped one table at a time.

Source: QEMU docs/interop/qcow2.rst; block/qcow2-snapshot.c, block/qcow2.h qcow2_vm_state_offset.
"""

from __future__ import annotations

import os
import struct
import zlib

from vmdump.errors import SourceError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC = b"QFI\xfb"

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")  # of version 2; version 3 goes on with features
_HEADER_3 = struct.Struct(">QQQII")
_SNAPSHOT = struct.Struct(">QIHHIIQII")

#: Bits of incompatible_features. Dirty and corrupt images can be read.
_DATA_FILE, _COMPRESSION, _EXTENDED_L2 = 4, 8, 16
_KNOWN_FEATURES = 0x1F

_END_OF_EXTENSIONS, _DATA_FILE_NAME = 0, 0x44415441

#: Limits of QEMU: QCOW_MAX_SNAPSHOTS, cluster_bits, QCOW_MAX_L1_SIZE.
_MAX_SNAPSHOTS, _CLUSTER_BITS, _MAX_L1_BYTES = 65536, range(9, 22), 32 << 20

_OFFSET = 0x00FFFFFFFFFFFE00
_COMPRESSED, _COPIED, _ZERO = 1 << 62, 1 << 63, 1

#: Bytes of one read of adjacent clusters.
_RUN = 1 << 20

_SUBCLUSTERS = 32


class Snapshot:
    """An internal snapshot.

    Attributes:
        id: unique in the image.
        name: given by the user.
        seconds: time of the snapshot, since the Epoch.
        clock: the guest's clock in nanoseconds.
        size: bytes of VM state; 0: a snapshot of the disk alone.
        disk_size: virtual size of the disk then, in bytes.
    """

    __slots__ = ("clock", "disk_size", "id", "l1_offset", "l1_size", "name", "seconds", "size")

    def __init__(
        self, id: str, name: str, seconds: int, clock: int, size: int, disk_size: int, l1_offset: int, l1_size: int
    ) -> None:
        self.id, self.name, self.seconds, self.clock, self.size = id, name, seconds, clock, size
        self.disk_size, self.l1_offset, self.l1_size = disk_size, l1_offset, l1_size


class Qcow2:
    """A qcow2 image. Methods raise SourceError, and OSError of the file."""

    def __init__(self, fd: int, name: str) -> None:
        """Read the header. fd stays the caller's."""
        self._fd, self._name = fd, name
        fields = _HEADER.unpack(self._read(0, _HEADER.size, "the header"))
        _, version, _, _, self._cluster_bits, self.disk_size, crypt, l1_size, l1_offset, _, _, count, at = fields
        if version not in (2, 3):
            raise SourceError(f"{name}: a qcow2 image of version {version}; versions 2 and 3 can be read")
        if crypt:
            how = {1: "AES", 2: "LUKS"}.get(crypt, f"method {crypt}")
            raise SourceError(
                f"{name}: an encrypted qcow2 image ({how}), which vmdump can't decrypt; load the snapshot in QEMU and "
                "save the VM to a file"
            )
        if self._cluster_bits not in _CLUSTER_BITS:
            raise self._corrupt(f"clusters of 2^{self._cluster_bits} bytes")
        self._data_fd = fd
        self._features, self._is_zstd = 0, False
        if version == 3:
            self._read_features()
        self._entry = 16 if self._features & _EXTENDED_L2 else 8
        self._active = (l1_offset, l1_size)
        self._table = (count, at)

    def _read_features(self) -> None:
        features, _, _, _, header_size = _HEADER_3.unpack(self._read(_HEADER.size, _HEADER_3.size, "the header"))
        if features & ~_KNOWN_FEATURES:
            raise SourceError(f"{self._name}: a qcow2 image with features that are not known ({features:#x})")
        self._features = features
        if features & _COMPRESSION:
            self._is_zstd = self._read(_HEADER.size + _HEADER_3.size, 1, "the header")[0] == 1
        if features & _DATA_FILE:
            self._data_fd = self._open_data_file(header_size)

    def _open_data_file(self, at: int) -> int:
        """Open the external data file, which must be in the image's directory: the name comes from the image."""
        file = None
        for _ in range(64):
            kind, size = struct.unpack(">II", self._read(at, 8, "a header extension"))
            if kind == _END_OF_EXTENSIONS:
                break
            if kind == _DATA_FILE_NAME:
                file = os.fsdecode(self._read(at + 8, min(size, 4096), "the name of the data file"))
            at += 8 + (size + 7) // 8 * 8
        if not file:
            raise self._corrupt("a data file without a name")
        if os.path.basename(file) != file or file in (".", ".."):
            raise SourceError(f"{self._name}: its data file {file!r} is in another directory; put both in one")
        return os.open(os.path.join(os.path.dirname(self._name), file), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the data file."""
        if self._data_fd != self._fd:
            os.close(self._data_fd)
            self._data_fd = self._fd

    def snapshots(self) -> list[Snapshot]:
        """Return the snapshots in the order of the image."""
        count, at = self._table
        if count > _MAX_SNAPSHOTS:
            raise self._corrupt(f"{count} snapshots")
        found = []
        for _ in range(count):
            fields = _SNAPSHOT.unpack(self._read(at, _SNAPSHOT.size, "the table of snapshots"))
            l1_offset, l1_size, id_size, name_size, seconds, _, clock, size, extra_size = fields
            if extra_size > 1024:
                raise self._corrupt(f"a snapshot with {extra_size} bytes of extra data")
            rest = self._read(at + _SNAPSHOT.size, extra_size + id_size + name_size, "the table of snapshots")
            extra, id, name = rest[:extra_size], rest[extra_size : extra_size + id_size], rest[extra_size + id_size :]
            if extra_size >= 8:
                size = int.from_bytes(extra[:8], "big") or size
            disk_size = int.from_bytes(extra[8:16], "big") if extra_size >= 16 else self.disk_size
            found.append(
                Snapshot(
                    id.decode(errors="replace"), name.decode(errors="replace"), seconds, clock, size, disk_size,
                    l1_offset, l1_size,
                )
            )  # fmt: skip
            at = (at + _SNAPSHOT.size + extra_size + id_size + name_size + 7) // 8 * 8
        return found

    def vm_state(self, snapshot: Snapshot) -> Callable[[int, int], bytes]:
        """Return the function that reads the VM state of a snapshot at an offset. It lies after the disk."""
        per_l2 = 1 << (2 * self._cluster_bits) if self._entry == 8 else 1 << (2 * self._cluster_bits - 1)
        per_l2 //= 8
        start = (snapshot.disk_size + per_l2 - 1) // per_l2 * per_l2
        mapping = _Mapping(self, snapshot.l1_offset, snapshot.l1_size)
        return lambda offset, size: mapping.read(start + offset, min(size, max(snapshot.size - offset, 0)))

    def disk(self) -> Callable[[int, int], bytes]:
        """Return the function that reads the disk at an offset, without backing files."""
        mapping = _Mapping(self, *self._active)
        return lambda offset, size: mapping.read(offset, min(size, max(self.disk_size - offset, 0)))

    def _read(self, offset: int, size: int, what: str) -> bytes:
        """Return exactly size bytes of the image."""
        data = os.pread(self._fd, size, offset) if offset < 1 << 62 else b""
        if len(data) < size:
            raise SourceError(
                f"{self._name}: the qcow2 image ends within {what} (at {offset:#x}); the file may be truncated"
            )
        return data

    def _corrupt(self, what: str) -> SourceError:
        return SourceError(f"{self._name}: a corrupt qcow2 image: {what}; qemu-img check may repair it")


class _Mapping:
    """Reads guest offsets through an L1 table."""

    def __init__(self, image: Qcow2, l1_offset: int, l1_size: int) -> None:
        if l1_size * 8 > _MAX_L1_BYTES:
            raise image._corrupt(f"an L1 table of {l1_size} entries")
        self._image, self._l1_offset, self._l1_size = image, l1_offset, l1_size
        self._bits = image._cluster_bits
        self._size = 1 << self._bits
        self._per_table = self._size // image._entry
        self._l2: tuple[int, bytes] = (-1, b"")
        self._cluster: tuple[int, bytes] = (-1, b"")

    def _entry(self, index: int) -> tuple[int, int]:
        """Return the L2 entry of a cluster and its bitmap of subclusters; 0: not allocated."""
        table, at = divmod(index, self._per_table)
        if table >= self._l1_size:
            return 0, 0
        if self._l2[0] != table:
            image = self._image
            offset = int.from_bytes(image._read(self._l1_offset + 8 * table, 8, "an L1 table"), "big") & _OFFSET
            self._l2 = (table, image._read(offset, self._size, "an L2 table") if offset else b"")
        if not self._l2[1]:
            return 0, 0
        size = self._image._entry
        entry = self._l2[1][at * size : (at + 1) * size]
        return int.from_bytes(entry[:8], "big"), int.from_bytes(entry[8:], "big")

    def read(self, offset: int, size: int) -> bytes:
        """Return up to size bytes from a guest offset on, at least one if size is not 0."""
        if size <= 0:
            return b""
        index, within = divmod(offset, self._size)
        entry, subclusters = self._entry(index)
        is_plain = not entry & (_COMPRESSED | _ZERO) and self._image._entry == 8
        if is_plain and self._is_allocated(entry):
            return self._read_run(index, entry & _OFFSET, within, size)
        if self._cluster[0] != index:
            self._cluster = (index, self._read_cluster(entry, subclusters))
        return self._cluster[1][within : within + size]

    def _is_allocated(self, entry: int) -> bool:
        """Return whether a cluster has an offset. In a data file it may be 0, where an image has its header."""
        has_data_file = self._image._data_fd != self._image._fd
        return bool(entry & _OFFSET or (has_data_file and entry & _COPIED))

    def _read_run(self, index: int, host: int, within: int, size: int) -> bytes:
        """Read adjacent clusters at once."""
        end = self._size
        while end - within < min(size, _RUN):
            entry, _ = self._entry(index + end // self._size)
            if entry & (_COMPRESSED | _ZERO) or entry & _OFFSET != host + end:
                break
            end += self._size
        size = min(size, end - within)
        data = os.pread(self._image._data_fd, size, host + within)
        if not data:
            raise self._image._corrupt(f"a cluster beyond the end of the file, at {host + within:#x}")
        return data

    def _read_cluster(self, entry: int, subclusters: int) -> bytes:
        if entry & _COMPRESSED:
            return self._decompress(entry)
        host = entry & _OFFSET
        if self._image._entry == 8 or not self._is_allocated(entry):
            return bytes(self._size)
        part = self._size // _SUBCLUSTERS
        parts = []
        for number in range(_SUBCLUSTERS):
            is_allocated = subclusters >> number & 1 and not subclusters >> (32 + number) & 1
            data = os.pread(self._image._data_fd, part, host + number * part) if is_allocated else b""
            parts.append(data.ljust(part, b"\0"))
        return b"".join(parts)

    def _decompress(self, entry: int) -> bytes:
        """Source: block/qcow2.h qcow2_parse_compressed_l2_entry."""
        offset_bits = 62 - (self._bits - 8)
        host = entry & ((1 << offset_bits) - 1)
        sectors = (entry & (_COMPRESSED - 1)) >> offset_bits
        size = (sectors + 1) * 512 - (host & 511)
        data = os.pread(self._image._fd, size, host)
        try:
            cluster = _decompress_zstd(data, self._size) if self._image._is_zstd else _inflate(data, self._size)
        except ImportError:
            raise SourceError(
                f"{self._image._name}: clusters compressed with Zstandard, which needs a package: "
                "pip install 'vmdump[zstd]'"
            ) from None
        except Exception:  # each library raises its own exceptions
            cluster = b""
        if len(cluster) != self._size:
            raise self._image._corrupt(f"a compressed cluster at {host:#x}")
        return cluster


def _inflate(data: bytes, size: int) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size)


def _decompress_zstd(data: bytes, size: int) -> bytes:
    import io

    from vmdump.files.decompress import open_zstd

    found: bytes = open_zstd(io.BytesIO(data)).read(size)
    return found

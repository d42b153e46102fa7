"""Read and make QObjects in the memory of a guest, for binaries that do not export QEMU's own functions for this.

The layouts have been the same since QEMU 4.0. Source: include/qobject/*.h, qobject/qdict.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from vmdump.emulator.guest import Guest
from vmdump.errors import SourceError

#: Source: qapi/common.json QType.
_QNULL, _QNUM, _QSTRING, _QDICT, _QLIST, _QBOOL = range(1, 7)

#: QDict: QObjectBase {QType, size_t refcnt}, size_t size, then the buckets. Source: include/qobject/qdict.h.
_BUCKETS, _BUCKET_COUNT = 24, 512

#: Limits of one value: nesting, and in total objects and bytes of strings.
_DEPTH_MAX, _COUNT_MAX, _TEXT_MAX = 64, 1 << 18, 64 << 20

#: Bytes of a string that are read at once.
_CHUNK = 4096


class QObjects:
    """QObjects of a guest."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def read(self, address: int) -> Any:
        """Return a QObject as a Python value. Raises SourceError for a QObject of an unknown layout."""
        self._left, self._text_left = _COUNT_MAX, _TEXT_MAX
        return self._read(address, _DEPTH_MAX)

    def _read(self, address: int, depth: int) -> Any:
        guest, kind = self._guest, self._guest.number(address, 4)
        self._left -= 1
        if not depth or self._left < 0:
            raise self._unknown(address)
        if kind == _QNULL:
            return None
        if kind == _QNUM:
            return self._number(address)
        if kind == _QSTRING:
            return self._text(guest.pointer(address + 16))
        if kind == _QBOOL:
            return guest.view(address + 16, 1)[0] != 0
        if kind == _QDICT:
            return {key: self._read(value, depth - 1) for key, value in self._items(address)}
        if kind == _QLIST:
            return [self._read(value, depth - 1) for value in self._elements(address)]
        raise self._unknown(address)

    def _number(self, address: int) -> int | float:
        """QNum: QObjectBase, QNumKind, union. Source: include/qobject/qnum.h."""
        kind = self._guest.number(address + 16, 4)
        if kind not in (0, 1, 2):
            raise self._unknown(address)
        value: int | float = struct.unpack(self._guest.order + "qQd"[kind], self._guest.read(address + 24, 8))[0]
        return value

    def _text(self, address: int) -> str:
        """Return a C string of any length."""
        guest, text, end = self._guest, bytearray(), b""
        while not end:
            start = address + len(text)
            part, end, _ = guest.read(start, min(_CHUNK, guest.base + guest.size - start) or 1).partition(b"\0")
            text += part
            self._text_left -= len(part)
            if self._text_left < 0:
                raise self._unknown(address)
        return text.decode(errors="replace")

    def _items(self, address: int) -> Iterator[tuple[str, int]]:
        """Yield the entries of a QDict. QDictEntry: key, value, next."""
        for entry in filter(None, self._guest.words(address + _BUCKETS, _BUCKET_COUNT)):
            while entry:
                self._left -= 1
                if self._left < 0:
                    raise self._unknown(address)
                yield self._text(self._guest.pointer(entry)), self._guest.pointer(entry + 8)
                entry = self._guest.pointer(entry + 16)

    def _elements(self, address: int) -> Iterator[int]:
        """Yield the values of a QList. QListEntry: value, next."""
        entry = self._guest.pointer(address + 16)
        while entry:
            self._left -= 1
            if self._left < 0:
                raise self._unknown(address)
            yield self._guest.pointer(entry)
            entry = self._guest.pointer(entry + 8)

    def _unknown(self, address: int) -> SourceError:
        return SourceError(f"{self._guest.name}: the object at {address:#x} is not a QObject of a known layout")

    def make(self, value: Any) -> int:
        """Make a QObject from a JSON value and return its address. QEMU may free it: free() ignores its memory."""
        if value is None:
            return self._new(_QNULL, b"", references=2)  # QEMU never destroys its QNull
        if isinstance(value, bool):
            return self._new(_QBOOL, bytes([value]))
        if isinstance(value, int):
            return self._new(_QNUM, self._guest.pack("I4xQ", value >= 1 << 63, value & 0xFFFFFFFFFFFFFFFF))
        if isinstance(value, float):
            return self._new(_QNUM, self._guest.pack("I4xd", 2, value))
        if isinstance(value, str):
            return self._new(_QSTRING, self._guest.pack("Q", self._guest.string(value)))
        if isinstance(value, Mapping):
            return self._dict(value)
        return self._list([self.make(element) for element in value])

    def _new(self, kind: int, data: bytes, references: int = 1) -> int:
        """Allocate a QObject: QObjectBase, then data."""
        address = self._guest.alloc(16 + max(len(data), 8))
        self._guest.write(address, self._guest.pack("I4xQ", kind, references) + data)
        return address

    def _dict(self, value: Mapping[str, Any]) -> int:
        """QLIST_HEAD buckets: an entry links to the next one, and back to the pointer that points to it."""
        qdict = self._new(_QDICT, bytes(_BUCKETS - 16 + 8 * _BUCKET_COUNT))
        self._guest.write_number(qdict + 16, len(value))
        for key, element in value.items():
            bucket = qdict + _BUCKETS + 8 * (_tdb_hash(self._guest.encoded(key)) % _BUCKET_COUNT)
            first = self._guest.pointer(bucket)
            entry = self._guest.alloc(32)
            words = (self._guest.string(key), self.make(element), first, bucket)
            self._guest.write(entry, self._guest.pack("4Q", *words))
            self._guest.write_number(bucket, entry)
            if first:
                self._guest.write_number(first + 24, entry + 16)
        return qdict

    def _list(self, values: list[int]) -> int:
        """QTAILQ: a head of first element and last link; elements link to the next one and the link before."""
        qlist = self._new(_QLIST, bytes(16))
        link = qlist + 16
        for value in values:
            entry = self._guest.alloc(24)
            self._guest.write(entry, self._guest.pack("3Q", value, 0, link))
            self._guest.write_number(link, entry)
            link = entry + 8
        self._guest.write_number(qlist + 24, link)
        return qlist


def _tdb_hash(key: bytes) -> int:
    """Hash of a key of a QDict. Source: qobject/qdict.c tdb_hash."""
    value = 0x238F13AF * len(key)
    for index, byte in enumerate(key):
        value += byte << (index * 5 % 24)
    return (1103515243 * value + 12345) & 0xFFFFFFFF

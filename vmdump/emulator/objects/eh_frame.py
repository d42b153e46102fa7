"""Functions that .eh_frame lists, for binaries without the sorted table of .eh_frame_hdr.

The section is found by its first entry, as linkers write it: a file may have no section headers either.

Source: the Linux Standard Base, "Exception Frames"; DW_EH_PE_* of GCC's unwind-pe.h.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.model import FUNCTIONS_MAX, MappedSegment

#: A CIE from its ID on: 0, version 1, an augmentation string that begins with z.
_CIE = re.compile(rb"\0\0\0\0\x01z[A-Z]*\0")

#: Bytes of a pointer by the lower four bits of its encoding: absptr, udata4, udata8, sdata4, sdata8; of those, signed.
_SIZES = {0: 8, 3: 4, 4: 8, 11: 4, 12: 8}
_SIGNED = (11, 12)
_PC_RELATIVE = 0x10

_DEFAULT_ENCODING = 0


class _Pointers(NamedTuple):
    """How the entries of a CIE write addresses: bytes, sign, and whether they are relative to their own place."""

    size: int
    signed: bool
    is_relative: bool


def list_functions(guest: Guest, segments: list[MappedSegment]) -> list[int]:
    """Return the start addresses of functions from the largest .eh_frame in segments; empty if there is none."""
    best: list[int] = []
    for segment in segments:
        if not segment.writable:
            best = max(best, _search(guest, segment), key=len)
    return best


def _search(guest: Guest, segment: MappedSegment) -> list[int]:
    """Return the functions of the largest section in a segment. Each entry is read once."""
    data = guest.read(segment.start, segment.loaded)
    best: list[int] = []
    end = 0
    for match in _CIE.finditer(data):
        start = match.start() - 4
        if start >= end:  # else it is within the last section
            found, end = _read(data, start, segment.start, guest)
            best = max(best, found, key=len)
    return best


def _read(data: bytes, start: int, address: int, guest: Guest) -> tuple[list[int], int]:
    """Return the functions of the section at an offset of data, which is at address, and the offset of its end.

    A section ends with a length of 0, or before an entry that is damaged.
    """
    encodings: dict[int, _Pointers | None] = {}
    found: list[int] = []
    at = start
    while at + 8 <= len(data) and len(found) <= FUNCTIONS_MAX:
        length = int.from_bytes(data[at : at + 4], guest.byte_order)
        end = at + 4 + length
        if length < 4 or end > len(data):
            break
        cie = int.from_bytes(data[at + 4 : at + 8], guest.byte_order)
        if not cie:
            encodings[at] = _pointers(data[at + 8 : end])
        else:
            pointers = encodings.get(at + 4 - cie)
            if pointers is not None and at + 8 + pointers.size <= end:
                value = int.from_bytes(data[at + 8 : at + 8 + pointers.size], guest.byte_order, signed=pointers.signed)
                found.append(value + (address + at + 8 if pointers.is_relative else 0))
        at = end
    return found, max(at, start + 4)


def _pointers(cie: bytes) -> _Pointers | None:
    """Return how a CIE, from its version on, encodes addresses of functions; None: in an unknown way."""
    augmentation, _, rest = cie[1:].partition(b"\0")
    values = _skip_numbers(rest)
    encoding = _DEFAULT_ENCODING
    for letter in augmentation[1:].decode("latin-1"):
        if letter == "R":
            encoding = next(values, 0xFF)
        elif letter == "L":
            next(values, None)
        elif letter == "P":  # a pointer of the encoding that its first byte has
            size = _SIZES.get(next(values, 0xFF) & 15)
            if size is None:
                return None
            for _ in range(size):
                next(values, None)
        elif letter not in "SB":
            return None
    size = _SIZES.get(encoding & 15)
    if size is None or encoding & 0x70 not in (0, _PC_RELATIVE):
        return None
    return _Pointers(size, encoding & 15 in _SIGNED, encoding & 0x70 == _PC_RELATIVE)


def _skip_numbers(rest: bytes) -> Iterator[int]:
    """Iterate over the augmentation data of a CIE: behind three LEB128 numbers and a return register, and its size."""
    at = 0
    for _ in range(4):  # code alignment, data alignment, return address register, size of what follows
        while at < len(rest) and rest[at] & 0x80:
            at += 1
        at += 1
    return iter(rest[at:])

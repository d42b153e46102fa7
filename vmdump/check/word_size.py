"""Detects dumps from hosts of different word sizes (32 and 64 bits).

-dump-vmstate prints sizes in memory, where pointers and timers depend on the host, but it does not print the host. The
sizes of structs reveal it, because nearly all structs contain pointers: between Debian's QEMU 7.2 for i386 and for
amd64, more than half of the structs differ by 10 % or more; between QEMU 7.2 and 10.0 on the same host, 0 to 10 % do.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmdump.check.tree_view import Description, Section

#: Limits on the structs that are examined, and on the sections in which they are sought.
_MAX_STRUCTS, _MAX_SECTIONS = 2_000, 10_000

#: A struct counts as shrunk if its size is below this fraction.
_SHRUNK = 0.9

#: Minimum number of shrunk structs.
_MIN_SHRUNK = 2


#: A struct that both sides have: name, and sizes in source and destination.
StructSize = tuple[str, int, int]

#: Structs below pairs of sections by the addresses of their descriptions; the number of pairs of structs looked at.
KnownStructs = dict[tuple[int, int], tuple[frozenset[StructSize], int]]


def pointer_sizes(pairs: Iterable[tuple[Section, Section]], known: KnownStructs) -> tuple[int | None, int | None]:
    """Return the pointer sizes of the source's and the destination's host in bytes; (None, None) if they are equal.

    known: a cache for the directions of a check.
    """
    sizes: set[StructSize] = set()
    seen = 0
    for source, destination in islice(pairs, _MAX_SECTIONS):
        key = source.address, destination.address
        if key not in known:
            known[key] = _struct_sizes(source.vmsd, destination.vmsd)
        structs, count = known[key]
        sizes |= structs
        seen += count
        if seen >= _MAX_STRUCTS:
            break
    ratios = [read_size / sent_size for _, sent_size, read_size in sizes]
    if _is_majority(sum(ratio < _SHRUNK for ratio in ratios), ratios):
        return 8, 4
    if _is_majority(sum(ratio > 1 / _SHRUNK for ratio in ratios), ratios):
        return 4, 8
    return None, None


def _struct_sizes(source: Description, destination: Description) -> tuple[frozenset[StructSize], int]:
    """Return the structs below two descriptions, and the number of pairs looked at."""
    sizes: set[StructSize] = set()
    seen = 0
    stack = [(source, destination)]
    while stack and seen < _MAX_STRUCTS:
        source, destination = stack.pop()
        for sent, read in zip(source.fields, destination.fields, strict=False):
            if sent.vmsd is None or read.vmsd is None or sent.vmsd.name != read.vmsd.name:
                continue
            seen += 1
            stack.append((sent.vmsd, read.vmsd))
            if sent.size and read.size:
                sizes.add((sent.vmsd.name, sent.size, read.size))
        stack += zip(source.subsections, destination.subsections, strict=False)
    return frozenset(sizes), seen


def _is_majority(number: int, ratios: list[float]) -> bool:
    return number >= _MIN_SHRUNK and number * 2 > len(ratios)

"""Whether two dumps are of hosts of unlike word sizes, 32 and 64 bits.

QEMU's own dump tells sizes in memory, and those of pointers and timers are the host's. It does not tell the host. But
structs, nearly all of which have pointers, do: on a 32-bit host most are smaller, by more than versions of QEMU differ.
Of Debian's QEMU 7.2 for i386 and for amd64, more than half are smaller by a tenth or more; from 7.2 to 10.0 on one
host, none to a tenth of them are.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmdump.check.tree_view import Description

#: Structs that are looked at, and sections in which they are looked for, at most.
_ENOUGH, _ENOUGH_SECTIONS = 2_000, 10_000

#: What a struct shrinks to on a 32-bit host, at most, and how many must have, at least.
_SHRUNK, _AT_LEAST = 0.9, 2


def pointer_sizes(pairs: Iterable[tuple[Description, Description]]) -> tuple[int | None, int | None]:
    """The sizes of a pointer on both sides' hosts, where they differ; else None and None."""
    sizes: set[tuple[str, int, int]] = set()
    seen = 0
    stack: list[tuple[Description, Description]] = []
    for pair in islice(pairs, _ENOUGH_SECTIONS):
        stack.append(pair)
        while stack and seen < _ENOUGH:
            ours, theirs = stack.pop()
            for mine, yours in zip(ours.fields, theirs.fields, strict=False):
                if mine.vmsd is None or yours.vmsd is None or mine.vmsd.name != yours.vmsd.name:
                    continue
                seen += 1
                stack.append((mine.vmsd, yours.vmsd))
                if mine.size and yours.size:
                    sizes.add((mine.vmsd.name, mine.size, yours.size))
            stack += zip(ours.subsections, theirs.subsections, strict=False)
        if seen >= _ENOUGH:
            break
    ratios = [theirs / ours for _, ours, theirs in sizes]
    if _are_most(sum(ratio < _SHRUNK for ratio in ratios), ratios):
        return 8, 4
    if _are_most(sum(ratio > 1 / _SHRUNK for ratio in ratios), ratios):
        return 4, 8
    return None, None


def _are_most(number: int, ratios: list[float]) -> bool:
    return number >= _AT_LEAST and number * 2 > len(ratios)

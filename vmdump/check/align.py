"""Align the items that the source sends with those that the destination reads.

Items are anchored where name and size agree; the regions between anchors are split into pairs that may stand for each
other and leftovers. Nothing here judges a difference or knows about rules.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from vmdump.check.stream import BUFFERS, FIXED, INFO_BYTES, OPAQUE, RUN_TIME, UNKNOWN, UNUSED, Item
from vmdump.check.tree_view import BUFFER, MULTIPLY, MULTIPLY_ELEMENTS, VBUFFER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    #: The items of both sides (None: no counterpart), and Row.change.
    Pair = tuple[Item | None, Item | None, str]

#: The largest region, as a product of both sides' lengths, whose items are compared each with each.
MAX_REGION = 40_000

#: Sizes in memory of a QEMUTimer and of a pointer to one; both send 8 bytes.
_TIMER_SIZES = {8, 48}

# Weights of a pair in a region, whose sum an alignment maximises. A pair of one name (44) outweighs three pairs of
# unrelated names (14 each) that would cross it; renames count for less, and any pair is better than none.
#: The same bytes: the pair can be loaded.
SAME_BYTES = 10
#: ... under the same name.
SAME_NAME = 30
#: ... under a name that contains the other, or with the same last member: most renames are such.
SIMILAR_NAME = 12
#: ... with the same VMStateInfo.
SAME_INFO = 4
#: ... where one side's bytes are unused: a real field is the better partner.
UNUSED_SIDE = -4
#: ... where only one side has a run-time test.
TEST_DIFFERS = -6
#: The same name and another size: a field that was resized.
RESIZED = 5
#: A VMStateInfo's own code against plain bytes, under similar names: the code may write the same bytes.
CODE_SIMILAR_NAME = 8
#: ... under unrelated names.
CODE_OTHER_NAME = 2


def regions(
    source: Sequence[Item], destination: Sequence[Item]
) -> Iterator[tuple[tuple[Item, Item] | None, list[Item], list[Item]]]:
    """Yield anchors (a pair and two empty lists) and the regions between them (None and two lists), in stream order."""
    begin, end = 0, 0
    shorter = min(len(source), len(destination))
    while begin < shorter and _anchors(source[begin], destination[begin]):
        begin += 1
    while end < shorter - begin and _anchors(source[-1 - end], destination[-1 - end]):
        end += 1
    pairs = [(index, index) for index in range(begin)]
    pairs += _common(source, destination, begin, len(source) - end, len(destination) - end)
    pairs += [(len(source) - index, len(destination) - index) for index in range(end, 0, -1)]
    i = j = 0
    for left, right in [*pairs, (len(source), len(destination))]:
        if i < left or j < right:
            yield None, list(source[i:left]), list(destination[j:right])
        if left < len(source):
            yield (source[left], destination[right]), [], []
        i, j = left + 1, right + 1


def _common(
    source: Sequence[Item], destination: Sequence[Item], begin: int, source_end: int, destination_end: int
) -> list[tuple[int, int]]:
    """Return the longest list of anchors that do not cross, as indices: a longest increasing subsequence."""
    if begin in (source_end, destination_end):
        return []
    if _ranks_behind(source[begin:source_end], destination[begin:destination_end]):
        return [(i, j) for j, i in _common(destination, source, begin, destination_end, source_end)]
    places: dict[str, list[int]] = {}
    for index in range(destination_end - 1, begin - 1, -1):
        if not destination[index].unused:
            for key in _keys(destination[index]):
                places.setdefault(key, []).append(index)
    tails: list[int] = []
    chains: list[tuple[tuple[int, int], Any]] = []
    for i in range(begin, source_end):
        if source[i].unused:
            continue
        candidates = sorted({j for key in _keys(source[i]) for j in places.get(key, ())}, reverse=True)
        for j in candidates:
            if _anchors(source[i], destination[j]):
                at = bisect_left(tails, j)
                chain = ((i, j), chains[at - 1] if at else None)
                tails[at : at + 1] = [j]
                chains[at : at + 1] = [chain]
    found = []
    last: Any = chains[-1] if chains else None
    while last is not None:
        found.append(last[0])
        last = last[1]
    return found[::-1]


def _ranks_behind(source: Sequence[Item], destination: Sequence[Item]) -> bool:
    """Order two lists, so that of several equally good alignments both directions choose the same one."""

    def rank(items: Sequence[Item]) -> list[tuple[str, str, str, str, str, bool]]:
        return [(each.name, each.kind, str(each.unit), str(each.count), str(each.info), each.test) for each in items]

    return rank(source) > rank(destination)


def _keys(item: Item) -> tuple[str, ...]:
    """Names by which an item finds its counterpart."""
    if item.body is not None and item.field.vmsd is not None:
        return item.name, f"struct {item.field.vmsd.name}"
    return (item.name,)


def _anchors(source: Item, destination: Item) -> bool:
    """Whether name and size of two items agree."""
    if source.body is not None and destination.body is not None:
        return (
            not set(_keys(source)).isdisjoint(_keys(destination))
            and source.count == destination.count
            and source.framing == destination.framing
            and _length(source) == _length(destination)
        )
    if (
        source.name != destination.name
        or source.unused != destination.unused
        or (source.body is None) != (destination.body is None)
    ):
        return False
    return same_size(source, destination)


def same_size(source: Item, destination: Item) -> bool:
    """Whether two items have the same size in the stream, as far as both dumps report it."""
    if may_be_words(source, destination):
        return source.kind is destination.kind and source.count == destination.count
    if source.kind is FIXED is destination.kind:
        return source.size == destination.size
    if UNKNOWN in (source.kind, destination.kind):
        units = {source.unit, destination.unit}
        if len(units) == 1 or 0 in units or units == _TIMER_SIZES:
            return True
        # An array of unknown length against unused bytes.
        return (source.unused or destination.unused) and _divides(source, destination)
    if source.kind is OPAQUE is destination.kind:
        # The size of a buffer is that in the stream, of other fields that of the member in memory.
        sized = source.field.flags & destination.field.flags & BUFFER
        return source.info == destination.info and (not sized or source.field.size == destination.field.size)
    return (
        source.kind is destination.kind and source.unit == destination.unit and _length(source) == _length(destination)
    )


def may_be_words(source: Item, destination: Item) -> bool:
    """Whether two items may be the same pointer or timer on hosts of different word sizes."""
    return source.word and destination.word and (source.name == destination.name or source.unit != destination.unit)


def are_interchangeable(source: Item, destination: Item) -> bool:
    """Whether two items of a pair have the same size; for arrays of structs, whether their elements can be compared."""
    if source.body is not None and destination.body is not None:
        return (
            source.count == destination.count
            and source.framing == destination.framing
            and _length(source) == _length(destination)
        )
    return same_size(source, destination)


def _divides(source: Item, destination: Item) -> bool:
    small, large = sorted((source.unit or 1, destination.unit or 1))
    return large % small == 0


def _length(item: Item) -> tuple[Any, ...]:
    """Constants that determine the size of an item with a run-time length: its encoding and factors of the length."""
    flags = item.field.flags
    factor = item.field.num if item.count is None and flags & MULTIPLY_ELEMENTS else 1
    unit = item.field.size if flags & VBUFFER and flags & MULTIPLY else 1
    return item.info if item.unit is None else None, item.count is None, factor, unit


def total_size(items: Sequence[Item]) -> int | None:
    """Sum of the sizes in bytes, counting one element if the number is unknown; None: a test or a length decides."""
    if any(
        item.kind not in (FIXED, UNKNOWN) or item.test or (item.kind is UNKNOWN and not item.unit) for item in items
    ):
        return None
    return sum(item.size for item in items)


def is_balanced(source: Sequence[Item], destination: Sequence[Item]) -> bool:
    """Whether both lists have the same total size, whatever the state of the device."""
    total = total_size(source)
    return total is not None and total == total_size(destination)


def is_displaced(source: Sequence[Item], destination: Sequence[Item]) -> bool:
    """Whether an item that both sides have begins at different bytes, so that it is read from other fields' bytes."""
    if any(item.kind is not FIXED for item in (*source, *destination)):
        return False
    left, right = (
        {item.name: end - item.size for item, end in zip(items, accumulate(each.size for each in items), strict=True)}
        for items in (source, destination)
    )
    return any(left[name] != right[name] for name in left.keys() & right.keys() if name != UNUSED)


def is_same_size_in_all(source: Sequence[Item], destination: Sequence[Item]) -> bool:
    """Whether items without counterparts may be the same bytes, split or merged."""
    if not source or not destination or any(item.test for item in (*source, *destination)):
        return False
    left, right = (sum(item.size for item in items) for items in (source, destination))
    if all(item.kind is FIXED for item in (*source, *destination)):
        return left == right
    if any(item.kind in (RUN_TIME, OPAQUE) for item in (*source, *destination)):
        return False
    if {item.name for item in source} & {item.name for item in destination if not item.unused}:
        return False
    return left == right or (left < right) == any(item.kind is UNKNOWN for item in source)


def may_agree(source: Sequence[Item], destination: Sequence[Item]) -> bool:
    """Whether both lists can have the same size, depending on tests and lengths at run time."""
    (source_least, source_most), (destination_least, destination_most) = map(_bounds, (source, destination))
    return source_least <= destination_most and destination_least <= source_most


def _bounds(items: Sequence[Item]) -> tuple[float, float]:
    """Minimum and maximum size of items in bytes."""
    least = most = 0.0
    for item in items:
        if item.kind is FIXED or (item.kind is UNKNOWN and item.unit):
            most += item.size
            least += 0 if item.test else item.size
        else:
            most = float("inf")
            least += 0 if item.test or item.kind is not OPAQUE else 1
    return least, most


def pair_up(source: list[Item], destination: list[Item]) -> list[tuple[list[Item], list[Item], bool]]:
    """Split a region into pairs that may stand for each other (True) and the leftovers between them (False).

    The pairs do not cross; the sum of their weights is the largest possible (a weighted edit distance, O(n m)). If the
    region has the same size on both sides and its pieces do not, it stays in one piece.
    """
    n, m = len(source), len(destination)
    if not n or not m or n * m > MAX_REGION:
        return [(source, destination, False)]
    if _ranks_behind(source, destination):
        return [(left, right, paired) for right, left, paired in pair_up(destination, source)]
    best = [[0] * (m + 1) for _ in range(n + 1)]
    weights = [[_weight(left, right) for right in destination] for left in source]
    for i in range(n - 1, -1, -1):
        for j in range(m - 1, -1, -1):
            weight = weights[i][j]
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + weight if weight else 0)
    pieces: list[tuple[list[Item], list[Item], bool]] = []
    i = j = begin_i = begin_j = 0
    while i < n and j < m:
        weight = weights[i][j]
        if weight and best[i][j] == best[i + 1][j + 1] + weight:
            pieces += [(source[begin_i:i], destination[begin_j:j], False), ([source[i]], [destination[j]], True)]
            i, j = i + 1, j + 1
            begin_i, begin_j = i, j
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    pieces.append((source[begin_i:], destination[begin_j:], False))
    pieces = [piece for piece in pieces if piece[0] or piece[1]]
    if is_balanced(source, destination) and not all(is_balanced(left, right) for left, right, _ in pieces):
        return [(source, destination, False)]
    return pieces


def _weight(source: Item, destination: Item) -> int:
    """Weight of a pair; 0: the items can not stand for each other."""
    if (source.body is None) != (destination.body is None):
        return 0
    if source.body is not None and (source.count != destination.count or source.framing != destination.framing):
        return RESIZED if source.name == destination.name else 0
    if (
        source.kind is not destination.kind
        and OPAQUE in (source.kind, destination.kind)
        and source.count == destination.count
    ):
        return CODE_SIMILAR_NAME if _similar(source.name, destination.name) else CODE_OTHER_NAME
    if source.body is None and not same_size(source, destination):
        return 0 if source.name != destination.name or source.unused or destination.unused else RESIZED
    weight = SAME_BYTES
    if source.name == destination.name:
        weight += SAME_NAME
    elif _similar(source.name, destination.name):
        weight += SIMILAR_NAME
    if source.unused or destination.unused:
        weight += UNUSED_SIDE
    elif source.info == destination.info:
        weight += SAME_INFO
    if source.test != destination.test:
        weight += TEST_DIFFERS
    return weight


def _similar(source: str, destination: str) -> bool:
    """Whether one name begins or ends with the other, or both have the same last member."""
    short, long = sorted((source, destination), key=len)
    if len(short) >= 3 and (long.startswith(short) or long.endswith(short)):
        return True
    return source.rpartition(".")[2] == destination.rpartition(".")[2]


def side_by_side(source: list[Item], destination: list[Item], change: str) -> Iterator[Pair]:
    """Yield both lists in parallel, the shorter one padded with None."""
    for index in range(max(len(source), len(destination))):
        yield (
            source[index] if index < len(source) else None,
            destination[index] if index < len(destination) else None,
            change,
        )


def swapped(pairs: Sequence[Pair]) -> Iterator[tuple[Item, Item]]:
    """Yield fields of one name and size that are not paired with each other: they have changed places."""
    destination = {
        right.name: right
        for left, right, change in pairs
        if right is not None and change in ("renamed", "added") and not right.unused and right.kind is not UNKNOWN
    }
    for left, right, change in pairs:
        if left is not None and change in ("renamed", "removed") and not left.unused:
            other = destination.get(left.name)
            if other is not None and other is not right and same_size(left, other) and left.info == other.info:
                yield left, other


def reorders_bytes(source: Item, destination: Item) -> bool:
    """Whether one side has big-endian numbers and the other raw memory."""
    for number, memory in ((source, destination), (destination, source)):
        if memory.info in BUFFERS and number.info in INFO_BYTES and (number.unit or 0) > 1:
            return True
    return False


def differing_tests(pairs: Sequence[Pair], surplus: int) -> tuple[Item, Item] | None:
    """Return a renamed field with tests on both sides that has exactly the size of the surplus.

    If its tests differ between the sides, one side leaves it out, and the sizes add up again.
    """
    for source, destination, change in reversed(pairs):
        if (
            change == "renamed"
            and source
            and destination
            and source.test
            and destination.test
            and source.size == abs(surplus)
        ):
            return source, destination
    return None

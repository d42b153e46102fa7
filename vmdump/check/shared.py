"""Results that the directions of a check share: a matrix compares few descriptions many times.

Every key has all that its value depends on: what both dumps report, the lowerings, and the addresses of descriptions or
the numbers of their shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.stream import Lowering
from vmdump.check.templates import Filled, Shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.check.describe import Difference
    from vmdump.check.results import TypeResult
    from vmdump.check.side_by_side import Layout
    from vmdump.check.word_size import KnownStructs


class Metadata(NamedTuple):
    """What both dumps report.

    Attributes:
        detailed: flags and VMStateInfos.
        nums: lengths of arrays.
        side_nums: the same for source and destination separately.
        same_code: they are of one build.
    """

    detailed: bool
    nums: bool
    side_nums: tuple[bool, bool]
    same_code: bool


class Equality(NamedTuple):
    """Whether two sections are equal, by the C core.

    Attributes:
        same: they are equal and load.
        unknown_lengths: they have arrays whose length a dump does not report.
    """

    same: bool
    unknown_lengths: bool


class Shared:
    """Caches of a check. Not thread-safe."""

    def __init__(self) -> None:
        """Start empty."""
        self._lowerings: dict[tuple[bool, bool, bool, int | None], Lowering] = {}
        self.equalities: dict[Metadata, dict[tuple[int, int], Equality]] = {}
        self.differences: dict[tuple[object, ...], Sequence[Difference]] = {}
        self.layouts: dict[tuple[object, ...], Layout] = {}
        self.safe: dict[tuple[object, ...], TypeResult] = {}
        self.structs: KnownStructs = {}
        self.shapes = Shapes()
        self.filled: Filled = {}

    def lowering(self, known: Metadata, pointer: int | None, *, loading: bool) -> Lowering:
        """Return a cached lowering. Without details, load and save lower identically. pointer: see Lowering."""
        key = (loading and known.detailed, known.detailed, known.nums, pointer)
        if key not in self._lowerings:
            self._lowerings[key] = Lowering(loading=loading, detailed=known.detailed, nums=known.nums, pointer=pointer)
        return self._lowerings[key]

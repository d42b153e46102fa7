"""Rows of both sides' items next to each other, made when they are read: that costs more than the check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from vmdump.check.compare import Comparison
from vmdump.check.results import Row, StreamItem
from vmdump.check.stream import FIXED, length_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.check.compare import Part
    from vmdump.check.stream import Item, Lowering, Subsection
    from vmdump.check.tree_view import Section


class Layout(Sequence[Row]):
    """Rows of a section, made each time they are read: kept, they would take much memory.

    Equal sections share one object, so a report can render each once.
    """

    def __init__(self, pairs: Sequence[tuple[Section, Section]], sending: Lowering, loading: Lowering) -> None:
        """Args:
        pairs: the section and its counterpart, then those of standalone VMSDs that are saved inside it.
        """
        self._pairs, self._sending, self._loading = pairs, sending, loading

    def _all(self) -> list[Row]:
        rows = []
        for source, destination in self._pairs:
            comparison = Comparison(source.name, self._sending, self._loading)
            part = comparison.compare(source.vmsd, destination.vmsd, source.version_id)
            rows += _rows(part, "")
        return rows

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._all())

    def __iter__(self) -> Iterator[Row]:
        """All rows."""
        return iter(self._all())

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: Any) -> Any:
        """A row or a list of rows."""
        return self._all()[index]


def _rows(part: Part, prefix: str) -> list[Row]:
    """Rows of fields, each array followed by those of its elements, then of the subsections."""
    rows = []
    for index, (source, destination, change) in enumerate(part.pairs):
        rows.append(Row(_item(source, prefix), _item(destination, prefix), change))
        if index in part.elements:
            item = destination or source
            rows += _rows(part.elements[index], f"{prefix}{item.path if item else ''}[].")
    for old, new, within in part.subsections:
        rows.append(Row(_subsection(old), _subsection(new), "removed" if new is None else "same" if old else "added"))
        if within is not None and (subsection := old or new):
            rows += _rows(within, f"{subsection.vmsd.name}.")
    return rows


def _item(item: Item | None, prefix: str) -> StreamItem | None:
    if item is None:
        return None
    size = item.size if item.kind is FIXED else None
    length = None if size is not None else length_in_words(item)
    if item.body is not None:  # the rows that follow have its bytes
        size, length = 0, f"{'n' if item.count is None else item.count} x what follows"
    return StreamItem(prefix + item.path, size, length, item.info, "its test passes" if item.test else None)


def _subsection(subsection: Subsection | None) -> StreamItem | None:
    if subsection is None:
        return None
    condition = "its needed() returns true" if subsection.vmsd.needed else None
    return StreamItem(subsection.vmsd.name, 0, f"version {subsection.vmsd.version_id}", None, condition)

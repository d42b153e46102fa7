"""Both sides' streams side by side, as rows for reports. Computed on first access: it costs more than the check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

from vmdump.check.results import Row, StreamItem
from vmdump.check.stream import FIXED, length_in_words

if TYPE_CHECKING:
    from vmdump.check.compare import Part
    from vmdump.check.stream import Item, Subsection


class Layout(Sequence[Row]):
    """Rows that are computed on first access."""

    def __init__(self, compare: Callable[[], Iterable[Part]]) -> None:
        """Create a layout. compare: compares the section once more, and returns its parts in stream order."""
        self._compare = compare
        self._rows: list[Row] | None = None

    def _all(self) -> list[Row]:
        if self._rows is None:
            self._rows = [row for part in self._compare() for row in _rows(part, "")]
        return self._rows

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._all())

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: Any) -> Any:
        """A row, or a list of rows for a slice."""
        return self._all()[index]


def _rows(part: Part, prefix: str) -> list[Row]:
    """Rows of the fields, each array followed by the rows of an element; then of each subsection."""
    rows = []
    for index, (source, destination, change) in enumerate(part.pairs):
        rows.append(Row(_item(source, prefix), _item(destination, prefix), change))
        if index in part.elements:
            item = destination or source
            rows += _rows(part.elements[index], f"{prefix}{item.path if item else ''}[].")
    for sent, read, within in part.subsections:
        change = "removed" if read is None else "added" if sent is None else "same"
        rows.append(Row(_subsection(sent), _subsection(read), change))
        if within is not None and (subsection := sent or read) is not None:
            rows += _rows(within, f"{subsection.vmsd.name}.")
    return rows


def _item(item: Item | None, prefix: str) -> StreamItem | None:
    if item is None:
        return None
    size = item.size if item.kind is FIXED else None
    length = None if size is not None else length_in_words(item)
    if item.body is not None:  # the bytes are counted in the rows of its element
        size, length = 0, f"{'n' if item.count is None else item.count} x what follows"
    return StreamItem(prefix + item.path, size, length, item.info, "its test passes" if item.test else None)


def _subsection(subsection: Subsection | None) -> StreamItem | None:
    if subsection is None:
        return None
    condition = "its needed() returns true" if subsection.vmsd.needed else None
    return StreamItem(subsection.vmsd.name, 0, f"version {subsection.vmsd.version_id}", None, condition)

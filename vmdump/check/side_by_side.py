"""Both sides' streams side by side, as rows for reports. Computed on first access: it costs more than the check."""

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
    from vmdump.check.tree_view import Description


class Layout(Sequence[Row]):
    """Rows that are made when they are first looked at. One object stands for what is equal in many directions, so who
    draws layouts does it once for each object.
    """

    def __init__(
        self, sections: Sequence[tuple[str, Description, Description, int]], sending: Lowering, loading: Lowering
    ) -> None:
        """sections: name, both sides' descriptions and version of what is behind each other in the section."""
        self._sections, self._sending, self._loading = sections, sending, loading

    def _all(self) -> list[Row]:
        rows = []
        for name, ours, theirs, version in self._sections:
            part = Comparison(name, self._sending, self._loading).compare(ours, theirs, version)
            rows += _rows(part, "")
        return rows

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._all())

    def __iter__(self) -> Iterator[Row]:
        """All rows, compared once more: they would take much memory if they were kept."""
        return iter(self._all())

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

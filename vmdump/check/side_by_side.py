"""Both sides' bytes beside each other, as rows for who draws them. Made when someone looks: drawing costs more than
checking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

from vmdump.check.results import Row, WireItem
from vmdump.check.stream import FIXED, length_in_words

if TYPE_CHECKING:
    from vmdump.check.compare import Part
    from vmdump.check.stream import Item, Subsection


class Layout(Sequence[Row]):
    """Rows that are made when they are first looked at."""

    def __init__(self, make: Callable[[], Iterable[Part]]) -> None:
        """make: compares once more, what is behind each other in the section."""
        self._make = make
        self._rows: list[Row] | None = None

    def _all(self) -> list[Row]:
        if self._rows is None:
            self._rows = [row for part in self._make() for row in _rows(part, "")]
        return self._rows

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._all())

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: Any) -> Any:
        """A row, or some."""
        return self._all()[index]


def _rows(part: Part, prefix: str) -> list[Row]:
    """Fields first, those of the elements of an array behind it, then each subsection."""
    rows = []
    for index, (ours, theirs, change) in enumerate(part.pairs):
        rows.append(Row(_item(ours, prefix), _item(theirs, prefix), change))
        if index in part.elements:
            item = theirs or ours
            rows += _rows(part.elements[index], f"{prefix}{item.path if item else ''}[].")
    for mine, yours, within in part.subsections:
        change = "removed" if yours is None else "added" if mine is None else "same"
        rows.append(Row(_subsection(mine), _subsection(yours), change))
        if within is not None:
            rows += _rows(within, f"{(mine or yours).vmsd.name}." if mine or yours else "")  # type: ignore[union-attr]
    return rows


def _item(item: Item | None, prefix: str) -> WireItem | None:
    if item is None:
        return None
    size = item.size if item.kind is FIXED else None
    length = None if size is not None else length_in_words(item)
    if item.body is not None:  # its bytes are those of the rows behind it
        size, length = 0, f"{'n' if item.count is None else item.count} x what follows"
    return WireItem(prefix + item.path, size, length, item.info, "its test passes" if item.test else None)


def _subsection(subsection: Subsection | None) -> WireItem | None:
    if subsection is None:
        return None
    condition = "its needed says so" if subsection.vmsd.needed else None
    return WireItem(subsection.vmsd.name, 0, f"version {subsection.vmsd.version_id}", None, condition)

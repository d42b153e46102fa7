"""Progress of a run of vmdump bulk: counts and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vmdump.bulk.manifest import Entry


class Tally:
    """Progress of a run, always consistent with the manifest.

    total: known sources, which unpacking packages adds to. read, unchanged: sources in the output directory, read by
    this run or before. errors: one for each failed source.
    """

    def __init__(self) -> None:
        self.total, self.read, self.unchanged = 0, 0, 0
        self.errors: list[str] = []

    @property
    def finished(self) -> int:
        """Sources whose dumps are in the output directory."""
        return self.read + self.unchanged

    @property
    def done(self) -> int:
        """Sources that are read, unchanged or failed."""
        return self.finished + len(self.errors)


class Event(NamedTuple):
    """A source that is done. entry: its manifest entry; is_new: whether this run has read it."""

    title: str
    entry: Entry
    is_new: bool

"""Find the section of the destination that loads a section of the source.

A migration stream identifies a section by the name of its description, never by the QOM type; but the destination's VM
is created with the source's types. So types are matched by name first, then by section name: the device may have moved
to another type, to an abstract parent or to children, or be registered by other means than a class. Unrelated types may
share a section name (cirrus_vga of ISA and of PCI); they match only if their descriptions are equal. Type names that
differ in punctuation alone come last.

Source: QEMU 10.0.13 migration/savevm.c find_se, vmstate_register_with_alias_id.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.tree_view import equal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.check.tree_view import Native, Section

#: Uses of a standalone VMSD that give it a section of its own.
OWN_SECTION = ("register", "legacy_vmsd")

#: Length of the prefix that names of related types share.
_RELATED_PREFIX = 4

#: The most sections of one name that are considered: those whose types are nearest in the alphabet. Real dumps have far
#: fewer; hostile ones may have any number.
_MANY = 256


class Match(NamedTuple):
    """A counterpart.

    Attributes:
        section: of the destination.
        kind: ``type``: the type has the same name; ``section``: the section has, its type does not or there is none;
            ``renamed``: the type has, its section does not.
    """

    section: Section
    kind: str


class Matcher:
    """Finds sections of a destination."""

    def __init__(self, source: Native, destination: Native, *, nums: bool) -> None:
        """Args:
        nums: both dumps report lengths of arrays.
        """
        self._source, self._destination, self._nums = source, destination, nums
        self._by_name: dict[str, list[Section]] | None = None
        self._by_letters: dict[str, Section] | None = None
        self._by_use: dict[str, Section] | None = None
        self._sorted: dict[str, list[tuple[str, int, Section]]] = {}

    def match(self, section: Section) -> Match | None:
        """Return the counterpart of a section of the source; None: there is none."""
        if section.root is None:
            same_type = self._destination.devices.get(section.type)
            if same_type is not None and same_type.name == section.name:
                return Match(same_type, "type")
            if same_type is not None:
                registered = self._registered(section.name)
                return Match(registered, "section") if registered else Match(same_type, "renamed")
        candidates = self._candidates(section)
        if section.root is None and candidates:
            candidates = self._related(section, candidates)
        if candidates:
            best = max(candidates, key=lambda each: _similarity(section, each))
            return Match(best, "type" if section.root is not None is not best.root else "section")
        if section.root is None and (became := self._letters().get(_letters(section.type))):
            return Match(became, "renamed")
        return None

    def _candidates(self, section: Section) -> Sequence[Section]:
        """Sections of the same name."""
        if self._by_name is None:
            self._by_name = {}
            for each in (*self._destination.devices.values(), *self._destination.roots):
                self._by_name.setdefault(each.name, []).append(each)
        found = self._by_name.get(section.name, ())
        if len(found) <= _MANY:
            return found
        if section.name not in self._sorted:
            self._sorted[section.name] = sorted((each.type, index, each) for index, each in enumerate(found))
        by_type = self._sorted[section.name]
        at = max(bisect_left(by_type, (section.type,)) - _MANY // 2, 0)
        return [each for _, _, each in sorted(by_type[at : at + _MANY], key=lambda each: each[1])]

    def _related(self, section: Section, candidates: Sequence[Section]) -> list[Section]:
        """Candidates that a device may have become: related types, standalone VMSDs, equal descriptions."""
        same = equal([section.address] * len(candidates), [each.address for each in candidates], nums=self._nums)
        return [
            each
            for each, is_same in zip(candidates, same, strict=True)
            if is_same or each.root is not None or self._are_related(section.type, each.type)
        ]

    def _are_related(self, source: str, destination: str) -> bool:
        """Whether a type is the other's parent or both have one; if unknown, whether the names share a prefix."""
        source_parents, destination_parents = self._source.parents(source), self._destination.parents(destination)
        if not source_parents or not destination_parents:
            return _common_prefix(source, destination) >= _RELATED_PREFIX
        return (
            destination in source_parents
            or source in destination_parents
            or source_parents[0] == destination_parents[0]
        )

    def _registered(self, name: str) -> Section | None:
        """The standalone VMSD of a name that has its own section."""
        if self._by_use is None:
            roots = [
                root
                for root in self._destination.roots
                if not set(OWN_SECTION).isdisjoint(self._destination.uses(root))
            ]
            self._by_use = {root.name: root for root in reversed(roots)}  # the first of each name wins
        return self._by_use.get(name)

    def _letters(self) -> dict[str, Section]:
        if self._by_letters is None:
            self._by_letters = {_letters(section.type): section for section in self._destination.devices.values()}
        return self._by_letters


def _letters(name: str) -> str:
    """A name without punctuation, in lower case."""
    return "".join(filter(str.isalnum, name)).lower()


def _similarity(source: Section, destination: Section) -> tuple[int, ...]:
    """Rank of a candidate; the largest is the best."""
    return (
        source.type == destination.type,
        (source.root is None) == (destination.root is None),
        source.version_id == destination.version_id,
        _common_prefix(source.type, destination.type),
        -abs(len(source.type) - len(destination.type)),
    )


def _common_prefix(source: str, destination: str) -> int:
    """Length of the common prefix of two names."""
    for index, (left, right) in enumerate(zip(source, destination, strict=False)):
        if left != right:
            return index
    return min(len(source), len(destination))

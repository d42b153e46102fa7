"""Which section of the destination a section of the source meets.

A section is found by its name, which is the description's; the QOM type never travels. A device is created as what it
is called, though. So types are matched by name first, then by the name of their section: moved to another type, an
abstract parent or children, registered by other means than a class. Devices that are no kin may have sections of one
name (cirrus_vga of ISA and of PCI): those are taken for each other only if they put the same on the wire. At last come
names that differ in punctuation alone.

Source: QEMU 10.0.13 migration/savevm.c find_se, vmstate_register_with_alias_id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.tree_view import equal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.check.tree_view import Native, Section

#: Uses of a description on no device class that give it a section of its own.
OWN_SECTION = ("register", "legacy_vmsd")


#: How many characters names of kin begin with in common.
_ALIKE = 4


class Match(NamedTuple):
    """The section that is met. how: ``type`` (of the same type), ``section`` (of another type or of none, by the
    section's name), ``renamed`` (what the device has become: its section has another name).
    """

    section: Section
    how: str


class Matcher:
    """Finds sections of one dump."""

    def __init__(self, source: Native, dump: Native, *, nums: bool) -> None:
        """The dump whose sections are asked for, and the one that is looked in; nums: both tell lengths of arrays."""
        self._source, self._dump, self._nums = source, dump, nums
        self._by_name: dict[str, list[Section]] = {}
        for section in (*dump.devices.values(), *dump.roots):
            self._by_name.setdefault(section.name, []).append(section)
        self._by_letters: dict[str, Section] | None = None

    def match(self, section: Section) -> Match | None:
        """What a section of the source meets; None: nothing."""
        if section.root is None:
            namesake = self._dump.devices.get(section.type)
            if namesake is not None and namesake.name == section.name:
                return Match(namesake, "type")
            if namesake is not None:
                registered = self._registered(section.name)
                return Match(registered, "section") if registered else Match(namesake, "renamed")
        candidates = self._by_name.get(section.name, ())
        if section.root is None and candidates:
            candidates = self._kin(section, candidates)
        if candidates:
            best = max(candidates, key=lambda each: _likeness(section, each))
            return Match(best, "type" if section.root is not None is not best.root else "section")
        if section.root is None and (became := self._letters().get(_letters(section.type))):
            return Match(became, "renamed")
        return None

    def _kin(self, section: Section, candidates: Sequence[Section]) -> list[Section]:
        """Those of the same name that a device may have become: kin, what is no device, or the same on the wire."""
        same = equal([section.address] * len(candidates), [each.address for each in candidates], nums=self._nums)
        return [
            each
            for each, is_same in zip(candidates, same, strict=True)
            if is_same or each.root is not None or self._are_kin(section.type, each.type)
        ]

    def _are_kin(self, ours: str, theirs: str) -> bool:
        """Whether a type is the other's parent, or has the same; where that is unknown, whether names begin alike."""
        mine, yours = self._source.parents(ours), self._dump.parents(theirs)
        if not mine or not yours:
            return _common(ours, theirs) >= _ALIKE
        return theirs in mine or ours in yours or mine[0] == yours[0]

    def _registered(self, name: str) -> Section | None:
        """A description of that name that is registered by other means than a class."""
        for section in self._by_name.get(name, ()):
            if section.root is not None and not set(OWN_SECTION).isdisjoint(self._dump.uses(section)):
                return section
        return None

    def _letters(self) -> dict[str, Section]:
        if self._by_letters is None:
            self._by_letters = {_letters(section.type): section for section in self._dump.devices.values()}
        return self._by_letters


def _letters(name: str) -> str:
    """A name without what separates its words."""
    return "".join(filter(str.isalnum, name)).lower()


def _likeness(ours: Section, theirs: Section) -> tuple[int, ...]:
    """How likely a section of the same name is the same."""
    return (
        ours.type == theirs.type,
        (ours.root is None) == (theirs.root is None),
        ours.version_id == theirs.version_id,
        _common(ours.type, theirs.type),
        -abs(len(ours.type) - len(theirs.type)),
    )


def _common(ours: str, theirs: str) -> int:
    """How many characters two names begin with in common."""
    for index, (mine, yours) in enumerate(zip(ours, theirs, strict=False)):
        if mine != yours:
            return index
    return min(len(ours), len(theirs))

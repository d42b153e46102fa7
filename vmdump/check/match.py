"""Which section of the destination a section of the source meets.

A section is found by its name, which is the description's; the QOM type never travels. A device is created as what it
is called, though. So types are matched by name first, then by the name of their section: moved to another type, an
abstract parent or children, registered by other means than a class; at last by names that differ in punctuation alone.

Source: QEMU 10.0.13 migration/savevm.c find_se, vmstate_register_with_alias_id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.check.native import Native, Section

#: Uses of a description on no device class that give it a section of its own.
OWN_SECTION = ("register", "legacy_vmsd")


class Match(NamedTuple):
    """The section that is met. how: ``type`` (of the same type), ``section`` (of another type or of none, by the
    section's name), ``renamed`` (what the device has become: its section has another name).
    """

    section: Section
    how: str


class Matcher:
    """Finds sections of one dump."""

    def __init__(self, dump: Native) -> None:
        """The dump that is looked in."""
        self._dump = dump
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
        if candidates := self._by_name.get(section.name):
            best = max(candidates, key=lambda each: _likeness(section, each))
            return Match(best, "type" if section.root is not None is not best.root else "section")
        if section.root is None and (became := self._letters().get(_letters(section.type))):
            return Match(became, "renamed")
        return None

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

    def roots_of_types(self) -> dict[str, list[Section]]:
        """The descriptions on no device class that hold state of device types, by type."""
        found: dict[str, list[Section]] = {}
        for root in self._dump.roots:
            for type_ in self._dump.types(root):
                found.setdefault(type_, []).append(root)
        return found


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


def nearest(name: str, names: Sequence[str]) -> Sequence[str]:
    """Names that look like one, for messages."""
    from difflib import get_close_matches

    return get_close_matches(name, names, n=3)

"""Patterns that users give for device types: glob patterns of QOM types, sections, or names from QEMU's error lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.dump.lookup import Part, part_names, section_name
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vmdump.dump.device import StandaloneVMState
    from vmdump.dump.device_dump import DeviceDump


def type_patterns(dumps: Sequence[DeviceDump], patterns: Sequence[str]) -> list[str]:
    """Return glob patterns of QOM types for patterns of any names. Patterns that match nothing are kept."""
    return [name for pattern in patterns for name in matching_types(dumps, pattern) or [pattern]]


def matching_types(dumps: Sequence[DeviceDump], pattern: str) -> list[str]:
    """Return the pattern if it matches a QOM type or a standalone description in any of the dumps.

    Otherwise return patterns for the types whose section it matches, or else for the types that find returns.
    """
    from fnmatch import fnmatchcase
    from glob import escape

    if any(fnmatchcase(name, pattern) for dump in dumps for name in (*dump, *(each.name for each in dump.standalone))):
        return [pattern]
    section = section_name(pattern)
    types = [
        name
        for dump in dumps
        for name, own in (*((each.name, each.vmsd_name) for each in dump.values()), *_own_names(dump.standalone))
        if own and fnmatchcase(own, section)
    ]
    if not types:
        found = [each for dump in dumps for each in dump.find(pattern)]
        types = [name for each in found for name in (each.holders if isinstance(each, Part) else (each.name,))]
    return list(dict.fromkeys(map(escape, types)))


def require_types(patterns: Iterable[str], dumps: Sequence[DeviceDump]) -> None:
    """Raise VmdumpError for a pattern that matches no type in any of the dumps, with a suggestion.

    >>> import vmdump
    >>> require_types(["e1000*", "isa-serail"], [vmdump.open()])
    Traceback (most recent call last):
    vmdump.errors.VmdumpError: no type matches isa-serail; did you mean isa-serial?
    """
    for pattern in patterns:
        if not matching_types(dumps, pattern):
            from vmdump.suggestion import did_you_mean

            known = dict.fromkeys(name for dump in dumps for name in known_names(dump))
            hint = did_you_mean(section_name(pattern), known, "vmdump devices lists them")
            raise VmdumpError(f"no type matches {pattern}; {hint}")


def known_names(dump: DeviceDump) -> list[str]:
    """Return all names that find accepts, without duplicates: types, sections, nested descriptions, subsections."""
    sections = [each.vmsd_name for each in dump.values()]
    return list(dict.fromkeys([*dump, *sections, *(each.name for each in dump.standalone), *part_names(dump.tree)]))


def _own_names(standalone: Iterable[StandaloneVMState]) -> Iterator[tuple[str, str]]:
    return ((each.name, each.name) for each in standalone)

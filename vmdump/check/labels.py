"""Labels: short, unique names for the dumps of a check, as people call them: ``7.2.22``.

A label is the number of a QEMU's version. Where that does not tell two dumps apart, what does follows in parentheses:
the distribution's version, the host, or a file's or directory's name. A dump without a version is called by its file's
name, or by a directory's where files have one name.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: What stands between two labels in a direction.
ARROW = " -> "

#: What QEMU says of itself: the number, and the version of the package (--with-pkgversion).
_VERSION = re.compile(r"QEMU emulator version (\S+)(?: \((.*)\))?")


class Named(NamedTuple):
    """What a label is made of: the version as QEMU prints it, the host's architecture, the path as it was given, and
    what stands for the file's name where that says nothing. None: not known.
    """

    version: str | None = None
    host: str | None = None
    path: str | None = None
    name: str | None = None


def labels(sources: Sequence[Named]) -> list[str]:
    """A label for each source, in their order: unique, and without the arrow that stands between two of them.

    >>> debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u%d)"
    >>> labels([Named(debian % 18), Named("QEMU emulator version 10.0.13")])
    ['7.2.22', '10.0.13']
    >>> labels([Named(debian % 17), Named(debian % 18)])
    ['7.2.22 (Debian 1:7.2+dfsg-7+deb12u17)', '7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)']
    >>> labels([Named(path="old.json"), Named(path="new.json")])
    ['old.json', 'new.json']
    >>> labels([Named(path="qemu-7.2/x86_64.json"), Named(path="qemu-10.0/x86_64.json")])
    ['qemu-7.2', 'qemu-10.0']
    """
    made = [""] * len(sources)
    for base, group in _groups(sources, _bases(sources)).items():
        for index, details in _details([sources[index] for index in group], _DETAILS):
            made[group[index]] = f"{base} ({', '.join(details)})" if details else base
    return _unique([each.replace("->", "→") for each in made])


def file_labels(paths: Sequence[str]) -> list[str]:
    """What told paths apart before labels were versions; entries of a configuration may still have such directions.

    >>> file_labels(["out/old.json", "new.json"]), file_labels(["qemu-7.2/pc.json", "qemu-10.0/pc.json"])
    (['old.json', 'new.json'], ['qemu-7.2', 'qemu-10.0'])
    """
    parts = [path.split("/") for path in paths]
    names = [each[-1] for each in parts]
    if len(set(names)) == len(names):
        return names
    for end in (0, -1):
        while all(len(each) > 1 for each in parts) and len({each[end] for each in parts}) == 1:
            for each in parts:
                del each[end]
    names = ["/".join(each) for each in parts]
    if len(set(names)) < len(names):
        return [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return names


def _groups(sources: Sequence[Named], keys: Sequence[str]) -> dict[str, list[int]]:
    """Indices of sources by key."""
    groups: dict[str, list[int]] = {}
    for index, key in zip(range(len(sources)), keys, strict=True):
        groups.setdefault(key, []).append(index)
    return groups


def _bases(sources: Sequence[Named]) -> list[str]:
    """The numbers of versions; without one the file's name, or a directory's where several files have one name."""
    numbers = [match[1] if (match := _match(each)) else each.name for each in sources]
    without = [each for each, number in zip(sources, numbers, strict=True) if not number]
    places = iter(_places(without))
    return [number or next(places) or "unnamed" for number in numbers]


def _match(source: Named) -> re.Match[str] | None:
    return _VERSION.match(source.version or "")


# What tells sources of one version apart ------------------------------------------------------------------------------


def _distributions(sources: Sequence[Named]) -> list[str]:
    return [(match[2] or "") if (match := _match(each)) else "" for each in sources]


def _hosts(sources: Sequence[Named]) -> list[str]:
    """The hosts' architectures, where all are known."""
    return [f"{each.host} host" if all(other.host for other in sources) else "" for each in sources]


def _places(sources: Sequence[Named]) -> list[str]:
    """The files' names; where some are the same, for those the directory that is nearest to the file and differs."""
    parts = [_parts(each.path) for each in sources]
    found = [each[0] for each in parts]
    for group in _groups(sources, found).values():
        if len(group) > 1:
            for index, place in zip(group, _directories([parts[index] for index in group]), strict=True):
                found[index] = place or found[index]
    return found


def _parts(path: str | None) -> list[str]:
    """The names in a path, the file's first, the root's or that of the current directory last."""
    if path is None or path == "-":
        return ["stdin" if path else ""]
    top = "/" if os.path.isabs(path) else "."
    names = [name for name in os.path.normpath(path).split("/") if name not in ("", ".")]
    return [*reversed(names), top] if names else [top]


def _directories(parts: Sequence[Sequence[str]]) -> list[str]:
    """One name of each that differs from all others' at its place; if there is none, all that differ."""
    deepest = max(map(len, parts))
    columns = [[each[min(depth, len(each) - 1)] for each in parts] for depth in range(deepest)]
    differing = [column for column in columns if len(set(column)) > 1]
    for column in differing:
        if len(set(column)) == len(parts):
            return column
    return ["/".join(reversed(names)) for names in zip(*differing, strict=True)] if differing else [""] * len(parts)


_DETAILS = (_distributions, _hosts, _places)


def _details(
    sources: Sequence[Named], kinds: Sequence[Callable[[Sequence[Named]], list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    """For each source, by its index, as few details as tell it apart from the others."""
    if len(sources) == 1:
        yield 0, []
        return
    for number, kind in enumerate(kinds):
        values = kind(sources)
        groups = _groups(sources, values)
        if len(groups) > 1:
            for value, group in groups.items():
                for index, details in _details([sources[index] for index in group], kinds[number + 1 :]):
                    yield group[index], [value, *details] if value else details
            return
    for index in range(len(sources)):  # the same source several times
        yield index, [str(index + 1)]


def _unique(made: Sequence[str]) -> list[str]:
    """The labels; of two that are equal, the later with a number."""
    unique: list[str] = []
    for label in made:
        name, number = label, 1
        while name in unique or (number > 1 and name in made):
            number += 1
            name = f"{label} ({number})"
        unique.append(name)
    return unique

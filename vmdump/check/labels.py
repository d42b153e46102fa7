"""Creates labels: short, unique names for the dumps of a check, such as ``7.2.22``.

A label is the version number of the QEMU. If several dumps have the same one, a distinguishing detail follows in
parentheses: the distribution's version, the host, or the name of a file or directory. The label of a dump without a
version is its file name, or the name of a directory if files share a name.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Separates the two labels of a direction.
ARROW = " -> "

#: Output of QEMU's --version: the version number, and the version of the package (--with-pkgversion).
_VERSION = re.compile(r"QEMU emulator version (\S+)(?: \((.*)\))?")


class Named(NamedTuple):
    """What a label is made of; None if unknown.

    Attributes:
        version: As QEMU prints it.
        host: Architecture of the host.
        path: As given on the command line.
        name: Used instead of the file name, if the file name is meaningless.
    """

    version: str | None = None
    host: str | None = None
    path: str | None = None
    name: str | None = None


def labels(sources: Sequence[Named]) -> list[str]:
    """Return a label for each source, in order. Labels are unique and do not contain ARROW.

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
    """Return the labels of older releases, made of paths; directions in a configuration may still use them.

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
    """Group the indices of sources by key."""
    groups: dict[str, list[int]] = {}
    for index, key in zip(range(len(sources)), keys, strict=True):
        groups.setdefault(key, []).append(index)
    return groups


def _bases(sources: Sequence[Named]) -> list[str]:
    """Version number of each source; else its file name, or the name of a directory if files share a name."""
    numbers = [match[1] if (match := _match(each)) else each.name for each in sources]
    without = [each for each, number in zip(sources, numbers, strict=True) if not number]
    places = iter(_places(without))
    return [number or next(places) or "unnamed" for number in numbers]


def _match(source: Named) -> re.Match[str] | None:
    return _VERSION.match(source.version or "")


# Details that distinguish sources of the same version -----------------------------------------------------------------


def _distributions(sources: Sequence[Named]) -> list[str]:
    return [(match[2] or "") if (match := _match(each)) else "" for each in sources]


def _hosts(sources: Sequence[Named]) -> list[str]:
    """Architecture of each host; empty unless all are known."""
    return [f"{each.host} host" if all(other.host for other in sources) else "" for each in sources]


def _places(sources: Sequence[Named]) -> list[str]:
    """File name of each source; for those that share one, the nearest directory whose name is different."""
    parts = [_parts(each.path) for each in sources]
    found = [each[0] for each in parts]
    for group in _groups(sources, found).values():
        if len(group) > 1:
            for index, place in zip(group, _directories([parts[index] for index in group]), strict=True):
                found[index] = place or found[index]
    return found


def _parts(path: str | None) -> list[str]:
    """Components of a path from the file up to the root (``/``) or the current directory (``.``)."""
    if path is None or path == "-":
        return ["stdin" if path else ""]
    top = "/" if os.path.isabs(path) else "."
    names = [name for name in os.path.normpath(path).split("/") if name not in ("", ".")]
    return [*reversed(names), top] if names else [top]


def _directories(parts: Sequence[Sequence[str]]) -> list[str]:
    """A component of each path that no other path has at the same depth; if there is none, all that differ."""
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
    """Yield, for each source's index, the fewest details that distinguish it from the others."""
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
    for index in range(len(sources)):  # the same source, given several times
        yield index, [str(index + 1)]


def _unique(made: Sequence[str]) -> list[str]:
    """The labels, with a number appended to repeated ones."""
    unique: list[str] = []
    for label in made:
        name, number = label, 1
        while name in unique or (number > 1 and name in made):
            number += 1
            name = f"{label} ({number})"
        unique.append(name)
    return unique

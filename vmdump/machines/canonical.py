"""Names of objects that are the same in two machines.

QOM numbers children of ``/machine/unattached`` and ``/machine/peripheral-anon`` in the order of their creation, so one
more device renumbers all later ones. Here such a name is replaced by the type, and a number among objects of this type.
"""

from __future__ import annotations

import re
from bisect import insort
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.machines.model import Property, QomObject

#: A name that QOM makes: device[12].
_NUMBERED = re.compile(r"device\[(\d+)\]")


def canonical_objects(objects: Sequence[QomObject]) -> dict[str, QomObject]:
    """Return objects by canonical path, with canonical paths in the values of links.

    Args:
        objects: parents before children, as in MachineType.devices.
    """
    numbers: dict[tuple[str, str], list[int]] = {}
    for each in objects:
        parent, number = _split(each.path)
        if number is not None:
            insort(numbers.setdefault((parent, each.type), []), number)
    paths: dict[str, str] = {}
    for each in objects:
        parent, number = _split(each.path)
        known = paths.get(parent, parent)
        if number is None:
            paths[each.path] = f"{known}/{each.path.rpartition('/')[2]}"
        else:
            paths[each.path] = f"{known}/{each.type}[{numbers[parent, each.type].index(number)}]"
    return {
        paths[each.path]: replace(
            each, path=paths[each.path], properties=tuple(_canonical(known, paths) for known in each.properties)
        )
        for each in objects
    }


def _split(path: str) -> tuple[str, int | None]:
    """Return the parent's path, and the number in a name that QOM made; None for other names."""
    parent, _, name = path.rpartition("/")
    match = _NUMBERED.fullmatch(name)
    return parent, match and int(match[1])


def _canonical(known: Property, paths: dict[str, str]) -> Property:
    if not known.type.startswith("link<") or known.value not in paths:
        return known
    return replace(known, value=paths[known.value])


def same_value(old: Any, new: Any) -> bool:
    """Return whether two values are equal; a switch may have become an OnOffAuto.

    >>> same_value(True, "on"), same_value(True, 1), same_value("auto", "off")
    (True, False, False)
    """
    return bool(_switch(old) == _switch(new))


def _switch(value: Any) -> Any:
    return ("off", "on")[value] if isinstance(value, bool) else value

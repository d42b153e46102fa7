"""Properties without a determined value: strings without a terminating NUL.

A device may have a string without an end, as isa-applesmc has an osk of 64 characters: QEMU then returns the bytes that
follow, such as addresses, which differ between runs and between builds. They are found by a second boot with other
addresses.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vmdump.machines.model import Property, QomObject

#: Bytes by which a second boot moves addresses: each byte of an address changes but the lowest two.
SHIFT = 0x1_0101_0000

#: Why the value is not known.
ERROR = "not determined: the string has no terminating NUL"


def determined(objects: Sequence[QomObject], again: Callable[[], Sequence[QomObject]]) -> tuple[QomObject, ...]:
    """Return objects without the values that depend on addresses.

    Args:
        objects: as read.
        again: reads them in a machine with other addresses; called only if a value may depend on them.
    """
    suspects = {(each.path, known.name) for each in objects for known in each.properties if _may_be_memory(known)}
    if not suspects:
        return tuple(objects)
    values = {(each.path, known.name): known.value for each in again() for known in each.properties}
    return tuple(
        replace(each, properties=tuple(_determined(each.path, known, suspects, values) for known in each.properties))
        for each in objects
    )


def _may_be_memory(known: Property) -> bool:
    """Return whether a value is text with characters that no text has: QEMU replaces invalid ones by U+FFFD."""
    return isinstance(known.value, str) and ("\ufffd" in known.value or not known.value.isprintable())


def _determined(
    path: str, known: Property, suspects: set[tuple[str, str]], values: dict[tuple[str, str], object]
) -> Property:
    key = path, known.name
    if key not in suspects or values.get(key, known.value) == known.value:
        return known
    return replace(known, value=None, error=ERROR)

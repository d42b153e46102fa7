"""Pairs the objects of two QOM trees: by canonical path, and devices that moved in the tree by type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.machines.canonical import canonical_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vmdump.machines.model import QomObject


def pair_objects(
    old: Sequence[QomObject], new: Sequence[QomObject], is_device: Callable[[str], bool]
) -> tuple[list[tuple[QomObject, QomObject]], list[QomObject], list[QomObject]]:
    """Return pairs of objects, and the devices that only one tree has.

    Devices without a counterpart are paired with those of the same type, if both trees have equally many of them: QEMU
    moved the RTC of pc machines from ``/machine/unattached`` below the ISA bridge, which no guest notices.

    Args:
        old: objects of a tree, parents before children.
        new: the same.
        is_device: whether a QOM type is a device.
    """
    before, after = canonical_objects(old), canonical_objects(new)
    pairs = [(each, after[path]) for path, each in before.items() if path in after and after[path].type == each.type]
    paired = {each.path for each, _ in pairs}
    left = [_by_type(objects.values(), paired, is_device) for objects in (before, after)]
    only: tuple[list[QomObject], list[QomObject]] = ([], [])
    for type_ in dict.fromkeys((*left[0], *left[1])):
        ours, theirs = left[0].get(type_, []), left[1].get(type_, [])
        if len(ours) == len(theirs):
            pairs += zip(ours, theirs, strict=True)
        else:
            only[0].extend(ours)
            only[1].extend(theirs)
    return pairs, *only


def _by_type(
    objects: Iterable[QomObject], paired: set[str], is_device: Callable[[str], bool]
) -> dict[str, list[QomObject]]:
    found: dict[str, list[QomObject]] = {}
    for each in sorted(objects, key=lambda each: each.path):
        if each.path not in paired and is_device(each.type):
            found.setdefault(each.type, []).append(each)
    return found

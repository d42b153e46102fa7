"""Directories with QEMU binaries, such as packages unpacked with dpkg-deb -x, in place of single binaries."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vmdump.bulk.expected import NAME
from vmdump.cli.source_arguments import UsageError
from vmdump.errors import SourceError
from vmdump.sources.open import BINARY, identify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Where binaries are in a tree; "." for directories that have nothing else.
_PLACES = ("usr/bin", "bin", "usr/libexec", ".")


def binaries_of(tree: str, report: Callable[[str], None]) -> dict[str, str]:
    """Return the QEMU binaries of a directory by target, without links to others.

    Args:
        tree: the directory.
        report: called for each file with such a name that is not a binary, such as a script.

    Raises:
        SourceError: there are none, or the directory cannot be read.
    """
    found: dict[str, str] = {}
    seen = set()
    for place in _PLACES:
        directory = os.path.join(tree, place) if place != "." else tree
        if (real := os.path.realpath(directory)) in seen:
            continue
        seen.add(real)
        try:
            names = sorted(os.listdir(directory))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SourceError(f"{directory}: {error.strerror}") from error
        for name in names:
            path = os.path.join(directory, name)
            match = NAME.fullmatch(name)
            if match is None or match["flavour"] is not None or not os.path.isfile(path) or os.path.islink(path):
                continue
            if identify(path)[0] != BINARY:
                report(f"{path}: skipped, not a binary")
                continue
            found.setdefault(match["target"], path)
    if not found:
        raise SourceError(f"{tree}: no qemu-system-* in it, nor in its usr/bin; unpack packages with dpkg-deb -x")
    return found


def pairs_of_trees(trees: Sequence[str], report: Callable[[str], None]) -> dict[str, list[str]]:
    """Return the binaries of each target that all directories have, in their order.

    Args:
        trees: directories.
        report: called for each target that some of them lack, and for files that are skipped.

    Raises:
        SourceError: they share no target.
    """
    found = [binaries_of(tree, report) for tree in trees]
    targets = list(dict.fromkeys(target for each in found for target in each))
    shared = [target for target in targets if all(target in each for each in found)]
    for target in targets:
        if target not in shared:
            having = ", ".join(tree for tree, each in zip(trees, found, strict=True) if target in each)
            report(f"{target}: not tried, as only {having} has it")
    if not shared:
        raise SourceError(f"{', '.join(trees)}: no target is in all of them")
    return {target: [each[target] for each in found] for target in sorted(shared)}


def are_trees(paths: Sequence[str]) -> bool:
    """Return whether all paths are directories. Raises UsageError if only some are."""
    directories = [path for path in paths if os.path.isdir(path)]
    if directories and len(directories) < len(paths):
        raise UsageError(f"{directories[0]}: a directory; give directories on all sides, or binaries on all sides")
    return bool(directories)

"""Directories with QEMU binaries, such as packages unpacked with dpkg-deb -x, in place of single binaries."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from vmdump.bulk.expected import NotAQemu, expects_qemu, not_a_qemu
from vmdump.cli.source_arguments import UsageError
from vmdump.errors import SourceError
from vmdump.files.input_file import open_regular
from vmdump.files.sysroot import followed
from vmdump.qemu.binary_name import NAME, target_of
from vmdump.sources.open import BINARY, identify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Where binaries are in a tree; "." for directories that have nothing else.
_PLACES = ("usr/bin", "bin", "usr/libexec", ".")

#: Bytes of a file by which it is named.
_START = 4096


class Trees(NamedTuple):
    """What directories have.

    Attributes:
        pairs: the binaries of each target that all have, in their order.
        is_whole: whether no target is missing: none is only in a source of a migration, and all files that are named
            like a QEMU binary, scripts aside, can be read.
    """

    pairs: dict[str, list[str]]
    is_whole: bool


def _binaries_of(tree: str, report: Callable[[str], None]) -> tuple[dict[str, str], set[str]]:
    """Return the QEMU binaries of a directory by target, without links to others, and targets that can't be read.

    Raises SourceError: there are none, or the directory cannot be read.
    """
    found: dict[str, str] = {}
    links: dict[str, str] = {}
    unreadable: set[str] = set()
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
            if not expects_qemu(name) or (match is not None and match["flavour"] is not None) or os.path.isdir(path):
                continue
            target = target_of(name)
            why = _why_no_binary(path, tree)
            if why is not None:
                report(f"{path}: {why.text}")
                if not why.is_harmless:
                    unreadable.add(target)
            elif os.path.islink(path):
                links.setdefault(target, path)
            else:
                found.setdefault(target, path)
    known = {os.path.realpath(path) for path in found.values()}
    for target, path in links.items():
        if followed(path, tree) not in known:
            found.setdefault(target, path)
    if not found:
        raise SourceError(f"{tree}: no qemu-system-* in it, nor in its usr/bin; unpack packages with dpkg-deb -x")
    return found, unreadable


def _why_no_binary(path: str, tree: str) -> NotAQemu | None:
    """Return why a file named like a QEMU binary is none; None: it is one. Links are followed within the tree."""
    link = path
    if os.path.islink(path):
        try:
            path = followed(path, tree)
        except SourceError as error:
            return NotAQemu(str(error))
        if not os.path.exists(path):
            return NotAQemu(f"dangling link to {os.readlink(link)}")
    if not os.path.isfile(path):
        return NotAQemu("not a regular file")
    if identify(path)[0] == BINARY:
        return None
    with open_regular(path) as file:
        return not_a_qemu(file.read(_START), is_expected=True)


def pairs_of_trees(
    trees: Sequence[str],
    report: Callable[[str], None],
    *,
    directions: Sequence[tuple[int, int]] = ((0, 1),),
    pattern: str = "*",
) -> Trees:
    """Return the binaries of each target that all directories have.

    Args:
        trees: directories.
        report: called for each target that some of them lack, and for files that are no binaries.
        directions: source and destination of each migration, by index.
        pattern: of targets; others are left out.

    Raises:
        SourceError: they share no target.
        UsageError: they have no target that matches.
    """
    read = [_binaries_of(tree, report) for tree in trees]
    found = [each for each, _ in read]
    targets = [each for each in dict.fromkeys(name for each in found for name in each) if fnmatchcase(each, pattern)]
    if not targets:
        raise UsageError(f"--target: no target matches {pattern!r}")
    shared = [target for target in targets if all(target in each for each in found)]
    is_whole = not any(fnmatchcase(target, pattern) for _, unreadable in read for target in unreadable)
    for target in targets:
        if target not in shared:
            has = [target in each for each in found]
            is_missing = any(has[source] and not has[destination] for source, destination in directions)
            having = ", ".join(tree for tree, has_it in zip(trees, has, strict=True) if has_it)
            report(f"{target}: {'not tried' if is_missing else 'skipped'}, as only {having} has it")
            is_whole &= not is_missing
    if not shared:
        raise SourceError(f"{', '.join(trees)}: no target is in all of them")
    return Trees({target: [each[target] for each in found] for target in sorted(shared)}, is_whole)


def are_trees(paths: Sequence[str]) -> bool:
    """Return whether all paths are directories. Raises UsageError if only some are."""
    directories = [path for path in paths if os.path.isdir(path)]
    if directories and len(directories) < len(paths):
        raise UsageError(f"{directories[0]}: a directory; give directories on all sides, or binaries on all sides")
    return bool(directories)

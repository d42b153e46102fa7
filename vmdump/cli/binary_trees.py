"""Directories with QEMU binaries, such as packages unpacked with dpkg-deb -x, in place of single binaries."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from vmdump.bulk.expected import NAME, NotAQemu, expects_qemu, not_a_qemu
from vmdump.cli.source_arguments import UsageError
from vmdump.errors import SourceError
from vmdump.files.input_file import open_regular
from vmdump.files.sysroot import followed
from vmdump.sources.open import BINARY, identify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Where binaries are in a tree; "." for directories that have nothing else.
_PLACES = ("usr/bin", "bin", "usr/libexec", ".")

#: Bytes of a file by which it is named.
_START = 4096


class Trees(NamedTuple):
    """What directories have. pairs: the binaries of each target that all have, in their order; is_whole: whether all
    files that are named like a QEMU binary can be read, scripts aside.
    """

    pairs: dict[str, list[str]]
    is_whole: bool


def _binaries_of(tree: str, report: Callable[[str], None]) -> tuple[dict[str, str], bool]:
    """Return the QEMU binaries of a directory by target, without links to others, and whether all can be read.

    Raises SourceError: there are none, or the directory cannot be read.
    """
    found: dict[str, str] = {}
    links: dict[str, str] = {}
    is_whole = True
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
            why = _why_no_binary(path, tree)
            if why is not None:
                report(f"{path}: {why.text}")
                is_whole &= why.is_harmless
                continue
            (links if os.path.islink(path) else found).setdefault(match["target"] if match else name, path)
    known = {os.path.realpath(path) for path in found.values()}
    found |= {target: path for target, path in links.items() if followed(path, tree) not in known}
    if not found:
        raise SourceError(f"{tree}: no qemu-system-* in it, nor in its usr/bin; unpack packages with dpkg-deb -x")
    return found, is_whole


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


def pairs_of_trees(trees: Sequence[str], report: Callable[[str], None]) -> Trees:
    """Return the binaries of each target that all directories have.

    Args:
        trees: directories.
        report: called for each target that some of them lack, and for files that are no binaries.

    Raises:
        SourceError: they share no target.
    """
    read = [_binaries_of(tree, report) for tree in trees]
    found = [each for each, _ in read]
    targets = list(dict.fromkeys(target for each in found for target in each))
    shared = [target for target in targets if all(target in each for each in found)]
    for target in targets:
        if target not in shared:
            having = ", ".join(tree for tree, each in zip(trees, found, strict=True) if target in each)
            report(f"{target}: not tried, as only {having} has it")
    if not shared:
        raise SourceError(f"{', '.join(trees)}: no target is in all of them")
    pairs = {target: [each[target] for each in found] for target in sorted(shared)}
    return Trees(pairs, all(is_whole for _, is_whole in read))


def are_trees(paths: Sequence[str]) -> bool:
    """Return whether all paths are directories. Raises UsageError if only some are."""
    directories = [path for path in paths if os.path.isdir(path)]
    if directories and len(directories) < len(paths):
        raise UsageError(f"{directories[0]}: a directory; give directories on all sides, or binaries on all sides")
    return bool(directories)

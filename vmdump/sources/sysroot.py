"""Paths below a root: a tree that is unpacked from packages, whose links mean the system that it is meant to be."""

from __future__ import annotations

import os

from vmdump.errors import SourceError

#: Links that a path may go through. Source: Linux include/linux/namei.h MAXSYMLINKS.
_LINKS_MAX = 40


def check_root(root: str | os.PathLike[str]) -> str:
    """The root as a path without links. Raises SourceError if it is no directory."""
    path = os.path.realpath(root)
    if not os.path.isdir(path):
        raise SourceError(f"{os.fspath(root)}: not a directory; the root is where the packages are unpacked")
    return path


def inside(path: str | os.PathLike[str], root: str) -> str | None:
    """A path of this system as the root's own system has it, ``/usr/bin/qemu``; None if it is not below the root.

    What leads to the root is this system's, links included; what is below is left as it is.
    """
    absolute = os.path.abspath(path)
    parent = absolute
    names: list[str] = []
    while True:
        if os.path.realpath(parent) == root:
            return "/" + "/".join(reversed(names))
        if os.path.dirname(parent) == parent:
            return None
        names.append(os.path.basename(parent))
        parent = os.path.dirname(parent)


def resolve(path: str, root: str) -> str:
    """The path of this system for one of the root's own: links are followed, absolute ones from the root on, and none
    leads out of it. What does not exist is left as it is. Raises SourceError for links in a circle.
    """
    todo, done, links = path.split("/")[::-1], "", 0
    while todo:
        name = todo.pop()
        if name in ("", "."):
            continue
        if name == "..":
            done = done.rpartition("/")[0]
            continue
        here = f"{root}{done}/{name}"
        if not os.path.islink(here):
            done += f"/{name}"
            continue
        links += 1
        if links > _LINKS_MAX:
            raise SourceError(f"{path}: too many levels of symbolic links below {root}")
        target = os.readlink(here)
        if target.startswith("/"):
            done = ""
        todo += target.split("/")[::-1]
    return f"{root}{done}" if done else root


def followed(path: str | os.PathLike[str], root: str | os.PathLike[str]) -> str:
    """Where a file that is named on this system is, its links below the root followed within it. Raises SourceError."""
    real_root = check_root(root)
    below = inside(path, real_root)
    return os.fspath(path) if below is None else resolve(below, real_root)

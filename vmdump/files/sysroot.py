"""Paths in a sysroot: an unpacked system tree, whose absolute symbolic links are relative to its root."""

from __future__ import annotations

import os

from vmdump.errors import SourceError

#: Links that a path may go through. Source: Linux include/linux/namei.h MAXSYMLINKS.
_LINKS_MAX = 40

#: Directories in which packages install QEMU binaries: RHEL's qemu-kvm and Debian 12's qemu-system-i386 are in libexec.
_BINARIES = ("/usr/bin", "/usr/libexec")


def check_root(root: str | os.PathLike[str]) -> str:
    """Return the path of a sysroot without symbolic links. Raises SourceError if it is not a directory."""
    path = os.path.realpath(root)
    if not os.path.isdir(path):
        raise SourceError(f"{os.fspath(root)}: not a directory; give the one into which packages were unpacked")
    return path


def tree_of(binary: str) -> str | None:
    """Return the system tree that a binary is installed in, judging by its directory; None: it is in no such directory.

    >>> tree_of("/srv/7.2/usr/bin/qemu-system-arm"), tree_of("/usr/libexec/qemu-kvm"), tree_of("/srv/qemu-system-arm")
    ('/srv/7.2', '/', None)
    """
    directory = os.path.dirname(binary)
    place = next((each for each in _BINARIES if directory.endswith(each)), None)
    return None if place is None else directory[: -len(place)] or "/"


def inside(path: str | os.PathLike[str], root: str) -> str | None:
    """Return a path of this system as a path within the sysroot (``/usr/bin/qemu``); None if it is outside.

    Symbolic links above the sysroot are followed, links below it are not.
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
    """Return the path on this system of a path within the sysroot.

    Symbolic links are followed as after chroot(2), so none leads out of the sysroot. Components need not exist.

    Raises:
        SourceError: too many symbolic links.
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
    """Return the path of a file with its symbolic links below the sysroot followed within it. Raises SourceError."""
    real_root = check_root(root)
    below = inside(path, real_root)
    return os.fspath(path) if below is None else resolve(below, real_root)

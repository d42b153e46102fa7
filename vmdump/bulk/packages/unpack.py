"""Packages that ship QEMU: which belong together, and unpacking what is QEMU's of them, below one folder.

Nothing of a package is installed or executed. Of its files those are kept that are a QEMU (by content), or lie where a
QEMU looks for modules (``qemu/*.so``), and links. A package can't make anything appear outside of the folder, nor go
through a link: files come first, into directories that were made here, each looked at before it is entered; links come
last, where nothing is.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
from typing import NamedTuple

from vmdump.bulk.packages.archives import (
    RPM_ARCH,
    RPM_NAME,
    RPM_RELEASE,
    RPM_SOURCE,
    RPM_VERSION,
    archive_kind,
    deb_control,
    read_archive,
    rpm_tags,
)
from vmdump.errors import SourceError

#: What tells a QEMU that migrates: the word that its dump begins with.
QEMU_MARK = b"vmschkmachine"

#: The largest file of a package that is looked into, in bytes: a QEMU with all its debug information has 400 MB.
MAX_FILE_BYTES = 1 << 30

#: The deepest path, in names, and the longest, in bytes.
_MAX_DEPTH = 64
_MAX_PATH = 1024

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Package(NamedTuple):
    """A package file. group: what is equal for those that are unpacked over each other: the source that they were
    built from, its version and architecture; None for one that stands alone.
    """

    path: str
    kind: str
    group: tuple[str, ...] | None


def identify_package(path: str) -> Package | None:
    """The package at path; None for what is none. Raises SourceError for one that is not whole."""
    kind = archive_kind(path)
    if kind == "deb":
        control = deb_control(path)
        source = control.get("source") or control.get("package", "")
        return Package(
            path, kind, ("deb", source.split(" ")[0], control.get("version", ""), control.get("architecture", ""))
        )
    if kind == "rpm":
        tags = rpm_tags(path)
        version = f"{tags.get(RPM_VERSION)}-{tags.get(RPM_RELEASE)}"
        return Package(
            path, kind, ("rpm", tags.get(RPM_SOURCE) or tags.get(RPM_NAME, ""), version, tags.get(RPM_ARCH, ""))
        )
    return None if kind is None else Package(path, kind, None)


class Kept(NamedTuple):
    """What was unpacked of a package: paths of files, from the folder on, and links with what they say."""

    files: tuple[str, ...]
    links: tuple[tuple[str, str], ...]


def unpack(path: str, folder: str) -> Kept:
    """Unpacks what is QEMU's of the package at path into folder, which has to be there; its links are told, not made.

    Raises SourceError for a package that is not whole or that means harm, OSError for a folder that can't be written.
    """
    files, links = [], []
    top = os.open(folder, _DIRECTORY)
    try:
        for member in read_archive(path):
            place = safe_path(member.path)
            if member.target is not None:
                if place is not None and b"\0" not in os.fsencode(member.target):
                    links.append((place, member.target))
                continue
            if member.size < 4 or not _may_be_kept(member.path):
                continue
            if member.size > MAX_FILE_BYTES:
                continue
            content = member.read()
            if not _is_kept(member.path, content):
                continue
            if place is None:
                raise SourceError(
                    f"{path}: {member.path!r} would lie outside of the package's own folder; it means harm"
                )
            _write_new(top, place, content, path)
            files.append(place)
    finally:
        os.close(top)
    return Kept(tuple(files), tuple(links))


def _may_be_kept(path: str) -> bool:
    """Whether a file is worth reading: firmware and documentation is not."""
    return not path.endswith((".gz", ".xz", ".zst", ".py", ".html", ".mo", ".rom", ".bin", ".img", ".fd", ".debug"))


def _is_kept(path: str, content: bytes) -> bool:
    if not content.startswith(b"\x7fELF"):
        return False
    directory, name = posixpath.split(path)
    return (name.endswith(".so") and posixpath.basename(directory) == "qemu") or QEMU_MARK in content


def safe_path(path: str) -> str | None:
    """A member's path without a leading slash or dots, as it is used below a folder; None for one that leaves it.

    >>> safe_path("./usr/bin/qemu-system-s390x"), safe_path("usr/../../etc/passwd")
    ('usr/bin/qemu-system-s390x', None)
    """
    names = [name for name in path.split("/") if name not in ("", ".")]
    if not names or ".." in names or len(names) > _MAX_DEPTH:
        return None
    encoded = os.fsencode("/".join(names))
    return "/".join(names) if b"\0" not in encoded and len(encoded) <= _MAX_PATH else None


def _write_new(top: int, place: str, content: bytes, package: str) -> None:
    """Writes a file at a place below the descriptor top; one that is there already, of the same package, stays."""
    with _parent(top, place, package) as (parent, name):
        try:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        except FileExistsError:
            return
        with open(fd, "wb") as file:
            file.write(content)


@contextlib.contextmanager
def _parent(top: int, place: str, package: str):  # type: ignore[no-untyped-def]
    """The directory of a place, as a descriptor, and the name in it. Directories are made; none is a link."""
    *directories, name = place.split("/")
    here = os.dup(top)
    try:
        for directory in directories:
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory, 0o700, dir_fd=here)
            try:
                below = os.open(directory, _DIRECTORY, dir_fd=here)
            except NotADirectoryError:
                raise SourceError(
                    f"{package}: {place!r} goes through something that is no directory; is it whole?"
                ) from None
            os.close(here)
            here = below
        yield here, name
    finally:
        os.close(here)


def merge(layers: list[tuple[str, Kept]], root: str) -> None:
    """Moves the files of unpacked packages, each in a folder of its own, into one root, and makes their links there.

    Of two files or links at one place the first one's stays, which is so for files of one build. A link is as the
    package has it; what it means is a matter of who follows it: within the root (`vmdump.sources.sysroot`).
    Raises SourceError, OSError.
    """
    top = os.open(root, _DIRECTORY)
    try:
        for folder, kept in layers:
            for place in kept.files:
                with _parent(top, place, folder) as (parent, name):
                    if not _is_there(name, parent):
                        os.rename(os.path.join(folder, place), name, dst_dir_fd=parent)
        for folder, kept in layers:
            for place, target in kept.links:
                with contextlib.suppress(SourceError), _parent(top, place, folder) as (parent, name):
                    if not _is_there(name, parent):
                        os.symlink(target, name, dir_fd=parent)
    finally:
        os.close(top)


def _is_there(name: str, parent: int) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True

"""Groups packages that ship QEMU, and unpacks their QEMU binaries and modules.

Nothing is installed or executed. Unpacking keeps QEMU binaries (by content), modules (``qemu/*.so``) and symbolic
links. A package cannot write outside of its directory or through a link: files are written first, into directories
that are created here and opened without following links; links are created last, where nothing exists.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Iterable
from typing import NamedTuple

from vmdump.bulk.expected import expects_qemu, not_a_qemu
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
from vmdump.files.file_kind import OBJECT_START, object_format

#: A string in every QEMU that can migrate: the first key of its dump.
QEMU_MARK = b"vmschkmachine"

#: The largest member that is read, in bytes. A QEMU with debug information has 400 MB.
MAX_FILE_BYTES = 1 << 30

#: The longest path of a member, in components and in bytes.
_MAX_DEPTH = 64
_MAX_PATH = 1024

#: How many errors, and how many notices, are reported for a package.
_MAX_LINES = 20

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Package(NamedTuple):
    """A package file.

    group: format, source package, version and architecture; packages with the same group are unpacked together. None
        for a package that is unpacked alone.
    name: the binary package's name.
    arguments: indices of the command line's sources that it was found in.
    """

    path: str
    kind: str
    group: tuple[str, ...] | None
    name: str = ""
    arguments: tuple[int, ...] = ()


def identify_package(path: str) -> Package | None:
    """Return the package at path; None for any other file. Raises SourceError for a truncated or corrupt package."""
    kind = archive_kind(path)
    if kind == "deb":
        control = deb_control(path)
        name = control.get("package", "")
        source = (control.get("source") or name).split(" ")[0]
        return Package(path, kind, ("deb", source, control.get("version", ""), control.get("architecture", "")), name)
    if kind == "rpm":
        tags = rpm_tags(path)
        version = f"{tags.get(RPM_VERSION)}-{tags.get(RPM_RELEASE)}"
        name = tags.get(RPM_NAME, "")
        return Package(path, kind, ("rpm", tags.get(RPM_SOURCE) or name, version, tags.get(RPM_ARCH, "")), name)
    return None if kind is None else Package(path, kind, None)


def groups_of(packages: Iterable[Package]) -> list[list[Package]]:
    """Group the packages that are unpacked together: those of one build, from the same directory first.

    A group has one package of each name: a second one belongs to another build, even if its version is the same.
    """
    by_place: dict[object, list[Package]] = {}
    for package in packages:
        place = (package.group, os.path.dirname(package.path)) if package.group else package.path
        by_place.setdefault(place, []).append(package)
    groups: list[list[Package]] = []
    for found in by_place.values():
        for names_once in _split(found):
            names = {each.name for each in names_once}
            for group in groups:
                if group[0].group == found[0].group is not None and not names & {each.name for each in group}:
                    group += names_once
                    break
            else:
                groups.append(names_once)
    return groups


def _split(packages: Iterable[Package]) -> list[list[Package]]:
    """Distribute packages to the fewest lists in which each name is unique."""
    parts: list[dict[str, Package]] = []
    for package in packages:
        part = next((each for each in parts if package.name not in each), None)
        if part is None:
            parts.append(part := {})
        part[package.name] = package
    return [list(part.values()) for part in parts]


class UnpackResult(NamedTuple):
    """The members of a package that were kept.

    files: paths relative to the directory. links: pairs of path and target. errors: unreadable members that should be
    QEMU binaries. notices: skipped members. The latter two begin with the member's path.
    """

    files: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    errors: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def unpack(path: str, folder: str, max_size: int | None = None) -> UnpackResult:
    """Unpack QEMU binaries and modules from the package at path into an existing folder. Links are only returned.

    max_size: see read_archive. Raises SourceError for a corrupt or possibly malicious package, OSError if the folder
    cannot be written.
    """
    files, links = [], []
    errors: list[str] = []
    notices: list[str] = []
    top = os.open(folder, _DIRECTORY)
    try:
        for member in read_archive(path, max_size):
            place = safe_path(member.path)
            if member.target is not None:
                if place is not None and b"\0" not in os.fsencode(member.target):
                    links.append((place, member.target))
                continue
            is_expected = expects_qemu(member.path)
            if member.size > MAX_FILE_BYTES:
                if is_expected:
                    _note(errors, f"{place or member.path}: skipped, larger than {MAX_FILE_BYTES >> 20} MiB")
                continue
            if member.path.endswith((".deb", ".rpm")):
                _note(notices, f"{place or member.path}: packages inside of packages are not read; unpack it first")
            if not is_expected and (member.size < 4 or not _may_be_kept(member.path)):
                continue
            content = member.read()
            if not _is_kept(member.path, content):
                what = not_a_qemu(content[:4096], is_expected=is_expected)
                if what is not None:
                    _note(notices if what.is_harmless else errors, f"{place or member.path}: {what.text}")
                continue
            if place is None:
                raise SourceError(
                    f"{path}: member {member.path!r} escapes the extraction directory; the package may be malicious"
                )
            _write_new(top, place, content, path)
            files.append(place)
    finally:
        os.close(top)
    return UnpackResult(tuple(files), tuple(links), tuple(errors), tuple(notices))


def _note(lines: list[str], line: str) -> None:
    """Append a line, up to a limit that bounds the output for hostile packages."""
    if len(lines) < _MAX_LINES:
        lines.append(line)
    elif len(lines) == _MAX_LINES:
        lines.append("further members are not listed")


def _may_be_kept(path: str) -> bool:
    """Return whether a member could be a QEMU binary or module, by its suffix."""
    return not path.endswith(
        (".deb", ".rpm", ".gz", ".xz", ".zst", ".py", ".html", ".mo", ".rom", ".bin", ".img", ".fd", ".debug")
    )


def _is_kept(path: str, content: bytes) -> bool:
    if object_format(content[:OBJECT_START]) is None:
        return False
    directory, name = posixpath.split(path)
    return (name.endswith(".so") and posixpath.basename(directory) == "qemu") or QEMU_MARK in content


def safe_path(path: str) -> str | None:
    """Return a member's path relative to the extraction directory; None for a path that escapes it.

    >>> safe_path("./usr/bin/qemu-system-s390x"), safe_path("usr/../../etc/passwd")
    ('usr/bin/qemu-system-s390x', None)
    """
    names = [name for name in path.split("/") if name not in ("", ".")]
    if not names or ".." in names or len(names) > _MAX_DEPTH:
        return None
    encoded = os.fsencode("/".join(names))
    return "/".join(names) if b"\0" not in encoded and len(encoded) <= _MAX_PATH else None


def _write_new(top: int, place: str, content: bytes, package: str) -> None:
    """Write a file relative to the descriptor top, unless the package has written it already."""
    with _parent(top, place, package) as (parent, name):
        try:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        except FileExistsError:
            return
        with open(fd, "wb") as file:
            file.write(content)


@contextlib.contextmanager
def _parent(top: int, place: str, package: str):  # type: ignore[no-untyped-def]
    """Yield the parent of a path as a descriptor, and the name in it. Creates directories; follows no links."""
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
                    f"{package}: a parent of {place!r} is not a directory; the package may be corrupt"
                ) from None
            os.close(here)
            here = below
        yield here, name
    finally:
        os.close(here)


def merge(layers: list[tuple[str, UnpackResult]], root: str) -> None:
    """Move the files of unpacked packages, each in its own folder, to root, and create their links there.

    The first of several files or links with one path is kept. Link targets are stored verbatim;
    `vmdump.files.sysroot` resolves them within root. Raises SourceError, OSError.
    """
    top = os.open(root, _DIRECTORY)
    try:
        for folder, kept in layers:
            for place in kept.files:
                with _parent(top, place, folder) as (parent, name):
                    if not _exists(name, parent):
                        os.rename(os.path.join(folder, place), name, dst_dir_fd=parent)
        for folder, kept in layers:
            for place, target in kept.links:
                with contextlib.suppress(SourceError), _parent(top, place, folder) as (parent, name):
                    if not _exists(name, parent):
                        os.symlink(target, name, dir_fd=parent)
    finally:
        os.close(top)


def _exists(name: str, parent: int) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True

"""What there is to read: the QEMU binaries, dumps and packages that a list of sources means, found by content.

A file that is named is taken for what it is; one that is nothing of these is read as a dump, whose reader says what is
wrong with it. Of a directory everything counts that is one of these, at any depth; links to directories are not
followed, and names of links to a binary are further names of it.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vmdump.bulk.packages.archives import decompressed
from vmdump.bulk.packages.unpack import QEMU_MARK, Kept, Package, identify_package
from vmdump.errors import SourceError
from vmdump.sources.dump_file import GZIP, XZ, ZSTD
from vmdump.sources.open import is_binary
from vmdump.sources.sysroot import resolve

#: A QEMU's name, with what distributors put in front of it: xen-qemu-system-i386.
_NAME = re.compile(r"(?:(?P<flavour>[\w-]+?)-)?qemu-system-(?P<target>\w[\w-]*)", re.ASCII)

#: How much of a file is looked at for a dump, in bytes.
_START = 4096


class Item(NamedTuple):
    """A QEMU binary or a dump file: something to read.

    kind is ``binary`` or ``dump``; source is what the user knows it by, a file or package, and member the path in the
    package; path is where it lies, root the folder that its package is unpacked in; names are its file's and those of
    links to it.
    """

    kind: str
    source: str
    path: str
    names: tuple[str, ...]
    member: str | None = None
    root: str | None = None

    @property
    def title(self) -> str:
        """For people: the file, or the package and its file."""
        return self.source if self.member is None else f"{self.source}: {self.member}"


class Found(NamedTuple):
    """What sources mean: items, packages by group, and for each source that can't be read at all what is wrong."""

    items: list[Item]
    groups: list[list[Package]]
    errors: list[tuple[str, str]]


def find_sources(sources: Iterable[str], exclude: str) -> Found:
    """What the sources mean, each thing once, in their order; exclude is a directory that is passed over."""
    items: dict[str, Item] = {}
    packages: dict[str, Package] = {}
    errors: list[tuple[str, str]] = []
    for path, is_named in _files(sources, os.path.realpath(exclude), errors):
        real = os.path.realpath(path)
        if real in items and items[real].kind == "binary":
            items[real] = items[real]._replace(names=(*items[real].names, os.path.basename(path)))
        if real in items or real in packages:
            continue
        try:
            found = _identify(path, real, is_named)
        except (OSError, SourceError) as error:
            errors.append((path, str(error)))
            continue
        if isinstance(found, Package):
            packages[real] = found
        elif found is not None:
            items[real] = found
    for real, item in items.items():  # the file's own name comes first
        items[real] = item._replace(names=tuple(dict.fromkeys([os.path.basename(real), *item.names])))
    groups: dict[object, list[Package]] = {}
    for real, package in packages.items():
        groups.setdefault(package.group or real, []).append(package)
    return Found(list(items.values()), list(groups.values()), errors)


def _files(sources: Iterable[str], exclude: str, errors: list[tuple[str, str]]) -> Iterator[tuple[str, bool]]:
    """The files of the sources, and whether each is named itself."""
    for source in sources:
        try:
            is_directory = stat.S_ISDIR(os.stat(source).st_mode)
        except (OSError, ValueError) as error:
            errors.append((source, getattr(error, "strerror", None) or str(error)))
            continue
        if not is_directory:
            yield source, True
            continue
        refused: list[OSError] = []
        for folder, folders, names in os.walk(source, onerror=refused.append):
            folders[:] = sorted(each for each in folders if os.path.realpath(os.path.join(folder, each)) != exclude)
            yield from ((os.path.join(folder, name), False) for name in sorted(names))
        errors += [(str(error.filename), str(error.strerror)) for error in refused]


def _identify(path: str, real: str, is_named: bool) -> Item | Package | None:
    if not is_named and not os.path.isfile(real):
        return None
    if is_binary(real):
        is_qemu = is_named or _is_qemu(real)
        return Item("binary", path, path, (os.path.basename(path),)) if is_qemu else None
    package = identify_package(real)
    if package is not None:
        return package._replace(path=path)
    if is_named or _is_dump(real):
        return Item("dump", path, path, (os.path.basename(path),))
    return None


def _is_qemu(path: str) -> bool:
    """Whether an ELF file has the word that a dump begins with."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(QEMU_MARK) >= 0


def _is_dump(path: str) -> bool:
    """Whether a file begins as a dump does. Raises SourceError for a compressed one whose beginning is damaged."""
    with open(path, "rb") as file:
        is_compressed = file.read(6).startswith((GZIP, XZ, ZSTD))
        file.seek(0)
        try:
            start = decompressed(file, path).read(_START)
        except SourceError:
            raise
        except Exception as error:
            if is_compressed:
                raise SourceError(f"{path}: {error}; is it whole?") from error
            return False
    return start.lstrip().startswith(b"{") and QEMU_MARK in start


def unpacked_items(layers: list[tuple[Package, Kept]], root: str) -> list[Item]:
    """The binaries of packages whose files and links are in root."""
    items: dict[str, Item] = {}
    for package, kept in layers:
        for place in kept.files:
            path = os.path.join(root, place)
            if path not in items and not place.endswith(".so") and _is_qemu(path):
                items[path] = Item("binary", package.path, path, (os.path.basename(place),), place, root)
    for _, kept in layers:
        for place, _ in kept.links:
            try:
                path = resolve(place, root)
            except SourceError:
                continue  # a circle is nobody's name
            if path in items:
                items[path] = items[path]._replace(names=(*items[path].names, os.path.basename(place)))
    return [items[path] for path in sorted(items)]


def targets_of(names: Iterable[str]) -> tuple[str, ...]:
    """The targets that names of binaries say, and those of dump files.

    >>> targets_of(["qemu-system-ppc64", "qemu-system-ppc64le", "kvm", "xen-qemu-system-i386"])
    ('ppc64', 'ppc64le', 'i386-xen')
    """
    targets = []
    for name in names:
        if found := _NAME.fullmatch(name):
            flavour = found["flavour"]
            targets.append(f"{found['target']}-{flavour}" if flavour else found["target"])
    return tuple(dict.fromkeys(targets))

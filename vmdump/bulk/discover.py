"""Finds the QEMU binaries, dump files and packages in a list of sources, by their content.

A file given as a source that is none of these is read as a dump file, whose reader reports what is wrong. Directories
are searched recursively; symbolic links to directories are not followed, and links to a binary are further names of it.
A file that looks as if it should be one of these but cannot be read is an error, never skipped silently: a broken
binary or link with a QEMU's name, a truncated package or dump.
"""

from __future__ import annotations

import codecs
import mmap
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from vmdump.bulk.expected import NotAQemu, expects_qemu, not_a_qemu
from vmdump.bulk.packages.unpack import QEMU_MARK, Package, UnpackResult, groups_of, identify_package
from vmdump.errors import SourceError
from vmdump.files.decompress import MAGIC_BYTES, decompressed, format_of, limits
from vmdump.files.input_file import open_regular
from vmdump.files.sysroot import resolve
from vmdump.qemu.binary_name import NAME
from vmdump.sources.dump_file import MAX_SIZE
from vmdump.sources.open import BINARY, DUMP, is_binary

#: Bytes of a file that are inspected to recognise a dump.
_START = 4096

#: The beginning of a dump, without white space.
_DUMP_BEGINS = b'{"' + QEMU_MARK + b'":{'


class Item(NamedTuple):
    """A QEMU binary or dump file to read.

    kind: BINARY or DUMP of sources.open.
    source: the file or package as the user knows it; member: the path inside of the package.
    path: where the file is; root: the directory that its package is unpacked in.
    names: base names of the file and of links to it.
    arguments: indices of the command line's sources that it was found in.
    """

    kind: str
    source: str
    path: str
    names: tuple[str, ...]
    member: str | None = None
    root: str | None = None
    arguments: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """The file, or the package and its member, for messages."""
        return self.source if self.member is None else f"{self.source}: {self.member}"


class Found(NamedTuple):
    """The items and groups of packages that were found.

    errors: pairs of a file or source that cannot be read, and the reason. notices: files that were skipped.
    unreadable: the sources and directories among the errors whose content is unknown.
    """

    items: list[Item]
    groups: list[list[Package]]
    errors: list[tuple[str, str]]
    notices: list[str]
    unreadable: list[str]

    @property
    def paths(self) -> set[str]:
        """The paths of all files that were found, readable or not."""
        packages = (package.path for group in self.groups for package in group)
        return {*(item.source for item in self.items), *packages, *(source for source, _ in self.errors)}


def find_sources(sources: Iterable[str], exclude: str, numbers: Sequence[int] | None = None) -> Found:
    """Return what the sources contain, in their order and without duplicates.

    exclude: a directory that is not searched. numbers: the sources' indices for Item.arguments (default: from 0).
    """
    search = _Search(os.path.realpath(exclude))
    for index, source in enumerate(sources):
        search.add(source, index if numbers is None else numbers[index])
    return search.found()


class _Search:
    """Collects the items and packages of sources."""

    def __init__(self, exclude: str) -> None:
        self._exclude = exclude
        self._items: dict[str, Item] = {}
        self._packages: dict[str, Package] = {}
        self._errors: list[tuple[str, str]] = []
        self._notices: list[str] = []
        self._unreadable: list[str] = []

    def found(self) -> Found:
        """Return everything that was found."""
        for real, item in self._items.items():  # the file's own name first
            self._items[real] = item._replace(names=tuple(dict.fromkeys([os.path.basename(real), *item.names])))
        groups = groups_of(self._packages.values())
        return Found(
            list(self._items.values()), groups, self._errors, list(dict.fromkeys(self._notices)), self._unreadable
        )

    def add(self, source: str, number: int) -> None:
        """Search a source."""
        try:
            is_directory = stat.S_ISDIR(os.stat(source).st_mode)
        except (OSError, ValueError) as error:
            self._fail(source, getattr(error, "strerror", None) or str(error), is_unreadable=True)
            return
        if not is_directory:
            self._add_file(source, os.path.basename(source), number, is_named=True)
            return
        n_errors = len(self._errors)
        has_any = False
        for path, place in self._files(source):
            has_any |= self._add_file(path, place, number, is_named=False)
        if not has_any and len(self._errors) == n_errors:
            self._fail(source, "no QEMU binary, dump or package found", is_unreadable=True)

    def _fail(self, source: str, error: str, *, is_unreadable: bool = False) -> None:
        self._errors.append((source, error))
        self._unreadable += [source] if is_unreadable else []

    def _files(self, source: str) -> Iterator[tuple[str, str]]:
        """Yield the files below a directory, with their paths relative to it."""

        def refuse(error: OSError) -> None:
            self._fail(str(error.filename), str(error.strerror), is_unreadable=True)

        for folder, folders, names in os.walk(source, onerror=refuse):
            folders[:] = sorted(
                each for each in folders if os.path.realpath(os.path.join(folder, each)) != self._exclude
            )
            for name in sorted(names):
                path = os.path.join(folder, name)
                yield path, os.path.relpath(path, source)

    def _add_file(self, path: str, place: str, number: int, *, is_named: bool) -> bool:
        """Add a file; return whether it is an item or package. place: its path relative to the source."""
        real = os.path.realpath(path)
        if (item := self._items.get(real)) is not None:
            names = (*item.names, os.path.basename(path)) if item.kind == BINARY else item.names
            self._items[real] = item._replace(names=names, arguments=_with(item.arguments, number))
        elif (package := self._packages.get(real)) is not None:
            self._packages[real] = package._replace(arguments=_with(package.arguments, number))
        else:
            try:
                found = _identify(path, real, place, is_named)
            except (OSError, SourceError) as error:
                self._fail(path, getattr(error, "strerror", None) or str(error))
                return False
            if isinstance(found, Package):
                self._packages[real] = found._replace(arguments=(number,))
            elif isinstance(found, Item):
                self._items[real] = found._replace(arguments=(number,))
            elif found is not None:
                self._notices.append(f"{path}: {found.text}")
            return isinstance(found, (Package, Item))
        return True


def _with(numbers: tuple[int, ...], number: int) -> tuple[int, ...]:
    return numbers if number in numbers else (*numbers, number)


def _identify(path: str, real: str, place: str, is_named: bool) -> Item | Package | NotAQemu | None:
    """Return what a file is; None if it is irrelevant. Raises SourceError for a file that is broken or misnamed."""
    is_expected = expects_qemu(place)
    if not os.path.isfile(real):
        if is_named:
            raise SourceError(f"{path}: not a regular file; use vmdump dump for pipes and devices")
        if (is_expected or _is_called_package(path)) and os.path.islink(path) and not os.path.exists(path):
            raise SourceError(f"{path}: dangling link to {os.readlink(path)}")
        if is_expected:
            raise SourceError(f"{path}: not a regular file")
        return None
    if is_binary(real):
        if is_named or _is_qemu(real):
            return Item(BINARY, path, path, (os.path.basename(path),))
    else:
        package = identify_package(real)
        if package is not None:
            return package._replace(path=path)
        if _is_dump(real) or (is_named and not is_expected and not _is_called_package(path)):
            return Item(DUMP, path, path, (os.path.basename(path),))
        if _is_called_package(path):
            raise SourceError(f"{path}: not a package by its first bytes; the file may be truncated or corrupt")
        if path.endswith(".json") and not os.path.getsize(real):
            raise SourceError(f"{path}: an empty file, not a dump; copy it again")
        if path.endswith(_COMPRESSED_DUMPS) and not _is_compressed(real):
            raise SourceError(f"{path}: not a compressed dump by its first bytes; the file may be corrupt")
    with open_regular(path) as file:
        what = not_a_qemu(file.read(_START), is_expected=is_expected)
    if what is None or what.is_harmless:
        return what
    raise SourceError(f"{path}: {what.text}")


#: Ends of the names of compressed dumps.
_COMPRESSED_DUMPS = (".json.gz", ".json.xz", ".json.zst", ".json.bz2")


def _is_compressed(path: str) -> bool:
    with open_regular(path) as file:
        return format_of(file.peek(MAGIC_BYTES)) is not None


def _is_called_package(path: str) -> bool:
    return path.endswith((".deb", ".rpm", ".whl", ".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2"))


def _is_qemu(path: str) -> bool:
    """Return whether a file contains the first key of a dump."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(QEMU_MARK) >= 0


def _is_dump(path: str) -> bool:
    """Return whether a file begins like a dump.

    That includes files cut off in their first line and those in another encoding, which the reader reports. Raises
    SourceError for a compressed file whose beginning is damaged.
    """
    with open_regular(path) as file:
        format = format_of(file.peek(MAGIC_BYTES))
        try:
            start = decompressed(file, path, limits(None, MAX_SIZE)).read(_START)
        except SourceError:
            if format in ("gzip", "xz", "Zstandard"):  # others have no magic number to rely on
                raise
            return False
    text = start.removeprefix(codecs.BOM_UTF8).replace(b"\0", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    words = b"".join(text.split())
    return words.startswith(b"{") and (QEMU_MARK in text or (len(words) > 1 and _DUMP_BEGINS.startswith(words)))


def unpacked_items(layers: list[tuple[Package, UnpackResult]], root: str) -> list[Item]:
    """Return the binaries of packages whose files and links are in root."""
    items: dict[str, Item] = {}
    for package, kept in layers:
        for place in kept.files:
            path = os.path.join(root, place)
            if path not in items and not place.endswith(".so") and _is_qemu(path):
                names = (os.path.basename(place),)
                items[path] = Item(BINARY, package.path, path, names, place, root, package.arguments)
    for _, kept in layers:
        for place, _ in kept.links:
            try:
                path = resolve(place, root)
            except SourceError:
                continue  # a link in a cycle names nothing
            if path in items:
                items[path] = items[path]._replace(names=(*items[path].names, os.path.basename(place)))
    return [items[path] for path in sorted(items)]


def dangling_links(layers: list[tuple[Package, UnpackResult]], root: str) -> list[tuple[str, str]]:
    """Return the dangling links of packages that are named like a QEMU binary: the package's path, and the problem."""
    lines = (line for _, kept in layers for line in (*kept.notices, *kept.errors))
    passed_over = {os.path.join(root, line.partition(": ")[0]) for line in lines}
    errors = []
    for package, kept in layers:
        for place, target in kept.links:
            if not expects_qemu(place):
                continue
            try:
                path = resolve(place, root)
            except SourceError:
                errors.append((package.path, f"{place}: cyclic link"))
                continue
            if not os.path.exists(path) and path not in passed_over:
                why = "which is not a QEMU binary in the given packages"
                errors.append((package.path, f"{place}: link to {target}, {why}"))
    return errors


def targets_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the targets in the names of binaries and dump files.

    >>> targets_of(["qemu-system-ppc64", "qemu-system-arm.exe", "kvm", "xen-qemu-system-i386"])
    ('ppc64', 'arm', 'i386-xen')
    """
    targets = []
    for name in names:
        if found := NAME.fullmatch(name):
            flavour = found["flavour"]
            targets.append(f"{found['target']}-{flavour}" if flavour else found["target"])
    return tuple(dict.fromkeys(targets))

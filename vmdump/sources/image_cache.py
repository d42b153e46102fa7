"""The image cache: dumps of QEMU binaries that have been read before, from the user's cache folder.

An entry holds the results of reading one image: its machine types, its dump and the messages reported. The key is the
binary's path, the options, and the code that reads and writes entries (see `_make_key`). An entry is valid as long as
everything the image was read from is unchanged: the content of the binary and its modules, the absence of modules
that are not installed, and vmdump's own code. The machine type is not part of the key: it only changes one name.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from zlib import crc32

import vmdump
from vmdump.activity import Step
from vmdump.cache.entries import NO_FOLDER, entry_name, fingerprints, is_current, report_unused
from vmdump.cache.folder import CacheFolder, Entry, find_folder
from vmdump.emulator.machine_types import MachineType, choose_machine
from vmdump.errors import SourceError, VmdumpError
from vmdump.sources.image_options import ImageOptions
from vmdump.version import __version__

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.dump.tree import Tree
    from vmdump.sources.qemu_image.image import QemuImage

    class Image(Protocol):
        """An image, read from the binary or from the cache."""

        @property
        def machines(self) -> list[MachineType]:
            """The machine types, in QEMU's order of registration."""

        def dump(self, machine: str | None = None) -> DeviceDump:
            """See QemuImage.dump."""


def open_image(
    path: str | os.PathLike[str],
    options: ImageOptions | None = None,
    *,
    report: Callable[[object], None] | None = None,
    cache: bool = True,
    timeout: float | None = None,
) -> Image:
    """Return the image of the QEMU binary at path, from the cache if possible.

    An image that is not in the cache is stored there by its first dump. An unusable cache is not an error.

    Args:
        path: of the binary.
        options: how to read it; None: the defaults.
        report: called with each message, once with the reason if the cache can't be used.
        cache: False neither reads nor writes the cache.
        timeout: limit in seconds for reading the binary, including the first dump; None: guest.SECONDS of CPU time.

    Raises:
        SourceError: as QemuImage; or the time limit was exceeded.
    """
    options = options or ImageOptions()
    folder = find_folder() if cache else None
    if cache:
        report_unused(folder.why_unused() if folder is not None else NO_FOLDER, report)
    if folder is None:
        return _NewImage(None, path, options, report, timeout)
    # An entry with details serves requests without them, too.
    for key in dict.fromkeys(_make_key(path, each) for each in (options, options._replace(details=True))):
        entry = folder.read(entry_name(key))
        if entry is not None and entry.header["key"] == key and is_current(folder, entry):
            for text in entry.header["reports"]:
                if report is not None:
                    report(text)
            return _CachedImage(entry)
    return _NewImage(folder, path, options, report, timeout)


def _read_image(
    path: str | os.PathLike[str],
    options: ImageOptions,
    report: Callable[[object], None] | None,
    timeout: float | None,
) -> QemuImage:
    from vmdump.sources.qemu_image.image import QemuImage

    with Step(f"reading {os.path.basename(path)}"):
        return QemuImage(path, **options._asdict(), report=report, timeout=timeout)


def _make_key(path: str | os.PathLike[str], options: ImageOptions) -> tuple[Any, ...]:
    """Return the key of an entry: everything that decides a result, except the content of files.

    That includes the Python version, as marshal's format differs between versions, the directory of this package, as
    other checkouts may have other code, and the format of the entry.
    """
    module_dir = os.environ.get("QEMU_MODULE_DIR", "")
    places = [path, *options.module_dirs, *filter(None, [module_dir, options.root])]
    code = (__version__, sys.hexversion, os.path.dirname(vmdump.__file__ or ""), _format_number())
    return (*code, os.path.realpath(path), *map(os.path.abspath, places), module_dir, *options)


def _format_number() -> int:
    """Return a checksum of the names and order of all values that entries store.

    It changes with the types, so an entry of another version of the code is never read as one of this version.
    """
    from vmdump.dump.producer import Defect, Producer, ProducerModule

    types = (MachineType, Producer, ProducerModule, Defect, ImageOptions)
    return crc32(repr([(each.__name__, each._fields) for each in types]).encode())


class _CachedImage:
    """An image from a cache entry."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self.machines = [MachineType(*machine) for machine in entry.header["machines"]]

    def dump(self, machine: str | None = None) -> DeviceDump:
        from vmdump.dump.device_dump import DeviceDump
        from vmdump.dump.producer import Producer

        producer = Producer.from_plain(self._entry.header["producer"])
        name = choose_machine(self.machines, machine, str(producer.path))
        return DeviceDump(decode(self._entry.payload, name), producer)


class _NewImage:
    """An image read from the binary, within a time limit. The first dump stores it in the cache, if there is one."""

    def __init__(
        self,
        folder: CacheFolder | None,
        path: str | os.PathLike[str],
        options: ImageOptions,
        report: Callable[[object], None] | None,
        timeout: float | None,
    ) -> None:
        self._folder, self._key, self._report = folder, _make_key(path, options), report
        self._reports: list[str] = []
        self._began = time.time_ns()
        self._name, self._timeout = os.fspath(path), timeout
        self._left = timeout or 0.0
        with self._limited():
            self._image = _read_image(path, options, self._note, timeout)
        self.machines = self._image.machines
        self._is_stored, self._details = folder is None, options.details

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        """Charge the body's time to the time limit. Raises SourceError when none is left."""
        if self._timeout is None:
            yield
            return
        from vmdump.signals import TimeOut, time_limit

        began = time.monotonic()
        try:
            with time_limit(self._left):
                yield
        except TimeOut:
            raise SourceError(
                f"{self._name}: reading did not finish within {self._timeout:g} seconds; allow more with --timeout"
            ) from None
        self._left -= time.monotonic() - began

    def _note(self, error: object) -> None:
        self._reports.append(str(error))
        if self._report is not None:
            self._report(error)

    def dump(self, machine: str | None = None) -> DeviceDump:
        with self._limited():
            dump = self._image.dump(machine)
        if not self._is_stored:
            self._is_stored = True
            self._store(dump)
        return dump

    def _store(self, dump: DeviceDump) -> None:
        """Store the image, unless a file that it was read from changed meanwhile or shortly before."""
        from vmdump.emulator.unicorn_library import libunicorn

        try:
            payload = encode(dump, self._details)
            decode(payload, dump.machine)
            files = fingerprints(read_files(self._image), [os.fsdecode(libunicorn())], self._began)
        except (OSError, VmdumpError):
            return
        if files is not None:
            header = {
                "key": self._key,
                "files": files,
                "machines": [tuple(machine) for machine in self.machines],
                "reports": self._reports,
                "producer": dump.producer.to_plain(),
                "created": time.time(),
            }
            assert self._folder is not None
            if not self._folder.write(entry_name(self._key), header, payload):
                report_unused(self._folder.failure, self._report)


# Files that an image depends on -------------------------------------------------------------------------------------


def read_files(image: QemuImage) -> Iterator[str]:
    """Iterate over the binary and all files that QEMU would try to open for its modules, existing or not."""
    yield image.path
    places = [os.path.abspath(each) for each in image.search_dirs]
    yield from (place for place in places if not os.path.isdir(place))
    places = [place for place in places if os.path.isdir(place)]
    for module in image.modules.states():
        for place in places:
            yield (path := os.path.join(place, f"{module.name}.so"))
            if os.path.exists(path):
                break


# Payloads -----------------------------------------------------------------------------------------------------------

#: The start of a dump, up to the machine's name.
_HEAD = b'{\n  "vmschkmachine": {\n    "Name": "'


def encode(dump: DeviceDump, extended: bool) -> bytes:
    """Return a dump as a payload: QEMU's or the extended form, without everything up to the end of the machine's name.

    Raises:
        VmdumpError: the machine's name needs escaping in JSON.
    """
    data = dump.to_bytes(extended=extended)
    head = _HEAD + dump.machine.encode()
    if not data.startswith(head + b'"'):
        raise VmdumpError(f"the machine's name needs escaping in JSON: {dump.machine!r}")
    return data[len(head) :]


def decode(payload: bytes | memoryview, machine: str) -> Tree:
    """Return the tree of a payload, under the name of a machine. Raises VmdumpError if the payload is malformed."""
    from vmdump.dump.tree import parse

    return parse(b"".join([_HEAD, machine.encode(), payload]), "<cache>")

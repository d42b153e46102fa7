"""Images that have been read before, from the user's cache folder, in the time that it takes to read a file.

An entry is what an image gave: its machine types, its dump, and what was reported meanwhile. It is found by the
binary's path and the options, and holds if all that the image was made of is as it was: the content of the binary and
of its modules, that modules which are not installed still are not, and vmdump's own code. The machine is no part of
it: it changes nothing but a name.

Content is known by SHA-256, which takes as long as all the rest for a binary of 20 MB. So a file that has the same
device, inode, size, mtime and ctime as when it was hashed counts as unchanged, as in git's index; and as there, that is
not trusted of a file that was changed shortly before, as another change within the same tick would not be seen.
"""

from __future__ import annotations

import marshal
import os
import sys
import time
from zlib import crc32

from vmdump.errors import VmdumpError
from vmdump.sources.image_cache.folder import CacheFolder, Entry, find_folder
from vmdump.sources.qemu_image.machine_types import MachineType, choose_machine
from vmdump.sources.qemu_image.options import ImageOptions
from vmdump.version import __version__

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.dump.tree import Tree
    from vmdump.sources.qemu_image.image import QemuImage

    #: A file's device, inode, size in bytes, mtime and ctime in nanoseconds; None where there is no file.
    Signature = tuple[int, int, int, int, int] | None

    #: A file that a result depends on: path, signature, SHA-256. Without the latter any change of the signature counts.
    File = tuple[str, Signature, bytes | None]

    class Image(Protocol):
        """What an image gives, read or remembered."""

        @property
        def machines(self) -> list[MachineType]:
            """The machine types, in QEMU's order of registration."""

        def dump(self, machine: str | None = None) -> DeviceDump:
            """See QemuImage.dump."""


#: Nanoseconds within which two changes of a file may have one time stamp: FAT has two seconds, all others less.
RACY = 2_000_000_000


def open_image(
    path: str | os.PathLike[str],
    options: ImageOptions | None = None,
    *,
    report: Callable[[object], None] | None = None,
    cache: bool = True,
) -> Image:
    """The image of the QEMU binary at path: from the cache where it is there, else read, and put there once dumped.

    A cache that can't be read or written to is no error. Raises what QemuImage raises.
    """
    options = options or ImageOptions()
    folder = find_folder() if cache else None
    if folder is None:
        return _read_image(path, options, report)
    # What is asked for, or what tells more.
    for key in dict.fromkeys(_make_key(path, each) for each in (options, options._replace(details=True))):
        entry = folder.read(_entry_name(key))
        if entry is not None and entry.header["key"] == key and _holds(folder, entry):
            for text in entry.header["reports"]:
                if report is not None:
                    report(text)
            return _CachedImage(entry)
    return _NewImage(folder, path, options, report)


def _entry_name(key: tuple[Any, ...]) -> str:
    return f"{crc32(marshal.dumps(key, 2)):08x}"


def _read_image(
    path: str | os.PathLike[str], options: ImageOptions, report: Callable[[object], None] | None
) -> QemuImage:
    from vmdump.sources.qemu_image.image import QemuImage

    return QemuImage(path, **options._asdict(), report=report)


def _make_key(path: str | os.PathLike[str], options: ImageOptions) -> tuple[Any, ...]:
    """All that decides a result but files' content; marshal's forms differ between Pythons."""
    module_dir = os.environ.get("QEMU_MODULE_DIR", "")
    places = [path, *options.module_dirs, *filter(None, [module_dir, options.root])]
    return (__version__, sys.hexversion, os.path.realpath(path), *map(os.path.abspath, places), module_dir, *options)


class _CachedImage:
    """An image as an entry has it."""

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
    """An image that has been read, and goes to the cache when it is first dumped."""

    def __init__(
        self,
        folder: CacheFolder,
        path: str | os.PathLike[str],
        options: ImageOptions,
        report: Callable[[object], None] | None,
    ) -> None:
        self._folder, self._key, self._report = folder, _make_key(path, options), report
        self._reports: list[str] = []
        self._began = time.time_ns()
        self._image = _read_image(path, options, self._note)
        self.machines = self._image.machines
        self._is_stored, self._details = False, options.details

    def _note(self, error: object) -> None:
        self._reports.append(str(error))
        if self._report is not None:
            self._report(error)

    def dump(self, machine: str | None = None) -> DeviceDump:
        dump = self._image.dump(machine)
        if not self._is_stored:
            self._is_stored = True
            self._store(dump)
        return dump

    def _store(self, dump: DeviceDump) -> None:
        """Puts the image into the cache, if nothing that it was made of has changed meanwhile, or shortly before."""
        try:
            payload = encode(dump, self._details)
            decode(payload, dump.machine)
            files = [*map(hashed, read_files(self._image)), *((path, sign(path), None) for path in _code_files())]
        except (OSError, VmdumpError):
            return
        if all(is_settled(signature, self._began) for _, signature, _ in files):
            header = {
                "key": self._key,
                "files": files,
                "machines": [tuple(machine) for machine in self.machines],
                "reports": self._reports,
                "producer": dump.producer.to_plain(),
                "created": time.time(),
            }
            self._folder.write(_entry_name(self._key), header, payload)


# What an image is made of ------------------------------------------------------------------------------------------


def read_files(image: QemuImage) -> Iterator[str]:
    """The binary, and each file that a module may come from, there or not, as far as it would be looked for."""
    yield image.path
    places = [os.path.abspath(each) for each in image.search_dirs]
    yield from (place for place in places if not os.path.isdir(place))
    places = [place for place in places if os.path.isdir(place)]
    for module in image.modules.states():
        for place in places:
            yield (path := os.path.join(place, f"{module.name}.so"))
            if os.path.exists(path):
                break


def _code_files() -> Iterator[str]:
    """What has read it: vmdump, as far as it is loaded, and the emulator."""
    from vmdump.emulator.guest import libunicorn

    for name, module in list(sys.modules.items()):
        if name.startswith("vmdump.") and not name.startswith("vmdump.cli") and getattr(module, "__file__", None):
            yield str(module.__file__)
    yield os.fsdecode(libunicorn())


def _holds(folder: CacheFolder, entry: Entry) -> bool:
    """Whether all that an entry was made of is as it was. New signatures of old content are remembered."""
    files: list[File] = entry.header["files"]
    now = [(path, sign(path), digest) for path, _, digest in files]
    if now == files:
        return True
    began = time.time_ns()
    for (path, was, digest), (_, signature, _) in zip(files, now, strict=True):
        if signature == was:
            continue
        try:
            if was is None or digest is None or hashed(path) != (path, signature, digest):
                return False
        except OSError:
            return False
    if all(is_settled(signature, began) for _, signature, _ in now):
        folder.write(entry.name, {**entry.header, "files": now}, bytes(entry.payload))
    return True


def sign(path: str) -> Signature:
    """The signature of the file at path."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return _signature(status)


def _signature(status: os.stat_result) -> Signature:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def hashed(path: str) -> File:
    """The file at path with its digest. Raises OSError for one that can't be read."""
    if sign(path) is None or os.path.isdir(path):
        return path, sign(path), None
    from hashlib import file_digest

    with open(path, "rb", buffering=0) as file:
        signature = _signature(os.fstat(file.fileno()))
        return path, signature, file_digest(file, "sha256").digest()


def is_settled(signature: Signature, began: int) -> bool:
    """Whether a change of the file from now on would change the signature too, and none has come since began (ns)."""
    return signature is None or max(signature[3:]) < began - RACY


# What an entry's payload is ----------------------------------------------------------------------------------------

#: How a dump begins, up to the machine's name.
_HEAD = b'{\n  "vmschkmachine": {\n    "Name": "'


def encode(dump: DeviceDump, extended: bool) -> bytes:
    """A dump as a payload: QEMU's form or the extended one, from behind the machine's name. Raises VmdumpError."""
    data = dump.to_bytes(extended=extended)
    head = _HEAD + dump.machine.encode()
    if not data.startswith(head + b'"'):
        raise VmdumpError(f"a machine's name that JSON does not have as it is: {dump.machine!r}")
    return data[len(head) :]


def decode(payload: bytes | memoryview, machine: str) -> Tree:
    """The tree that a payload stands for, with the name of a machine. Raises VmdumpError."""
    from vmdump.dump.tree import parse

    return parse(b"".join([_HEAD, machine.encode(), payload]), "<cache>")

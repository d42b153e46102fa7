"""Files and modules that an emulated QEMU may read: those of its own tree, and stand-ins for missing firmware.

Directories that the command line names are empty ones. Every requested path is recorded.
"""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from vmdump._core import ffi, lib
from vmdump.emulator.firmware import STAND_INS
from vmdump.emulator.guest import WRONG_BINARY, Guest
from vmdump.emulator.hosts.model import Platform
from vmdump.emulator.objects.model import MappedObject
from vmdump.emulator.objects.open import open_object
from vmdump.errors import SourceError
from vmdump.files.sysroot import check_root, followed, resolve, tree_of

#: Directories of the tree that QEMU may read. No other file exists for it but those of the host
#: profile: no /etc, /proc, /dev, /home.
_FOLDERS = ("/usr/share/", "/usr/lib/", "/usr/lib64/", "/usr/local/share/", "/usr/local/lib/", "/lib/", "/opt/")

#: Directories in which distributions install firmware of other packages.
_FIRMWARE_FOLDERS = ("/usr/share/qemu/", "/usr/share/seabios/", "/usr/lib/ipxe/qemu/", "/usr/share/qemu-efi-aarch64/")

#: Limits of the files: bytes of one and of all, and paths that are requested. QEMU requests dozens, of 20 MB.
_FILE_MAX, _FILES_MAX, _REQUESTS_MAX = 256 << 20, 512 << 20, 1 << 14

#: An empty directory that the emulated host always has.
EMPTY_DIRECTORY = "/vmdump"

#: An absolute path in an argument: the argument, or a value in it.
_ABSOLUTE = re.compile(r"""(?:^|[=:"])(/[^,"]+)""")

#: Directories of the host whose contents QEMU looks for by itself.
_SYSTEM_FOLDERS = ("/dev/", "/etc/", "/proc/", "/run/", "/sys/", "/usr/", "/var/")

#: Directory of the binary in the guest.
_BIN_DIR = "/usr/bin"

#: Directories of an installation of macOS, next to the binary's directory or in it: a system has none for programs.
_PREFIX_FOLDERS = ("/usr/share/", "/usr/lib/")

#: Where programs for Windows look for their files: beside the binary.
_BESIDE = f"{_BIN_DIR}/share/"


class GuestServices:
    """Files and modules for one guest.

    Attributes:
        binary: path of the binary on the real host.
        name: path of the binary in the guest.
        platform: of the guest that the files are provided to.
        requested: by requested path: "missing", "stand-in", or the path of the file on the real host.
    """

    def __init__(
        self,
        image: str | os.PathLike[str],
        sysroot: str | os.PathLike[str] | None,
        provided: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """``image``, ``sysroot``: see vmdump.emulator.machine.boot. ``provided``: contents of files by path.

        Raises SourceError.
        """
        self._provided = provided
        if sysroot is None:
            self.binary = os.path.realpath(image)
            self._root = tree_of(self.binary)
        else:
            self.binary = os.path.abspath(followed(image, sysroot))
            self._root = check_root(sysroot)
        self.name = f"{_BIN_DIR}/{os.path.basename(self.binary)}"
        self.requested: dict[str, str] = {}
        self.platform = Platform.LINUX
        self._libraries: set[str] = set()
        self._files: dict[str, Any] = {}
        self._contents: dict[str, Any] = {}
        self._directories = {EMPTY_DIRECTORY}
        self._modules: list[MappedObject] = []
        self._global: list[MappedObject] = []
        self._at_snapshot = (0, 0)
        self._kept: list[Any] = []
        self._failure: BaseException | None = None
        # A weak reference: a cycle would keep the guest's memory until the garbage collector runs.
        self._handle = ffi.new_handle(weakref.ref(self))

    def attach(self, guest: Guest) -> None:
        """Provide the files to a guest that runs its own main function."""
        self._guest, self.platform = guest, guest.host.platform
        if self.platform == Platform.WINDOWS:  # the binary looks for its files only if its directory is there
            self._directories.add(_BIN_DIR)
        lib.vmd_guest_run_main(guest.native)
        lib.vmd_guest_set_services(
            guest.native,
            ffi.new(
                "struct vmd_guest_services *",
                (self._handle, lib.vmd_read_file, lib.vmd_open_module, lib.vmd_module_symbol, lib.vmd_is_directory),
            ),
        )

    def keep(self, thing: Any) -> None:
        """Keep an object alive as long as the services."""
        self._kept.append(thing)

    @property
    def tree(self) -> str | None:
        """The tree that files are looked for in; None: the binary is in none."""
        return self._root

    def add_library(self, name: str) -> None:
        """Record a library of the tree that is mapped."""
        self._libraries.add(name)

    def has_library(self, name: str) -> bool:
        """Return whether a library is mapped."""
        return name in self._libraries

    def set_scope(self, objects: list[MappedObject]) -> None:
        """Set the objects that symbols of modules are bound to: the binary, then its libraries."""
        self._scope = objects

    @property
    def objects(self) -> list[MappedObject]:
        """The binary, its libraries, and the loaded modules."""
        return [*self._scope, *self._modules]

    def snapshot(self) -> None:
        """Record the loaded modules."""
        self._at_snapshot = len(self._modules), len(self._global)

    def rewind(self) -> None:
        """Drop the modules loaded since the snapshot."""
        n_modules, n_global = self._at_snapshot
        del self._modules[n_modules:]
        del self._global[n_global:]

    def raise_failure(self) -> None:
        """Raise the exception of a callback, which C cannot propagate."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    # Files

    def _slashes(self, path: str) -> str:
        """Return a path with slashes, which programs for Windows may mix with backslashes."""
        return path.replace("\\", "/") if self.platform == Platform.WINDOWS else path

    def resolve(self, path: str) -> str | None:
        """Return the path on the real host of a file of the tree; None: no such file, or not a permitted directory."""
        path = os.path.normpath(path)
        places = [(self._root.rstrip("/"), path)] if self._root is not None and path.startswith(_FOLDERS) else []
        if self.platform == Platform.MACOS and path.startswith(_PREFIX_FOLDERS):
            directory, name = os.path.split(os.path.dirname(self.binary))
            roots = [directory] if name == "bin" else []
            places += [(root, path.removeprefix("/usr")) for root in (*roots, f"{directory}/{name}") if root != "/"]
        is_library = path.startswith(f"{_BIN_DIR}/") and path.endswith(".dll")
        if self.platform == Platform.WINDOWS and (is_library or path.startswith(_BESIDE)):
            places = [(os.path.dirname(self.binary), path.removeprefix(_BIN_DIR))]
        found = (resolve(inner, root) for root, inner in places)
        return next((real for real in found if os.path.isfile(real)), None)

    def read_file(self, path: str) -> Any | None:
        """Return the bytes of a file as a cffi buffer that the services keep alive; None: no such file."""
        path = self._slashes(path)
        if path not in self._files:
            self._files[path] = self._find_file(path)
        return self._files[path]

    def _find_file(self, path: str) -> Any | None:
        if path in self._provided:
            return ffi.from_buffer(self._provided[path])
        real = self.resolve(path)
        if real is not None and os.path.getsize(real) <= _FILE_MAX:
            self._record(path, real)
            return self._content(real)
        name = os.path.basename(path)
        size = STAND_INS.get(name)
        elsewhere = any(self.resolve(folder + name) for folder in _FIRMWARE_FOLDERS)
        if size is not None and not elsewhere and os.path.normpath(path).startswith((*_FOLDERS, _BESIDE)):
            self._record(path, "stand-in")
            return ffi.from_buffer(bytes(size))
        self._record(path, "missing")
        return None

    def _content(self, real: str) -> Any:
        """Return the bytes of a file on the real host, which is read once."""
        if real not in self._contents:
            with open(real, "rb") as file:
                content = file.read(_FILE_MAX) or b"\0"
            if sum(map(len, self._contents.values())) + len(content) > _FILES_MAX:
                raise SourceError(f"{self.binary}: it reads more than {_FILES_MAX >> 20} MiB of files; {WRONG_BINARY}")
            self._contents[real] = ffi.from_buffer(content)
        return self._contents[real]

    def _record(self, path: str, found: str) -> None:
        """Record a requested path, and what was found for it."""
        if len(self.requested) >= _REQUESTS_MAX:
            raise SourceError(f"{self.binary}: it looks for more than {_REQUESTS_MAX} files; {WRONG_BINARY}")
        self.requested[path] = found

    # Directories

    def add_directories(self, arguments: Iterable[str]) -> None:
        """Let each absolute path in QEMU's arguments be an empty directory, unless QEMU opens it as a file.

        Paths in the tree and in system directories are left out.
        """
        for argument in arguments:
            for path in _ABSOLUTE.findall(argument):
                name = os.path.normpath(path)
                if not f"{name}/".startswith((*_FOLDERS, *_SYSTEM_FOLDERS)) and name != "/":
                    self._directories.add(name)

    def is_directory(self, path: str) -> bool:
        """Return whether a path is that of an empty directory. The current directory is the root."""
        name = os.path.normpath(os.path.join("/", self._slashes(path)))
        if name not in self._directories:
            return False
        self._record(path, "stand-in")
        return True

    # Modules

    def open_module(self, path: str, *, is_global: bool) -> tuple[int, MappedObject] | None:
        """Map a module and return its handle (2 or more) and object; None: no such file.

        Args:
            path: in the guest.
            is_global: later modules are bound to its symbols, too.
        """
        real = self.resolve(path)
        if real is None:
            return None
        with open_object(real, self._guest.arch) as file:
            module = file.map(self._guest, [*self._scope, *self._global], is_main=False)
        self._record(path, real)
        self._modules.append(module)
        if is_global:
            self._global.append(module)
        return len(self._modules) + 1, module

    def module_symbol(self, handle: int, name: str) -> int:
        """Return the address of a symbol of a module, or of the program (handle 1); 0: no such symbol."""
        objects = self._scope if handle == 1 else self._modules[handle - 2 : handle - 1] if handle > 1 else []
        return next((each.symbols[name] for each in objects if name in each.symbols), 0)

    def fail(self, error: BaseException) -> None:
        """Record the exception of a callback for raise_failure; the first one counts."""
        self._failure = self._failure or error


def _text(pointer: Any) -> str:
    return str(ffi.string(pointer).decode(errors="surrogateescape"))


@ffi.def_extern()  # type: ignore[misc, untyped-decorator, unused-ignore]
def vmd_read_file(opaque: Any, path: Any, data: Any, size: Any) -> int:
    """Struct vmd_guest_services.read_file."""
    services: GuestServices = ffi.from_handle(opaque)()
    try:
        found = services.read_file(_text(path))
    except (SourceError, OSError, ValueError, MemoryError) as error:
        services.fail(error)
        return 0
    if found is None:
        return 0
    data[0] = found
    size[0] = len(found)
    return 1


@ffi.def_extern()  # type: ignore[misc, untyped-decorator, unused-ignore]
def vmd_is_directory(opaque: Any, path: Any) -> int:
    """Struct vmd_guest_services.is_directory."""
    services: GuestServices = ffi.from_handle(opaque)()
    try:
        return services.is_directory(_text(path))
    except SourceError as error:
        services.fail(error)
        return 0


@ffi.def_extern()  # type: ignore[misc, untyped-decorator, unused-ignore]
def vmd_open_module(opaque: Any, path: Any, is_global: int, constructors: Any, n: Any) -> int:
    """Struct vmd_guest_services.open_module."""
    services: GuestServices = ffi.from_handle(opaque)()
    try:
        found = services.open_module(_text(path), is_global=bool(is_global))
    except (SourceError, OSError, ValueError, MemoryError) as error:
        services.fail(error)
        return 0
    if found is None:
        return 0
    handle, module = found
    n[0] = lib.vmd_object_constructors(module.native, constructors)
    return handle


@ffi.def_extern()  # type: ignore[misc, untyped-decorator, unused-ignore]
def vmd_module_symbol(opaque: Any, handle: int, name: Any) -> int:
    """Struct vmd_guest_services.module_symbol."""
    services: GuestServices = ffi.from_handle(opaque)()
    return services.module_symbol(handle, _text(name))

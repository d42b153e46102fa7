"""Opener for QEMU's own modules, which run in the emulator.

The module table is the array qemu_modinfo[] of the binary. Opening a module maps the shared object into the guest,
checks the build stamp, and calls its constructors and the init functions that they queue.

Source: QEMU 8.2.2 util/module.c, include/qemu/module.h.
"""

from __future__ import annotations

import os
import re
from itertools import islice

from vmdump.emulator.boot import Qemu
from vmdump.emulator.guest import InstructionError
from vmdump.emulator.objects.model import MappedObject
from vmdump.emulator.objects.open import open_object
from vmdump.errors import ModuleError, SourceError
from vmdump.files.sysroot import check_root, inside, resolve
from vmdump.modules.model import ModuleInfo
from vmdump.qom import TypeTable

_STAMP = re.compile(rb"qemu_stamp_[0-9a-f]+(?=\0)")

#: The module directory (RHEL's is /usr/lib64/qemu-kvm) and the version in a binary: CONFIG_QEMU_MODDIR,
#: QEMU_FULL_VERSION. No binary has more directories than the limit.
_MODULE_DIR = re.compile(rb"\0(/[\x21-\x7e]{1,1000}/qemu(?:-kvm)?)(?=\0)")
_MODULE_DIRS_MAX = 16
_VERSION = re.compile(rb"QEMU emulator version ([0-9][^\s\0]*)(?: \(([^)\0]*)\))?")

#: Limits of the table of modules: its rows, and the strings of a list of one. QEMU 10.0 has 66 and 3.
_ROWS_MAX, _STRINGS_MAX = 1024, 64

#: CONFIG_BINDIR, to which QEMU relocates the module directory.
_BIN_DIR = "/usr/bin"


def read_modinfo(qemu: Qemu) -> list[ModuleInfo]:
    """Return the rows of qemu_modinfo[]; empty if the binary supports no modules."""
    address = qemu.main.symbols.get("qemu_modinfo")
    rows: list[ModuleInfo] = []
    while address and (name := qemu.guest.pointer(address)):
        if len(rows) == _ROWS_MAX:
            raise _no_end(qemu)
        arch, objs, deps, opts = (qemu.guest.pointer(address + 8 * i) for i in range(1, 5))
        rows.append(
            ModuleInfo(
                qemu.guest.text(name), kind="qemu", arch=qemu.guest.text(arch) if arch else None,
                objs=_strings(qemu, objs), deps=_strings(qemu, deps), opts=_strings(qemu, opts),
            )
        )  # fmt: skip
        address += 40
    return rows


def _strings(qemu: Qemu, address: int) -> tuple[str, ...]:
    """Return a NULL-terminated array of strings."""
    strings: list[str] = []
    while address and (text := qemu.guest.pointer(address)):
        if len(strings) == _STRINGS_MAX:
            raise _no_end(qemu)
        strings.append(qemu.guest.text(text))
        address += 8
    return tuple(strings)


def _no_end(qemu: Qemu) -> SourceError:
    return SourceError(f"{qemu.guest.name}: its table of modules has no end; the file may be corrupt")


def target_arch(qemu: Qemu, rows: list[ModuleInfo]) -> str | None:
    """Return the target architecture if modules require one: the one whose CPU type is registered."""
    return next((arch for arch in {row.arch for row in rows} if arch and qemu.has_type(f"{arch}-cpu")), None)


def search_dirs(
    binary: str, data: bytes, module_dirs: tuple[str, ...], root: str | os.PathLike[str] | None = None
) -> list[str]:
    """Return QEMU's search path for modules: module_dirs, $QEMU_MODULE_DIR, the module directory, that of upgrades.

    The module directory is relocated relative to the binary, as in QEMU. With a sysroot, the latter two are within it,
    and the configured module directory is added.
    """
    dirs = [*module_dirs, *filter(None, [os.environ.get("QEMU_MODULE_DIR")])]
    real_root = check_root(root) if root is not None else ""
    real = os.path.realpath(binary) if root is None else inside(binary, real_root)
    own: list[str] = []
    directories = (match[1] for match in _MODULE_DIR.finditer(data) if b"/lib" in match[1][1:])
    for found in islice(directories, _MODULE_DIRS_MAX):
        if real is not None:
            relative = os.path.relpath(found.decode(), _BIN_DIR)
            own.append(os.path.normpath(os.path.join(os.path.dirname(real), relative)))
        if root is not None:
            own.append(found.decode())
    version = _VERSION.search(data)
    if version and version[2] and b"/var/run/qemu/%s" in data:
        own.append("/var/run/qemu/" + re.sub(r"[^A-Za-z0-9+.~-]", "_", version[2].decode(errors="replace")))
    if root is not None:
        own = [resolve(directory, real_root) for directory in own]
    return list(dict.fromkeys([*dirs, *own]))


def version_of(data: bytes) -> str | None:
    """Return the version line: ``QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)``."""
    found = _VERSION.search(data)
    return found[0].decode(errors="replace") if found else None


class QemuModuleOpener:
    """Maps QEMU's modules into a booted QEMU. An instance belongs to one loader."""

    kind = "qemu"
    suffix = ".so"

    def __init__(self, qemu: Qemu, main_data: bytes) -> None:
        self._qemu = qemu
        self._stamps = {stamp.decode() for stamp in _STAMP.findall(main_data)}
        #: Objects whose symbols modules may use: the binary, and modules that are dependencies.
        self._scope = [qemu.main]
        #: Opened modules by name: build ID and mapped object.
        self.opened: dict[str, tuple[str | None, MappedObject]] = {}
        #: Set if a module has an unsupported instruction, so the dump would be incomplete.
        self.refused: InstructionError | None = None

    def read_info(self, path: str) -> ModuleInfo | None:
        """Return None: the metadata of QEMU's modules are in the binary."""
        return None

    def open(self, name: str, path: str, export_symbols: bool, types: TypeTable) -> LoadedQemuModule:
        """Map the module and call its init functions as QEMU does. See vmdump.modules.model.Opener."""
        try:
            with open_object(path, self._qemu.guest.arch) as file:
                module = file.map(self._qemu.guest, self._scope, is_main=False)
                build_id = file.build_id()
        except (SourceError, OSError) as error:
            raise ModuleError(f"failed to open module: {error}") from error
        self._check_stamp(path, module)
        try:
            self._qemu.guest.call_all(module.constructors)
            self._qemu.guest.call_all([function for function, _ in self._qemu.guest.take_typed_inits()])
        except InstructionError as error:
            holds = module if module.holds(error.address) else self._qemu.main
            self.refused = InstructionError(
                path if holds is module else self._qemu.guest.name, error.what, error.address, holds.bias
            )
            raise self.refused from None
        except SourceError as error:
            self._qemu.guest.take_typed_inits()  # drop its queued functions
            raise ModuleError(f"failed to initialize module: {path}: {error}") from error
        if export_symbols:
            self._scope.append(module)
        self.opened[name] = build_id, module
        return LoadedQemuModule()

    def _check_stamp(self, path: str, module: MappedObject) -> None:
        """Raise ModuleError if the module lacks the build stamp, which is a string in the binary."""
        if any(stamp in module.symbols for stamp in self._stamps):
            return
        hint = ". Only modules from the same build can be loaded." if "qemu_module_dummy" in module.symbols else ""
        raise ModuleError(f"failed to initialize module: {path}{hint}")


class LoadedQemuModule:
    """A module in the guest, freed with it."""

    def finish(self) -> None:
        """Do nothing."""

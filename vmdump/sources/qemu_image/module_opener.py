"""QEMU's own modules: the third kind that `vmdump.modules.loader`'s loader drives. Nothing of them is executed natively either.

The table is the module_info[] array inside the QEMU binary; opening a module maps the shared object into the guest,
checks the build's stamp, runs its constructors and the init functions that these queue.

Source: QEMU 8.2.2 util/module.c, include/qemu/module.h.
"""

from __future__ import annotations

import os
import re

from vmdump.emulator.boot import Qemu
from vmdump.emulator.elf import ElfFile, MappedObject, map_object
from vmdump.errors import ModuleError, SourceError
from vmdump.modules.loader import ModuleInfo
from vmdump.qom import TypeTable
from vmdump.sources.sysroot import check_root, inside, resolve

_STAMP = re.compile(rb"qemu_stamp_[0-9a-f]+(?=\0)")

#: An installation's module dir and version, as the binary has them (CONFIG_QEMU_MODDIR, QEMU_FULL_VERSION).
_MODULE_DIR = re.compile(rb"\0(/[\x21-\x7e]*/lib[\x21-\x7e]*/qemu)\0")
_VERSION = re.compile(rb"QEMU emulator version ([0-9][^\s\0]*)(?: \(([^)\0]*)\))?")

#: Where QEMU's binaries are installed (CONFIG_BINDIR): the module dir is looked for relative to it.
_BIN_DIR = "/usr/bin"


def read_modinfo(qemu: Qemu) -> list[ModuleInfo]:
    """The rows of module_info[]; none where the binary has no modules."""
    address = qemu.main.symbols.get("qemu_modinfo")
    rows: list[ModuleInfo] = []
    while address and (name := qemu.guest.pointer(address)):
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
    """An array of strings that ends in NULL."""
    strings = []
    while address and (text := qemu.guest.pointer(address)):
        strings.append(qemu.guest.text(text))
        address += 8
    return tuple(strings)


def target_arch(qemu: Qemu, rows: list[ModuleInfo]) -> str | None:
    """The target, as far as modules ask for one: the architecture whose CPU type is registered."""
    return next((arch for arch in {row.arch for row in rows} if arch and qemu.has_type(f"{arch}-cpu")), None)


def search_dirs(
    binary: str, data: bytes, module_dirs: tuple[str, ...], root: str | os.PathLike[str] | None = None
) -> list[str]:
    """Where the binary would look: in module_dirs, $QEMU_MODULE_DIR, its module dir, relocated, and upgrades'.

    The module dir is looked for relative to the binary, as QEMU relocates it. With a root, a tree unpacked from
    packages, all of that is within it, and the module dir also where the binary was built to have it.
    """
    dirs = [*module_dirs, *filter(None, [os.environ.get("QEMU_MODULE_DIR")])]
    real_root = check_root(root) if root is not None else ""
    real = os.path.realpath(binary) if root is None else inside(binary, real_root)
    own: list[str] = []
    for found in _MODULE_DIR.findall(data):
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
    """What QEMU says of itself: ``QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)``."""
    found = _VERSION.search(data)
    return found[0].decode(errors="replace") if found else None


class QemuModuleOpener:
    """Maps QEMU's modules into a booted QEMU. One instance serves one loader."""

    kind = "qemu"
    suffix = ".so"

    def __init__(self, qemu: Qemu, main_data: bytes) -> None:
        self._qemu = qemu
        self._stamps = {stamp.decode() for stamp in _STAMP.findall(main_data)}
        #: Whose symbols a module may use: the binary's, and those of modules that others need.
        self._scope = [qemu.main]
        #: What has been opened, by name: its build id, and where it lies in the guest.
        self.opened: dict[str, tuple[str | None, MappedObject]] = {}

    def read_info(self, path: str) -> ModuleInfo | None:
        """QEMU's modules say nothing of themselves: the table is in the binary."""
        return None

    def open(self, name: str, path: str, export_symbols: bool, types: TypeTable) -> LoadedQemuModule:
        """Maps the module and runs what QEMU would run. See vmdump.modules.loader.Opener."""
        try:
            with ElfFile.open(path) as elf:
                module = map_object(self._qemu.guest, elf, self._scope, is_main=False)
                build_id = elf.build_id()
        except (SourceError, OSError) as error:
            raise ModuleError(f"failed to open module: {error}") from error
        self._check_stamp(path, module)
        try:
            self._qemu.guest.call_all(module.constructors)
            self._qemu.guest.call_all([function for function, _ in self._qemu.guest.take_typed_inits()])
        except SourceError as error:
            self._qemu.guest.take_typed_inits()  # what it has queued is not the next module's
            raise ModuleError(f"failed to initialize module: {path}: {error}") from error
        if export_symbols:
            self._scope.append(module)
        self.opened[name] = build_id, module
        return LoadedQemuModule()

    def _check_stamp(self, path: str, module: MappedObject) -> None:
        """The stamp of the build that the module must have stands in the binary as a string."""
        if any(stamp in module.symbols for stamp in self._stamps):
            return
        hint = ". Only modules from the same build can be loaded." if "qemu_module_dummy" in module.symbols else ""
        raise ModuleError(f"failed to initialize module: {path}{hint}")


class LoadedQemuModule:
    """A module in the guest; it goes with it."""

    def finish(self) -> None:
        """Nothing to do."""

"""A QEMU binary's dump, read out of the binary: what `vmdump.open` does with an ELF file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vmdump._core import ffi, lib
from vmdump.device_dump import DeviceDump, Producer
from vmdump.engine import check_status
from vmdump.errors import ModuleError, SourceError
from vmdump.module import ModuleLoader
from vmdump.qom import TypeTable
from vmdump.sources.qemu_image.boot import MachineType, Qemu
from vmdump.sources.qemu_image.elf import ElfFile, map_object
from vmdump.sources.qemu_image.guest import Guest
from vmdump.sources.qemu_image.host import HostProfile
from vmdump.sources.qemu_image.layout import Reader, calibrate
from vmdump.sources.qemu_image.qemu_module import (
    QemuModuleOpener,
    read_modinfo,
    search_dirs,
    target_arch,
    version_of,
)
from vmdump.sources.root import source_path

Report = Callable[[ModuleError], None]

#: How the dumper prints "num": without this string it is a QEMU up to 8.1, which does not.
_NUM_FORMAT = b'"num": %d'


class QemuImage:
    """A QEMU binary that has been read up to its types and modules, without being run.

    Raises SourceError for a file that is no QEMU that can be read.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None,
        module_dirs: tuple[str, ...] = (), host: HostProfile | None = None, report: Report | None = None,
    ) -> None:  # fmt: skip
        """Reads the binary at path. root: a tree unpacked from packages, in which its modules are; host: what it would
        find on its host; report is told each module that fails, as QEMU tells it.
        """
        self.path = os.path.abspath(source_path(path, root))
        try:
            self._data = Path(self.path).read_bytes()
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.path}: {getattr(error, 'strerror', None) or error}") from error
        elf = ElfFile(self._data, self.path)
        self._guest = Guest(self.path, elf.e_machine, host or HostProfile())
        table = self._guest.ascii_table()
        main = map_object(
            self._guest, elf, lambda name: table if name == "g_ascii_table" else self._guest.host_function(name),
            is_main=True,
        )  # fmt: skip
        if "g_ascii_table" in main.symbols:  # the binary's own copy of the variable (R_*_COPY)
            self._guest.write(main.symbols["g_ascii_table"], self._guest.read(table, 8))
        self._qemu = Qemu(self._guest, elf, main)
        #: The machine types, in QEMU's order of registration.
        self.machines: list[MachineType] = self._qemu.machines()
        self._qemu.early_init()
        rows = read_modinfo(self._qemu)
        #: The loader of QEMU's modules, which are loaded.
        self.modules = ModuleLoader(
            rows,
            module_arch=target_arch(self._qemu, rows),
            search_dirs=search_dirs(self.path, self._data, module_dirs, root),
            openers=[QemuModuleOpener(self._qemu, self._data)],
            types=TypeTable(),
            report=report,
        )
        self.modules.module_load_qom_all()

    def dump(self, machine: str | None = None) -> DeviceDump:
        """The dump that the binary would write with -M machine: a name or alias; None: the default, else "none".

        Raises SourceError for an unknown machine and for a description that can't be read.
        """
        name = self._machine_name(machine)
        classes = self._qemu.classes("device", include_abstract=True)
        layout = calibrate(self._guest, classes)
        reader = Reader(self._guest, layout.name)
        names, vmsds = [name], []
        for klass in classes:
            address = self._guest.pointer(klass + layout.vmsd_offset)
            if not address:
                continue
            vmsd = reader.try_read(address)
            if vmsd is None:
                raise SourceError(f"{self.path}: device {self._qemu.type_name(klass)!r}: {reader.why()}")
            names.append(self._qemu.type_name(klass))
            vmsds.append(vmsd)
        encoded = "\0".join([*names, ""]).encode()
        error = ffi.new("struct vmd_error *")
        status = lib.vmd_tree_set_devices(
            reader.tree.native, encoded, len(encoded), ffi.new("const struct vmd_desc *[]", vmsds), len(vmsds),
            _NUM_FORMAT in self._data, error,
        )  # fmt: skip
        check_status(status, error)
        producer = Producer(kind="image", path=self.path, version=version_of(self._data))
        return DeviceDump(reader.tree, producer)

    def _machine_name(self, machine: str | None) -> str:
        if machine is None:
            return next((each.name for each in self.machines if each.is_default), "none")
        for each in self.machines:
            if machine in (each.name, each.alias):
                return each.name
        raise SourceError(f"{self.path}: unsupported machine type '{machine}'; use -M help to list supported machines")

"""A QEMU binary's dump, read out of the binary: what `vmdump.open` does with an ELF file."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from vmdump._core import ffi, lib
from vmdump.dump.device_dump import Device, DeviceDump, tree_devices
from vmdump.dump.producer import Defect, Producer, ProducerModule
from vmdump.dump.tree import Tree, check_status
from vmdump.emulator.boot import Qemu
from vmdump.emulator.elf import ElfFile, MappedObject, map_object
from vmdump.emulator.guest import Guest
from vmdump.emulator.host_profile import HostProfile
from vmdump.errors import SourceError
from vmdump.modules.loader import ModuleLoader, ModuleState
from vmdump.qom import TypeTable
from vmdump.sources.qemu_image.classes import Classes
from vmdump.sources.qemu_image.machine_types import MachineType, choose_machine
from vmdump.sources.qemu_image.module_opener import (
    QemuModuleOpener,
    read_modinfo,
    search_dirs,
    target_arch,
    version_of,
)
from vmdump.sources.qemu_image.standalone import find_roots
from vmdump.sources.qemu_image.struct_layout import Layout, Reader, calibrate
from vmdump.sources.sysroot import followed

Report = Callable[[object], None]
OnPhase = Callable[[str], None]

#: How the dumper prints "num": without this string it is a QEMU up to 8.1, which does not.
_NUM_FORMAT = b'"num": %d'


#: Architectures of hosts, by ELF's e_machine.
_HOSTS = {62: "x86_64", 183: "aarch64"}


class _DeviceClass(NamedTuple):
    """A class that has a description, both as addresses, and the description in the tree."""

    klass: int
    address: int
    vmsd: Any


class QemuImage:
    """A QEMU binary that has been read up to its types and modules, without being run.

    Raises SourceError for a file that is no QEMU that can be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        module_dirs: tuple[str, ...] = (),
        details: bool = True,
        root: str | os.PathLike[str] | None = None,
        host: HostProfile | tuple[bool, bool, int] | None = None,
        report: Report | None = None,
        on_phase: OnPhase = lambda name: None,
    ) -> None:
        """Reads the binary at path. module_dirs, details, root and host: see ImageOptions. report is told each module
        that fails, as QEMU tells it, and each defect of descriptions; on_phase the name of each part of the reading as
        it begins, for who measures.
        """
        self.path, self._details = os.path.abspath(path if root is None else followed(path, root)), details
        self._report, self._on_phase = report, on_phase
        on_phase("read")
        try:
            elf = ElfFile.open(self.path)
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.path}: {getattr(error, 'strerror', None) or error}") from error
        with elf:
            on_phase("map")
            self._guest = Guest(self.path, elf.e_machine, HostProfile(*host or ()))
            self._main = main = map_object(self._guest, elf, is_main=True)
            self._build_id = elf.build_id()
        #: Where its strings are.
        self._data = main.constants()
        self._qemu = Qemu(self._guest, elf, main, on_phase)
        on_phase("classes")
        #: The machine types, in QEMU's order of registration.
        self.machines: list[MachineType] = self._qemu.machines()
        self._qemu.early_init()
        on_phase("modules")
        rows = read_modinfo(self._qemu)
        self._opener = QemuModuleOpener(self._qemu, self._data)
        #: Where modules are looked for.
        self.search_dirs = search_dirs(self.path, self._data, module_dirs, root)
        #: The loader of QEMU's modules, which are loaded.
        self.modules = ModuleLoader(
            rows,
            module_arch=target_arch(self._qemu, rows),
            search_dirs=self.search_dirs,
            openers=[self._opener],
            types=TypeTable(),
            report=report,
        )
        self.modules.module_load_qom_all()

    def dump(self, machine: str | None = None) -> DeviceDump:
        """The dump that the binary would write with -M machine: a name or alias; None: the default, else "none".

        Raises SourceError for an unknown machine and for a description that can't be read.
        """
        name = choose_machine(self.machines, machine, self.path)
        self._on_phase("classes")
        classes = Classes(self._guest, self._qemu.classes("device", include_abstract=True))
        self._on_phase("descriptions")
        layout = calibrate(self._guest, classes.addresses)
        reader = Reader(self._guest, layout.name, layout.end_flags)
        reader.set_slots(self._objects())
        self._defects: list[Defect] = []
        self._describe_faults()
        devices = self._read_devices(classes, layout, reader)
        self._set_devices(reader.tree, name, [(classes.name(each.klass), each.vmsd) for each in devices])
        if self._details:
            self._on_phase("roots")
            found = find_roots(self._guest, reader, self._objects(), classes, [each.address for each in devices])
            reader.tree.set_roots(found)
            self._describe_defects(reader.new_defects(), None)
        return self._make_dump(reader, classes, devices)

    def _read_devices(self, classes: Classes, layout: Layout, reader: Reader) -> list[_DeviceClass]:
        """The classes that have a description, and it."""
        devices = []
        for klass in classes.addresses:
            address = self._guest.pointer(klass + layout.vmsd_offset)
            if not address:
                continue
            vmsd = reader.try_read(address)
            if vmsd is None:
                raise SourceError(f"{self.path}: device {classes.name(klass)!r}: {reader.why()}")
            self._describe_defects(reader.new_defects(), classes.name(klass))
            devices.append(_DeviceClass(klass, address, vmsd))
        return devices

    def _set_devices(self, tree: Tree, machine: str, devices: Sequence[tuple[str, Any]]) -> None:
        encoded = "".join(f"{text}\0" for text in (machine, *(name for name, _ in devices))).encode()
        vmsds = ffi.new("const struct vmd_desc *[]", [vmsd for _, vmsd in devices])
        error = ffi.new("struct vmd_error *")
        status = lib.vmd_tree_set_devices(
            tree.native, encoded, len(encoded), vmsds, len(devices), _NUM_FORMAT in self._data, error
        )
        check_status(status, error)

    def _make_dump(self, reader: Reader, classes: Classes, devices: Sequence[_DeviceClass]) -> DeviceDump:
        tree = reader.tree
        modules = {
            typename: state.name
            for state in self.modules.states()
            if state.state is ModuleState.LOADED
            for typename in state.objs
        }

        @functools.cache
        def detailed() -> Tree:
            for index, each in enumerate(devices):
                tree.set_device_facts(
                    index, parents=classes.parents(each.klass), abstract=classes.is_abstract(each.klass),
                    desc=classes.desc(each.klass), module=modules.get(classes.name(each.klass)),
                )  # fmt: skip
            return tree

        def make_devices() -> Iterable[Device]:
            return tree_devices(detailed())

        producer = Producer(
            kind="image", path=self.path, version=version_of(self._data), build_id=self._build_id,
            host=_HOSTS[self._guest.e_machine],
            modules=tuple(ProducerModule(name, build_id) for name, (build_id, _) in self._opener.opened.items()),
            defects=tuple(self._defects),
        )  # fmt: skip
        return DeviceDump(tree, producer, make_devices, detailed)

    def _objects(self) -> list[MappedObject]:
        """The binary and its modules, as far as they are loaded."""
        return [self._main, *(module for _, module in self._opener.opened.values())]

    def _describe_defects(self, found: Iterable[tuple[str, int]], device: str | None) -> None:
        """Notes what the reading got over, with the device that it was found on, and tells it."""
        for what, address in found:
            mapped = next((each for each in self._objects() if each.holds(address)), None)
            defect = Defect(
                what, address - mapped.bias if mapped else address, mapped and mapped.symbol_at(address), device
            )
            self._defects.append(defect)
            if self._report is not None:
                self._report(f"{self.path}: {defect}")

    def _describe_faults(self) -> None:
        """The same of types whose class_init, or a parent's, went wrong."""
        for key, address, message in self._guest.faults():
            self._describe_defects([(f"a class_init goes wrong: {message}", address)], self._guest.text(key))

"""Read the dump of a QEMU binary without running it: the source of `vmdump.open` for ELF files."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from vmdump._core import ffi, lib
from vmdump.dump.device import Device, tree_devices
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Defect, Producer, ProducerModule
from vmdump.dump.tree import Tree, check_status
from vmdump.emulator.boot import Qemu
from vmdump.emulator.guest import Guest
from vmdump.emulator.host_profile import HostProfile
from vmdump.emulator.machine_types import MachineType, choose_machine
from vmdump.emulator.objects.model import DAMAGED, MappedObject
from vmdump.emulator.objects.open import open_object
from vmdump.emulator.other_programs import DUMP_MARK, check_is_qemu
from vmdump.errors import SourceError
from vmdump.files.sysroot import followed
from vmdump.modules.loader import ModuleLoader
from vmdump.modules.model import ModuleState
from vmdump.qemu.error_lines import find_formats
from vmdump.qom import TypeTable
from vmdump.sources.qemu_image.classes import Classes
from vmdump.sources.qemu_image.module_opener import (
    QemuModuleOpener,
    read_modinfo,
    search_dirs,
    target_arch,
    version_of,
)
from vmdump.sources.qemu_image.standalone import find_standalone
from vmdump.sources.qemu_image.struct_layout import Layout, Reader, calibrate

Report = Callable[[object], None]
OnPhase = Callable[[str], None]

#: Format of "num", which QEMU prints since 8.2.
_NUM_FORMAT = b'"num": %d'


class _DeviceClass(NamedTuple):
    """A class with a description: their addresses, and the description in the tree (``struct vmd_desc *``)."""

    klass: int
    address: int
    vmsd: Any


class QemuImage:
    """A QEMU binary, booted in the emulator up to its types and modules.

    Raises:
        SourceError: the file is not a supported QEMU binary.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        module_dirs: tuple[str, ...] = (),
        details: bool = True,
        root: str | os.PathLike[str] | None = None,
        host: HostProfile | tuple[bool, bool, int] | None = None,
        timeout: float | None = None,
        report: Report | None = None,
        on_phase: OnPhase = lambda name: None,
    ) -> None:
        """Read the binary at path.

        ``module_dirs``, ``details``, ``root``, ``host``: see ImageOptions. ``timeout``: limit of the emulated code's
        CPU time, in seconds; None: guest.SECONDS. ``report``: called with each module that fails to load and each
        defect of descriptions. ``on_phase``: called with the name of each phase when it begins, for measurements.
        """
        self.path, self._details = os.path.abspath(path if root is None else followed(path, root)), details
        self._report, self._on_phase = report, on_phase
        on_phase("read")
        try:
            file = open_object(self.path)
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.path}: {getattr(error, 'strerror', None) or error}") from error
        with file:
            on_phase("map")
            self._guest = Guest(
                self.path, file.arch, HostProfile(*host or ()), timeout, platform=file.platform, place=file.place
            )
            try:
                self._main = main = file.map(self._guest, is_main=True)
            except SourceError:
                check_is_qemu(self.path, file.content())
                raise
            self._build_id = file.build_id()
            #: The segment that contains strings.
            self._data = main.read(main.constants)
            if DUMP_MARK not in self._data:
                check_is_qemu(self.path, file.content())
        self._qemu = Qemu(self._guest, main, on_phase)
        on_phase("classes")
        #: Machine types in QEMU's order of registration.
        self.machines: list[MachineType] = self._qemu.machines()
        self._qemu.early_init()
        on_phase("modules")
        rows = read_modinfo(self._qemu)
        self._opener = QemuModuleOpener(self._qemu, self._data)
        #: Search path for modules.
        self.search_dirs = search_dirs(self.path, self._data, module_dirs, root)
        #: Loader of QEMU's modules, with all modules loaded.
        self.modules = ModuleLoader(
            rows,
            module_arch=target_arch(self._qemu, rows),
            search_dirs=self.search_dirs,
            openers=[self._opener],
            types=TypeTable(),
            report=report,
        )
        self.modules.module_load_qom_all()
        if self._opener.refused:
            raise self._opener.refused

    def dump(self, machine: str | None = None) -> DeviceDump:
        """Return the dump for -M machine, a name or alias; None: the default machine, else "none".

        Raises:
            SourceError: unknown machine, or an unreadable description.
        """
        name = choose_machine(self.machines, machine, self.path)
        self._on_phase("classes")
        classes = Classes(self._guest, self._qemu.classes("device", include_abstract=True))
        self._on_phase("descriptions")
        layout = calibrate(self._guest, classes.addresses)
        reader = Reader(self._guest, layout.structs, layout.end_flags)
        reader.set_slots(self._objects())
        self._defects: list[Defect] = []
        self._describe_faults()
        devices = self._read_devices(classes, layout, reader)
        self._set_devices(reader.tree, name, [(classes.name(each.klass), each.vmsd) for each in devices])
        if self._details:
            self._on_phase("roots")
            found = find_standalone(self._guest, reader, self._objects(), classes, [each.address for each in devices])
            reader.tree.set_standalone(found)
            self._describe_defects(reader.new_defects(), None)
        self._report_missed_functions()
        return self._make_dump(reader, classes, devices)

    def _read_devices(self, classes: Classes, layout: Layout, reader: Reader) -> list[_DeviceClass]:
        """Return the classes with a description, and read it."""
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
        names = [machine, *(name for name, _ in devices)]
        encoded = "".join(f"{name}\0" for name in names).encode()
        vmsds = ffi.new("const struct vmd_desc *[]", [vmsd for _, vmsd in devices])
        error = ffi.new("struct vmd_error *")
        status = lib.vmd_tree_set_devices(
            tree.native, encoded, len(encoded), vmsds, len(devices), _NUM_FORMAT in self._data, error
        )
        if status == lib.VMD_BAD_NAME:
            name = names[error.index]
            raise SourceError(f"{self.path}: a type's name can't be printed in JSON: {name!r}; {DAMAGED}")
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
                tree.set_device_metadata(
                    index, parents=classes.parents(each.klass), abstract=classes.is_abstract(each.klass),
                    desc=classes.desc(each.klass), module=modules.get(classes.name(each.klass)),
                )  # fmt: skip
            return tree

        def make_devices() -> Iterable[Device]:
            return tree_devices(detailed())

        producer = Producer(
            kind="image", path=self.path, version=version_of(self._data), build_id=self._build_id,
            host=self._guest.arch.qemu_name,
            modules=tuple(ProducerModule(name, build_id) for name, (build_id, _) in self._opener.opened.items()),
            defects=tuple(self._defects),
            error_lines=tuple(find_formats(self._data).items()) if self._details else (),
        )  # fmt: skip
        return DeviceDump(tree, producer, make_devices, detailed)

    def _objects(self) -> list[MappedObject]:
        """Return the binary and the loaded modules."""
        return [self._main, *(module for _, module in self._opener.opened.values())]

    def _describe_defects(self, found: Iterable[tuple[str, int]], device: str | None) -> None:
        """Record and report tolerated defects, with the device they were found on."""
        for what, address in found:
            mapped = next((each for each in self._objects() if each.holds(address)), None)
            defect = Defect(
                what, address - mapped.bias if mapped else address, mapped and mapped.symbol_at(address), device
            )
            self._defects.append(defect)
            if self._report is not None:
                self._report(f"{self.path}: {defect}")

    def _report_missed_functions(self) -> None:
        """Report functions of libraries that start-up called and the emulator lacks, once, on one line."""
        missed = self._guest.missed_functions()
        if missed and self._report is not None:
            self._report(
                f"{self.path}: start-up calls library functions that the emulator does not have ({', '.join(missed)}); "
                "they returned 0, and what depends on them may differ from a run"
            )

    def _describe_faults(self) -> None:
        """Record and report types whose class_init, or a parent's, failed."""
        for key, address, message in self._guest.faults():
            self._describe_defects([(f"class_init failed: {message}", address)], self._guest.text(key))

"""Session: QEMU's start-up path as an object, from the registry of types to the dump."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from vmdump import qom
from vmdump.errors import ModuleError
from vmdump.modules.c_module import CModuleOpener
from vmdump.modules.loader import ModuleLoader
from vmdump.modules.model import ModuleInfo, ModuleState, Opener
from vmdump.modules.python_module import PythonModuleOpener
from vmdump.modules.table import module_search_dirs, read_module_table
from vmdump.version import __version__

if TYPE_CHECKING:
    from vmdump.dump.device_dump import DeviceDump

#: The target of the built-in devices and machines.
DEFAULT_ARCH = "x86_64"


class Session:
    """A registry of types and a loader of modules, which can be dumped. Sessions are independent: nothing is global.

    Args:
        arch: the target's architecture. Modules for other targets are not loaded; None: nor are modules for any target.
        module_dirs: directories that are searched for modules before QEMU's own.
        modules: further modules, each a row of the module table or the path of a module file.
        builtin: False omits the built-in devices and machines.
        entry_points: False omits modules of installed Python packages (group ``vmdump.modules``).
        report: called with the error of each module that fails to load. Default: it is logged to the logger "vmdump".
            All errors are in ``modules.errors`` too.

    Thread safety: register types from one thread; once all are registered, `dump` may be called from any thread.

    >>> from vmdump import Session, TypeInfo
    >>> from vmdump.vmstate import VMStateDescription, VMSTATE_UINT32
    >>> def class_init(klass, data):
    ...     klass.vmsd = VMStateDescription("my-timer", version_id=1, fields=[VMSTATE_UINT32("ticks", None)])
    >>> session = Session(builtin=False, entry_points=False)
    >>> _ = session.type_register(TypeInfo("my-timer", parent="device", class_init=class_init))
    >>> print(session.dump(machine="none").to_bytes().decode())
    {
      "vmschkmachine": {
        "Name": "none"
      },
      "my-timer": {
        "Name": "my-timer",
        "version_id": 1,
        "minimum_version_id": 0,
        "Description": {
          "name": "my-timer",
          "version_id": 1,
          "minimum_version_id": 0,
          "Fields": [
            {
              "field": "ticks",
              "version_id": 0,
              "field_exists": false,
              "size": 4
            }
          ]
        }
      }
    }
    <BLANKLINE>
    """

    def __init__(
        self,
        *,
        arch: str | None = DEFAULT_ARCH,
        module_dirs: Sequence[str | os.PathLike[str]] = (),
        modules: Sequence[ModuleInfo | str | os.PathLike[str]] = (),
        builtin: bool = True,
        entry_points: bool = True,
        report: Callable[[ModuleError], None] | None = None,
    ) -> None:
        """Read the module table without loading modules. Files that can't be read are reported and skipped.

        Raises ModuleError for a path in modules that is not a module, and for two of them with the same name.
        """
        if report is None:
            from vmdump.notices import log_warning

            report = log_warning
        #: The table of types.
        self.types = qom.TypeTable(lambda typename: self.modules.module_load_qom(typename))
        qom.register_base_types(self.types)
        if builtin:
            from vmdump.devices import register_types

            register_types(self.types)
        errors: list[ModuleError] = []
        python_opener = PythonModuleOpener()
        openers: list[Opener] = [CModuleOpener(), python_opener]
        search_dirs = module_search_dirs(
            module_dirs, environ=os.environ, executable=sys.executable, version=__version__
        )
        given = [each if isinstance(each, ModuleInfo) else _read_module(os.fspath(each), openers) for each in modules]
        found = read_module_table(
            search_dirs,
            openers,
            report=errors.append,
            installed=python_opener.read_entry_points(errors.append) if entry_points else (),
        )
        names = {row.name for row in given}
        table = [*given, *(row for row in found if row.name not in names)]
        #: The loader of modules.
        self.modules = ModuleLoader(
            table, module_arch=arch, search_dirs=search_dirs, openers=openers, types=self.types, report=report
        )
        for error in errors:
            self.modules.errors.append(error)
            report(error)

    def type_register(self, info: qom.TypeInfo) -> qom.TypeImpl:
        """Register a type; see `TypeTable.type_register`. Raises QOMError."""
        return self.types.type_register(info)

    def close(self) -> None:
        """Run the finish entry points of the modules and unload them. Their types can't be dumped afterwards."""
        self.modules.module_finish()

    def __enter__(self) -> "Session":
        """Return the session; it is closed at the end of the body."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the session."""
        self.close()

    def dump(self, machine: str | None = None) -> "DeviceDump":
        """Load all modules that provide types, and return the dump of every device class that has a description.

        machine: name or alias of a machine type; None: the default machine, or "none" if there is no default.

        Modules that fail to load are reported and skipped. Raises VmdumpError for an unknown machine type, QOMError for
        a class that can't be initialised, VMStateError for a description that can't be dumped.

        Source: QEMU 8.2.2 system/vl.c qemu_init, migration/savevm.c dump_vmstate_json_to_file.
        """
        from vmdump.qom.machines import find_default_machine, find_machine
        from vmdump.sources.registry import dump_registry

        self.modules.module_load_qom_all()
        if machine is None:
            default = find_default_machine(self.types)
            name = "none" if default is None else default.name
        elif machine == "none":
            name = machine
        else:
            name = find_machine(self.types, machine).name
        return dump_registry(self.types, name, modules=self._modules_of_types())

    def _modules_of_types(self) -> dict[str, str]:
        """Return the name of the loaded module that provides each type."""
        loaded = [state for state in self.modules.states() if state.state is ModuleState.LOADED]
        return {typename: state.name for state in loaded for typename in state.objs}


def _read_module(path: str, openers: Sequence[Opener]) -> ModuleInfo:
    """Return the row of a module file given by path; its name is the file's, without the suffix."""
    file = os.path.basename(path)
    for opener in openers:
        if file.endswith(opener.suffix):
            info = opener.read_info(path)
            if info is not None:
                return msgspec.structs.replace(info, name=file.removesuffix(opener.suffix), path=path)
    raise ModuleError(f"{path}: not a module of vmdump; give a library built with <vmdump/module.h>, or a Python file")

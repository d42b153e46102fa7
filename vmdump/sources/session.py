"""A Session: QEMU's start-up path as a value, from the registry of types to the dump."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from vmdump import qom
from vmdump.errors import ModuleError
from vmdump.modules.c_module import CModuleOpener
from vmdump.modules.loader import ModuleInfo, ModuleLoader, ModuleState, Opener, module_search_dirs, read_module_table
from vmdump.modules.python_module import PythonModuleOpener
from vmdump.version import __version__

if TYPE_CHECKING:
    from vmdump.dump.device_dump import DeviceDump

#: The target that the built-in devices and machines belong to.
DEFAULT_ARCH = "x86_64"


class Session:
    """A registry of types, a loader of modules, and the dump of what is registered.

    Nothing is global: two sessions know nothing of each other.

    arch is the target's architecture: modules for another one are left alone, and without one so are all that are for
    one. module_dirs are searched for modules before QEMU's own places; modules are further modules, each a row of the
    module table or the path of a file, which then says itself what it provides; builtin=False leaves out vmdump's
    devices and machines; entry_points=False leaves out modules of installed Python packages (group
    ``vmdump.modules``). report is told each module's error as it comes; all are in ``modules.errors`` too.

    Thread safety: register from one thread; `dump` may be called from any once all is registered.

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
        """Reads the module table; loads no module. What can't be read in a directory is reported, and no error here.

        Raises ModuleError for a path in modules that is no module, and for two modules of one name there.
        """
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
            if report is not None:
                report(error)

    def type_register(self, info: qom.TypeInfo) -> qom.TypeImpl:
        """Registers a type: `TypeTable.type_register`. Raises QOMError."""
        return self.types.type_register(info)

    def close(self) -> None:
        """Runs the modules' finish entry points and lets go of them. Their types can't be dumped any more."""
        self.modules.module_finish()

    def __enter__(self) -> "Session":
        """The session, closed at the end of the body."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Closes the session."""
        self.close()

    def dump(self, machine: str | None = None) -> "DeviceDump":
        """Loads all modules that provide types, and dumps every device class that has a description.

        machine is a machine type's name or alias; None: the default machine, or "none" where there is no default.
        Modules that fail are reported, and end nothing. Raises VmdumpError for an unknown machine, QOMError for a class
        that can't be initialised, VMStateError for a description that can't be dumped.

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
        """Which loaded module provides a type."""
        loaded = [state for state in self.modules.states() if state.state is ModuleState.LOADED]
        return {typename: state.name for state in loaded for typename in state.objs}


def _read_module(path: str, openers: Sequence[Opener]) -> ModuleInfo:
    """The row of a module file that is asked for by path; its name is the file's, without the suffix."""
    file = os.path.basename(path)
    for opener in openers:
        if file.endswith(opener.suffix):
            info = opener.read_info(path)
            if info is not None:
                return msgspec.structs.replace(info, name=file.removesuffix(opener.suffix), path=path)
    raise ModuleError(
        f"{path}: not a module of vmdump; it is built with #include <vmdump/module.h>, or is a Python file"
    )

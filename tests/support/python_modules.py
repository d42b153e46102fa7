"""Python modules written by the tests, and a loader of them with a type table."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

from vmdump.errors import ModuleError
from vmdump.modules.loader import ModuleLoader
from vmdump.modules.model import ModuleLoad
from vmdump.modules.python_module import PythonModuleOpener
from vmdump.modules.table import read_module_table
from vmdump.qom import TypeTable

ERROR, NOT_FOUND, LOADED, ALREADY_LOADED = ModuleLoad

#: sys.modules before the test, including private modules of sessions that other tests did not close.
of_others: set[str] = set()


def private_modules() -> list[str]:
    """Return the private names of the modules that this test has loaded and not released."""
    return [name for name in sys.modules if name.startswith("_vmdump_module") and name not in of_others]


def module_source(*typenames: str, info: str = "", then: str = "pass", body: str = "", finish: str = "") -> str:
    """Return a working module that registers the types and runs ``then``; ``info`` is the contents
    of its module_info.
    """
    init = "".join(f"    types.type_register(TypeInfo({name!r}, parent='device'))\n" for name in typenames)
    return (
        "from vmdump.qom import TypeInfo\n"
        "VMDUMP_STAMP = 1\n"
        f"module_info = {{'objs': {list(typenames)!r}, {info}}}\n"
        f"def vmdump_module_init(types):\n{init}    {then}\n{dedent(body)}\n"
        + (f"def vmdump_module_finish():\n    {finish}\n" if finish else "")
    )


class Setup:
    """A module dir with files, and a loader with the table read from it."""

    def __init__(self, directory: Path, arch: str | None = "x86_64", **files: str) -> None:
        self.directory = directory
        for name, source in files.items():
            self.path(name).write_text(source)
        self.opener = PythonModuleOpener()
        self.types = TypeTable(lambda typename: self.loader.module_load_qom(typename))
        self.broken: list[ModuleError] = []
        self.loader = ModuleLoader(
            read_module_table([directory], [self.opener], report=self.broken.append),
            module_arch=arch,
            search_dirs=[directory],
            openers=[self.opener],
            types=self.types,
        )

    def path(self, name: str) -> Path:
        return self.directory / f"{name}.py"

    def load(self, name: str) -> tuple[ModuleLoad, list[str]]:
        """Return the return code and the texts in errp, without the ``(module=..., path=...)`` suffix that each must
        have.
        """
        errors: list[ModuleError] = []
        result = self.loader.module_load("", name, errors.append)
        ending = f" (module={name}, path={self.path(name)})"
        assert all(str(error).endswith(ending) for error in errors), errors
        return result, [str(error).removesuffix(ending) for error in errors]


INIT = "def vmdump_module_init(types): pass\n"

"""exported_module: Python modules that import the module they depend on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.python_modules import ALREADY_LOADED, ERROR, INIT, LOADED, Setup, module_source

from vmdump.errors import ModuleError
from vmdump.modules import python_module
from vmdump.modules.python_module import PythonModuleOpener
from vmdump.qom import TypeTable

USER = """
from vmdump.modules.python_module import exported_module
VMDUMP_STAMP = 1
module_info = {"deps": ["my-lib"]}
lib = exported_module("my-lib")
def vmdump_module_init(types):
    assert exported_module("my-lib") is lib
    lib.users.append(types)
"""
LIB = module_source(body="users = []\n", finish="assert len(users) == 1")


def test_dependents_get_the_module_they_depend_on(tmp_path: Path) -> None:
    """At top level and in init; the same object, so that state is shared within one loader only."""
    (tmp_path / "my-lib.py").write_text(LIB)
    first, second = Setup(tmp_path, user=USER), Setup(tmp_path, user=USER)
    for setup in (first, second):
        assert setup.load("user") == (LOADED, [])
    with pytest.raises(ModuleError, match="module 'my-lib' exports nothing to this code"):
        python_module.exported_module("my-lib")
    for setup in (first, second):
        setup.loader.module_finish()
        assert setup.loader.errors == []


def test_only_what_another_depends_on_is_exported(tmp_path: Path) -> None:
    """Other modules are not exported, as with RTLD_LOCAL; outside module code nothing is visible."""
    asks = (
        "from vmdump.modules.python_module import exported_module\nVMDUMP_STAMP = 1\nexported_module('my-lib')\n" + INIT
    )
    (tmp_path / "my-lib.py").write_text(LIB)
    setup = Setup(tmp_path, asks=asks)
    assert setup.loader.module_load("", "my-lib") == LOADED
    result, [text] = setup.load("asks")
    assert result == ERROR
    assert text.startswith(
        f"failed to initialize module: {setup.path('asks')}:3: ModuleError: "
        "module 'my-lib' exports nothing to this code: name it in module_info[\"deps\"]"
    )
    with pytest.raises(ModuleError, match="module 'my-lib' exports nothing to this code"):
        python_module.exported_module("my-lib")


def test_finished_module_is_exported_no_more(tmp_path: Path) -> None:
    """Access to a finished module is an error."""
    (tmp_path / "my-lib.py").write_text(module_source())
    (tmp_path / "user.py").write_text(USER)
    opener, types = PythonModuleOpener(), TypeTable()
    opener.open("my-lib", str(tmp_path / "my-lib.py"), True, types).finish()
    with pytest.raises(ModuleError, match="module 'my-lib' exports nothing"):
        opener.open("user", str(tmp_path / "user.py"), False, types)


def test_loaders_in_two_threads_do_not_mix(tmp_path: Path) -> None:
    """The exports visible to a module are its loader's, also with two loaders at once."""
    meet = threading.Barrier(2, timeout=10)
    (tmp_path / "my-lib.py").write_text(LIB)
    source = USER.replace("def vmdump_module_init(types):\n", "def vmdump_module_init(types):\n    types.meet.wait()\n")
    setups = [Setup(tmp_path, user=source) for _ in range(2)]
    for setup in setups:
        setup.types.meet = meet  # type: ignore[attr-defined]
    threads = [threading.Thread(target=setup.loader.module_load, args=("", "user")) for setup in setups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    for setup in setups:
        assert setup.load("user") == (ALREADY_LOADED, [])
        setup.loader.module_finish()
        assert setup.loader.errors == []

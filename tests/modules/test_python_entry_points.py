"""Python modules of installed distributions, found by their entry points."""

from __future__ import annotations

import doctest
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from support.python_modules import ERROR, module_source, private_modules

from vmdump.errors import ModuleError
from vmdump.modules import python_module
from vmdump.modules.loader import ModuleLoader
from vmdump.modules.python_module import PythonModuleOpener
from vmdump.modules.table import read_module_table
from vmdump.qom import TypeTable


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, dict[str, str]], Path]]:
    """Put a distribution with entry points and files (path: text) on sys.path, as pip would."""
    site = tmp_path / "site-packages"

    def install_distribution(entry_points: str, files: dict[str, str]) -> Path:
        files["vendor-1.0.dist-info/METADATA"] = "Metadata-Version: 2.1\nName: vendor\nVersion: 1.0\n"
        files["vendor-1.0.dist-info/entry_points.txt"] = f"[vmdump.modules]\n{entry_points}\n"
        for name, text in files.items():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_text(text)
        importlib.invalidate_caches()
        return site

    monkeypatch.syspath_prepend(site)
    yield install_distribution
    for name in [name for name in sys.modules if name.startswith("vendor_")]:
        del sys.modules[name]


def test_entry_points_are_listed_without_import_and_loaded(
    tmp_path: Path, install: Callable[[str, dict[str, str]], Path]
) -> None:
    """A module, a module in a package, and a package are found on sys.path, named by the entry
    point, and not imported.
    """
    site = install(
        "z-single = vendor_single\na-nested = vendor_package.devices.nic\nm-package = vendor_package.devices",
        {
            "vendor_single.py": module_source("t1"),
            "vendor_package/__init__.py": "",
            "vendor_package/devices/__init__.py": module_source("t2"),
            "vendor_package/devices/nic.py": module_source(
                "t3", body="from .registers import COUNT\nassert COUNT == 5"
            ),
            "vendor_package/devices/registers.py": "COUNT = 5",
        },
    )
    opener, types = PythonModuleOpener(), TypeTable()
    rows = opener.read_entry_points(pytest.fail)
    assert [(row.name, row.objs, row.path, row.kind) for row in rows] == [
        ("a-nested", ("t3",), f"{site}/vendor_package/devices/nic.py", "python"),
        ("m-package", ("t2",), f"{site}/vendor_package/devices/__init__.py", "python"),
        ("z-single", ("t1",), f"{site}/vendor_single.py", "python"),
    ]
    assert not [name for name in sys.modules if name.startswith("vendor_")]
    table = read_module_table([tmp_path / "none"], [opener], report=pytest.fail, installed=rows)
    loader = ModuleLoader(table, module_arch=None, search_dirs=[], openers=[opener], types=types)
    loader.module_load_qom_all()
    assert loader.errors == []
    assert None not in [types.type_get_by_name(name) for name in ("t1", "t2", "t3")]
    loader.module_finish()
    assert private_modules() == []


def test_file_in_a_module_dir_wins_over_an_entry_point(
    tmp_path: Path, install: Callable[[str, dict[str, str]], Path]
) -> None:
    """A file overrides an installed distribution's module."""
    install("nic = vendor_nic", {"vendor_nic.py": module_source("installed")})
    (tmp_path / "nic.py").write_text(module_source("mine"))
    opener = PythonModuleOpener()
    rows = opener.read_entry_points(pytest.fail)
    [row] = read_module_table([tmp_path], [opener], report=pytest.fail, installed=rows)
    assert (row.objs, row.path) == (("mine",), None)


def test_entry_points_that_lead_nowhere_are_reported(
    install: Callable[[str, dict[str, str]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its reason; the valid one is still listed."""
    monkeypatch.setitem(sys.modules, "vendor_made_up", ModuleType("vendor_made_up"))  # it has no __spec__
    site = install(
        "a = vendor_gone\nb = vendor_package.gone\nc = vendor_good:init\nd = vendor_plain\ne = vendor_broken\n"
        "f = sys\ng = vendor_good.sub\nh = vendor_good\ni = vendor_made_up",
        {
            "vendor_package/__init__.py": "raise AssertionError",
            "vendor_good.py": module_source("t"),
            "vendor_plain.py": "",
            "vendor_broken.py": "VMDUMP_STAMP = (",
        },
    )
    errors: list[ModuleError] = []
    assert [row.name for row in PythonModuleOpener().read_entry_points(errors.append)] == ["h"]
    missing = "there is no such module; reinstall the distribution that names it"
    assert [str(error) for error in errors] == [
        f"entry point 'a = vendor_gone': {missing}",
        f"entry point 'b = vendor_package.gone': {missing}",
        "entry point 'c = vendor_good:init': it must be the dotted name of a module without an attribute",
        f"entry point 'd = vendor_plain': {site}/vendor_plain.py declares no VMDUMP_STAMP and no vmdump_module_init",
        f"entry point 'e = vendor_broken': failed to open module: {site}/vendor_broken.py:1: '(' was never closed",
        f"entry point 'f = sys': {missing}",
        f"entry point 'g = vendor_good.sub': {missing}",
        f"entry point 'i = vendor_made_up': {missing}",
    ]


def test_unreadable_metadata_is_reported(install: Callable[[str, dict[str, str]], Path]) -> None:
    """Another distribution's broken metadata does not end the run."""
    install("a line without a value", {})
    errors: list[ModuleError] = []
    assert PythonModuleOpener().read_entry_points(errors.append) == []
    [error] = errors
    assert str(error).startswith("failed to read the installed entry points: ")


def test_uninstalled_entry_point_is_an_error(tmp_path: Path, install: Callable[[str, dict[str, str]], Path]) -> None:
    """An entry point is listed by path, so a file missing at load time is an error, not 'not installed'."""
    site = install("nic = vendor_nic", {"vendor_nic.py": module_source("t")})
    opener = PythonModuleOpener()
    rows = opener.read_entry_points(pytest.fail)
    path = site / "vendor_nic.py"
    path.unlink()
    loader = ModuleLoader(rows, module_arch=None, search_dirs=[], openers=[opener], types=TypeTable())
    assert loader.module_load("", "nic") == ERROR
    assert [str(error) for error in loader.errors] == [f"failed to open module: no such file (module=nic, path={path})"]


def test_documentation_examples_run() -> None:
    """The module's doctests run."""
    result = doctest.testmod(python_module)
    assert (result.failed, result.attempted > 5) == (0, True)

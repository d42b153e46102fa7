"""Fixtures of the tests of modules: compiled C modules, a registry, no Python module left behind."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.c_modules import CC, INCLUDE, Registry, is_loaded
from support.paths import TESTS
from support.python_modules import of_others


@pytest.fixture(scope="session")
def tide(tmp_path_factory):
    """The directory with the built modules of c_modules/."""
    build = tmp_path_factory.mktemp("tide")
    make = ["make", "-s", "-C", TESTS / "c_modules", f"BUILD={build}", f"PYTHON={sys.executable}", f"CC={CC}"]
    subprocess.run(make, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    return build


@pytest.fixture
def build(tmp_path):
    """A function that compiles a module from source into the test's directory."""

    def build(name, source, **macros):
        file = tmp_path / f"{name}.so"
        command = [CC, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-fPIC", "-shared"]
        command += [f"-I{INCLUDE}", *(f'-D{macro}="{value}"' for macro, value in macros.items())]
        subprocess.run([*command, "-o", file, "-xc", "-"], input=source, text=True, check=True)
        return file

    return build


@pytest.fixture
def registry(tmp_path):
    """A function that makes registries; after the test their modules are finished, and checked to be closed."""
    with contextlib.ExitStack() as stack:

        def registry(*dirs, **options):
            dirs = [str(directory) for directory in dirs or (tmp_path,)]
            made = Registry(*dirs, **options)
            stack.callback(made.loader.module_finish)
            files.extend(file for directory in dirs for file in Path(directory).glob("*.so"))
            return made

        files = []
        yield registry
    assert [file for file in files if is_loaded(file)] == []


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """The file to which FINISH modules append a line when they are finished."""
    file = tmp_path / "finished"
    file.touch()
    monkeypatch.setenv("TEST_FINISHED", str(file))
    return file


@pytest.fixture(autouse=True)
def no_module_is_left_in_sys_modules() -> Iterator[None]:
    """Check that each test leaves no loaded module, and that module file names never appear in sys.modules."""
    before = set(sys.modules)
    of_others.clear()
    of_others.update(before)
    yield
    added = {name for name in set(sys.modules) - before if "_vmdump_module_" in name}
    for name in added:
        del sys.modules[name]
    assert not {"good", "bad", "lib", "user"} & set(sys.modules)

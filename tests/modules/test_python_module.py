"""Python modules, in files and in installed distributions, loaded by the loader into a type table."""

from __future__ import annotations

import doctest
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from vmdump.errors import ModuleError
from vmdump.modules import python_module
from vmdump.modules.loader import ModuleLoader
from vmdump.modules.model import ModuleLoad
from vmdump.modules.python_module import MAX_SOURCE_SIZE, PythonModuleOpener
from vmdump.modules.table import read_module_table
from vmdump.qom import TypeTable, register_base_types

ERROR, NOT_FOUND, LOADED, ALREADY_LOADED = ModuleLoad


#: sys.modules before the test, including private modules of sessions that other tests did not close.
of_others: set[str] = set()


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


class House:
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


# --- a module's life ------------------------------------------------------------------------------------------------


def test_module_registers_its_types(tmp_path: Path) -> None:
    """A module is declared, listed without execution, loaded, and registered, under a private name in sys.modules."""
    house = House(tmp_path, good=module_source("t1", "t2", info="'opts': ('spice',), 'arch': 'x86_64'"))
    assert private_modules() == []
    [row] = house.loader.states()
    assert (row.kind, row.objs, row.opts, row.arch, row.path) == ("python", ("t1", "t2"), ("spice",), "x86_64", None)
    house.loader.module_load_qom_all()
    assert house.load("good") == (ALREADY_LOADED, [])
    assert (house.types.type_get_by_name("t1"), house.types.type_get_by_name("t2")) != (None, None)
    assert len(private_modules()) == 1


def test_type_is_loaded_on_demand(tmp_path: Path) -> None:
    """The type table asks the loader for unknown types."""
    house = House(tmp_path, good=module_source("t1"))
    register_base_types(house.types)
    assert house.types.module_object_class_by_name("t1").get_name() == "t1"


def test_finish_in_reverse_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """finish is optional, called last loaded first; afterwards the modules are gone from sys.modules."""
    house = House(
        tmp_path,
        first=module_source(finish="print('first')"),
        silent=module_source(),
        second=module_source(finish="print('second')"),
    )
    for name in ("first", "silent", "second"):
        assert house.load(name) == (LOADED, [])
    house.loader.module_finish()
    assert capsys.readouterr().out == "second\nfirst\n"
    assert private_modules() == []


def test_failing_finish_is_reported_and_the_rest_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finish that raises, even SystemExit, does not stop the others."""
    house = House(
        tmp_path, first=module_source(finish="print('first')"), second=module_source(finish="raise SystemExit(3)")
    )
    house.load("first")
    house.load("second")
    house.loader.module_finish()
    line = house.path("second").read_text().splitlines().index("    raise SystemExit(3)") + 1
    assert [str(e) for e in house.loader.errors] == [
        f"failed to finish module: {house.path('second')}:{line}: SystemExit: 3"
    ]
    assert capsys.readouterr().out == "first\n"
    assert private_modules() == []


def test_dataclasses_work_in_a_module(tmp_path: Path) -> None:
    """Dataclasses work; they look their module up in sys.modules."""
    body = """
        from __future__ import annotations
        import dataclasses, typing
        VMDUMP_STAMP = 1
        @dataclasses.dataclass
        class Config:
            count: typing.ClassVar[int] = 0
        def vmdump_module_init(types):
            assert typing.get_type_hints(Config), __file__
        """
    house = House(tmp_path, good=dedent(body))
    assert house.load("good") == (LOADED, [])


def test_two_loaders_share_no_module(tmp_path: Path) -> None:
    """Each loader executes the file itself; finishing one does not affect the other."""
    source = (
        module_source(body="loaded = []\n")
        + "def vmdump_module_finish():\n    assert not loaded\n    loaded.append(1)\n"
    )
    first, second = House(tmp_path, good=source), House(tmp_path, good=source)
    assert (first.load("good"), second.load("good")) == ((LOADED, []), (LOADED, []))
    assert len(private_modules()) == 2
    first.loader.module_finish()
    assert len(private_modules()) == 1
    second.loader.module_finish()
    assert first.loader.errors == second.loader.errors == []


def test_no_bytecode_is_written(tmp_path: Path) -> None:
    """No bytecode is written, as module dirs may be read-only or another user's."""
    house = House(tmp_path, good=module_source())
    house.load("good")
    assert [path.name for path in tmp_path.iterdir()] == ["good.py"]


# --- return codes of real modules -----------------------------------------------------------------------------------


def test_arch_mismatch(tmp_path: Path) -> None:
    """A module's own arch declaration is checked without executing it."""
    house = House(tmp_path, ccw=module_source("t", info="'arch': 's390x'", body="raise AssertionError"))
    house.loader.module_load("", "ccw")
    assert [str(e) for e in house.loader.errors] == ["module arch does not match: expected 'x86_64', got 's390x'"]


def test_missing_and_failing_deps(tmp_path: Path) -> None:
    """0 for a missing dep, -1 and its error for a failing one."""
    house = House(
        tmp_path,
        bad=module_source(body="1 / 0"),
        needs_bad=module_source("t1", info="'deps': ['bad']"),
        needs_gone=module_source("t2", info="'deps': ['gone']"),
    )
    errors: list[ModuleError] = []
    assert house.loader.module_load("", "needs_gone", errors.append) == NOT_FOUND
    assert errors == []
    assert house.loader.module_load("", "needs_bad", errors.append) == ERROR
    assert [f"(module=bad, path={house.path('bad')})" in str(error) for error in errors] == [True]


def test_cyclic_deps(tmp_path: Path) -> None:
    """Modules with cyclic deps are both loaded."""
    house = House(tmp_path, a=module_source("t1", info="'deps': ['b']"), b=module_source("t2", info="'deps': ['a']"))
    assert house.load("a") == (LOADED, [])
    assert house.load("b") == (ALREADY_LOADED, [])


def test_two_modules_for_one_type(tmp_path: Path) -> None:
    """A second provider is QEMU's error; the first one's type stays."""
    house = House(tmp_path, a=module_source("t"), b=module_source("t"))
    assert house.loader.module_load_qom("t") == ERROR
    assert [str(error) for error in house.loader.errors] == ["multiple modules providing 't'"]
    assert house.load("a") == (ALREADY_LOADED, [])


def test_module_with_a_registered_type_is_removed(tmp_path: Path) -> None:
    """All of the module's types are removed, the other module's stay."""
    house = House(tmp_path, a=module_source("t"), b=module_source("own", "t"))
    house.load("a")
    result, [text] = house.load("b")
    assert result == ERROR
    assert text.startswith(f"failed to initialize module: {house.path('b')}:6: QOMError: ")
    assert "'t'" in text
    assert house.types.type_get_by_name("own") is None
    assert house.types.type_get_by_name("t") is not None
    assert len(private_modules()) == 1


# Failures -----------------------------------------------------------------------------------------------------------

INIT = "def vmdump_module_init(types): pass\n"
OTHER_STAMP = "VMDUMP_STAMP is not 1. Only modules from the same build can be loaded."


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", "failed to initialize module: PATH: it must declare VMDUMP_STAMP = 1"),
        (INIT, "failed to initialize module: PATH: it must declare VMDUMP_STAMP = 1"),
        (
            f"VMDUMP_STAMP = 2\n{INIT}",
            f"failed to initialize module: PATH:1: {OTHER_STAMP}",
        ),
        (
            f"\nVMDUMP_STAMP: int = True\n{INIT}",
            f"failed to initialize module: PATH:2: {OTHER_STAMP}",
        ),
        (
            f"VMDUMP_STAMP = int('1')\n{INIT}",
            f"failed to initialize module: PATH:1: {OTHER_STAMP}",
        ),
        ("VMDUMP_STAMP = 1\n", "failed to initialize module: PATH: it must define vmdump_module_init(types)"),
        (
            "VMDUMP_STAMP = 1\nvmdump_module_init = 5\n",
            "failed to initialize module: PATH: TypeError: 'int' object is not callable",
        ),
        (
            "VMDUMP_STAMP = 1\ndef vmdump_module_init(): pass\n",
            "failed to initialize module: PATH: "
            "TypeError: vmdump_module_init() takes 0 positional arguments but 1 was given",
        ),
        (f"VMDUMP_STAMP = 1\n{INIT}\nx = (\n", "failed to open module: PATH:4: '(' was never closed"),
        (f"VMDUMP_STAMP = 1\n{INIT}return\n", "failed to open module: PATH:3: 'return' outside function"),
        (
            "VMDUMP_STAMP = 1\nimport no_such_module_anywhere\n" + INIT,
            "failed to initialize module: PATH:2: ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        ),
        (
            "VMDUMP_STAMP = 1\ndef vmdump_module_init(types):\n    raise ValueError('two\\nlines')\n",
            "failed to initialize module: PATH:3: ValueError: two lines",
        ),
        (
            "VMDUMP_STAMP = 1\ndef vmdump_module_init(types):\n    exit_code = 3\n    raise SystemExit(exit_code)\n",
            "failed to initialize module: PATH:4: SystemExit: 3",
        ),
        (
            "VMDUMP_STAMP = 1\ndef vmdump_module_init(types):\n    next(iter(()))\n",
            "failed to initialize module: PATH:3: StopIteration",
        ),
        (
            "VMDUMP_STAMP = 1\ndef vmdump_module_init(types):\n    import json\n    json.loads('{')\n",
            "failed to initialize module: PATH:4: JSONDecodeError: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)",
        ),
        (
            "VMDUMP_STAMP = 1\nclass Rude(Exception):\n    def __str__(self): return 1 / 0\n\nraise Rude\n",
            "failed to initialize module: PATH:5: Rude",
        ),
    ],
)
def test_error_texts(tmp_path: Path, source: str, text: str) -> None:
    """Each way to fail has its text, leaves no types, no entry in sys.modules, and the module not loaded."""
    house = House(tmp_path)
    house.path("bad").write_text(source)
    result, [got] = house.load("bad")
    assert (result, got) == (ERROR, text.replace("PATH", str(house.path("bad"))))
    assert private_modules() == []
    assert house.load("bad")[0] == ERROR


@pytest.mark.parametrize("where", ["\nrecurse()\n", "\ndef vmdump_module_init(types): recurse()\n"])
def test_endless_recursion(tmp_path: Path, where: str) -> None:
    """Endless recursion at import or in init is an ordinary error."""
    house = House(tmp_path, bad=f"VMDUMP_STAMP = 1\n{INIT}def recurse(): recurse()\n{where}")
    result, [text] = house.load("bad")
    assert result == ERROR
    assert text.startswith(f"failed to initialize module: {house.path('bad')}:3: RecursionError: ")


def test_keyboard_interrupt_passes_through(tmp_path: Path) -> None:
    """KeyboardInterrupt propagates and leaves no type or module."""
    house = House(
        tmp_path,
        bad=module_source("t", then="raise KeyboardInterrupt"),
    )
    with pytest.raises(KeyboardInterrupt):
        house.load("bad")
    assert (house.types.type_get_by_name("t"), private_modules()) == (None, [])


def test_failure_after_registering_removes_types(tmp_path: Path) -> None:
    """Types registered before init raised are removed; once fixed, the same module loads."""
    house = House(tmp_path, bad=module_source("t1", then="1 / 0"))
    assert house.load("bad")[0] == ERROR
    assert house.types.type_get_by_name("t1") is None
    house.path("bad").write_text(module_source("t1"))
    assert house.load("bad") == (LOADED, [])
    assert house.types.type_get_by_name("t1") is not None


def test_unreadable_or_oversized_file(tmp_path: Path) -> None:
    """Files above the size limit are refused; a file of exactly that size loads."""
    house = House(tmp_path)
    source = f"VMDUMP_STAMP = 1\n{INIT}#"
    house.path("good").write_text(source.ljust(MAX_SOURCE_SIZE, "#"))
    house.path("bad").write_text(source.ljust(MAX_SOURCE_SIZE + 1, "#"))
    assert house.load("good") == (LOADED, [])
    text = f"failed to open module: {house.path('bad')}: larger than {MAX_SOURCE_SIZE} bytes; split it"
    assert house.load("bad") == (ERROR, [text])
    with pytest.raises(ModuleError, match=f"failed to open module: {tmp_path}: Is a directory"):
        house.opener.read_info(str(tmp_path))


@pytest.mark.parametrize(
    "source",
    [
        b"VMDUMP_STAMP = 1\nx = '\0'\n",
        b"VMDUMP_STAMP = 1\nx = '\xff'\n",
        b"# coding: no-such-codec\nVMDUMP_STAMP = 1\n",
        b"VMDUMP_STAMP = 1\nx = " + b"-" * 100_000 + b"1\n",
        b"VMDUMP_STAMP = 1\nx = " + b"(" * 100_000 + b"1\n",
        b"VMDUMP_STAMP = 1\nx = 1" + b" + 1" * 100_000 + b"\n",
        b"VMDUMP_STAMP = 1\nx = 1" + b".x" * 100_000 + b"\n",
    ],
    ids=["nul", "not-utf-8", "unknown-codec", "deep-minus", "deep-parentheses", "deep-plus", "deep-attribute"],
)
def test_hostile_source(tmp_path: Path, source: bytes) -> None:
    """Any error of Python's parser or compiler becomes one line; nothing crashes."""
    house = House(tmp_path)
    house.path("bad").write_bytes(source)
    result, [text] = house.load("bad")
    assert result == ERROR
    assert text.startswith(f"failed to open module: {house.path('bad')}:")
    assert "\n" not in text


# --- modinfo --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ("make()", "PATH:2: module_info must be a dict literal"),
        ("{'objs': make()}", "PATH:2: module_info must consist of literals"),
        ("{**make()}", "PATH:2: module_info must consist of literals"),
        ("{make(): []}", "PATH:2: module_info must consist of literals"),
        ("{\n 'deps': [],\n 'objs': 'usb'}", "PATH:4: module_info['objs'] must be a list of strings"),
        ("{'deps': [1]}", "PATH:2: module_info['deps'] must be a list of strings"),
        ("{'opts': None}", "PATH:2: module_info['opts'] must be a list of strings"),
        ("{'arch': ['x86_64']}", "PATH:2: module_info['arch'] must be a string"),
        ("{\n 'objects': []}", "PATH:3: module_info has no key 'objects'; it may have objs, deps, opts and arch"),
        ("{1: []}", "PATH:2: module_info has no key 1; it may have objs, deps, opts and arch"),
    ],
)
def test_broken_modinfo_names_the_line(tmp_path: Path, info: str, text: str) -> None:
    """Reported when the table is read, which continues, and again when the module is loaded."""
    house = House(tmp_path, bad=f"VMDUMP_STAMP = 1\nmodule_info = {info}\n{INIT}", good=module_source("t"))
    text = f"failed to open module: {text}".replace("PATH", str(house.path("bad")))
    assert [str(error) for error in house.broken] == [text]
    assert [row.name for row in house.loader.states()] == ["good"]
    assert house.load("bad") == (ERROR, [text])


def test_modinfo_is_optional_and_read_without_execution(tmp_path: Path) -> None:
    """Without module_info a row provides nothing. The last binding counts, as at run time."""
    house = House(
        tmp_path,
        bare=f"VMDUMP_STAMP = 1\n{INIT}raise AssertionError('executed')",
        twice=f"VMDUMP_STAMP = 1\n{INIT}module_info = {{}}\nmodule_info = {{'objs': ('t',), 'arch': None}}",
        typed=f"VMDUMP_STAMP = 1\n{INIT}module_info = make()\nmodule_info: dict = {{'objs': ['u']}}",
    )
    assert house.broken == []
    assert [(row.name, row.objs, row.arch) for row in house.loader.states()] == [
        ("bare", (), None),
        ("twice", ("t",), None),
        ("typed", ("u",), None),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "module_info = make()\n",
        "print 'Python 2'\n",
        "# VMDUMP_STAMP\n",
        "def function():\n    VMDUMP_STAMP = 1\n",
        "if VMDUMP_STAMP == 1: pass\n",
    ],
)
def test_other_python_files_are_skipped(tmp_path: Path, source: str) -> None:
    """Files with neither a stamp nor an init function at top level are skipped."""
    house = House(tmp_path, other=source)
    assert (house.broken, house.loader.states()) == ([], [])


# --- exported modules -----------------------------------------------------------------------------------------------

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
    first, second = House(tmp_path, user=USER), House(tmp_path, user=USER)
    for house in (first, second):
        assert house.load("user") == (LOADED, [])
    with pytest.raises(ModuleError, match="module 'my-lib' exports nothing to this code"):
        python_module.exported_module("my-lib")
    for house in (first, second):
        house.loader.module_finish()
        assert house.loader.errors == []


def test_only_what_another_depends_on_is_exported(tmp_path: Path) -> None:
    """Other modules are not exported, as with RTLD_LOCAL; outside module code nothing is visible."""
    asks = (
        "from vmdump.modules.python_module import exported_module\nVMDUMP_STAMP = 1\nexported_module('my-lib')\n" + INIT
    )
    (tmp_path / "my-lib.py").write_text(LIB)
    house = House(tmp_path, asks=asks)
    assert house.loader.module_load("", "my-lib") == LOADED
    result, [text] = house.load("asks")
    assert result == ERROR
    assert text.startswith(
        f"failed to initialize module: {house.path('asks')}:3: ModuleError: "
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
    houses = [House(tmp_path, user=source) for _ in range(2)]
    for house in houses:
        house.types.meet = meet  # type: ignore[attr-defined]
    threads = [threading.Thread(target=house.loader.module_load, args=("", "user")) for house in houses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    for house in houses:
        assert house.load("user") == (ALREADY_LOADED, [])
        house.loader.module_finish()
        assert house.loader.errors == []


# --- entry points ---------------------------------------------------------------------------------------------------


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

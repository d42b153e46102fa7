"""Python modules: loading, return codes, errors, and the metadata that are read without executing them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from support.python_modules import (
    ALREADY_LOADED,
    ERROR,
    INIT,
    LOADED,
    NOT_FOUND,
    Setup,
    module_source,
    private_modules,
)

from vmdump.errors import ModuleError
from vmdump.modules.python_module import MAX_SOURCE_SIZE
from vmdump.qom import register_base_types

# --- a module's life ------------------------------------------------------------------------------------------------


def test_module_registers_its_types(tmp_path: Path) -> None:
    """A module is declared, listed without execution, loaded, and registered, under a private name in sys.modules."""
    setup = Setup(tmp_path, good=module_source("t1", "t2", info="'opts': ('spice',), 'arch': 'x86_64'"))
    assert private_modules() == []
    [row] = setup.loader.states()
    assert (row.kind, row.objs, row.opts, row.arch, row.path) == ("python", ("t1", "t2"), ("spice",), "x86_64", None)
    setup.loader.module_load_qom_all()
    assert setup.load("good") == (ALREADY_LOADED, [])
    assert (setup.types.type_get_by_name("t1"), setup.types.type_get_by_name("t2")) != (None, None)
    assert len(private_modules()) == 1


def test_type_is_loaded_on_demand(tmp_path: Path) -> None:
    """The type table asks the loader for unknown types."""
    setup = Setup(tmp_path, good=module_source("t1"))
    register_base_types(setup.types)
    assert setup.types.module_object_class_by_name("t1").get_name() == "t1"


def test_finish_in_reverse_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """finish is optional, called last loaded first; afterwards the modules are gone from sys.modules."""
    setup = Setup(
        tmp_path,
        first=module_source(finish="print('first')"),
        silent=module_source(),
        second=module_source(finish="print('second')"),
    )
    for name in ("first", "silent", "second"):
        assert setup.load(name) == (LOADED, [])
    setup.loader.module_finish()
    assert capsys.readouterr().out == "second\nfirst\n"
    assert private_modules() == []


def test_failing_finish_is_reported_and_the_rest_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finish that raises, even SystemExit, does not stop the others."""
    setup = Setup(
        tmp_path, first=module_source(finish="print('first')"), second=module_source(finish="raise SystemExit(3)")
    )
    setup.load("first")
    setup.load("second")
    setup.loader.module_finish()
    line = setup.path("second").read_text().splitlines().index("    raise SystemExit(3)") + 1
    assert [str(e) for e in setup.loader.errors] == [
        f"failed to finish module: {setup.path('second')}:{line}: SystemExit: 3"
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
    setup = Setup(tmp_path, good=dedent(body))
    assert setup.load("good") == (LOADED, [])


def test_two_loaders_share_no_module(tmp_path: Path) -> None:
    """Each loader executes the file itself; finishing one does not affect the other."""
    source = (
        module_source(body="loaded = []\n")
        + "def vmdump_module_finish():\n    assert not loaded\n    loaded.append(1)\n"
    )
    first, second = Setup(tmp_path, good=source), Setup(tmp_path, good=source)
    assert (first.load("good"), second.load("good")) == ((LOADED, []), (LOADED, []))
    assert len(private_modules()) == 2
    first.loader.module_finish()
    assert len(private_modules()) == 1
    second.loader.module_finish()
    assert first.loader.errors == second.loader.errors == []


def test_no_bytecode_is_written(tmp_path: Path) -> None:
    """No bytecode is written, as module dirs may be read-only or another user's."""
    setup = Setup(tmp_path, good=module_source())
    setup.load("good")
    assert [path.name for path in tmp_path.iterdir()] == ["good.py"]


# --- return codes of real modules -----------------------------------------------------------------------------------


def test_arch_mismatch(tmp_path: Path) -> None:
    """A module's own arch declaration is checked without executing it."""
    setup = Setup(tmp_path, ccw=module_source("t", info="'arch': 's390x'", body="raise AssertionError"))
    setup.loader.module_load("", "ccw")
    assert [str(e) for e in setup.loader.errors] == ["module arch does not match: expected 'x86_64', got 's390x'"]


def test_missing_and_failing_deps(tmp_path: Path) -> None:
    """0 for a missing dep, -1 and its error for a failing one."""
    setup = Setup(
        tmp_path,
        bad=module_source(body="1 / 0"),
        needs_bad=module_source("t1", info="'deps': ['bad']"),
        needs_gone=module_source("t2", info="'deps': ['gone']"),
    )
    errors: list[ModuleError] = []
    assert setup.loader.module_load("", "needs_gone", errors.append) == NOT_FOUND
    assert errors == []
    assert setup.loader.module_load("", "needs_bad", errors.append) == ERROR
    assert [f"(module=bad, path={setup.path('bad')})" in str(error) for error in errors] == [True]


def test_cyclic_deps(tmp_path: Path) -> None:
    """Modules with cyclic deps are both loaded."""
    setup = Setup(tmp_path, a=module_source("t1", info="'deps': ['b']"), b=module_source("t2", info="'deps': ['a']"))
    assert setup.load("a") == (LOADED, [])
    assert setup.load("b") == (ALREADY_LOADED, [])


def test_two_modules_for_one_type(tmp_path: Path) -> None:
    """A second provider is QEMU's error; the first one's type stays."""
    setup = Setup(tmp_path, a=module_source("t"), b=module_source("t"))
    assert setup.loader.module_load_qom("t") == ERROR
    assert [str(error) for error in setup.loader.errors] == ["multiple modules providing 't'"]
    assert setup.load("a") == (ALREADY_LOADED, [])


def test_module_with_a_registered_type_is_removed(tmp_path: Path) -> None:
    """All of the module's types are removed, the other module's stay."""
    setup = Setup(tmp_path, a=module_source("t"), b=module_source("own", "t"))
    setup.load("a")
    result, [text] = setup.load("b")
    assert result == ERROR
    assert text.startswith(f"failed to initialize module: {setup.path('b')}:6: QOMError: ")
    assert "'t'" in text
    assert setup.types.type_get_by_name("own") is None
    assert setup.types.type_get_by_name("t") is not None
    assert len(private_modules()) == 1


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
    setup = Setup(tmp_path)
    setup.path("bad").write_text(source)
    result, [got] = setup.load("bad")
    assert (result, got) == (ERROR, text.replace("PATH", str(setup.path("bad"))))
    assert private_modules() == []
    assert setup.load("bad")[0] == ERROR


@pytest.mark.parametrize("where", ["\nrecurse()\n", "\ndef vmdump_module_init(types): recurse()\n"])
def test_endless_recursion(tmp_path: Path, where: str) -> None:
    """Endless recursion at import or in init is an ordinary error."""
    setup = Setup(tmp_path, bad=f"VMDUMP_STAMP = 1\n{INIT}def recurse(): recurse()\n{where}")
    result, [text] = setup.load("bad")
    assert result == ERROR
    assert text.startswith(f"failed to initialize module: {setup.path('bad')}:3: RecursionError: ")


def test_keyboard_interrupt_passes_through(tmp_path: Path) -> None:
    """KeyboardInterrupt propagates and leaves no type or module."""
    setup = Setup(
        tmp_path,
        bad=module_source("t", then="raise KeyboardInterrupt"),
    )
    with pytest.raises(KeyboardInterrupt):
        setup.load("bad")
    assert (setup.types.type_get_by_name("t"), private_modules()) == (None, [])


def test_failure_after_registering_removes_types(tmp_path: Path) -> None:
    """Types registered before init raised are removed; once fixed, the same module loads."""
    setup = Setup(tmp_path, bad=module_source("t1", then="1 / 0"))
    assert setup.load("bad")[0] == ERROR
    assert setup.types.type_get_by_name("t1") is None
    setup.path("bad").write_text(module_source("t1"))
    assert setup.load("bad") == (LOADED, [])
    assert setup.types.type_get_by_name("t1") is not None


def test_unreadable_or_oversized_file(tmp_path: Path) -> None:
    """Files above the size limit are refused; a file of exactly that size loads."""
    setup = Setup(tmp_path)
    source = f"VMDUMP_STAMP = 1\n{INIT}#"
    setup.path("good").write_text(source.ljust(MAX_SOURCE_SIZE, "#"))
    setup.path("bad").write_text(source.ljust(MAX_SOURCE_SIZE + 1, "#"))
    assert setup.load("good") == (LOADED, [])
    text = f"failed to open module: {setup.path('bad')}: larger than {MAX_SOURCE_SIZE} bytes; split it"
    assert setup.load("bad") == (ERROR, [text])
    with pytest.raises(ModuleError, match=f"failed to open module: {tmp_path}: Is a directory"):
        setup.opener.read_info(str(tmp_path))


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
    setup = Setup(tmp_path)
    setup.path("bad").write_bytes(source)
    result, [text] = setup.load("bad")
    assert result == ERROR
    assert text.startswith(f"failed to open module: {setup.path('bad')}:")
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
    setup = Setup(tmp_path, bad=f"VMDUMP_STAMP = 1\nmodule_info = {info}\n{INIT}", good=module_source("t"))
    text = f"failed to open module: {text}".replace("PATH", str(setup.path("bad")))
    assert [str(error) for error in setup.broken] == [text]
    assert [row.name for row in setup.loader.states()] == ["good"]
    assert setup.load("bad") == (ERROR, [text])


def test_modinfo_is_optional_and_read_without_execution(tmp_path: Path) -> None:
    """Without module_info a row provides nothing. The last binding counts, as at run time."""
    setup = Setup(
        tmp_path,
        bare=f"VMDUMP_STAMP = 1\n{INIT}raise AssertionError('executed')",
        twice=f"VMDUMP_STAMP = 1\n{INIT}module_info = {{}}\nmodule_info = {{'objs': ('t',), 'arch': None}}",
        typed=f"VMDUMP_STAMP = 1\n{INIT}module_info = make()\nmodule_info: dict = {{'objs': ['u']}}",
    )
    assert setup.broken == []
    assert [(row.name, row.objs, row.arch) for row in setup.loader.states()] == [
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
    setup = Setup(tmp_path, other=source)
    assert (setup.broken, setup.loader.states()) == ([], [])

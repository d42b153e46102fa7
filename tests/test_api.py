"""The public API: a newcomer's session, types, deprecated names, logging, help and reprs."""

import inspect
import logging
import pickle
import pydoc
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from support.descriptions import desc, dump, field, struct, validate
from support.paths import DATA

import vmdump
from vmdump.check.checker import Labelled
from vmdump.dump.device_dump import DeviceDump, UnknownDeviceError
from vmdump.errors import SourceError, VmdumpError
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags

ROOT = Path(__file__).parent.parent
OLD, NEW = (DATA / "dumps" / f"qemu-{version}" / "x86_64.json.xz" for version in ("7.2.22", "10.0.13"))


# Types --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_typed_session() -> None:
    """The sample session passes mypy --strict."""
    pytest.importorskip("mypy")
    sample = str(ROOT / "tests" / "typing_sample.py")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), sample]
    done = subprocess.run(mypy, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_session_runs(tmp_path: Path) -> None:
    """The sample session runs on real dumps."""
    for path in (OLD, NEW):
        (tmp_path / path.parent.name).with_suffix(".xz").write_bytes(path.read_bytes())
    paths = [str((tmp_path / path.parent.name).with_suffix(".xz")) for path in (OLD, NEW)]
    sample = [sys.executable, str(ROOT / "tests" / "typing_sample.py"), *paths]
    done = subprocess.run(sample, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "e1000" in done.stdout


@pytest.mark.slow
def test_stub_is_exact() -> None:
    """The stub of the C core and the core agree in all names, as stubtest compares them."""
    pytest.importorskip("mypy")
    stubtest = [sys.executable, "-m", "mypy.stubtest", "vmdump._core"]
    done = subprocess.run(stubtest, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_stub_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stub of the C core is the one that the headers give."""
    monkeypatch.syspath_prepend(str(ROOT / "csrc"))
    import core_stub

    assert core_stub.STUB.read_text() == core_stub.stub(), "run python csrc/core_stub.py"


def test_stub_has_what_the_core_has() -> None:
    """Every function and constant of the C core is in the stub, under its name."""
    from vmdump._core import lib

    text = (ROOT / "vmdump" / "_core.pyi").read_text()
    missing = [name for name in dir(lib) if f"    {name}: " not in text and f"    def {name}(" not in text]
    assert not missing


# Check and lint -----------------------------------------------------------------------------------------------------


def test_check_accepts_paths_dumps_and_labels(tmp_path: Path) -> None:
    """Sources of all three kinds; the labels of directions; findings are those of all types and directions."""
    old, new = dump(desc("dev", field("a"))), dump(desc("dev", field("a"), field("b")))
    old.write(tmp_path / "old.json", extended=True)
    result = vmdump.check(tmp_path / "old.json", new)
    assert list(result.results) == ["old.json -> new", "new -> old.json"]
    assert [(each.rule, each.direction, each.verdict) for each in result.findings] == [
        ("field-added", "old.json -> new", "breaks"),
        ("field-removed", "new -> old.json", "breaks"),
    ]
    labelled = vmdump.check(Labelled("A", old), str(tmp_path / "old.json"), directions=["backward"])
    assert list(labelled.results) == ["old.json -> A"]
    assert list(labelled.findings) == []


@pytest.mark.parametrize(
    ("directions", "expected"),
    [
        ("both", ["A -> B", "B -> A"]),
        ("forward", ["A -> B"]),
        ("backward", ["B -> A"]),
        (("backward", "forward"), ["B -> A", "A -> B"]),
    ],
)
def test_check_directions(directions: str, expected: list[str]) -> None:
    """directions selects, in its order."""
    sides = [Labelled(label, dump(desc("dev", field("a")))) for label in "AB"]
    assert list(vmdump.check(*sides, directions=directions).results) == expected  # type: ignore[arg-type]


def test_check_types() -> None:
    """types is a pattern or several; one that matches nothing is an error with a suggestion."""
    sides = [Labelled(label, dump(desc("one", field("a")), desc("two", field("a")))) for label in "AB"]
    for types in ("one", ["one"], "o*"):
        result = vmdump.check(*sides, types=types, directions="forward")
        assert [each.type for each in result.results["A -> B"]] == ["one"]
    with pytest.raises(VmdumpError, match=r"no type matches ones; did you mean one\?"):
        vmdump.check(*sides, types="ones")


def test_check_refuses(tmp_path: Path) -> None:
    """Unknown directions, equal labels, a machine of dumps, other targets, missing files."""
    side = dump(desc("dev", field("a")))
    with pytest.raises(VmdumpError, match='unknown direction \'sideways\'; directions are "forward", "backward" or'):
        vmdump.check(side, side, directions="sideways")  # type: ignore[arg-type]
    with pytest.raises(VmdumpError, match="no direction given"):
        vmdump.check(side, side, directions=())
    with pytest.raises(VmdumpError, match="two dumps are labelled 'A'"):
        vmdump.check(Labelled("A", side), Labelled("A", side))
    with pytest.raises(VmdumpError, match="machine= does not apply to dump files"):
        vmdump.check(side, side, machine="pc")
    arm = DATA / "dumps" / "qemu-10.0.13" / "arm.json.xz"
    with pytest.raises(VmdumpError, match=r"any_target=True compares them anyway"):
        vmdump.check(NEW, arm)
    assert vmdump.check(NEW, arm, any_target=True, types="e1000").results
    with pytest.raises(SourceError, match="No such file"):
        vmdump.check(tmp_path / "none.json", side)


def test_lint_accepts_paths_and_dumps(tmp_path: Path) -> None:
    """The findings of a path are those of its dump."""
    bad = dump(desc("dev", field("a", version_id=5)))
    bad.write(tmp_path / "bad.json", extended=True)
    assert [(each.rule, each.direction) for each in vmdump.lint(bad)] == [("field-above-version", "dump")]
    assert [each.rule for each in vmdump.lint(str(tmp_path / "bad.json"))] == ["field-above-version"]
    assert [each.direction for each in vmdump.lint(Labelled("mine", bad))] == ["mine"]


def test_check_is_a_package_and_a_function() -> None:
    """Importing a module of vmdump.check leaves vmdump.check callable, and the other way round."""
    code = (
        "import vmdump, inspect; d = vmdump.open()\n"
        "assert callable(vmdump.check)\n"
        "import vmdump.check.lint, vmdump.check.checker as checker\n"
        "assert 'any_target' in inspect.signature(vmdump.check).parameters\n"
        "assert not vmdump.check(checker.Labelled('a', d), checker.Labelled('b', d)).findings\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Fields -------------------------------------------------------------------------------------------------------------


def has_tail(opaque: object, version_id: int) -> bool:
    """A test of a field, whose name conditions have."""
    return True


def test_walk_order_paths_and_conditions() -> None:
    """Fields in the order of the stream; conditions of the enclosing parts come first."""
    inner = desc("inner", field("x", version_id=2), version_id=2)
    sub = desc("dev/sub", struct("part", inner, version_id=3), needed=True)
    vmsd = desc(
        "dev",
        field("a"),
        struct("in", inner),
        validate("sane"),
        field("tail", field_exists=has_tail),
        subsections=[sub],
    )
    walked = [(each.path, each.depth, each.description.name, each.conditions) for each in dump(vmsd)["dev"].walk()]
    assert walked == [
        ("a", 0, "dev", ()),
        ("in", 0, "dev", ()),
        ("in / x", 1, "inner", ("since version 2 of inner",)),
        ("sane", 0, "dev", ()),
        ("tail", 0, "dev", ("if the test of tail passes",)),
        ("dev/sub / part", 1, "dev/sub", ("if dev/sub is needed", "since version 3 of dev/sub")),
        (
            "dev/sub / part / x",
            2,
            "inner",
            ("if dev/sub is needed", "since version 3 of dev/sub", "since version 2 of inner"),
        ),
    ]


def test_walk_counts_what_the_dump_prints() -> None:
    """As many fields as the dump of real devices prints; the pattern matches names and paths."""
    real = vmdump.open(NEW)
    for name in ("e1000", "virtio-net-device", "PIIX4_PM", "isa-fdc"):
        assert len(list(real[name].walk())) == real[name].n_fields
    assert {each.name for each in real["e1000"].walk("*tso*")} == {
        each.name for each in real["e1000"].walk() if "tso" in each.path
    }
    assert [each.path for each in real["isa-serial"].walk("tsr")] == ["state / serial/tsr / tsr"]
    assert real["isa-serial"].vmsd_name == "serial"


def test_walk_deep_and_wide() -> None:
    """Nesting deeper than Python's stack is walked; a tree that shares itself is walked lazily."""
    vmsd = desc("leaf", field("x"))
    for _ in range(900):
        vmsd = desc("d", struct("f", vmsd))
    assert max(each.depth for each in dump(dev=vmsd)["dev"].walk()) == 900
    vmsd = desc("leaf", field("x"))
    for _ in range(60):
        vmsd = desc("d", struct("f", vmsd), struct("g", vmsd))
    assert next(each for each in dump(dev=vmsd)["dev"].walk() if each.name == "x").depth == 60


def test_parts_and_standalone_walk() -> None:
    """What find returns can be walked, too."""
    made = dump(desc("dev", field("a")), roots=((desc("cpu", field("b"), field("c")), "register"),))
    (cpu,) = made.find("cpu")
    assert [each.path for each in cpu.walk()] == ["b", "c"]
    assert repr(cpu) == "<StandaloneVMState 'cpu' (register), 2 fields>"
    (part,) = vmdump.open(NEW).find("serial/tsr")
    assert [each.name for each in part.walk()] == ["tsr_retry", "thr", "tsr"]


# Lookup and equality ------------------------------------------------------------------------------------------------


def test_key_error_names_what_there_is() -> None:
    """A KeyError points at standalone descriptions and similar names; it can be pickled."""
    made = dump(desc("e1000", field("a")), roots=((desc("cpu", field("b")), "register"),))
    assert "cpu" not in made
    assert made.get("cpu") is None
    with pytest.raises(KeyError) as caught:
        made["cpu"]
    assert str(caught.value).startswith(
        "no device type 'cpu'; standalone descriptions have that name: see dump.standal"
    )
    with pytest.raises(UnknownDeviceError, match=r"no device type 'e100'; did you mean e1000\?"):
        made["e100"]
    assert "did you mean e1000?" in str(pickle.loads(pickle.dumps(UnknownDeviceError(made, "e100"))))
    assert "no device type 7" in str(UnknownDeviceError(made, 7))


def test_equality_is_by_content() -> None:
    """Equal devices in any order, whatever the machine; not another field, name or number of devices."""
    one, two = desc("one", field("a")), desc("two", field("b"))
    made = dump(one, two)
    assert made == dump(one, two)
    assert made == dump(two, one)
    assert made != dump(one)
    assert made != dump(one, desc("two", field("c")))
    assert made != dump(one, desc("twO", field("b")))
    assert made != {"one": None}
    assert dump() == dump()
    assert vmdump.open(NEW) == vmdump.open(NEW)
    assert vmdump.open(NEW) != vmdump.open(OLD)
    with pytest.raises(TypeError, match="unhashable"):
        hash(made)


# Reprs and help -----------------------------------------------------------------------------------------------------


def test_reprs_are_short() -> None:
    """One line each, with what identifies the object."""
    real = vmdump.open(NEW)
    assert repr(real) == f"<DeviceDump of {real.machine!r}: {len(real)} devices>"
    assert repr(real["e1000"]) == "<Device 'e1000' version 2, 89 fields>"
    assert (
        repr(real["isa-serial"].vmsd) == "<VMStateDescription 'serial' version 3, minimum 2: 1 fields, 0 subsections>"
    )
    nested = VMStateField(
        "in", vmsd=VMStateDescription("inner"), flags=VMStateFlags.STRUCT, size=8, field_exists=has_tail
    )
    assert repr(nested) == "VMStateField('in', size=8, flags=STRUCT, vmsd='inner', field_exists=has_tail)"
    result = vmdump.check(OLD, NEW, types="e1000", directions="forward")
    for each in (result, *result.findings, *real["e1000"].walk()):
        assert len(repr(each)) < 400
        assert "\n" not in repr(each)
    made = dump(desc("dev"), roots=((desc("cpu"), "register"),))
    assert repr(made) == "<DeviceDump of 'none': 1 devices, 1 standalone descriptions>"
    with vmdump.Session(builtin=False, entry_points=False, module_dirs=[]) as session:
        assert re.fullmatch(r"<Session: <TypeTable: \d+ types>, <ModuleLoader: \d+ modules, 0 loaded>>", repr(session))


def test_help_is_short_and_useful() -> None:
    """help(vmdump) begins with a session; help(vmdump.open) explains each parameter within a screen or two."""
    whole = pydoc.plain(pydoc.render_doc(vmdump))
    assert len(whole.splitlines()) < 600
    head = whole.split("PACKAGE CONTENTS")[0]
    assert len(head.splitlines()) < 40
    for word in ("vmdump.open", "walk", "vmdump.check", "vmdump.lint", "findings", "Session"):
        assert word in head
    text = pydoc.plain(pydoc.render_doc(vmdump.open))
    assert len(text.splitlines()) < 60
    for name in inspect.signature(vmdump.open).parameters:
        assert f"{name}: " in text
    assert "directions" in pydoc.plain(pydoc.render_doc(vmdump.check)).split("PACKAGE CONTENTS")[0]


def test_open_is_not_in_all() -> None:
    """`from vmdump import *` leaves Python's open alone; vmdump.open is there and listed."""
    names: dict[str, object] = {}
    exec("from vmdump import *", names)
    assert "open" not in names
    assert names["check"] is vmdump.check
    assert "open" in dir(vmdump)


# Deprecated names ---------------------------------------------------------------------------------------------------


def test_deprecated_names_work_and_warn() -> None:
    """Old spellings do what the new ones do, with a warning that names these and points at the caller."""
    made = dump(desc("dev", field("a")), roots=((desc("cpu", field("b")), "register"),))
    with pytest.warns(DeprecationWarning, match=r"vmdump\.Root .* use vmdump\.StandaloneVMState"):
        assert vmdump.Root is vmdump.StandaloneVMState  # type: ignore[attr-defined]
    with pytest.warns(DeprecationWarning, match=r"use DeviceDump\.standalone") as caught:
        assert [each.name for each in made.roots] == ["cpu"]
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=r"use Device\.vmsd_name"):
        assert made["dev"].description == "dev"
    with pytest.warns(DeprecationWarning, match=r"roots= .* use standalone=") as caught:
        assert made.to_bytes(extended=True, roots=False) == made.to_bytes(extended=True, standalone=False)
    assert caught[0].filename == __file__


def test_deprecated_root_of_open(tmp_path: Path) -> None:
    """root= is sysroot=; both are too many."""
    with pytest.warns(DeprecationWarning, match="root= .* use sysroot=") as caught, pytest.raises(SourceError):
        vmdump.open(tmp_path / "x", root=tmp_path / "none")
    assert caught[0].filename == __file__
    with pytest.raises(TypeError, match="root= is the deprecated name of sysroot="):
        vmdump.open(tmp_path / "x", root=tmp_path, sysroot=tmp_path)


def test_new_names_do_not_warn(tmp_path: Path) -> None:
    """Nothing within vmdump uses the old names."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = vmdump.open(NEW)
        made.write(tmp_path / "x.json", extended=True, standalone=False)
        assert made.find("cpu") == ()


# Arguments that exclude each other ----------------------------------------------------------------------------------


def test_arguments_that_do_not_apply(tmp_path: Path) -> None:
    """Arguments that the source has no use for are refused, by name."""
    path = tmp_path / "x.json"
    vmdump.open().write(path)
    host = vmdump.HostProfile()
    for arguments, text in (
        ({"sysroot": tmp_path}, "sysroot= does not apply to dump files"),
        ({"host": host, "sysroot": tmp_path}, "sysroot= does not apply"),
        ({"module_dirs": ["/x"]}, "module_dirs= does not apply"),
        ({"machine": "pc"}, "machine= does not apply to dump files"),
    ):
        with pytest.raises(VmdumpError, match=text):
            vmdump.open(path, **arguments)  # type: ignore[arg-type]
    with pytest.raises(VmdumpError, match="run= does not apply"):
        vmdump.open(run=True)
    with pytest.raises(VmdumpError, match="run= does not apply to dump files"):
        vmdump.open(path, run=True, host=host)
    with (
        vmdump.Session(entry_points=False) as session,
        pytest.raises(VmdumpError, match="module_dirs= does not apply to a Session"),
    ):
        vmdump.open(session, module_dirs=["/x"])
    with pytest.raises(TypeError, match="engine= and extended= exclude each other"):
        vmdump.open().to_bytes(engine=vmdump.Engine.FAST, extended=True)


# Logging ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda dump: vmdump.open(3), "source must be a path (str or os.PathLike), a Session or None, not int"),
        (lambda dump: vmdump.open(b"x"), "source must be a path (str or os.PathLike), a Session or None, not bytes"),
        (lambda dump: vmdump.check(dump, 3), "a source must be a path, a DeviceDump or a Labelled dump, not int"),
        (lambda dump: vmdump.lint(None), "a source must be a path, a DeviceDump or a Labelled dump, not NoneType"),
        (lambda dump: dump.find(3), "name must be a str, not int"),
        (lambda dump: list(dump["e1000"].walk(3)), "pattern must be a str or None, not int"),
        (lambda dump: dump.to_bytes(engine="fast"), "engine must be a vmdump.Engine or None, not str"),
        (lambda dump: dump.write(3), "target must be a path or a binary file, not int"),
    ],
)
def test_wrong_types(call: Callable[[vmdump.DeviceDump], object], text: str) -> None:
    """An argument of a wrong type is a TypeError that names the types that are accepted."""
    with pytest.raises(TypeError, match=re.escape(text)):
        call(vmdump.open())


def test_warnings_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without report=, warnings are records of the logger vmdump; with it, they are not logged."""
    (tmp_path / "bad.py").write_text("VMDUMP_STAMP = (")
    reports: list[object] = []
    with caplog.at_level(logging.WARNING, logger="vmdump"):
        vmdump.open(module_dirs=[tmp_path], report=reports.append)
        assert not caplog.records
        vmdump.open(module_dirs=[tmp_path])
    assert [each.name for each in caplog.records] == ["vmdump"]
    assert caplog.messages == list(map(str, reports))
    assert "bad.py:1" in caplog.messages[0]


def test_logging_is_imported_for_a_message_only() -> None:
    """A library that has nothing to say does not import logging."""
    code = (
        "import sys, vmdump\n"
        f"dump = vmdump.open({str(NEW)!r})\n"
        "dump['e1000'].version_id, dump.to_bytes()\n"
        "assert 'logging' not in sys.modules, 'logging'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_import_costs_nothing() -> None:
    """`import vmdump` imports no other module of the package, and nothing that Python has not loaded itself."""
    code = "import sys; before = set(sys.modules); import vmdump; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["__future__", "vmdump"]


def test_device_dump_is_a_mapping() -> None:
    """What a Mapping has works: len, iteration, items, get."""
    made = dump(desc("one", field("a")), desc("two", field("b")))
    assert isinstance(made, DeviceDump)
    assert [name for name, _ in made.items()] == ["one", "two"] == list(made)
    assert made.get("two") is made["two"]

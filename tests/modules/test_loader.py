"""The module table and the loader: the rules of QEMU's util/module.c case by case, with a recording opener."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import EXAMPLES

from vmdump.errors import ModuleError, QOMError
from vmdump.modules.loader import ModuleLoader
from vmdump.modules.model import ModuleInfo, ModuleLoad, ModuleState
from vmdump.modules.table import module_search_dirs, read_module_table

ERROR, NOT_FOUND, LOADED, ALREADY_LOADED = ModuleLoad


class Types:
    """The part of a type table that the loader uses: a registration that is rolled back on failure."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @contextlib.contextmanager
    def registration(self) -> Iterator[None]:
        before = list(self.names)
        try:
            yield
        except BaseException:
            self.names = before
            raise


class Opener:
    """Opens any file, records opened and finished modules, and raises or calls the entry of ``on_open``."""

    def __init__(self, kind: str = "fake", suffix: str = ".fake") -> None:
        self.kind, self.suffix = kind, suffix
        self.opened: list[str] = []
        self.paths: list[str] = []
        self.exported: list[str] = []
        self.finished: list[str] = []
        self.on_open: dict[str, Exception | Callable[[], object]] = {}
        self.on_finish: dict[str, Exception] = {}

    def read_info(self, path: str) -> ModuleInfo | None:
        text = Path(path).read_text()
        if text == "broken":
            raise ModuleError(f"failed to open module: {path}: broken")
        return ModuleInfo("name-in-file", objs=tuple(text.split()), kind=self.kind) if text else None

    def open(self, name: str, path: str, export_symbols: bool, types: Types) -> Opened:
        self.opened.append(name)
        self.paths.append(path)
        if export_symbols:
            self.exported.append(name)
        types.names.append(f"type-of-{name}")
        action = self.on_open.get(name)
        if isinstance(action, Exception):
            raise action
        if action is not None:
            action()
        return Opened(self, name)


class Opened:
    def __init__(self, opener: Opener, name: str) -> None:
        self.opener, self.name = opener, name

    def finish(self) -> None:
        self.opener.finished.append(self.name)
        if self.name in self.opener.on_finish:
            raise self.opener.on_finish[self.name]


class House:
    """A loader over one module dir, with access to its parts."""

    def __init__(self, directory: Path, *table: ModuleInfo, files: str = "", arch: str | None = "x86_64") -> None:
        self.directory, self.opener, self.types = directory, Opener(), Types()
        self.reported: list[ModuleError] = []
        for name in files.split():
            (directory / f"{name}.fake").touch()
        self.loader = ModuleLoader(
            table,
            module_arch=arch,
            search_dirs=[directory],
            openers=[self.opener],
            types=self.types,
            report=self.reported.append,
        )

    def load(self, name: str) -> tuple[ModuleLoad, list[str]]:
        """Return the return code and the texts stored in errp."""
        errors: list[ModuleError] = []
        result = self.loader.module_load("", name, errors.append)
        return result, [str(error) for error in errors]

    def path(self, name: str) -> str:
        return f"{self.directory}/{name}.fake"

    def states(self) -> dict[str, str]:
        return {row.name: row.state.value for row in self.loader.states()}


def self_link(path: Path) -> None:
    """A symlink to itself: access fails with ELOOP, for root too."""
    path.symlink_to(path.name)


# --- return codes ---------------------------------------------------------------------------------------------------


def test_return_codes_are_qemus() -> None:
    """The return codes of util/module.c."""
    assert [int(code) for code in ModuleLoad] == [-1, 0, 1, 2]


def test_loaded_then_already_loaded(tmp_path: Path) -> None:
    """1 the first time, 2 afterwards, and the file is opened once."""
    house = House(tmp_path, files="usb")
    assert [house.load("usb"), house.load("usb")] == [(LOADED, []), (ALREADY_LOADED, [])]
    assert house.opener.paths == [house.path("usb")]


def test_name_is_prefix_plus_name(tmp_path: Path) -> None:
    """``block_module_load("iscsi")`` is ``module_load("block-", "iscsi")``."""
    house = House(tmp_path, files="block-iscsi")
    assert house.loader.module_load("block-", "iscsi") == LOADED
    assert house.loader.module_load("", "block-iscsi") == ALREADY_LOADED


def test_not_installed_is_no_error(tmp_path: Path) -> None:
    """A module in no dir gives 0 without an error; once installed, it loads."""
    house = House(tmp_path)
    assert house.load("usb") == (NOT_FOUND, [])
    Path(house.path("usb")).touch()
    assert house.load("usb") == (LOADED, [])


@pytest.mark.parametrize(
    ("module_arch", "row_arch", "passes"),
    [
        ("x86_64", None, True),
        (None, None, True),
        ("x86_64", "x86_64", True),
        ("x86_64", "s390x", False),
        (None, "s390x", False),
        ("x86_64", "x86", False),
    ],
)
def test_module_check_arch(tmp_path: Path, module_arch: str | None, row_arch: str | None, passes: bool) -> None:
    """A row without arch passes; a loader without module_arch fails; otherwise they must be equal."""
    row = ModuleInfo("usb", arch=row_arch)
    house = House(tmp_path, row, files="usb", arch=module_arch)
    assert house.loader.module_check_arch(row) is passes
    assert house.load("usb")[0] == (LOADED if passes else ERROR)


@pytest.mark.parametrize(("module_arch", "expected"), [("x86_64", "x86_64"), (None, "(null)")])
def test_arch_mismatch_text(tmp_path: Path, module_arch: str | None, expected: str) -> None:
    """The text of util/module.c; without a module_arch, "(null)" as printed by glibc's printf."""
    house = House(tmp_path, ModuleInfo("ccw", arch="s390x", deps=("usb",)), files="ccw usb", arch=module_arch)
    assert house.load("ccw") == (ERROR, [f"module arch does not match: expected '{expected}', got 's390x'"])
    assert house.opener.opened == []


# --- deps -----------------------------------------------------------------------------------------------------------


def test_deps_come_first_and_recursively(tmp_path: Path) -> None:
    """Depth first, in the order of each row's deps, each once."""
    table = [
        ModuleInfo("gl", deps=("opengl", "core")),
        ModuleInfo("opengl", deps=("base",)),
        ModuleInfo("core", deps=("base",)),
    ]
    house = House(tmp_path, *table, files="gl opengl core base")
    assert house.load("gl") == (LOADED, [])
    assert house.opener.opened == ["base", "opengl", "core", "gl"]


def test_missing_dep_ends_with_zero(tmp_path: Path) -> None:
    """A missing dep gives 0 for the whole chain; later deps are not tried, and all are reset to not loaded."""
    table = [ModuleInfo("top", deps=("middle", "other")), ModuleInfo("middle", deps=("gone",))]
    house = House(tmp_path, *table, files="top middle other")
    assert house.load("top") == (NOT_FOUND, [])
    assert house.opener.opened == []
    Path(house.path("gone")).touch()
    assert house.load("top") == (LOADED, [])


def test_failing_dep_ends_with_its_error(tmp_path: Path) -> None:
    """A failing dep gives -1 and its one error for the whole chain; deps loaded before it stay."""
    house = House(tmp_path, ModuleInfo("top", deps=("good", "bad", "never")), files="top good bad never")
    house.opener.on_open["bad"] = ModuleError("failed to open module: no")
    text = f"failed to open module: no (module=bad, path={house.path('bad')})"
    assert house.load("top") == (ERROR, [text])
    assert house.load("good") == (ALREADY_LOADED, [])
    del house.opener.on_open["bad"]
    assert house.load("top") == (LOADED, [])


def test_cyclic_deps_end(tmp_path: Path) -> None:
    """A name counts as loaded from the start; in a cycle the last one reached is opened first."""
    table = [ModuleInfo("a", deps=("b",)), ModuleInfo("b", deps=("c",)), ModuleInfo("c", deps=("a", "c"))]
    house = House(tmp_path, *table, files="a b c")
    assert house.load("a") == (LOADED, [])
    assert house.opener.opened == ["c", "b", "a"]


def test_failure_in_a_cycle_resets_only_the_failed_module(tmp_path: Path) -> None:
    """In a cycle, b is loaded while a counts as loaded; if a fails, b stays and a may be tried again."""
    house = House(tmp_path, ModuleInfo("a", deps=("b",)), ModuleInfo("b", deps=("a",)), files="a b")
    house.opener.on_open["a"] = ModuleError("failed to open module: no")
    assert house.load("a")[0] == ERROR
    assert house.load("b") == (ALREADY_LOADED, [])
    assert house.load("a")[0] == ERROR


def test_symbols_are_exported_to_dependents_only(tmp_path: Path) -> None:
    """Symbols are exported if another row depends on the module, loaded or not; a dep on itself does not count."""
    table = [ModuleInfo("user", deps=("lib",)), ModuleInfo("self", deps=("self",)), ModuleInfo("lone")]
    house = House(tmp_path, *table, files="lib self lone")
    for name in ("lib", "self", "lone"):
        house.load(name)
    assert house.opener.exported == ["lib"]


def test_ten_thousand_deps_deep(tmp_path: Path) -> None:
    """The chain of deps may be deeper than Python's stack."""
    count = 10_000
    table = [ModuleInfo(f"m{i}", deps=(f"m{i + 1}",)) for i in range(count)]
    house = House(tmp_path, *table)
    assert house.load("m0") == (NOT_FOUND, [])
    one_file = tmp_path / "any.fake"
    one_file.touch()
    house = House(tmp_path, *(ModuleInfo(row.name, deps=row.deps, path=str(one_file)) for row in table))
    Path(house.path(f"m{count}")).touch()
    assert house.load("m0") == (LOADED, [])
    assert house.opener.opened == [f"m{i}" for i in range(count, -1, -1)]


MODULES = ["m0", "m1", "m2", "m3", "m4", "gone"]
GRAPHS = st.fixed_dictionaries({name: st.lists(st.sampled_from(MODULES), max_size=3) for name in MODULES})
SOME = st.sets(st.sampled_from(MODULES), max_size=2)


@settings(max_examples=3 * EXAMPLES)
@given(deps=GRAPHS, wrong_arch=SOME, failing=SOME, calls=st.lists(st.sampled_from(MODULES), min_size=1, max_size=6))
def test_any_graph_loads_as_the_spec_says(
    tmp_path_factory: pytest.TempPathFactory,
    deps: dict[str, list[str]],
    wrong_arch: set[str],
    failing: set[str],
    calls: list[str],
) -> None:
    """The loader's explicit stack agrees with a recursive restatement of the rules."""
    directory = tmp_path_factory.getbasetemp() / "graph"
    directory.mkdir(exist_ok=True)
    loaded: set[str] = set()
    opened: list[str] = []
    errors: list[str] = []

    def module_load(name: str) -> int:
        if name in loaded:
            return 2
        loaded.add(name)
        result = load_new(name)
        if result != 1:
            loaded.remove(name)
        return result

    def load_new(name: str) -> int:
        if name in wrong_arch:
            errors.append("module arch does not match: expected 'x86_64', got 's390x'")
            return -1
        for dep in deps[name]:
            result = module_load(dep)
            if result <= 0:
                return result
        if name == "gone":
            return 0
        opened.append(name)
        if name in failing:
            errors.append(f"failed to open module: no (module={name}, path={directory}/{name}.fake)")
            return -1
        return 1

    table = [ModuleInfo(name, deps=tuple(deps[name]), arch="s390x" if name in wrong_arch else None) for name in MODULES]
    house = House(directory, *table, files="m0 m1 m2 m3 m4")
    house.opener.on_open = {name: ModuleError("failed to open module: no") for name in failing}
    got = [house.load(name) for name in calls]
    assert [int(result) for result, _ in got] == [module_load(name) for name in calls]
    assert [text for _, texts in got for text in texts] == errors
    assert house.opener.opened == opened
    assert set(house.opener.exported) == {n for n in opened if any(n in deps[m] for m in MODULES if m != n)}
    assert {name for name, state in house.states().items() if state == "loaded"} == loaded
    assert house.types.names == [f"type-of-{name}" for name in opened if name in loaded]


# --- the search -----------------------------------------------------------------------------------------------------


def loader_over(*dirs: Path, openers: list[Opener], table: tuple[ModuleInfo, ...] = ()) -> ModuleLoader:
    return ModuleLoader(table, module_arch=None, search_dirs=dirs, openers=openers, types=Types())


def test_dirs_in_order_past_missing_ones(tmp_path: Path) -> None:
    """ENOENT and ENOTDIR lead to the next dir; the first match is used."""
    file, first, second = tmp_path / "file", tmp_path / "1", tmp_path / "2"
    file.touch()
    for directory in (first, second):
        directory.mkdir()
        (directory / "usb.fake").touch()
    opener = Opener()
    loader = loader_over(tmp_path / "nowhere", file, first, second, openers=[opener])
    assert loader.module_load("", "usb") == LOADED
    assert opener.paths == [f"{first}/usb.fake"]


def test_other_access_error_stops_the_search(tmp_path: Path) -> None:
    """Neither a later dir nor a later suffix is tried."""
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "usb.fake").touch()
    (tmp_path / "usb.py").touch()
    self_link(tmp_path / "usb.fake")
    loader = loader_over(tmp_path, tmp_path / "good", openers=[Opener(), Opener("python", ".py")])
    assert loader.module_load("", "usb") == ERROR
    reason = os.strerror(errno.ELOOP)
    assert [str(error) for error in loader.errors] == [f"error trying to access {tmp_path}/usb.fake: {reason}"]


def test_name_too_long_or_impossible(tmp_path: Path) -> None:
    """ENAMETOOLONG is handled as any access error; so is a NUL, which no C string has."""
    house = House(tmp_path)
    long = "x" * 300
    assert house.load(long) == (
        ERROR,
        [f"error trying to access {house.path(long)}: {os.strerror(errno.ENAMETOOLONG)}"],
    )
    result, [text] = house.load("a\0b")
    assert (result, "\0" in text) == (ERROR, False)
    assert text.startswith(f"error trying to access '{tmp_path}/a\\x00b.fake': ")


def test_suffixes_in_order_within_a_dir(tmp_path: Path) -> None:
    """A dir's second suffix precedes the next dir's first."""
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    for path in (near / "both.so", near / "both.py", near / "usb.py", far / "usb.so"):
        path.touch()
    c, python = Opener("c", ".so"), Opener("python", ".py")
    loader = loader_over(near, far, openers=[c, python])
    loader.module_load("", "both")
    loader.module_load("", "usb")
    assert (c.paths, python.paths) == ([f"{near}/both.so"], [f"{near}/usb.py"])


def test_row_of_a_kind_is_opened_by_that_kind(tmp_path: Path) -> None:
    """The file from which the row was read is opened."""
    (tmp_path / "both.so").touch()
    (tmp_path / "both.py").touch()
    c, python = Opener("c", ".so"), Opener("python", ".py")
    loader = loader_over(tmp_path, openers=[c, python], table=(ModuleInfo("both", kind="python"),))
    assert loader.module_load("", "both") == LOADED
    assert (c.paths, python.paths) == ([], [f"{tmp_path}/both.py"])


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_only_regular_files_are_opened(tmp_path: Path, make: Callable[[str], None]) -> None:
    """Files that are not regular are not opened, as opening a FIFO would block."""
    house = House(tmp_path)
    make(house.path("usb"))
    assert house.load("usb") == (ERROR, [f"failed to open module: {house.path('usb')}: not a regular file"])
    assert house.opener.opened == []


def test_configured_path_replaces_the_search(tmp_path: Path) -> None:
    """The configured path is opened, and not the file of that name in the module dir."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    house = House(tmp_path, ModuleInfo("usb", path=str(elsewhere), kind="fake"), files="usb")
    assert house.load("usb") == (LOADED, [])
    assert house.opener.paths == [str(elsewhere)]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            ModuleInfo("usb", path="/nowhere/usb.fake"),
            "failed to open module: no such file (module=usb, path=/nowhere/usb.fake)",
        ),
        (
            ModuleInfo("usb", path="/usb.xyz"),
            "failed to open module: unsupported type of file (module=usb, path=/usb.xyz)",
        ),
        (
            ModuleInfo("usb", path="/usb.fake", kind="qemu"),
            "failed to open module: unsupported type of file (module=usb, path=/usb.fake)",
        ),
    ],
)
def test_configured_path_must_be_good(tmp_path: Path, row: ModuleInfo, text: str) -> None:
    """For a configured path, cases that a search skips are errors with module and path."""
    house = House(tmp_path, row, files="usb")
    assert house.load("usb") == (ERROR, [text])


# --- opening --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (ModuleError("failed to open module: bad magic"), "failed to open module: bad magic"),
        (ModuleError("failed to initialize module: PATH"), "failed to initialize module: PATH"),
        (QOMError("type 'x' is there already"), "failed to initialize module: type 'x' is there already"),
    ],
)
def test_errors_from_opening_carry_module_and_path(tmp_path: Path, raised: Exception, text: str) -> None:
    """The opener's text, then module and file; the cause is kept."""
    house = House(tmp_path, files="usb")
    house.opener.on_open["usb"] = raised
    errors: list[ModuleError] = []
    assert house.loader.module_load("", "usb", errors.append) == ERROR
    assert [str(error) for error in errors] == [f"{text} (module=usb, path={house.path('usb')})"]
    assert errors[0].__cause__ is raised


def test_failing_module_leaves_no_types_behind(tmp_path: Path) -> None:
    """Types registered before a failure are removed."""
    house = House(tmp_path, files="good bad")
    house.opener.on_open["bad"] = ModuleError("failed to initialize module: no")
    house.load("good")
    house.load("bad")
    assert house.types.names == ["type-of-good"]


def test_module_loaded_on_demand_is_removed_with_the_failed_one(tmp_path: Path) -> None:
    """A module loaded within a failing registration is finished and forgotten with it."""
    house = House(tmp_path, ModuleInfo("outer"), ModuleInfo("inner"), files="outer inner")

    def load_inner_then_fail() -> None:
        assert house.load("inner") == (LOADED, [])
        raise ModuleError("failed to initialize module: no")

    house.opener.on_open["outer"] = load_inner_then_fail
    assert house.load("outer")[0] == ERROR
    assert (house.opener.finished, house.types.names) == (["inner"], [])
    assert house.states() == {"outer": "failed", "inner": "not loaded"}
    assert house.load("inner") == (LOADED, [])


def test_interrupt_passes_through_and_forgets(tmp_path: Path) -> None:
    """SIGINT in a module's init propagates; nothing stays half-loaded."""
    house = House(tmp_path, ModuleInfo("top", deps=("usb",)), files="top usb")

    def interrupt() -> None:
        raise KeyboardInterrupt

    house.opener.on_open["usb"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        house.load("top")
    assert (house.types.names, house.states(), house.reported) == ([], {"top": "not loaded", "usb": "not loaded"}, [])
    del house.opener.on_open["usb"]
    assert house.load("top") == (LOADED, [])


def test_error_without_errp_is_kept_and_reported(tmp_path: Path) -> None:
    """With errp an error is stored only there, otherwise in errors and report."""
    house = House(tmp_path, ModuleInfo("ccw", arch="s390x"))
    assert house.load("ccw")[0] == ERROR
    assert (house.loader.errors, house.reported) == ([], [])
    house.loader.module_load("", "ccw")
    assert [str(error) for error in house.reported] == ["module arch does not match: expected 'x86_64', got 's390x'"]
    assert house.loader.errors == house.reported


def test_two_rows_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two rows of one name are an error; QEMU's table, made from file names, has none."""
    with pytest.raises(ModuleError, match="two rows of the module table are named 'usb'"):
        House(tmp_path, ModuleInfo("usb"), ModuleInfo("usb", arch="s390x"))


def test_two_threads_open_a_module_once(tmp_path: Path) -> None:
    """The second thread waits for the first and then finds the module loaded."""
    house = House(tmp_path, files="usb")
    opening, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        opening.set()
        assert go_on.wait(10)

    house.opener.on_open["usb"] = wait
    results: list[ModuleLoad] = []
    threads = [threading.Thread(target=lambda: results.append(house.load("usb")[0])) for _ in range(2)]
    threads[0].start()
    assert opening.wait(10)
    threads[1].start()
    threads[1].join(0.05)
    assert results == []
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == [LOADED, ALREADY_LOADED]
    assert house.opener.opened == ["usb"]


def test_loaders_are_independent(tmp_path: Path) -> None:
    """Loaders share no loaded modules."""
    first, second = House(tmp_path, files="usb"), House(tmp_path)
    assert (first.load("usb"), second.load("usb")) == ((LOADED, []), (LOADED, []))


# --- QOM types ------------------------------------------------------------------------------------------------------


def load_qom(house: House, typename: str | None) -> tuple[ModuleLoad, list[str]]:
    errors: list[ModuleError] = []
    return house.loader.module_load_qom(typename, errors.append), [str(error) for error in errors]


def test_module_load_qom_loads_the_provider(tmp_path: Path) -> None:
    """By type name: 2 once loaded; 0 for a type in no row or whose module is not installed."""
    house = House(tmp_path, ModuleInfo("usb", objs=("u1", "u2")), ModuleInfo("gone", objs=("g",)), files="usb u1")
    assert load_qom(house, "u2") == (LOADED, [])
    assert load_qom(house, "u1") == (ALREADY_LOADED, [])
    assert load_qom(house, "g") == (NOT_FOUND, [])
    assert load_qom(house, "unknown") == (NOT_FOUND, [])
    assert house.opener.opened == ["usb"]


def test_module_load_qom_needs_a_type(tmp_path: Path) -> None:
    """NULL fails, as in QEMU."""
    assert load_qom(House(tmp_path), None) == (ERROR, ["type is NULL"])


def test_two_providers_are_an_error(tmp_path: Path) -> None:
    """A second provider is an error; the first is loaded by then."""
    house = House(tmp_path, ModuleInfo("one", objs=("usb",)), ModuleInfo("two", objs=("usb",)), files="one two")
    assert load_qom(house, "usb") == (ERROR, ["multiple modules providing 'usb'"])
    assert house.opener.opened == ["one"]
    assert load_qom(house, "usb") == (ERROR, ["multiple modules providing 'usb'"])


def test_second_provider_counts_only_when_the_first_is_there(tmp_path: Path) -> None:
    """Providers that are not installed or for another arch do not count."""
    table = [
        ModuleInfo("gone", objs=("usb",)),
        ModuleInfo("ccw", arch="s390x", objs=("usb",)),
        ModuleInfo("two", objs=("usb",)),
    ]
    house = House(tmp_path, *table, files="ccw two")
    assert load_qom(house, "usb") == (LOADED, [])
    assert house.opener.opened == ["two"]


def test_failing_provider_ends_the_search(tmp_path: Path) -> None:
    """-1 with its error; the next provider is not tried."""
    house = House(tmp_path, ModuleInfo("one", objs=("usb",)), ModuleInfo("two", objs=("usb",)), files="one two")
    house.opener.on_open["one"] = ModuleError("failed to open module: no")
    text = f"failed to open module: no (module=one, path={house.path('one')})"
    assert load_qom(house, "usb") == (ERROR, [text])
    assert house.opener.opened == ["one"]


def test_load_qom_all_goes_on_after_every_failure(tmp_path: Path) -> None:
    """Rows in table order, skipping those without objs or for another arch; failures are reported and loading
    continues.
    """
    table = [
        ModuleInfo("z", objs=("t1",)),
        ModuleInfo("bad1", objs=("t2",)),
        ModuleInfo("ui", opts=("spice",)),
        ModuleInfo("ccw", arch="s390x", objs=("t3",)),
        ModuleInfo("bad2", objs=("t4",)),
        ModuleInfo("gone", objs=("t5",)),
        ModuleInfo("a", objs=("t6",)),
    ]
    house = House(tmp_path, *table, files="z bad1 ui ccw bad2 a")
    house.opener.on_open = {name: ModuleError("failed to open module: no") for name in ("bad1", "bad2")}
    house.loader.module_load_qom_all()
    assert house.opener.opened == ["z", "bad1", "bad2", "a"]
    assert [str(error) for error in house.reported] == [
        f"failed to open module: no (module={name}, path={house.path(name)})" for name in ("bad1", "bad2")
    ]
    assert house.loader.errors == house.reported


def test_load_qom_all_runs_once(tmp_path: Path) -> None:
    """The second call does nothing."""
    house = House(tmp_path, ModuleInfo("bad", objs=("t",)), files="bad")
    house.opener.on_open["bad"] = ModuleError("failed to open module: no")
    house.loader.module_load_qom_all()
    house.loader.module_load_qom_all()
    assert house.opener.opened == ["bad"]
    assert len(house.loader.errors) == 1


# --- finish and states ----------------------------------------------------------------------------------------------


def test_finish_in_reverse_order_and_once(tmp_path: Path) -> None:
    """Last loaded first; failures are reported and the rest finished; afterwards nothing is loaded again."""
    house = House(tmp_path, ModuleInfo("top", deps=("lib",)), files="top lib other")
    house.load("other")
    house.load("top")
    house.opener.on_finish["lib"] = ModuleError("failed to finish module: no")
    house.loader.module_finish()
    house.loader.module_finish()
    assert house.opener.finished == ["top", "lib", "other"]
    assert [str(error) for error in house.reported] == ["failed to finish module: no"]
    assert house.load("top") == (ALREADY_LOADED, [])


def test_states_of_all_rows(tmp_path: Path) -> None:
    """One row for each module: kind, state, file, reason."""
    table = [
        ModuleInfo("ok", objs=("t",), opts=("spice",), kind="fake"),
        ModuleInfo("bad"),
        ModuleInfo("ccw", arch="s390x"),
        ModuleInfo("gone"),
        ModuleInfo("top", deps=("gone",)),
        ModuleInfo("idle"),
        ModuleInfo("loop"),
        ModuleInfo("ccw-loop", arch="s390x"),
    ]
    house = House(tmp_path, *table, files="ok bad ccw top idle extra")
    self_link(tmp_path / "loop.fake")
    self_link(tmp_path / "ccw-loop.fake")
    house.opener.on_open["bad"] = ModuleError("failed to open module: no")
    for name in ("ok", "bad", "ccw", "top", "extra", "nothing"):
        house.load(name)
    rows = {row.name: row for row in house.loader.states()}
    assert {name: (row.state.value, row.file and Path(row.file).name, row.error) for name, row in rows.items()} == {
        "ok": ("loaded", "ok.fake", None),
        "bad": ("failed", "bad.fake", f"failed to open module: no (module=bad, path={house.path('bad')})"),
        "ccw": ("arch mismatch", "ccw.fake", "module arch does not match: expected 'x86_64', got 's390x'"),
        "gone": ("not found", None, "module 'gone' is not in any module directory"),
        "top": ("not found", "top.fake", "module 'gone' is not in any module directory"),
        "idle": ("not loaded", "idle.fake", None),
        "loop": (
            "not loaded",
            None,
            f"error trying to access {house.path('loop')}: {os.strerror(errno.ELOOP)}",
        ),
        "ccw-loop": ("arch mismatch", None, "module arch does not match: expected 'x86_64', got 's390x'"),
        "extra": ("loaded", "extra.fake", None),
        "nothing": ("not found", None, "module 'nothing' is not in any module directory"),
    }
    assert list(rows) == [row.name for row in table] + ["extra", "nothing"]
    assert (rows["ok"].kind, rows["ok"].objs, rows["ok"].opts, rows["ccw"].arch) == (
        "fake",
        ("t",),
        ("spice",),
        "s390x",
    )
    assert rows["top"].deps == ("gone",)


def test_arch_mismatch_shows_before_loading(tmp_path: Path) -> None:
    """module_load_qom_all skips such a row without an error; its state has the reason."""
    house = House(tmp_path, ModuleInfo("ccw", arch="s390x", objs=("t",)), files="ccw")
    house.loader.module_load_qom_all()
    [row] = house.loader.states()
    assert (row.state, row.error) == (
        ModuleState.ARCH_MISMATCH,
        "module arch does not match: expected 'x86_64', got 's390x'",
    )
    assert house.loader.errors == []


def test_a_later_success_replaces_the_failure(tmp_path: Path) -> None:
    """States have the last outcome, not the worst."""
    house = House(tmp_path, ModuleInfo("usb"))
    house.load("usb")
    assert house.states() == {"usb": "not found"}
    Path(house.path("usb")).touch()
    house.load("usb")
    assert house.states() == {"usb": "loaded"}


# --- where modules are ----------------------------------------------------------------------------------------------


def test_search_dirs_in_order() -> None:
    """The explicit ones, $QEMU_MODULE_DIR (one dir, colons included), the relocated one, the one for upgrades."""
    assert module_search_dirs(
        ["mine", Path("/yours")],
        environ={"QEMU_MODULE_DIR": "/env:/x"},
        executable="/opt/v/bin/python3",
        version="8.2.2 (Debian 1:8.2.2+ds-1~bpo12+1)",
    ) == [
        "mine",
        "/yours",
        "/env:/x",
        "/opt/v/bin/../lib/vmdump/modules",
        "/var/run/qemu/8.2.2__Debian_1_8.2.2+ds-1~bpo12+1_",
    ]


@pytest.mark.parametrize("executable", ["", None])
def test_search_dirs_with_empty_settings(executable: str | None) -> None:
    """Empty settings count as unset."""
    arguments = {"environ": {"QEMU_MODULE_DIR": ""}, "executable": executable, "version": "1"}
    assert module_search_dirs(**arguments, upgrades=False) == []
    assert module_search_dirs(**arguments) == ["/var/run/qemu/1"]


def test_version_dir_keeps_only_plain_characters() -> None:
    """Digits and letters of other scripts are outside G_CSET_* as well; slashes are replaced."""
    [directory] = module_search_dirs(environ={}, executable=None, version="../٣é_A-z.9~+/x")
    assert directory == "/var/run/qemu/..____A-z.9~+_x"


def test_relocation_does_not_follow_the_link_of_a_virtual_environment(tmp_path: Path) -> None:
    """A virtual environment's python is a link to the system's; modules are looked up in the environment."""
    for path in ("system/bin", "venv/bin", "venv/lib/vmdump/modules"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "system/bin/python3").touch()
    (tmp_path / "venv/bin/python3").symlink_to(tmp_path / "system/bin/python3")
    [directory] = module_search_dirs(
        environ={}, executable=str(tmp_path / "venv/bin/python3"), version="1", upgrades=False
    )
    assert os.path.samefile(directory, tmp_path / "venv/lib/vmdump/modules")


# --- the table ------------------------------------------------------------------------------------------------------


def test_table_is_sorted_within_a_dir_and_first_dir_wins(tmp_path: Path) -> None:
    """Names come from the files; the second dir adds names absent from the first; installed ones come last."""
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    (near / "z.fake").write_text("z-type z-other")
    (near / "a.fake").write_text("a-type")
    (near / "a-b.fake").write_text("ab-type")
    (far / "a.fake").write_text("never")
    (far / "m.fake").write_text("m-type")
    errors: list[ModuleError] = []
    installed = [ModuleInfo("z", objs=("never",)), ModuleInfo("e", path="/e.py")]
    table = read_module_table([near, str(far)], [Opener()], report=errors.append, installed=installed)
    assert [(row.name, row.objs) for row in table] == [
        ("a", ("a-type",)),
        ("a-b", ("ab-type",)),
        ("z", ("z-type", "z-other")),
        ("m", ("m-type",)),
        ("e", ()),
    ]
    assert {row.kind for row in table[:4]} == {"fake"}
    assert errors == []


def test_table_asks_the_openers_in_order(tmp_path: Path) -> None:
    """For one name the first opener that accepts the file is used; two kinds may share a suffix."""
    (tmp_path / "both.so").write_text("from-so")
    (tmp_path / "both.py").write_text("from-py")
    (tmp_path / "plain.so").write_text("")
    (tmp_path / "plain.py").write_text("from-py")
    c, python, other = Opener("c", ".so"), Opener("python", ".py"), Opener("qemu", ".so")
    other.read_info = lambda path: ModuleInfo("x", kind="qemu")  # type: ignore[method-assign]
    table = read_module_table([tmp_path], [c, python], report=pytest.fail)
    assert [(row.name, row.kind) for row in table] == [("both", "c"), ("plain", "python")]
    table = read_module_table([tmp_path], [c, other], report=pytest.fail)
    assert [(row.name, row.kind) for row in table] == [("both", "c"), ("plain", "qemu")]


def test_table_skips_other_files(tmp_path: Path) -> None:
    """Missing dirs, files without modinfo, other suffixes and dangling links are skipped."""
    (tmp_path / "empty.fake").touch()
    (tmp_path / "readme.txt").write_text("text")
    (tmp_path / "dangling.fake").symlink_to("nowhere")
    assert (
        read_module_table([tmp_path / "gone", tmp_path / "readme.txt", tmp_path], [Opener()], report=pytest.fail) == []
    )


def test_table_reports_what_it_can_not_read_and_goes_on(tmp_path: Path) -> None:
    """Unreadable dirs and broken modules are reported; a broken one hides a later one of its name, as in the loader."""
    loop, near, far = tmp_path / "loop", tmp_path / "near", tmp_path / "far"
    self_link(loop)
    near.mkdir()
    far.mkdir()
    (near / "bad.fake").write_text("broken")
    (far / "bad.fake").write_text("type")
    (near / "good.fake").write_text("type")
    self_link(near / "linked.fake")
    os.mkfifo(near / "pipe.fake")
    errors: list[ModuleError] = []
    table = read_module_table([loop, "nul\0", near, far], [Opener()], report=errors.append)
    assert [row.name for row in table] == ["good"]
    texts = [str(error) for error in errors]
    assert texts[0] == f"error trying to access {loop}: {os.strerror(errno.ELOOP)}"
    assert texts[1].startswith("error trying to access ")
    assert texts[2:] == [
        f"failed to open module: {near}/bad.fake: broken",
        f"error trying to access {near}/linked.fake: {os.strerror(errno.ELOOP)}",
        f"failed to open module: {near}/pipe.fake: not a regular file",
    ]

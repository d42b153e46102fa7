"""Dependencies of modules: their order, missing and failing ones, cycles, any graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import EXAMPLES
from support.module_loader import ALREADY_LOADED, ERROR, LOADED, NOT_FOUND, Setup

from vmdump.errors import ModuleError
from vmdump.modules.model import ModuleInfo


def test_deps_come_first_and_recursively(tmp_path: Path) -> None:
    """Depth first, in the order of each row's deps, each once."""
    table = [
        ModuleInfo("gl", deps=("opengl", "core")),
        ModuleInfo("opengl", deps=("base",)),
        ModuleInfo("core", deps=("base",)),
    ]
    setup = Setup(tmp_path, *table, files="gl opengl core base")
    assert setup.load("gl") == (LOADED, [])
    assert setup.opener.opened == ["base", "opengl", "core", "gl"]


def test_missing_dep_ends_with_zero(tmp_path: Path) -> None:
    """A missing dep gives 0 for the whole chain; later deps are not tried, and all are reset to not loaded."""
    table = [ModuleInfo("top", deps=("middle", "other")), ModuleInfo("middle", deps=("gone",))]
    setup = Setup(tmp_path, *table, files="top middle other")
    assert setup.load("top") == (NOT_FOUND, [])
    assert setup.opener.opened == []
    Path(setup.path("gone")).touch()
    assert setup.load("top") == (LOADED, [])


def test_failing_dep_ends_with_its_error(tmp_path: Path) -> None:
    """A failing dep gives -1 and its one error for the whole chain; deps loaded before it stay."""
    setup = Setup(tmp_path, ModuleInfo("top", deps=("good", "bad", "never")), files="top good bad never")
    setup.opener.on_open["bad"] = ModuleError("failed to open module: no")
    text = f"failed to open module: no (module=bad, path={setup.path('bad')})"
    assert setup.load("top") == (ERROR, [text])
    assert setup.load("good") == (ALREADY_LOADED, [])
    del setup.opener.on_open["bad"]
    assert setup.load("top") == (LOADED, [])


def test_cyclic_deps_end(tmp_path: Path) -> None:
    """A name counts as loaded from the start; in a cycle the last one reached is opened first."""
    table = [ModuleInfo("a", deps=("b",)), ModuleInfo("b", deps=("c",)), ModuleInfo("c", deps=("a", "c"))]
    setup = Setup(tmp_path, *table, files="a b c")
    assert setup.load("a") == (LOADED, [])
    assert setup.opener.opened == ["c", "b", "a"]


def test_failure_in_a_cycle_resets_only_the_failed_module(tmp_path: Path) -> None:
    """In a cycle, b is loaded while a counts as loaded; if a fails, b stays and a may be tried again."""
    setup = Setup(tmp_path, ModuleInfo("a", deps=("b",)), ModuleInfo("b", deps=("a",)), files="a b")
    setup.opener.on_open["a"] = ModuleError("failed to open module: no")
    assert setup.load("a")[0] == ERROR
    assert setup.load("b") == (ALREADY_LOADED, [])
    assert setup.load("a")[0] == ERROR


def test_symbols_are_exported_to_dependents_only(tmp_path: Path) -> None:
    """Symbols are exported if another row depends on the module, loaded or not; a dep on itself does not count."""
    table = [ModuleInfo("user", deps=("lib",)), ModuleInfo("self", deps=("self",)), ModuleInfo("lone")]
    setup = Setup(tmp_path, *table, files="lib self lone")
    for name in ("lib", "self", "lone"):
        setup.load(name)
    assert setup.opener.exported == ["lib"]


def test_ten_thousand_deps_deep(tmp_path: Path) -> None:
    """The chain of deps may be deeper than Python's stack."""
    count = 10_000
    table = [ModuleInfo(f"m{i}", deps=(f"m{i + 1}",)) for i in range(count)]
    setup = Setup(tmp_path, *table)
    assert setup.load("m0") == (NOT_FOUND, [])
    one_file = tmp_path / "any.fake"
    one_file.touch()
    setup = Setup(tmp_path, *(ModuleInfo(row.name, deps=row.deps, path=str(one_file)) for row in table))
    Path(setup.path(f"m{count}")).touch()
    assert setup.load("m0") == (LOADED, [])
    assert setup.opener.opened == [f"m{i}" for i in range(count, -1, -1)]


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
    setup = Setup(directory, *table, files="m0 m1 m2 m3 m4")
    setup.opener.on_open = {name: ModuleError("failed to open module: no") for name in failing}
    got = [setup.load(name) for name in calls]
    assert [int(result) for result, _ in got] == [module_load(name) for name in calls]
    assert [text for _, texts in got for text in texts] == errors
    assert setup.opener.opened == opened
    assert set(setup.opener.exported) == {n for n in opened if any(n in deps[m] for m in MODULES if m != n)}
    assert {name for name, state in setup.states().items() if state == "loaded"} == loaded
    assert setup.types.names == [f"type-of-{name}" for name in opened if name in loaded]

"""Dependencies of modules: their order, missing and failing ones, cycles, any graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import EXAMPLES
from support.module_loader import ALREADY_LOADED, ERROR, LOADED, NOT_FOUND, House

from vmdump.errors import ModuleError
from vmdump.modules.model import ModuleInfo


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

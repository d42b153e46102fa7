"""The import graph of the package and the include graph of the C core have no cycles."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest
from support.paths import ROOT

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "vmdump").rglob("*.py")
}


#: Where an import stands: at module level, in a function, or under ``if TYPE_CHECKING``, which is never executed.
MODULE, FUNCTION, TYPES = "module", "function", "types"


def imports(node: ast.AST, place: str = MODULE) -> Iterator[tuple[str, str]]:
    """Yield the names that code imports, and the place of each import."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, place) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from ((f"{child.module}.{alias.name}", place) for alias in child.names)
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for branch, where in ((child.body, TYPES), (child.orelse, place)):
                yield from (found for statement in branch for found in imports(ast.Module([statement], []), where))
        else:
            is_function = place == MODULE and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            yield from imports(child, FUNCTION if is_function else place)


def module_of(name: str) -> str | None:
    """Return the module of the package that an imported name is, or is in."""
    parts = name.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 1, -1))
    return next((prefix for prefix in prefixes if prefix in MODULES), None)


def import_graph(places: set[str]) -> dict[str, set[str]]:
    """Return the modules that each module imports in these places. The C core and the package itself are left out."""
    graph = {}
    for name, path in MODULES.items():
        found = {module_of(each) for each, place in imports(ast.parse(path.read_text())) if place in places}
        graph[name] = {each for each in found if each is not None and each != name}
    return graph


@pytest.mark.parametrize(
    ("places", "at_least"),
    [({MODULE}, 500), ({MODULE, FUNCTION}, 800), ({MODULE, FUNCTION, TYPES}, 1000)],
    ids=["at start", "all", "with types"],
)
def test_no_cycle_of_imports(places: set[str], at_least: int) -> None:
    """Imports of files point one way: at module level, with those in functions, and with those for type checkers."""
    graph = import_graph(places)
    assert sum(map(len, graph.values())) > at_least
    TopologicalSorter(graph).prepare()


def test_folders_are_layers() -> None:
    """What one folder of the package imports, in functions too, does not import that folder."""
    graph: dict[str, set[str]] = {}
    for name, imported in import_graph({MODULE, FUNCTION}).items():
        folder, *others = (".".join(each.split(".")[:2]) for each in (name, *imported))
        graph.setdefault(folder, set()).update(set(others) - {folder})
    assert sum(map(len, graph.values())) > 80
    TopologicalSorter(graph).prepare()


def test_cache_knows_no_readers() -> None:
    """The cache imports none of the folders that read what it stores; those import it."""
    imported = {
        each.split(".")[1]
        for name, each_imported in import_graph({MODULE, FUNCTION}).items()
        if name.startswith("vmdump.cache.")
        for each in each_imported
    }
    assert "files" in imported
    assert imported.isdisjoint({"emulator", "machines", "sources"})


def include_graph() -> dict[str, set[str]]:
    """Return the files of the C core that each of its files includes."""
    core = ROOT / "csrc"
    return {
        str(path.relative_to(core)): set(re.findall(r'^#include "(.*)"', path.read_text(), re.MULTILINE))
        for path in core.rglob("*.[ch]")
    }


def test_no_cycle_of_includes() -> None:
    """Headers and sources of the C core include one way."""
    graph = include_graph()
    assert sum(map(len, graph.values())) > 100
    TopologicalSorter(graph).prepare()


def test_folders_of_the_core_are_layers() -> None:
    """What one folder of the C core includes does not include that folder."""
    graph: dict[str, set[str]] = {}
    for name, included in include_graph().items():
        folder, *others = (each.split("/")[0] for each in (name, *included))
        graph.setdefault(folder, set()).update(set(others) - {folder})
    assert sum(map(len, graph.values())) > 10
    TopologicalSorter(graph).prepare()

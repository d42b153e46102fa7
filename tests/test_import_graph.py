"""The import graph of the package and the include graph of the C core have no cycles."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter

from support.paths import ROOT

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "vmdump").rglob("*.py")
}


def imports(node: ast.AST) -> Iterator[str]:
    """Yield the names that code imports, in functions too, but not for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from (name for other in child.orelse for name in imports(other))
        else:
            yield from imports(child)


def module_of(name: str) -> str | None:
    """Return the module of the package that an imported name is, or is in."""
    parts = name.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 1, -1))
    return next((prefix for prefix in prefixes if prefix in MODULES), None)


def test_no_cycle_of_imports() -> None:
    """Imports point one way, those in functions included. The C core and the package itself are no modules here."""
    graph = {}
    for name, path in MODULES.items():
        found = {module_of(each) for each in imports(ast.parse(path.read_text()))}
        graph[name] = found - {None, name}
    assert sum(map(len, graph.values())) > 500
    TopologicalSorter(graph).prepare()


def test_no_cycle_of_includes() -> None:
    """Headers and sources of the C core include one way."""
    core = ROOT / "csrc"
    graph = {
        str(path.relative_to(core)): set(re.findall(r'^#include "(.*)"', path.read_text(), re.MULTILINE))
        for path in core.rglob("*.[ch]")
    }
    assert sum(map(len, graph.values())) > 100
    TopologicalSorter(graph).prepare()

"""Every example in a docstring of the package runs."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import vmdump

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(vmdump.__path__, "vmdump.")
    if name not in ("vmdump._core", "vmdump.__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's doctests run."""
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert not result.failed


@pytest.mark.parametrize(
    "name", [name for name in dir(vmdump) if name not in ("__version__", "vmstate") and not name.endswith("Error")]
)
def test_public_names_have_examples(name: str) -> None:
    """Every public name has an example, or one of its methods has."""
    assert any(test.examples for test in doctest.DocTestFinder().find(getattr(vmdump, name), name))

"""The drawings in docs/images are those that docs/site/drawings.py makes."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from support.paths import ROOT

IMAGES = sorted(ROOT.glob("docs/images/*.svg"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawings, made anew in a copy of docs/."""
    docs = tmp_path_factory.mktemp("copy") / "docs"
    (docs / "site").mkdir(parents=True)
    (docs / "images").mkdir()
    for path in (ROOT / "docs" / "site").glob("*.py"):
        (docs / "site" / path.name).write_bytes(path.read_bytes())
    subprocess.run([sys.executable, docs / "site" / "drawings.py"], check=True)
    return docs / "images"


def test_files_are_current(drawn: Path) -> None:
    """Each file is what the code draws: python docs/site/drawings.py writes them."""
    made = sorted(drawn.iterdir())
    assert len(made) >= 5
    for path in made:
        assert (ROOT / "docs" / "images" / path.name).read_text() == path.read_text(), path.name


@pytest.mark.parametrize("path", IMAGES, ids=[path.stem for path in IMAGES])
def test_is_shown_and_self_contained(path: Path) -> None:
    """A drawing is well-formed, refers to nothing outside of itself, and a page or the site shows it."""
    text = path.read_text()
    ElementTree.fromstring(text)
    assert not re.search(r"(href|url\(|@import|<script)", text)
    pages = [page.read_text() for page in ROOT.glob("docs/**/*.md")]
    assert any(f"images/{path.name}" in page for page in [*pages, (ROOT / "mkdocs.yml").read_text()])


@pytest.mark.parametrize("path", IMAGES, ids=[path.stem for path in IMAGES])
def test_names_files_that_are_there(path: Path) -> None:
    """Folders and files that a drawing names are in the repository, or in the package."""
    for name in re.findall(r"\b[a-z]+/[a-z_/]*(?:\.[cp]y?)?", re.sub(r"<[^>]*>", " ", path.read_text())):
        assert (ROOT / name).exists() or (ROOT / "vmdump" / name).exists(), name

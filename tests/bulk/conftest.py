"""Fixtures of the tests of vmdump bulk: directories of sources."""

import shutil
from pathlib import Path

import pytest
from support.bulk import TARGETS
from support.paths import DATA


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A directory with dumps of two versions, some compressed, among other files."""
    directory = tmp_path / "sources"
    for version in ("7.2.22", "10.0.13"):
        folder = directory / f"qemu-{version}"
        folder.mkdir(parents=True)
        for target in TARGETS:
            shutil.copy(DATA / "dumps" / f"qemu-{version}" / f"{target}.json.xz", folder / f"{target}.json.xz")
    (directory / "notes.txt").write_text("vmschkmachine")
    (directory / "other.json").write_text('{"a": 1}')
    (directory / "nothing").touch()
    return directory

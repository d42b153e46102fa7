"""What a release needs agrees: versions, the notes of a version, the Pythons that are tested and named."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.paths import ROOT

import vmdump

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def test_version_of_debians_package() -> None:
    """The newest entry of debian/changelog packages this version."""
    first = (ROOT / "debian/changelog").read_text().partition("\n")[0]
    assert re.fullmatch(rf"vmdump \({re.escape(vmdump.__version__)}-\d+\) \w+; urgency=\w+", first)


def test_pythons() -> None:
    """The classifiers name the Pythons that the workflow tests, of which the oldest is required."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [each.rpartition(" ")[2] for each in project["classifiers"] if re.search(r":: 3\.\d+$", each)]
    workflow = (ROOT / ".github/workflows/tests.yml").read_text()
    tested = re.findall(r'"(3\.\d+)"', re.search(r"python: \[(.*)\]", workflow)[1])  # type: ignore[index]
    assert named == tested == PYTHONS
    assert project["requires-python"] == f">={PYTHONS[0]}"


def test_actions_are_pinned() -> None:
    """Workflows and the action use others' actions by the hash of a commit, with the version as a comment."""
    for path in (ROOT / "action.yml", *(ROOT / ".github/workflows").glob("*.yml")):
        for use in re.findall(r"uses: (.*)$", path.read_text(), re.MULTILINE):
            assert re.match(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), f"{path.name}: {use}"


def test_git_in_containers() -> None:
    """Jobs in a container, whose files belong to another user, install git before checkout, and scripts allow it."""
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        for job in re.split(r"^  (?=\S+:$)", path.read_text(), flags=re.MULTILINE):
            if re.search(r"^    container:", job, re.MULTILINE):
                before, _, after = job.partition("uses: actions/checkout@")
                assert after
                assert re.search(r"apt-get install .*\bgit\b", before), job
    for path in (ROOT / ".ci").iterdir():
        for options in re.findall(r"\bgit ((?:-\S+ \S+ )*)ls-files\b", path.read_text()):
            assert options == '-c safe.directory="$PWD" ', path.name


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose version 1.2.3 has notes; 1.2.30 and 1.2 are others."""
    for name in ("packaging", "vmdump"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "packaging/release-notes", tmp_path / "packaging")
    (tmp_path / "vmdump/version.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n- newer\n\n## 1.2.30 - 2027-01-02\n\n- other\n\n## 1.2.3 - 2027-01-01\n\n"
        "### Added\n\n- this\n\n## 1.2 - 2026-01-01\n\n- older\n"
    )
    return tmp_path


def notes(checkout: Path, version: str) -> subprocess.CompletedProcess[str]:
    """Run packaging/release-notes."""
    command = [sys.executable, checkout / "packaging/release-notes", version]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_release_notes(checkout: Path) -> None:
    """The notes of a release are the section of its version."""
    done = notes(checkout, "1.2.3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "### Added\n\n- this\n", "")


def test_no_release_without_notes(checkout: Path) -> None:
    """A tag of another version, and a version without a dated section, are refused."""
    other = notes(checkout, "1.2.30")
    assert (other.returncode, other.stdout) == (1, "")
    assert other.stderr == "release-notes: 1.2.30 is not the version in vmdump/version.py\n"
    (checkout / "CHANGELOG.md").write_text("## 1.2.3\n\n- this\n")
    undated = notes(checkout, "1.2.3")
    assert (undated.returncode, undated.stdout) == (1, "")
    assert "has no section '## 1.2.3 - YEAR-MONTH-DAY'" in undated.stderr

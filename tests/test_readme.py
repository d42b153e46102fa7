"""README.md and docs/ are true: their commands print what they show, their Python runs, their C compiles."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import DATA, ROOT
from support.qemu import find_qemu

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str, pages: list[Path] = PAGES) -> list[str]:
    """The fenced blocks of a language, of all pages."""
    return [
        block
        for page in pages
        for block in re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    ]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the files that the pages name, and vmdump in the PATH."""
    shutil.copy(DATA / "dumps" / "qemu-10.0.13" / "x86_64.json.xz", tmp_path)
    shutil.copy(DATA / "dumps" / "qemu-7.2.22" / "x86_64.json.xz", tmp_path / "old.json.xz")
    for version, name in (("7.2.22", "qemu-7.2"), ("10.0.13", "qemu-10.0")):
        (tmp_path / name).mkdir()
        shutil.copy(DATA / "dumps" / f"qemu-{version}" / "x86_64.json.xz", tmp_path / name)
    (tmp_path / "my-timer.c").write_text(blocks("c")[0])
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "python").symlink_to(sys.executable)
    (bin_dir / "vmdump").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vmdump "$@"\n')
    (bin_dir / "vmdump").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{bin_dir}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def commands(language: str = "console") -> list[tuple[str, str]]:
    """Yield every ``$ command`` with its output."""
    parts = [part for block in blocks(language) for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


@pytest.mark.qemu
@pytest.mark.slow
def test_commands_with_a_qemu(directory: Path) -> None:
    """Commands that read Debian's QEMU 7.2 print what the README shows."""
    find_qemu("x86_64")
    assert len(commands("console qemu")) >= 2
    check(commands("console qemu"))


def test_commands(directory: Path) -> None:
    """Each command prints what the README shows."""
    assert len(commands()) >= 6
    check(commands())


def check(commands: list[tuple[str, str]]) -> None:
    """Run commands and compare their output with the expected one."""
    for command, output in commands:
        done = subprocess.run(
            ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
        )
        assert done.stdout == output, command


def test_python(directory: Path) -> None:
    """The Python examples run as doctests."""
    assert run_python("python") > 8
    assert (directory / "q35.json").exists()


@pytest.mark.slow
@pytest.mark.qemu
def test_python_with_a_qemu(directory: Path) -> None:
    """Python examples that read Debian's QEMU 7.2 run as doctests."""
    find_qemu("x86_64")
    assert run_python("python qemu") > 8


def run_python(language: str) -> int:
    """Run the blocks of a language as doctests, those of a page together, and return the number of examples."""
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for page in PAGES:
        text = "\n".join(blocks(language, [page]))
        runner.run(doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0))
    assert not runner.failures
    return runner.tries


def test_ci_runs_the_test_command() -> None:
    """.ci/run has the README's test command verbatim."""
    (command,) = [line.partition("  ")[0] for block in blocks("sh") for line in block.splitlines() if "--dev " in line]
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_gate(directory: Path) -> None:
    """The gate exits with the worst result, writes pages and dumps, and the CI recipes use the same command."""
    gate = ROOT / "examples" / "gate"
    done = subprocess.run([gate, "qemu-7.2", "qemu-10.0"], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert sorted(re.findall(r"^breaks +(\S+)", done.stdout, re.MULTILINE)) == ["am53c974", "dc390", "sysbus-esp"]
    assert sorted(path.name for path in (directory / "migration" / "pages").iterdir()) == ["index.html", "x86_64.html"]
    usage = subprocess.run([gate], capture_output=True, text=True, check=False)
    assert (usage.returncode, usage.stdout, usage.stderr) == (2, "", "usage: gate OLD NEW [OUT]\n")
    assert "vmdump gate old new -o migration" in (gate.parent / "gitlab-ci.yml").read_text()
    assert re.search(r"/vmdump\"? gate -o", (ROOT / "action.yml").read_text())


@pytest.mark.slow
def test_gate_in_a_directory_of_another_run(directory: Path) -> None:
    """The gate's result is that of its arguments, whatever the output directory had; damaged sources are errors."""
    gate = ROOT / "examples" / "gate"
    same = directory / "same"
    shutil.copytree("qemu-10.0", same)
    assert subprocess.run([gate, "qemu-7.2", "qemu-10.0"], capture_output=True, check=False).returncode == 1
    # A downgrade is checked in the given order, in a directory filled by another run.
    down = subprocess.run([gate, same, "qemu-7.2"], capture_output=True, text=True, check=False)
    assert down.returncode == 1, down.stderr
    assert "vmdump: dropped qemu-10.0/x86_64.json.xz: " in down.stderr
    assert re.search(r"^x86_64 +same -> 7\.2: \d+ breaks, ", down.stdout, re.MULTILINE)
    assert subprocess.run([gate, same, same, "itself"], capture_output=True, check=False).returncode == 0
    assert subprocess.run([gate, "qemu-10.0", same, "out"], capture_output=True, check=False).returncode == 0
    (same / "x86_64.json.xz").write_bytes(b"{ broken")
    (same / "arm.json").write_text('{ "vmschkmachine": {')
    assert subprocess.run([gate, "qemu-10.0", same, "new"], capture_output=True, check=False).returncode == 3


def test_links() -> None:
    """Every file that a page points to is there."""
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())]
    assert links
    assert [(page.name, link) for page, link in links if ":" not in link and not (page.parent / link).exists()] == []

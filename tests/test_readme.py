"""README.md and docs/ are true: their commands print what they show, their Python runs, their C compiles."""

import doctest
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.paths import DATA, ROOT
from support.qemu import find_qemu

from vmdump.check.config import load_config
from vmdump.cli import build_parser

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
IMAGES = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))

#: Languages of blocks that are run. "qemu": with Debian's QEMU 7.2 in /usr/bin; "images": with the packages of QEMU 7.2
#: in old/, those of 10.0 in new/, and the packages unpacked in 7.2/ and 10.0/.
RUN = ("console", "console qemu", "console images", "python", "python qemu", "c")

#: Languages of blocks that are forms of commands: their options are checked. Of the others, files have to be valid.
FORMS = ("sh",)
FILES = ("toml", "json", "yaml", "sql", "text")


def blocks(language: str, pages: list[Path] = PAGES) -> list[str]:
    """The fenced blocks of a language, of all pages."""
    return [block for page in pages for name, block in fences(page) if name == language]


def fences(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page, with their languages."""
    return re.findall(r"^```([^`\n]*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def pages_with(language: str) -> list[object]:
    """The pages with blocks of a language, as parameters."""
    names = [page for page in PAGES if blocks(language, [page])]
    assert names, language
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in names]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the files that the pages name, and vmdump in the PATH."""
    shutil.copy(DATA / "dumps" / "qemu-10.0.13" / "x86_64.json.xz", tmp_path)
    shutil.copy(DATA / "dumps" / "qemu-7.2.22" / "x86_64.json.xz", tmp_path / "old.json.xz")
    for version, name in (("7.2.22", "qemu-7.2"), ("10.0.13", "qemu-10.0")):
        (tmp_path / name).mkdir()
        shutil.copy(DATA / "dumps" / f"qemu-{version}" / "x86_64.json.xz", tmp_path / name)
    (tmp_path / "my-timer.c").write_text(blocks("c", [ROOT / "docs" / "devices.md"])[0])
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


def commands(page: Path, language: str) -> list[tuple[str, str]]:
    """The commands of a page, each with its output."""
    return [command for block in blocks(language, [page]) for command in in_block(block)]


def in_block(block: str) -> list[tuple[str, str]]:
    """The lines ``$ command`` of a block, each with its output."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


@pytest.mark.parametrize("page", pages_with("console"))
def test_commands(page: Path, directory: Path) -> None:
    """Each command prints what the page shows."""
    check(commands(page, "console"))


@pytest.mark.qemu
@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("console qemu"))
def test_commands_with_a_qemu(page: Path, directory: Path) -> None:
    """Commands that read Debian's QEMU 7.2 print what the page shows."""
    find_qemu("x86_64")
    check(commands(page, "console qemu"))


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("console images"))
def test_commands_with_packages(page: Path, directory: Path) -> None:
    """Commands that read Debian's packages of QEMU 7.2 and 10.0 print what the page shows."""
    for version, name, short in (("7.2.22", "old", "7.2"), ("10.0.13", "new", "10.0")):
        packages = [*(IMAGES / "debs" / version).glob("qemu-system-[cx]*.deb")]
        if len(packages) != 2:
            assert "VMDUMP_IMAGES" not in os.environ, f"{IMAGES}/debs/{version} lacks qemu-system-common or -x86"
            pytest.skip("needs Debian's packages in $VMDUMP_IMAGES: .ci/images DIRECTORY")
        (directory / name).mkdir()
        for path in packages:
            shutil.copy(path, directory / name)
        (directory / short).symlink_to(IMAGES / version)
    text = page.read_text()
    for file, content, block in re.findall(
        r"^`([\w.-]+)`:\n\n```\w+\n(.*?)^```|^```console images\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    ):
        if file:  # a block that is a file, which the line before names
            (directory / file).write_text(content)
        else:
            check(in_block(block))


def check(commands: list[tuple[str, str]]) -> None:
    """Run commands and compare their output with the expected one."""
    assert commands
    for command, output in commands:
        done = subprocess.run(
            ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
        )
        if "...\n" in output:  # stands for any number of lines
            pattern = ".*".join(map(re.escape, re.split(r"^\.\.\.\n", output, flags=re.MULTILINE)))
            assert re.fullmatch(pattern, done.stdout, re.DOTALL), f"{command}\n{done.stdout}"
        else:
            assert done.stdout == output, command


def test_every_block_is_checked() -> None:
    """Commands are in blocks that are run, or whose options are checked; other blocks are files or output."""
    for page in PAGES:
        for language, block in fences(page):
            assert language in (*RUN, *FORMS, *FILES), (
                f"{page.name}: ```{language}: not run; known: {RUN + FORMS + FILES}"
            )
            if language in FILES:
                assert not re.search(r"^(\$ |vmdump )", block, re.MULTILINE), f"{page.name}: {block}"


@pytest.mark.parametrize("page", pages_with("sh"))
def test_options(page: Path) -> None:
    """The command lines with names to fill in have options that there are, and are valid shell."""
    for block in blocks("sh", [page]):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)
        text = re.sub(r"<<'END'\n.*?^END$", "", block, flags=re.DOTALL | re.MULTILINE).replace("\\\n", " ")
        for words in (shlex.split(line, comments=True) for line in text.splitlines()):
            for command in split_at_operators(words):
                if "vmdump" in command[:1]:
                    build_parser().parse_args(command[1:])


def split_at_operators(words: list[str]) -> list[list[str]]:
    """Split a command line where the shell starts another command; redirections end it."""
    parts: list[list[str]] = [[]]
    for word in words:
        if re.fullmatch(r"\||\|\||&&|;|do|then|if|!|[<>]+.*", word):
            parts.append([])
        else:
            parts[-1].append(word)
            if word.endswith(";"):
                parts[-1][-1] = word[:-1]
                parts.append([])
    return parts


def test_files(directory: Path) -> None:
    """Configurations in TOML are ones of vmdump, and JSON is valid."""
    for page in PAGES:
        for block in blocks("toml", [page]):
            table = tomllib.loads(block)
            if "accept" in table or "ignore" in table or "fail-on" in table:
                Path("vmdump.toml").write_text(block)
                load_config("vmdump.toml")
        for block in blocks("json", [page]):
            json.loads(block)


@pytest.mark.parametrize("page", pages_with("python"))
def test_python(page: Path, directory: Path) -> None:
    """The Python examples run as doctests."""
    run_python(page, "python")


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.parametrize("page", pages_with("python qemu"))
def test_python_with_a_qemu(page: Path, directory: Path) -> None:
    """Python examples that read Debian's QEMU 7.2 run as doctests."""
    find_qemu("x86_64")
    run_python(page, "python qemu")


def run_python(page: Path, language: str) -> None:
    """Run the blocks of a language as one doctest."""
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks(language, [page])), {}, page.name, str(page), 0)
    assert test.examples
    runner.run(test)
    assert not runner.failures


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
    pages = sorted(path.name for path in (directory / "migration" / "pages").iterdir())
    assert pages == ["devices.html", "index.html", "x86_64.html"]
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
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())]
    assert links
    assert [(page.name, link) for page, link in links if ":" not in link and not (page.parent / link).exists()] == []


def test_paths() -> None:
    """Files that a page names in backquotes are in the repository: below the root or vmdump/; scripts/ is QEMU's."""
    form = r"`((?!scripts/)(?:[a-z_.]+/)+[a-z_0-9-]+\.(?:py|c|h|json|md))`"
    named = [(page.name, path) for page in PAGES for path in re.findall(form, page.read_text())]
    assert len(named) > 10
    assert [each for each in named if not any((ROOT / top / each[1]).exists() for top in ("", "vmdump"))] == []

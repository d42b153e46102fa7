"""The man pages and the completions that packaging/share.py makes, as they are installed in share/ of a prefix."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT
from support.requirements import require

from vmdump.cli import COMMANDS
from vmdump.cli.source_arguments import _DIRECTORY, _FILE

shtab = pytest.importorskip("shtab")
pytest.importorskip("argparse_manpage")

BASH = "bash-completion/completions/vmdump"


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory share/ of a prefix."""
    directory = tmp_path_factory.mktemp("share")
    subprocess.run([sys.executable, "-P", ROOT / "packaging/share.py", directory], check=True)
    return directory


def test_bash_completion(share: Path) -> None:
    """The script is valid bash, and completes commands and file names."""
    probe = (
        'source "$1"; _shtab_vmdump vmdump d vmdump; echo "${COMPREPLY[@]}"; echo "$_shtab_vmdump_dump_pos_0_COMPGEN"'
    )
    done = subprocess.run(
        ["bash", "-c", f"COMP_WORDS=(vmdump d) COMP_CWORD=1; {probe}", "bash", share / BASH],
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("dump devices doctor\n_shtab_compgen_files\n", "")


@pytest.mark.parametrize(
    ("shell", "name"), [("zsh", "zsh/site-functions/_vmdump"), ("fish", "fish/vendor_completions.d/vmdump.fish")]
)
def test_other_completions(share: Path, shell: str, name: str) -> None:
    """zsh and fish accept their scripts, which have all commands."""
    text = (share / name).read_text()
    assert all(re.search(rf"\b{command}\b", text) for command in COMMANDS)
    require(shutil.which(shell), shell)
    subprocess.run([shell, "-n", share / name], check=True)


def test_fish_completes_commands_and_files(share: Path, tmp_path: Path) -> None:
    """fish offers the commands, and files where a SOURCE is expected."""
    require(shutil.which("fish"), "fish")
    (tmp_path / "some.json").touch()
    script = share / "fish/vendor_completions.d/vmdump.fish"
    for line, expected in (("vmdump do", "doctor"), ("vmdump dump so", "some.json")):
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"],
            capture_output=True, text=True, cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert expected in [each.partition("\t")[0] for each in done.stdout.splitlines()], done.stderr


def test_files_are_completed_as_shtab_completes_them() -> None:
    """The completions of files and directories are restated from shtab."""
    assert _FILE.items() <= shtab.FILE.items()
    assert _DIRECTORY.items() <= shtab.DIRECTORY.items()


def test_man_pages(share: Path) -> None:
    """There is a page for vmdump, which lists the commands, and one for each, with its options and exit codes."""
    pages = {path.name: path.read_text() for path in (share / "man/man1").iterdir()}
    assert set(pages) == {"vmdump.1", *(f"vmdump-{command}.1" for command in COMMANDS)}
    for command in COMMANDS:
        text = pages[f"vmdump-{command}.1"]
        assert text.startswith(rf'.TH VMDUMP\-{command.upper()} "1"')
        assert f".BR vmdump\\-{command} (1)" in pages["vmdump.1"]
        assert re.search(rf"^vmdump\\-{command} \\- \w", text, re.MULTILINE)
        assert "\n.SH EXIT STATUS\n" in text
        assert "\n.SH EXAMPLES\n" in text
    assert r"\fB\-\-direction\fR" in pages["vmdump-check.1"]


def test_man_pages_have_no_warnings(share: Path) -> None:
    """groff formats each page without a warning."""
    require(shutil.which("groff"), "groff")
    for page in sorted((share / "man/man1").iterdir()):
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", page], capture_output=True, text=True)
        assert done.stderr == "", page.name

"""The commands in general: help and usage errors."""

import re
import shlex

import pytest
from support.commands import run, run_failing

from vmdump.cli import COMMANDS, build_parser
from vmdump.version import __version__


@pytest.mark.parametrize("argv", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help(argv: list[str]) -> None:
    """Help goes to stdout, has examples that parse, is ASCII, and fits 80 columns."""
    result = run(*argv)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.isascii()
    assert max(map(len, result.stdout.splitlines())) <= 80
    lines = re.sub(r" \\\n +", " ", result.stdout)
    examples = re.findall(r"^  vmdump (.*?)(?:   .*| \|.*)?$", lines, re.MULTILINE)
    assert examples
    for example in examples:
        if not example.startswith("-"):
            build_parser().parse_args(shlex.split(example))


def test_narrow_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help wraps to a terminal of 30 columns."""
    monkeypatch.setenv("COLUMNS", "30")
    result = run("dump", "--help")
    assert result.code == 0
    assert "\n  --timeout SECONDS\n" in result.stdout


def test_version() -> None:
    """--version prints vmdump's version."""
    assert run("--version").stdout == f"vmdump {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["frobnicate"], "'frobnicate'"),
        ([""], "no command ''"),
        (["dump", "--frobnicate"], "no option --frobnicate; see vmdump dump --help"),
        (["dump", "a.json", "b.json"], "b.json"),
        (["dump", "--mach", "q35"], "--mach"),
        (["dump", "--engine", "slow"], "'slow'"),
        (["dump", "-o"], "-o/--output"),
        (["dump", "--run", "qemu", "--timeout", "soon"], "'soon' is not a number of seconds up to 1000000"),
        (["dump", "--run", "qemu", "--timeout", "0"], "'0' is not"),
        (["dump", "--run", "qemu", "--timeout", "-1"], "--timeout"),
        (["dump", "--run", "qemu", "--timeout", "nan"], "'nan' is not"),
        (["dump", "--run", "qemu", "--timeout", "inf"], "'inf' is not"),
        (["dump", "--run"], "--run does not apply to the built-in devices; give a QEMU binary as SOURCE"),
        (["dump", "--run", "-M", "help"], "--run does not apply to the built-in devices; give a QEMU binary as SOURCE"),
        (["dump", "--run", "qemu", "--module", "m.py"], "--module does not apply to QEMU binaries that are run"),
        (["dump", "--run", "qemu", "--arch", "arm"], "--arch does not apply to QEMU binaries that are run"),
        (["dump", "x.json", "-M", "q35"], "--machine does not apply to dump files"),
        (["dump", "x.json", "--module-dir", "."], "--module-dir does not apply to dump files"),
        (["devices", "x.json", "-M", "help"], "x.json: a dump file does not list machine types"),
        (["show"], "TYPE"),
        (["show", "x.json", "e1000", "e1000e"], "e1000e"),
        (["modules", "x.json"], "x.json"),
        (["-dump-vmstate"], "--output"),
        (["-M", "q35"], "no command 'q35'"),
    ],
)
def test_usage(argv: list[str], expected: str) -> None:
    """Invalid command lines end with exit code 2 and a message."""
    assert expected in run_failing(2, *argv)

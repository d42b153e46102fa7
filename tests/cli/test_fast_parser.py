"""Command lines parsed without argparse: with argparse's result, or not at all."""

from collections.abc import Sequence
from importlib import import_module

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vmdump.cli import COMMANDS, _read, build_parser
from vmdump.errors import VmdumpError

#: Words of command lines: options with and without values, values, mistakes, and forms that only argparse parses.
WORDS = [
    "-o", "-", "--", "-M", "q35", "--machine", "--machine=pc", "--machine=", "--output=-x", "-ofile", "--engine",
    "fast", "slow", "--engine=stdio", "--timeout", "5", "--timeout=1e9", "-5", "--run", "--run=1", "--module-dir",
    "dir", "--no-cache", "--clear",
    "--module=a=b", "--module", "--json", "--load", "--arch", "", "x y", "-x y", "--frobnicate", "--help", "-h",
    "--mach", "x.json", "e1000", "-é", "-Mq35", "--timeout=nan",
    "0", "0x1",
    "--matrix", "-v", "--direction", "forward", "--type=a*", "--type", "--format", "json", "--jobs", "--fail-on",
]  # fmt: skip

PARSER = build_parser()


def parse(argv: Sequence[str]) -> dict[str, object] | None:
    """Return argparse's result, or None if it prints help or an error."""
    try:
        return vars(PARSER.parse_args(argv))
    except Exception:
        return None


@settings(max_examples=3000)
@given(st.builds(lambda command, words: [command, *words], st.sampled_from(COMMANDS), st.lists(st.sampled_from(WORDS))))
@example(["dump", "--module", "a", "x", "--module=b", "-o", "-"])
@example(["show", "x.json", "--run", "e1000"])
@example(["check", "a", "-v", "b"])
@example(["check", "-v", "a", "b", "--direction", "forward"])
def test_as_argparse(argv: list[str]) -> None:
    """Any command line that the fast parser accepts has argparse's result."""
    args = _read(argv)
    if args is not None:
        assert vars(args) == parse(argv)


@pytest.mark.parametrize(
    "argv",
    [
        "dump", "dump x.json -o y.json", "dump x.json", "dump - --output -",
        "dump -M q35 --module-dir a --module-dir b", "dump qemu --engine stdio --timeout 2.5 --run",
        "dump --machine=pc qemu", "show e1000", "show x.json e1000", "show x.json cpu 0x0",
        "cache --clear", "dump --no-cache qemu",
        "show x.json --arch=arm e1000", "devices --json x.json", "modules --load --module=m.py",
        "check a b", "check --matrix a b c --format json", "check --type x a b --type=y -v", "lint x.json",
        "bulk a b -o out --jobs 2",
    ],
)  # fmt: skip
def test_good(argv: str) -> None:
    """The usual command lines are accepted, with argparse's result."""
    args = _read(argv.split())
    assert args is not None
    assert vars(args) == parse(argv.split())


@pytest.mark.parametrize(
    "argv",
    [
        [], ["--help"], ["frobnicate"], ["dump", "--help"], ["dump", "-oy"], ["dump", "--", "x"], ["dump", "a", "b"],
        ["dump", "-o"], ["dump", "-o", "-x"], ["dump", "--run=1"], ["dump", "--engine", "slow"], ["show"],
        ["dump", "--timeout", "soon"], ["dump", "--mach", "q35"],
    ],
)  # fmt: skip
def test_left_to_argparse(argv: list[str]) -> None:
    """All others are left to argparse."""
    assert _read(argv) is None


def test_every_default_is_a_new_list() -> None:
    """List defaults are not shared between command lines."""
    assert _read(["dump", "--module", "a"]).module == ["a"]
    assert _read(["dump"]).module == []


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_have_help(command: str) -> None:
    """Each command's file has the strings that the parser's help is built from."""
    module = import_module(f"vmdump.cli.{command}")
    with pytest.raises(Exception, match=module.HELP[1:20]) as caught:
        PARSER.parse_args([command, "--help"])
    assert not isinstance(caught.value, VmdumpError)

"""vmdump dump parsed without argparse: as argparse parses it, or not at all."""

from collections.abc import Sequence
from importlib import import_module

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.examples import EXAMPLES

from vmdump.cli import COMMANDS, _parse_dump, build_parser
from vmdump.errors import VmdumpError

#: Words of command lines: options with and without values, values, errors, and spellings that only argparse accepts.
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
    """The values that argparse finds; None for help or an error."""
    try:
        return vars(PARSER.parse_args(argv))
    except Exception:
        return None


@settings(max_examples=30 * EXAMPLES)
@given(st.lists(st.sampled_from(WORDS)))
@example(["--module", "a", "x", "--module=b", "-o", "-"])
@example(["--root", "/", "x", "--host=memfd=off"])
def test_as_argparse(words: list[str]) -> None:
    """What the fast parser accepts, argparse parses to the same values."""
    argv = ["dump", *words]
    args = _parse_dump(argv)
    if args is not None:
        assert vars(args) == parse(argv)


@pytest.mark.parametrize(
    "argv",
    [
        "dump", "dump x.json -o y.json", "dump x.json", "dump - --output -",
        "dump -M q35 --module-dir a --module-dir b", "dump qemu --engine stdio --timeout 2.5 --run",
        "dump --machine=pc qemu", "dump --no-cache qemu",
    ],
)  # fmt: skip
def test_good(argv: str) -> None:
    """Usual command lines of dump need no argparse, and give the values that argparse gives."""
    args = _parse_dump(argv.split())
    assert args is not None
    assert vars(args) == parse(argv.split())


@pytest.mark.parametrize(
    "argv",
    [
        [], ["--help"], ["frobnicate"], ["dump", "--help"], ["dump", "-oy"], ["dump", "--", "x"], ["dump", "a", "b"],
        ["dump", "-o"], ["dump", "-o", "-x"], ["dump", "--run=1"], ["dump", "--engine", "slow"], ["show"],
        ["dump", "--timeout", "soon"], ["dump", "--mach", "q35"], ["check", "a", "b"], ["lint", "a"],
    ],
)  # fmt: skip
def test_left_to_argparse(argv: list[str]) -> None:
    """Other commands, and everything unusual, are left to argparse."""
    assert _parse_dump(argv) is None


def test_every_default_is_a_new_list() -> None:
    """Values of one command line do not leak into the next."""
    assert _parse_dump(["dump", "--module", "a"]).module == ["a"]
    assert _parse_dump(["dump"]).module == []


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_have_help(command: str) -> None:
    """Each command's file has the strings that the parser's help is built from."""
    module = import_module(f"vmdump.cli.{command}")
    with pytest.raises(Exception, match=module.HELP[1:20]) as caught:
        PARSER.parse_args([command, "--help"])
    assert not isinstance(caught.value, VmdumpError)

"""The pages that the code makes: commands, rules, links to files of the repository, docstrings."""

import argparse
import importlib
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.paths import ROOT

from vmdump.check.rules import rule, rule_ids
from vmdump.cli import COMMANDS, build_parser


def site_module(name: str) -> ModuleType:
    """A module of docs/site."""
    sys.path.insert(0, str(ROOT / "docs" / "site"))
    try:
        return importlib.import_module(name)
    finally:
        del sys.path[0]


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command."""
    actions = build_parser()._actions
    (commands,) = [each for each in actions if isinstance(each, argparse._SubParsersAction)]
    found: argparse.ArgumentParser = commands.choices[command]
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_page_of_a_command(command: str) -> None:
    """The page of a command has every option of its parser, and the notes of its help."""
    page = site_module("command_pages").pages()[f"{command}.md"]
    parser = parser_of(command)
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            for option in action.option_strings:
                assert re.search(rf"^`[^`]*{re.escape(option)}\b", page, re.MULTILINE), option
    assert (parser.epilog or "").rstrip() in page


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_a_command(command: str) -> None:
    """The examples in the help of a command have options that there are."""
    lines = (parser_of(command).epilog or "").replace("\\\n", " ").splitlines()
    examples = [re.split(r"\s{3,}| \| ", each.strip())[0] for each in lines if re.match(r"^  (\| )?vmdump ", each)]
    assert examples or command in ("modules", "classic"), command
    for example in examples:
        build_parser().parse_args(shlex.split(example)[1:])


def test_pages_of_rules() -> None:
    """Each rule has a page with its documentation, and a line in the index."""
    pages = site_module("rule_pages").pages()
    assert set(pages) == {"index.md", *(f"{each}.md" for each in rule_ids())}
    for each in map(rule, rule_ids()):
        assert f"[{each.id}]({each.id}.md)" in pages["index.md"]
        assert f"> {site_module('escape').escaped(each.MESSAGE)}\n" in pages[f"{each.id}.md"]
        assert all(f"`{reference}`" in pages[f"{each.id}.md"] for reference in each.REFERENCES)


def test_links(tmp_path: Path) -> None:
    """Links to pages stay, those to files lead to their pages, and anchors are kept."""
    (tmp_path / "docs" / "howto").mkdir(parents=True)
    (tmp_path / "vmdump").mkdir()
    for name in ("docs/a.md", "README.md", "vmdump/x.py", "vmdump/y.py"):
        (tmp_path / name).touch()
    links = site_module("links").Links(tmp_path, {"index.md": "README.md"}, {"vmdump/y.py": "reference/y.md"})
    for page, link, expected in (
        ("index.md", "docs/a.md#b", "a.md#b"),
        ("index.md", "docs/images/a.png", "images/a.png"),
        ("howto/b.md", "../a.md", "../a.md"),
        ("howto/b.md", "../../README.md", "../index.md"),
        ("howto/b.md", "../../vmdump/x.py", "../source/vmdump/x.py.md"),
        ("a.md", "../vmdump/y.py", "reference/y.md"),
        ("a.md", "../vmdump/none.py", "../vmdump/none.py"),
        ("a.md", "https://qemu.org/x", "https://qemu.org/x"),
        ("a.md", "#here", "#here"),
    ):
        assert links.adapted(f"[t]({link})", page) == f"[t]({expected})"
    assert set(links.referenced({"a.md": "[t](../vmdump)"})) == {f"source/vmdump{x}.md" for x in ("", "/x.py", "/y.py")}


def test_doctests_are_code() -> None:
    """A doctest in a docstring becomes a code block of its own, as deep as it is."""
    written = site_module("doctest_blocks").with_blocks("Text:\n\n    >>> a[0]\n    1\n\nMore.\n")
    assert written == "Text:\n\n\n    ```pycon\n    >>> a[0]\n    1\n    ```\n\n\nMore.\n"


def test_escaped() -> None:
    """Characters with a meaning in Markdown lose it, outside of pairs of backquotes."""
    escaped = site_module("escape").escaped
    assert escaped("a_b <c>\n [d] `e_f`") == r"a\_b &lt;c> \[d\] `e_f`"
    assert escaped("a ` b_c") == r"a \` b\_c"


def test_measured() -> None:
    """The page of measurements has the totals of each table of the judge, and the table of the benchmark."""
    lines = site_module("measured_page").page().splitlines()
    assert "| QEMU's script, as recorded | 24 | 21 | 670 | 20 | 0.0 % | 0.0 % |" in lines
    assert any(line.startswith("| what | goal | figure |") for line in lines)


def test_totals() -> None:
    """A row of the summary has the totals of its table, with shares in percent; other tables have none."""
    table = "    migrated  failed  false  caught  conditional  share  unknown  share\nx  1 2 3 4 5 0.5 6 0.25\n"
    text = (
        f"## one\n\n```text\n{table}total  1  2  3  4  5  0.5  6  0.25\n```\n\n## other\n\n```text\ntotal 5 of 6\n```\n"
    )
    assert list(site_module("measured_page").summary(text))[1:-1] == ["| one | 2 | 4 | 1 | 3 | 50.0 % | 25.0 % |"]


def test_make_docs_counts_warnings() -> None:
    """Warnings fail make docs: with --quiet MkDocs would not count them, as its strict mode counts log entries."""
    (line,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if "mkdocs build" in line]
    assert line.endswith("mkdocs build")
    assert "\nstrict: true\n" in (ROOT / "mkdocs.yml").read_text()

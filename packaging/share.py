"""Write the man pages and the completions of bash, zsh and fish, which are made from the parser of the command line.

Usage: share.py DIRECTORY. The files lie in DIRECTORY as they do in share/ of a prefix. Needs argparse-manpage and
shtab, and nothing that vmdump needs at run time.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import shtab
from argparse_manpage.manpage import Manpage

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from vmdump.cli import COMMANDS, build_parser
from vmdump.version import __version__

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

#: Where a shell looks for the completion of a command.
COMPLETIONS = {
    "bash": "bash-completion/completions/vmdump",
    "zsh": "zsh/site-functions/_vmdump",
    "fish": "fish/vendor_completions.d/vmdump.fish",
}

#: The exit codes of commands whose epilog leaves them out.
EXIT_CODES = "\n\nexit codes:\n  0 done; 2 usage error; 3 could not complete; 130 interrupted"

#: Paragraphs of an epilog that are sections of their own in a man page, by first line.
_SECTIONS = {"examples:": "EXAMPLES", "environment:": "ENVIRONMENT", "exit codes:": "EXIT STATUS"}


def main(directory: Path) -> None:
    """Write all files."""
    parser = build_parser()
    for shell, name in COMPLETIONS.items():
        if shell in shtab.SUPPORTED_SHELLS:
            _write(directory / name, shtab.complete(parser, shell))
        else:
            print(f"share.py: shtab {shtab.__version__} makes no completion for {shell}; 1.9 does", file=sys.stderr)
    commands = _commands(parser)
    help = {each.dest: each.help or "" for each in commands._choices_actions}
    for name in COMMANDS:
        _write(directory / f"man/man1/vmdump-{name}.1", _page(commands.choices[name], f"vmdump-{name}", help[name]))
    # The page of vmdump lists the commands in place of their options.
    parser._action_groups = [group for group in parser._action_groups if commands not in group._group_actions]
    rows = "\n".join(f".TP\n.BR {_escaped(f'vmdump-{name}')} (1)\n{_escaped(help[name])}" for name in COMMANDS)
    _write(directory / "man/man1/vmdump.1", _page(parser, "vmdump", parser.description or "", rows))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _commands(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    return next(each for each in parser._actions if isinstance(each.choices, dict))


def _page(parser: argparse.ArgumentParser, name: str, summary: str, commands: str | None = None) -> str:
    """Return a man page. summary: starts with the one in NAME; commands: the text of the section COMMANDS."""
    epilog, parser.epilog = parser.epilog or "", None
    if "exit codes:" not in epilog:
        epilog = epilog.rstrip("\n") + EXIT_CODES
    page = Manpage(parser, {"project_name": "vmdump", "version": __version__, "manual_title": "vmdump"})
    page.prog, page.description = name, summary.partition(":")[0].replace("\n", " ")
    if commands is not None:
        page.add_section("commands", "=", commands)
    for heading, text in _sections(epilog):
        page.add_section(heading, ">", text)
    others = [] if commands is not None else [r".BR vmdump (1),"]
    page.add_section("see also", "=", "\n".join([*others, ".BR qemu (1)"]))
    return str(page)


def _sections(epilog: str) -> Iterator[tuple[str, str]]:
    """Yield the sections of an epilog, in roff; its indented lines are kept as they are."""
    for paragraph in epilog.strip("\n").split("\n\n"):
        first, _, rest = paragraph.partition("\n")
        heading = _SECTIONS.get(first, "NOTES")
        yield heading, _roff(rest if first in _SECTIONS else paragraph) + "\n"


def _roff(paragraph: str) -> str:
    parts = [".PP"]
    for block in re.findall(r"(?:^  .*\n?)+|(?:^(?!  ).*\n?)+", paragraph, re.MULTILINE):
        text = _escaped(block.rstrip("\n"))
        parts.append(f".nf\n{text}\n.fi" if block.startswith("  ") else text)
    return "\n".join(parts)


def _escaped(text: str) -> str:
    return re.sub(r"^([.'])", r"\\&\1", text.replace("\\", r"\e").replace("-", r"\-"), flags=re.MULTILINE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The pages of the commands, from the parser that the man page and the completions are made from."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from functools import cache

from escape import escaped

from vmdump.cli import COMMANDS, build_parser


@cache
def pages() -> dict[str, str]:
    """Return the pages by name: index.md, and one for each command."""
    parser = build_parser()
    (commands,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    helps = {each.dest: each.help for each in commands._choices_actions}
    return {
        "index.md": _index(parser, helps),
        **{f"{name}.md": _page(commands.choices[name], helps[name]) for name in COMMANDS},
    }


def _index(parser: argparse.ArgumentParser, helps: dict[str, str | None]) -> str:
    rows = (f"| [{name}]({name}.md) | {escaped(text or '')} |" for name, text in helps.items())
    return "\n".join(
        [
            "# Commands",
            "",
            escaped(parser.description or ""),
            "| command | |",
            "|---|---|",
            *rows,
            "",
            *_epilog(parser),
        ]
    )


def _page(parser: argparse.ArgumentParser, text: str | None) -> str:
    command = parser.prog.removeprefix("vmdump ")
    lines = [f"# {command}", "", f"vmdump {command}: {escaped(text or '')}.", ""]
    usage = re.sub(r"^usage: ", "", parser.format_usage())
    lines += ["```text", re.sub(r"^ {7}", "  ", usage.rstrip(), flags=re.MULTILINE), "```", ""]
    formatter = argparse.HelpFormatter(parser.prog)
    for group in parser._action_groups:
        actions = [each for each in group._group_actions if each.help is not argparse.SUPPRESS]
        if not actions:
            continue
        title = group.title or ""
        lines += [f"## {title[:1].upper()}{title[1:]}", ""]
        lines += [escaped(group.description), ""] if group.description else []
        for action in actions:
            lines += [f"`{formatter._format_action_invocation(action)}`"]
            lines += [f":   {escaped(formatter._expand_help(action) if action.help else '')}", ""]
    return "\n".join([*lines, *_epilog(parser)])


def _epilog(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield what the help says after the options, as it is."""
    if parser.epilog:
        yield from ["## Notes", "", "```text", parser.epilog.rstrip(), "```", ""]

"""vmdump explain: a rule of the check or the linter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment

HELP = "explain a rule, or an error line of QEMU: what it means, and what is usually done about it"
EPILOG = """\
examples:
  vmdump explain field-added
  vmdump explain "Missing section footer for 0000:00:03.0/virtio-gpu"
  vmdump rules                             lists the rules

Of an error line it prints the rules whose findings predict it; vmdump check
with the two QEMUs tells which of them it is.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "rule", metavar="RULE", help="the rule's id, as findings have it in brackets; or a line that QEMU printed"
    )


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Prints the explanation."""
    from vmdump.check.rules import rule, unknown_rule

    try:
        text = rule(args.rule).text()
    except KeyError:
        text = _line(args.rule) or ""
    if not text:
        raise VmdumpError(unknown_rule(args.rule))
    environment.print(text)
    return ExitStatus.DONE


def _line(line: str) -> str | None:
    """What an error line of QEMU means: the rules that predict it. None for any other text."""
    from shlex import quote

    from vmdump.check.rules import rule, rule_ids
    from vmdump.cli.environment import printable
    from vmdump.error_lines import forms_in_words, match

    found = match(line)
    if found is None:
        return None
    key, arguments = found
    rules = [each for each in map(rule, rule_ids()) if key in each.lines()]
    width = max((len(each.id) for each in rules), default=0)
    lines = [f"QEMU prints: {form}" + (f" ({versions})" if versions else "") for form, versions in forms_in_words(key)]
    lines += ["", "rules that predict it:", *(f"  {each.id:<{width}}  {each.WHAT}" for each in rules), ""]
    name = arguments.get("section") or arguments.get("description")
    only = f" --type {quote(name)}" if name else ""
    lines.append(f"vmdump check OLD NEW{only} tells which it is; vmdump explain RULE tells more")
    return "\n".join(map(printable, lines))

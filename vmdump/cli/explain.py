"""vmdump explain: explain a rule, or an error message of QEMU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment

HELP = "explain a rule, or an error message of QEMU"
EPILOG = """\
examples:
  vmdump explain field-added
  vmdump explain "Missing section footer for 0000:00:03.0/virtio-gpu"
  vmdump rules                             list the rules

For an error message, the rules whose findings predict it are listed. vmdump
check with the two QEMUs then finds which of them applies.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument(
        "rule", metavar="RULE", help="id of a rule, as in brackets behind a finding; or a line printed by QEMU"
    )


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Print the explanation."""
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
    """Return the rules that predict an error message of QEMU, as text; None for any other text."""
    from shlex import quote

    from vmdump.check.rules import rule, rule_ids
    from vmdump.cli.environment import printable
    from vmdump.qemu.error_lines import forms_in_words, match

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
    lines.append(f"vmdump check OLD NEW{only} finds which one applies; vmdump explain RULE explains it")
    return "\n".join(map(printable, lines))

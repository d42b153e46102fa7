"""vmdump explain: a rule of the check or the linter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment

HELP = "explain a rule: what it finds, why, and what is usually done about it"
EPILOG = """\
examples:
  vmdump explain field-added
  vmdump rules                             lists them
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("rule", metavar="RULE", help="the rule's id, as findings have it in brackets")


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Prints the explanation."""
    from vmdump.check.rules import rule

    try:
        found = rule(args.rule)
    except KeyError:
        raise VmdumpError(_unknown(args.rule)) from None
    environment.print(found.text())
    return ExitStatus.DONE


def _unknown(rule: str) -> str:
    from vmdump.check.rules import rule_ids
    from vmdump.suggestion import did_you_mean

    return f"no rule {rule!r}; {did_you_mean(rule, rule_ids(), 'vmdump rules lists those that there are')}"

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
    from vmdump.check.rules import rule, unknown_rule

    try:
        found = rule(args.rule)
    except KeyError:
        raise VmdumpError(unknown_rule(args.rule)) from None
    environment.print(found.text())
    return ExitStatus.DONE

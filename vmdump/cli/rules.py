"""vmdump rules: list the rules of vmdump check and vmdump lint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment
    from vmdump.cli.terminal.table import Column

HELP = "list the rules of vmdump check and vmdump lint"
EPILOG = """\
examples:
  vmdump rules
  vmdump rules --json

The verdict is the worst one of a finding. Below a condition, such as in a
subsection that is not always sent, it becomes conditional. Rules of lint have
a level instead: defect or notice. With --json the keys are
  rule, command, verdict, level, what
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print a JSON list with an object for each rule")


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Print the list."""
    from vmdump.check.rules import rule, rule_ids
    from vmdump.cli.terminal.table import print_json, print_table

    rules = [rule(each) for each in rule_ids()]
    rules.sort(key=lambda each: (each.LEVEL is not None, each.id))
    rows = [
        {
            "rule": each.id,
            "command": each.command,
            "verdict": None if each.LEVEL else each.VERDICT,
            "level": each.LEVEL,
            "what": each.WHAT,
        }
        for each in rules
    ]
    if args.json:
        print_json(environment, rows)
        return ExitStatus.DONE
    columns: dict[str, Column] = {
        "RULE": [row["rule"] for row in rows],
        "COMMAND": [row["command"] for row in rows],
        "VERDICT": [row["verdict"] or row["level"] for row in rows],
        "WHAT": [row["what"] for row in rows],
    }
    print_table(environment, columns)
    return ExitStatus.DONE

"""vmdump check: can what one QEMU sends be loaded by another?"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from vmdump.cli.check_folder import check_folder, is_folder
from vmdump.cli.report_arguments import add_arguments as add_report
from vmdump.cli.report_arguments import finish
from vmdump.cli.source_arguments import UsageError
from vmdump.cli.source_list import add_reading, add_sources, directions, labels, open_sources
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from vmdump.check.results import CheckResult
    from vmdump.cli.environment import Environment, ExitStatus
    from vmdump.report.options import RuleText

HELP = "tell whether the device state of one QEMU can be loaded by another"
EPILOG = """\
examples:
  vmdump check old/qemu-system-x86_64 new/qemu-system-x86_64
  vmdump check old.json.xz new.json.xz --direction forward --type 'virtio-*'
  vmdump check --matrix 7.2.json 8.2.json 10.0.json
  vmdump check --matrix dumps --format html -o pages   of vmdump bulk's DIR

Both directions are checked, OLD -> NEW (forward) and back. What is found is
  breaks        never loads, whatever the VM does; or loads wrong values
  conditional   does not load when a condition holds, which is named
  absent        the destination has no such device
  safe          loads; with --verbose, what has changed all the same
vmdump explain RULE tells more about the [rule] of a finding.

Binaries tell most. A dump file of QEMU's own has neither types nor the state
of CPUs, one of QEMU 8.1 and older no lengths of arrays; what rests on less says
so.

exit codes:
  0 nothing breaks; 1 something does (or, with --fail-on conditional, may);
  2 usage; 3 could not complete
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_sources(parser, "sources", nargs="+", metavar="SOURCE")
    parser.add_argument(
        "--matrix",
        action="store_true",
        help="check each SOURCE against each other, and print a table of the worst; of a folder that vmdump bulk has "
        "filled, those of each target",
    )
    parser.add_argument(
        "--target", default="*", metavar="GLOB", help="of such a folder, these targets only (default: all)"
    )
    parser.add_argument(
        "--direction", choices=["both", "forward", "backward"], default="both", help="which way (default: both)"
    )
    parser.add_argument(
        "--type", action="append", default=[], metavar="GLOB", help="only QOM types of this pattern; may be repeated"
    )
    add_report(parser)
    add_reading(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Writes what is found."""
    collects = gc.isenabled()
    gc.disable()  # next to nothing of what is made here is garbage, and it would be gone through again and again
    try:
        if is_folder(args):
            return check_folder(args, environment, _rule_texts(args.format))
        return finish(check_sources(args, environment), args, environment, rules=_rule_texts(args.format))
    finally:
        if collects:
            gc.enable()


def _rule_texts(format: str) -> Mapping[str, RuleText]:
    """What is said of the rules in those formats that say it."""
    if format not in ("sarif", "html"):
        return {}
    from vmdump.check.rules import rule, rule_ids
    from vmdump.report.options import RuleText

    return {each: RuleText(rule(each).WHAT, rule(each).text()) for each in rule_ids()}


def check_sources(args: argparse.Namespace, environment: Environment) -> CheckResult:
    """The check that the arguments ask for. Raises UsageError, VmdumpError."""
    from vmdump.check.checker import Labelled, check

    if args.matrix and len(args.sources) == 1:
        raise UsageError(f"{args.sources[0]}: no folder that vmdump bulk has filled; give one, or several SOURCEs")
    if len(args.sources) < 2 or (len(args.sources) > 2 and not args.matrix):
        raise UsageError(f"{len(args.sources)} SOURCE(s) given; give two, or --matrix and several")
    dumps = open_sources(args.sources, args, environment)
    result = check(
        [Labelled(label, dump) for label, dump in zip(labels(args.sources), dumps, strict=True)],
        directions=directions(len(dumps), args.direction),
        types=args.type,
    )
    if args.type and not any(result.results.values()):
        raise VmdumpError(f"no type matches {' or '.join(args.type)}; vmdump devices lists them")
    return result

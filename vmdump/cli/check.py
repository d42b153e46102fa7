"""vmdump check: can what one QEMU sends be loaded by another?"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from vmdump.cli.arguments import UsageError, add_file
from vmdump.cli.environment import ExitStatus
from vmdump.cli.sources import add_reading, add_sources, labels, open_sources
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse

    from vmdump.check.finding import CheckResult
    from vmdump.cli.environment import Environment

HELP = "tell whether the device state of one QEMU can be loaded by another"
EPILOG = """\
examples:
  vmdump check old/qemu-system-x86_64 new/qemu-system-x86_64
  vmdump check old.json.xz new.json.xz --direction forward --type 'virtio-*'
  vmdump check --matrix 7.2.json 8.2.json 10.0.json

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

#: Formats, and the module whose render(result, verbose=...) makes each.
FORMATS = {"text": "vmdump.check.text"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_sources(parser, "sources", nargs="+", metavar="SOURCE")
    parser.add_argument(
        "--matrix", action="store_true", help="check each SOURCE against each other, and print a table of the worst"
    )
    parser.add_argument(
        "--direction", choices=["both", "forward", "backward"], default="both", help="which way (default: both)"
    )
    parser.add_argument(
        "--type", action="append", default=[], metavar="GLOB", help="only QOM types of this pattern; may be repeated"
    )
    parser.add_argument("--format", choices=list(FORMATS), default="text", help="how to write it (default: text)")
    add_file(parser, "-o", "--output", default="-", metavar="FILE", help="where to (default: -, standard output)")
    parser.add_argument(
        "--fail-on", choices=["breaks", "conditional"], default="breaks", help="the least that exits with 1"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="with what is safe, and each type that is absent")
    add_reading(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Prints the findings."""
    collects = gc.isenabled()
    gc.disable()  # next to nothing of what is made here is garbage, and it would be gone through again and again
    try:
        return _run(args, environment)
    finally:
        if collects:
            gc.enable()


def _run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    from importlib import import_module

    result = check_sources(args, environment)
    if args.matrix and args.format == "text" and not args.verbose:
        from vmdump.check.text import render_matrix

        text = render_matrix(result)
    else:
        text = import_module(FORMATS[args.format]).render(result, verbose=args.verbose)
    write(text, args.output, environment)
    return exit_status(result, args.fail_on)


def check_sources(args: argparse.Namespace, environment: Environment) -> CheckResult:
    """The check that the arguments ask for. Raises UsageError, VmdumpError."""
    from vmdump.check.checker import Labelled, check

    if len(args.sources) < 2 or (len(args.sources) > 2 and not args.matrix):
        raise UsageError(f"{len(args.sources)} SOURCE(s) given; give two, or --matrix and several")
    dumps = open_sources(args.sources, args, environment)
    pairs = [(i, j) for i in range(len(dumps)) for j in range(len(dumps))]
    directions = [
        (i, j) for i, j in pairs if (i < j and args.direction != "backward") or (i > j and args.direction != "forward")
    ]
    result = check(
        [Labelled(label, dump) for label, dump in zip(labels(args.sources), dumps, strict=True)],
        directions=directions,
        types=args.type,
    )
    if args.type and not any(result.results.values()):
        raise VmdumpError(f"no type matches {' or '.join(args.type)}; vmdump devices lists them")
    return result


def write(text: str, path: str, environment: Environment) -> None:
    """Writes a result to a file, whole or not at all, or prints it."""
    if path == "-":
        environment.print(text)
        return
    import os

    from vmdump.output import open_output

    with open_output(path) as fd, os.fdopen(fd, "w", encoding="utf-8", closefd=False) as file:
        file.write(text)


def exit_status(result: CheckResult, fail_on: str) -> ExitStatus:
    """Whether the worst verdict is bad enough."""
    bad = {"breaks", fail_on}
    found = any(each.verdict in bad for types in result.results.values() for each in types)
    return ExitStatus.FINDINGS if found else ExitStatus.DONE

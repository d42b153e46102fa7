"""vmdump lint: find defects in the descriptions of one QEMU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.report_arguments import add_selection, selection
from vmdump.cli.source_list import add_reading, add_sources, labelled, open_sources

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment

HELP = "find defects in the descriptions of one QEMU"
EPILOG = """\
examples:
  vmdump lint /usr/bin/qemu-system-x86_64
  vmdump lint x86_64.json.xz --verbose
  vmdump lint x86_64.json.xz --format concise --ignore 'size-*'

A defect never works, whatever is migrated. A notice may be intended, such as a
subsection that is always sent; notices are counted for each rule, and listed
with --verbose. vmdump explain RULE explains the [rule] of a finding.
--format json prints a list of objects with the keys
  level (defect, notice), rule, type, path, message, error, remedy
or, with --statistics, level, rule, count.

exit codes:
  0 no defects; 1 defects (not notices); 2 usage error; 3 could not complete
"""

#: Values of --format. Restated from vmdump.report.lint, so that building a parser does not import it.
FORMATS = ("text", "concise", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_sources(parser, "source", metavar="SOURCE")
    group = parser.add_argument_group("report")
    group.add_argument("-v", "--verbose", action="store_true", help="list each notice")
    group.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="report format (default: text)")
    add_selection(group)
    add_reading(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Print the findings."""
    from vmdump.check.lint import is_defect, lint
    from vmdump.report.lint import render
    from vmdump.report.options import Options

    chosen = selection(args)
    (source,) = labelled([args.source], open_sources([args.source], args, environment))
    findings = lint(source)
    kept = [each for each in findings if chosen.has(each.rule)]
    options = Options(
        verbose=args.verbose, width=environment.width, colours=environment.draws, statistics=args.statistics
    )
    report = render(source.label, kept, args.format, options, ignored=len(findings) - len(kept))
    environment.print(report, end="", is_drawn=args.format != "json")
    return ExitStatus.FINDINGS if any(map(is_defect, kept)) else ExitStatus.DONE

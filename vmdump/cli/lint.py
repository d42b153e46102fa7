"""vmdump lint: what is wrong with the descriptions of one QEMU."""

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

A defect can't work, whatever is migrated; each is a paragraph. A notice is what
may be meant so, as a subsection that is always sent: they are counted, a rule a
line, and listed with --verbose. vmdump explain RULE explains a [rule].
With --format json, a list of objects; the keys are
  level (defect, notice), rule, type, path, message, error, remedy
and with --statistics level, rule, count.

exit codes:
  0 no defects; 1 defects (notices alone do not count); 2 usage; 3 could not
  complete
"""

#: What --format takes; restated from vmdump.report.lint, so that building a parser does not load it.
FORMATS = ("text", "concise", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_sources(parser, "source", metavar="SOURCE")
    group = parser.add_argument_group("report")
    group.add_argument("-v", "--verbose", action="store_true", help="each notice on its own")
    group.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="what is printed (default: text)")
    add_selection(group)
    add_reading(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Prints the findings."""
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

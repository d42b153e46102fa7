"""vmdump lint: what is wrong with the descriptions of one QEMU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.source_list import add_reading, add_sources, labels, open_sources

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from vmdump.check.results import Finding
    from vmdump.cli.environment import Environment

HELP = "find defects in the descriptions of one QEMU"
EPILOG = """\
examples:
  vmdump lint /usr/bin/qemu-system-x86_64
  vmdump lint x86_64.json.xz --verbose

A defect can't work, whatever is migrated; each is a paragraph. A notice is what
may be meant so, as a subsection that is always sent: they are counted, a rule a
line, and told each with --verbose. vmdump explain RULE tells more.

exit codes:
  0 no defects; 1 defects (notices alone do not count); 2 usage; 3 could not
  complete
"""

#: The most names in a line.
_MAX_NAMES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_sources(parser, "source", metavar="SOURCE")
    parser.add_argument("-v", "--verbose", action="store_true", help="each notice on its own")
    add_reading(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Prints the findings."""
    from vmdump.check.checker import Labelled
    from vmdump.check.lint import is_defect, lint

    (dump,) = open_sources([args.source], args, environment)
    findings = lint(Labelled(labels([args.source])[0], dump))
    defects = [each for each in findings if is_defect(each)]
    notices = [each for each in findings if not is_defect(each)]
    paragraphs = [_paragraph("defect", each) for each in defects]
    if args.verbose:
        paragraphs += [_paragraph("notice", each) for each in notices]
    else:
        paragraphs += ["\n".join(_counted(notices))] if notices else []
    paragraphs.append(f"{args.source}: {len(defects)} defects, {len(notices)} notices")
    environment.print("\n\n".join(paragraphs))
    return ExitStatus.FINDINGS if defects else ExitStatus.DONE


def _paragraph(level: str, finding: Finding) -> str:
    return f"{level}: {finding.type}: {finding.path} [{finding.rule}]\n  {finding.message}\n  remedy: {finding.remedy}"


def _counted(notices: Sequence[Finding]) -> Iterator[str]:
    """A line for each rule: how often, and where."""
    by_rule: dict[str, list[str]] = {}
    for finding in notices:
        by_rule.setdefault(finding.rule, []).append(finding.path)
    for rule, paths in by_rule.items():
        more = f" and {len(paths) - _MAX_NAMES} more" if len(paths) > _MAX_NAMES else ""
        yield f"notice: {len(paths)} x [{rule}]: {', '.join(paths[:_MAX_NAMES])}{more}"

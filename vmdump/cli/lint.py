"""vmdump lint: find defects in the descriptions of one QEMU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.report_arguments import add_selection, selection
from vmdump.cli.source_arguments import UsageError
from vmdump.cli.source_list import add_reading, add_sources, images_of, labelled, open_sources
from vmdump.errors import SourceError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.check.results import Finding
    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump

HELP = "find defects in the descriptions of one QEMU"
EPILOG = """\
examples:
  vmdump lint /usr/bin/qemu-system-x86_64
  vmdump lint x86_64.json.xz --verbose
  vmdump lint x86_64.json.xz --format concise --ignore 'size-*'

A defect never works, whatever is migrated. A notice may be intended, such as a
subsection that is always sent; notices are counted for each rule, and listed
with --verbose. vmdump explain RULE explains the [rule] of a finding.
Of a binary, a VM of the machine type is booted twice in an emulator, to find
uninitialised memory that is sent; --machines all does so for all types.

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
    group = parser.add_argument_group("machine types")
    group.add_argument(
        "--machines",
        metavar="GLOB",
        help="boot a VM of each machine type that matches GLOB, or all, to find uninitialised memory that is sent",
    )
    group.add_argument("--no-evaluate", action="store_true", help="do not boot VMs of binaries in the emulator")


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Print the findings."""
    from vmdump.check.lint import is_defect, lint
    from vmdump.report.lint import render
    from vmdump.report.options import Options

    chosen = selection(args)
    if args.machines is not None and args.machine is not None:
        raise UsageError("-M and --machines exclude each other")
    dumps = open_sources([args.source], args, environment, args.machines)
    (source,) = labelled([args.source], dumps[:1])
    findings = lint(source)
    if not args.no_evaluate:
        findings += _lint_machines(source.label, dumps, args, environment)
    kept = [each for each in findings if chosen.has(each.rule)]
    options = Options(
        verbose=args.verbose, width=environment.width, colours=environment.draws, statistics=args.statistics
    )
    report = render(source.label, kept, args.format, options, ignored=len(findings) - len(kept))
    environment.print(report, end="", is_drawn=args.format != "json")
    return ExitStatus.FINDINGS if any(map(is_defect, kept)) else ExitStatus.DONE


def _lint_machines(
    label: str, dumps: Sequence[DeviceDump], args: argparse.Namespace, environment: Environment
) -> list[Finding]:
    """Return findings of VMs of the dumps' machine types; a VM that can't be booted is one line on stderr."""
    images = images_of(dumps, [args.source], args)
    if not any(images):
        return []
    from vmdump.check.evaluated.uninitialised import find_uninitialised
    from vmdump.check.lint import lint_memory
    from vmdump.qemu.error_lines import ErrorLines

    findings: list[Finding] = []
    lines = ErrorLines.of(dumps[0])
    for image in images:
        if image is not None:
            try:
                found = find_uninitialised(image, cache=not args.no_cache, timeout=args.timeout)
                findings += lint_memory(label, image.machine, found, lines)
            except SourceError as error:
                environment.error(f"{error}; {image.machine} is not checked for uninitialised memory")
    return findings

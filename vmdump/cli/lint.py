"""vmdump lint: find defects in the descriptions of a QEMU, of each of several for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.report_arguments import add_selection, selection
from vmdump.cli.source_arguments import UsageError, load_source, module_dirs
from vmdump.cli.source_list import add_reading, add_sources, dumps_of, identified, labelled
from vmdump.errors import SourceError, VmdumpError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.check.results import Finding
    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump

HELP = "find defects in the descriptions of a QEMU"
EPILOG = """\
examples:
  vmdump lint /usr/bin/qemu-system-x86_64
  vmdump lint x86_64.json.xz --verbose
  vmdump lint x86_64.json.xz --format concise --ignore 'size-*'
  vmdump lint build/qemu-system-*

A defect breaks every migration of the device. A notice may be intended, such as
a subsection that is always sent; notices are counted for each rule, and listed
with --verbose. vmdump explain RULE explains the [rule] of a finding.
To find uninitialised memory that is sent, a VM of a binary's machine type is
booted twice in an emulator; --machines all does so for all types.

--format json prints a list of objects with the keys
  level (defect, notice), rule, type, path, message, error, remedy
or, with --statistics, level, rule, count; of several SOURCEs also source.
Several SOURCEs are read one by one; one that can't be read does not stop the
others.

exit codes:
  0 no defects; 1 defects (not notices); 2 usage error; 3 could not complete
"""

#: Values of --format. Restated from vmdump.report.lint, so that building a parser does not import it.
FORMATS = ("text", "concise", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_sources(parser, "sources", nargs="+", metavar="SOURCE")
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
    opened, is_whole = _open(args, environment)
    named = labelled([path for path, _, _ in opened], [dumps[0] for _, _, dumps in opened])
    reports = []
    for source, (_, root, dumps) in zip(named, opened, strict=True):
        findings = lint(source)
        if not args.no_evaluate:
            findings += _lint_machines(source.label, dumps, root, args, environment)
        kept = [each for each in findings if chosen.has(each.rule)]
        reports.append((source.label, kept, len(findings) - len(kept)))
    options = Options(
        verbose=args.verbose, width=environment.width, colours=environment.draws, statistics=args.statistics
    )
    report = render(reports, args.format, options, is_list=len(args.sources) > 1)
    environment.print(report, end="", is_drawn=args.format != "json")
    status = ExitStatus.FINDINGS if any(is_defect(each) for _, kept, _ in reports for each in kept) else ExitStatus.DONE
    return status if is_whole else ExitStatus.FAILED


def _open(
    args: argparse.Namespace, environment: Environment
) -> tuple[list[tuple[str, str | None, list[DeviceDump]]], bool]:
    """Return path, root and dumps (of several machine types with --machines) of each source, and whether all could be
    read.

    Of several sources, those that can't be read are reported on stderr. Raises VmdumpError: a single one can't.
    """
    opened = []
    directories = module_dirs(args, environment)
    found = identified(args.sources, args)
    for given, (kind, path, root) in zip(args.sources, found, strict=True):
        try:
            source = load_source(kind, path, root, directories, args, environment)
            opened.append((given, root, dumps_of([source], args, environment, args.machines)))
        except UsageError:
            raise
        except VmdumpError as error:
            if len(found) == 1:
                raise
            environment.error(error)
    return opened, len(opened) == len(found)


def _lint_machines(
    label: str, dumps: Sequence[DeviceDump], root: str | None, args: argparse.Namespace, environment: Environment
) -> list[Finding]:
    """Return findings of VMs of the dumps' machine types; a VM that can't be booted is one line on stderr."""
    if dumps[0].producer.kind != "image":
        return []  # without importing the emulator
    from vmdump.check.evaluated.evaluation import image_of
    from vmdump.check.evaluated.uninitialised import find_uninitialised
    from vmdump.check.lint import lint_memory
    from vmdump.qemu.error_lines import ErrorLines

    findings: list[Finding] = []
    lines = ErrorLines.of(dumps[0])
    for image in filter(None, (image_of(dump, root, args.host) for dump in dumps)):
        try:
            found = find_uninitialised(image, cache=not args.no_cache, timeout=args.timeout)
            findings += lint_memory(label, image.machine, found, lines)
        except SourceError as error:
            environment.error(f"{error}; {image.machine} is not checked for uninitialised memory")
    return findings

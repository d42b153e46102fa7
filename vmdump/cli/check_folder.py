"""vmdump check --matrix DIR: all pairs of the QEMUs of each target in a folder that vmdump bulk has filled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.report_arguments import accept, finish, put_report, status_of
from vmdump.cli.source_arguments import UsageError
from vmdump.cli.source_list import directions
from vmdump.dump.output import make_directory, write_file
from vmdump.errors import OutputError, VmdumpError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from vmdump.check.results import CheckResult
    from vmdump.cli.environment import Environment
    from vmdump.report.options import RuleText


def is_folder(args: argparse.Namespace) -> bool:
    """Whether the command line is about such a folder."""
    return bool(args.matrix) and len(args.sources) == 1 and os.path.isdir(args.sources[0])


def check_folder(args: argparse.Namespace, environment: Environment, rules: Mapping[str, RuleText]) -> ExitStatus:
    """Checks, keeps the verdicts in the folder for vmdump query, and writes the reports. Raises VmdumpError.

    HTML goes to a folder, index.html and TARGET.html for each; if not, one target is reported as any check is, as HTML
    to FILE.html; of several, text has a table each.
    """
    results = _check_targets(args, environment)
    if args.format == "html" and not (args.output == "-" or args.output.endswith(".html")):
        return _write_pages(results, args, rules)
    if len(results) == 1:
        (result,) = results.values()
        return finish(result, args, environment, rules=rules)
    if args.format != "text" or args.write_baseline:
        raise UsageError(
            f"{args.sources[0]}: has {len(results)} targets, {', '.join(results)}; choose one with --target, or take "
            "--format html -o DIR, which makes a page for each"
        )
    return _write_tables(results, args, environment)


def _check_targets(args: argparse.Namespace, environment: Environment) -> dict[str, CheckResult]:
    """The result of each target that has several producers."""
    from fnmatch import fnmatchcase

    from vmdump.bulk.query.database import producers
    from vmdump.bulk.query.verdicts import write_verdicts
    from vmdump.check.checker import Labelled, check
    from vmdump.sources.open import open

    folder = args.sources[0]
    found = producers(folder)
    targets = list(dict.fromkeys(each.target for each in found if fnmatchcase(each.target, args.target)))
    results = {}
    for target in targets:
        dumps = [Labelled(each.label, open(each.path)) for each in found if each.target == target]
        if len(dumps) < 2:
            continue
        results[target] = check(dumps, directions=directions(len(dumps), args.direction), types=args.type)
        try:
            write_verdicts(folder, target, [results[target]])
        except OutputError as error:  # a folder to read from is checked all the same
            environment.error(f"verdicts are not kept for vmdump query: {error}")
    if not results:
        raise VmdumpError(
            f"{folder}: no target {args.target} with two QEMUs or more among {', '.join(targets) or 'none'}; "
            "vmdump bulk adds further ones"
        )
    return results


def _write_tables(results: Mapping[str, CheckResult], args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """A table a target, as one report."""
    from vmdump.report import render

    report, status = b"", ExitStatus.DONE
    for target, result in results.items():
        accepted, options, _ = accept(result, args, {})
        report += f"{target}:\n".encode() + render(accepted, "text", options)
        status = max(status, status_of(accepted, options))
    put_report(report, args.output, environment)
    return status


def _write_pages(
    results: Mapping[str, CheckResult], args: argparse.Namespace, rules: Mapping[str, RuleText]
) -> ExitStatus:
    """The overview, and a page a target."""
    from vmdump.report import render
    from vmdump.report.html import overview

    pages, status, accepted = {}, ExitStatus.DONE, {}
    for target, result in results.items():
        accepted[target], options, _ = accept(result, args, rules)
        pages[f"{target}.html"] = render(accepted[target], "html", options)
        status = max(status, status_of(accepted[target], options))
    pages["index.html"] = overview.render(accepted).encode("utf-8", "backslashreplace")
    make_directory(args.output)
    for name, page in pages.items():
        write_file(os.path.join(args.output, name), page)
    return status

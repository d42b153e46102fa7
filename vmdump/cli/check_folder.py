"""vmdump check --matrix DIR: all pairs of the QEMUs of each target in a folder that vmdump bulk has filled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus, printable
from vmdump.cli.report_arguments import accept, finish, put_report, status_of
from vmdump.cli.source_arguments import UsageError
from vmdump.cli.source_list import compare_sides, directions
from vmdump.dump.output import make_directory, write_file
from vmdump.errors import OutputError, VmdumpError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from vmdump.bulk.query.database import ProducerDump
    from vmdump.check.results import CheckResult
    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.report.options import RuleText


def is_folder(args: argparse.Namespace) -> bool:
    """Whether the command line is about such a folder."""
    return bool(args.matrix) and len(args.sources) == 1 and os.path.isdir(args.sources[0])


def check_folder(args: argparse.Namespace, environment: Environment, rules: Mapping[str, RuleText]) -> ExitStatus:
    """Checks, keeps the verdicts in the folder for vmdump query, and writes the reports. Raises VmdumpError.

    HTML goes to a folder, index.html and TARGET.html for each; if not, one target is reported as any check is, as HTML
    to FILE.html; of several, text has a table each. What is not checked, a target that one QEMU alone has or a source
    that vmdump bulk could not read, is named; with such a source the check is not complete.
    """
    results, is_whole = _check_targets(args, environment)
    status = _write(results, args, environment, rules)
    return status if is_whole else ExitStatus.FAILED


def _write(
    results: Mapping[str, CheckResult],
    args: argparse.Namespace,
    environment: Environment,
    rules: Mapping[str, RuleText],
) -> ExitStatus:
    if args.format == "html" and not (args.output == "-" or args.output.endswith(".html")):
        return _write_pages(results, args, rules)
    if len(results) == 1:
        (result,) = results.values()
        return finish(result, args, environment, rules=rules)
    if args.format not in ("text", "concise") or args.write_baseline:
        raise UsageError(
            f"{args.sources[0]}: has {len(results)} targets, {', '.join(results)}; choose one with --target, or take "
            "--format html -o DIR, which makes a page for each"
        )
    return _write_tables(results, args, environment)


def _check_targets(args: argparse.Namespace, environment: Environment) -> tuple[dict[str, CheckResult], bool]:
    """The result of each target that has several producers, and whether all sources are in the folder."""
    from fnmatch import fnmatchcase

    from vmdump.bulk.manifest import read_manifest
    from vmdump.bulk.query.database import producers

    folder = args.sources[0]
    found: dict[str, list[ProducerDump]] = {}
    for each in producers(folder):
        if fnmatchcase(each.target, args.target):
            found.setdefault(each.target, []).append(each)
    manifest = read_manifest(folder)
    errors = [*manifest.errors.values(), *(each["error"] for each in manifest.entries if each["error"] is not None)]
    for error in errors:
        environment.error(f"not checked: {error}")
    results = {}
    for target, dumps in found.items():
        pairs = _pairs(dumps, args)
        if not pairs:
            numbers = sorted({number for each in dumps for number in each.arguments})
            places = ", ".join(manifest.sources[number] for number in numbers) or folder
            names = ", ".join(each.label for each in dumps)
            environment.error(f"{target}: not checked: only {places} has it ({names})")
            continue
        results[target] = _check_target(target, dumps, pairs, args, environment)
    if not results:
        raise VmdumpError(
            f"{folder}: no target {args.target} with two QEMUs or more among {', '.join(found) or 'none'}; "
            "give vmdump bulk both, or --add further ones"
        )
    return results, not errors


def _pairs(found: Sequence[ProducerDump], args: argparse.Namespace) -> list[tuple[int, int]]:
    """The pairs of a target's dumps to check, by number. One that was found twice is a pair with itself: 0, 1."""
    if len(found) == 1:
        is_twice = found[0].n_files > 1 or len(found[0].arguments) > 1
        is_wanted = is_twice and (len(found[0].arguments) > 1 or not args.between_sources)
        return directions(2, args.direction) if is_wanted else []
    pairs = directions(len(found), args.direction)
    if args.between_sources:
        ends = [(min(each.arguments, default=0), max(each.arguments, default=0)) for each in found]
        pairs = [(i, j) for i, j in pairs if ends[min(i, j)][0] < ends[max(i, j)][1]]
    return pairs


def _check_target(
    target: str,
    found: list[ProducerDump],
    pairs: Sequence[tuple[int, int]],
    args: argparse.Namespace,
    environment: Environment,
) -> CheckResult:
    """The check of pairs of a target's dumps, which is kept for vmdump query."""
    from vmdump.bulk.query.verdicts import write_verdicts
    from vmdump.check.checker import Labelled, check
    from vmdump.check.sides import Side
    from vmdump.sources.open import open

    if len(found) == 1:
        found = found * 2
    labels = [each.label for each in found]
    if found[0] is found[-1]:
        labels = [f"{label} ({number})" for number, label in enumerate(labels, 1)]
    dumps = [open(each.path, max_size=args.max_size) for each in found]
    machines = _machines(target, found, dumps, environment)
    sides = [Side(*each) for each in zip(labels, dumps, [each.path for each in found], strict=True)]
    compare_sides(sides, environment, any_target=args.any_target, machines=machines)
    result = check(
        [Labelled(side.label, side.dump, (each.producer,)) for side, each in zip(sides, found, strict=True)],
        directions=pairs,
        types=args.type,
    )
    known = [
        dump._replace(machine=machine, producer=dump.producer._replace(version=dump.producer.version or each.version))
        for dump, machine, each in zip(result.dumps, machines, found, strict=True)
    ]
    result = result._replace(dumps=known)
    try:
        write_verdicts(args.sources[0], target, [result])
    except OutputError as error:  # a folder to read from is checked all the same
        environment.error(f"verdicts are not kept for vmdump query: {error}")
    return result


def _machines(
    target: str, found: Sequence[ProducerDump], dumps: Sequence[DeviceDump], environment: Environment
) -> list[str]:
    """The machine types that dumps stand for: their own, or one that all of the QEMUs know. In all of a QEMU's types a
    dump says the same of the devices.
    """
    from vmdump.check.sides import common_machine
    from vmdump.sources.qemu_image.machine_types import MachineType

    machines = [dump.machine for dump in dumps]
    if len(set(machines)) > 1 and all(each.machine_types for each in found):
        sides = [
            [MachineType(name, alias, None, family, None, is_default) for name, alias, family, is_default in types]
            for types in (each.machine_types for each in found)
        ]
        machine = common_machine(sides)
        if machine is not None:
            environment.error(f"{target}: using machine type {machine}, the newest that all sides know")
            return [machine] * len(machines)
    return machines


def _write_tables(results: Mapping[str, CheckResult], args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """A table a target, as one report."""
    from vmdump.report import render

    report, status = b"", ExitStatus.DONE
    for target, result in results.items():
        accepted, options, _ = accept(result, args, {}, environment)
        report += f"{printable(target)}:\n".encode() + render(accepted, args.format, options)
        status = max(status, status_of(accepted, options))
    put_report(report, args, environment)
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

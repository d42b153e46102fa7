"""vmdump check --matrix DIR: check all pairs of QEMUs, for each target, in an output directory of vmdump bulk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from vmdump.activity import counted
from vmdump.cli.environment import ExitStatus, printable
from vmdump.cli.pages import pages_of, write_pages
from vmdump.cli.report_arguments import accept, check_statistics, finish, status_of, write_report
from vmdump.cli.source_arguments import UsageError
from vmdump.cli.source_list import compare_sides, directions
from vmdump.errors import OutputError, VmdumpError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from vmdump.bulk.query.database import ProducerDump
    from vmdump.check.results import CheckResult, Verdict
    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.report.options import Options, RuleText


def is_folder(args: argparse.Namespace) -> bool:
    """Return whether the command line names an output directory."""
    return bool(args.matrix) and len(args.sources) == 1 and os.path.isdir(args.sources[0])


def set_defaults(
    args: argparse.Namespace, folder: str, *, direction: str = "both", between_sources: bool = False
) -> None:
    """Set what vmdump check --matrix FOLDER has by default, for a command that checks a folder without its options."""
    args.sources = [folder]
    args.direction = direction
    args.between_sources = between_sources
    args.any_target = False
    args.type = []
    args.select = []
    args.ignore = []
    args.statistics = False
    args.verbose = False


def check_folder(args: argparse.Namespace, environment: Environment, rules: Mapping[str, RuleText]) -> ExitStatus:
    """Check all targets, store the verdicts for vmdump query, and write the reports. Raises VmdumpError.

    HTML goes to a directory with index.html, devices.html and TARGET.html for each target, or for one target to
    FILE.html. Text has a table for each target; other formats have all targets in one document. Targets with a single
    QEMU are skipped with a notice. If vmdump bulk could not read a source, the status is FAILED.
    """
    checked = check_targets(args, environment)
    status = _write(checked.results, args, environment, rules)
    return status if checked.is_whole else ExitStatus.FAILED


def _write(
    results: Mapping[str, CheckResult],
    args: argparse.Namespace,
    environment: Environment,
    rules: Mapping[str, RuleText],
) -> ExitStatus:
    if args.format == "html" and not (args.output == "-" or args.output.endswith(".html")):
        accepted = accept_targets(results, args, rules)
        write_pages(pages_of(args.sources[0], accepted, target=args.target, max_size=args.max_size), args.output)
        return _status(accepted)
    if len(results) == 1:
        (result,) = results.values()
        return finish(result, args, environment, rules=rules)
    if args.write_baseline or args.format == "html":
        option = "--write-baseline"
        or_else = ""
        if not args.write_baseline:
            option = f"--format html -o {printable(args.output)}"
            or_else = ", or name a directory for a page for each"
        names = ", ".join(results)
        raise UsageError(
            f"{args.sources[0]}: has {len(results)} targets, {names}; choose one for {option} with --target{or_else}"
        )
    if args.format in ("text", "concise"):
        return _write_tables(results, args, environment)
    return _write_joined(results, args, environment, rules)


class Checked(NamedTuple):
    """What was checked.

    Attributes:
        results: of each target with several producers, and of those that are gone.
        is_whole: whether vmdump bulk has read all sources.
    """

    results: dict[str, CheckResult]
    is_whole: bool


def check_targets(
    args: argparse.Namespace, environment: Environment, *, is_stored: bool = True, is_update: bool = False
) -> Checked:
    """Check each target of an output directory of vmdump bulk.

    Args:
        args: sources (the directory), target, direction, between_sources, any_target, type and max_size of vmdump
            check.
        environment: for notices.
        is_stored: whether the verdicts are stored in the directory, for vmdump query.
        is_update: whether the directory has the sources OLD and NEW, so that targets can be gone.

    Raises:
        VmdumpError: no target has two QEMUs.
    """
    from fnmatch import fnmatchcase

    from vmdump.bulk.manifest import read_manifest
    from vmdump.bulk.query.database import producers
    from vmdump.check.results import Verdict

    folder = args.sources[0]
    known = producers(folder)
    found: dict[str, list[ProducerDump]] = {}
    for each in known:
        if fnmatchcase(each.target, args.target):
            found.setdefault(each.target, []).append(each)
    manifest = read_manifest(folder)
    errors = [*manifest.errors.values(), *(each["error"] for each in manifest.entries if each["error"] is not None)]
    for error in errors:
        environment.error(f"not checked: {error}")
    pairs = {target: _pairs(dumps, args) for target, dumps in found.items()}
    verdict = Verdict.ABSENT if any(pairs.values()) else Verdict.BREAKS
    results = {}
    for target, dumps in counted("checking targets", list(found.items())):
        numbers = sorted({number for each in dumps for number in each.arguments})
        if pairs[target]:
            results[target] = _check_target(target, dumps, pairs[target], args, environment)
        elif is_update and numbers == [0] and not errors:  # else NEW may have had it
            results[target] = _absent_target(target, dumps, known, manifest.sources[1], verdict)
        else:
            places = ", ".join(manifest.sources[number] for number in numbers) or folder
            names = ", ".join(each.label for each in dumps)
            environment.error(f"{target}: not checked, as only {places} has it ({names})")
            continue
        if is_stored:
            _store(args.sources[0], target, results[target], environment)
    if not results:
        raise VmdumpError(
            f"{folder}: no target matching {args.target} has two QEMUs (targets: {', '.join(found) or 'none'}); add "
            "more with vmdump bulk --add"
        )
    return Checked(results, not errors)


def _absent_target(
    target: str, dumps: Sequence[ProducerDump], known: Sequence[ProducerDump], new: str, verdict: Verdict
) -> CheckResult:
    """Return the result of a target that NEW lacks.

    Args:
        target: its name.
        dumps: those of OLD.
        known: all dumps.
        new: the path of NEW, which names it if it has not one label.
        verdict: of the result.
    """
    from vmdump.check.results import Dump
    from vmdump.check.targets import absent_target
    from vmdump.dump.producer import Producer

    sources = [Dump(each.label, Producer("file", each.path, each.version), "", (each.producer,)) for each in dumps]
    of_new = {each.producer: each for each in known if 1 in each.arguments}
    if len(of_new) == 1:
        ((producer, dump),) = of_new.items()
        destination = Dump(dump.label, Producer("file", None, dump.version), "", (producer,))
    else:
        destination = Dump(os.path.basename(os.path.abspath(new)), Producer("file"), "")
    return absent_target(target, sources, destination, verdict)


def _pairs(found: Sequence[ProducerDump], args: argparse.Namespace) -> list[tuple[int, int]]:
    """Return the pairs of a target's dumps to check, by index. A single QEMU found twice gives 0, 1 and 1, 0."""
    if len(found) == 1:
        is_duplicate = found[0].n_files > 1 or len(found[0].arguments) > 1
        is_checked = is_duplicate and (len(found[0].arguments) > 1 or not args.between_sources)
        return directions(2, args.direction) if is_checked else []
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
    """Check pairs of a target's dumps."""
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
    return result._replace(dumps=known)


def _store(folder: str, target: str, result: CheckResult, environment: Environment) -> None:
    """Store verdicts for vmdump query."""
    from vmdump.bulk.query.verdicts import write_verdicts

    try:
        write_verdicts(folder, target, [result])
    except OutputError as error:  # the directory may be read-only
        environment.error(f"the verdicts were not stored for vmdump query: {error}")


def _machines(
    target: str, found: Sequence[ProducerDump], dumps: Sequence[DeviceDump], environment: Environment
) -> list[str]:
    """Return the machine types to report for dumps: their own, or one that all QEMUs have if these differ.

    A dump has the same devices for all machine types of a QEMU.
    """
    from vmdump.check.sides import common_machine
    from vmdump.emulator.machine_types import MachineType

    machines = [dump.machine for dump in dumps]
    if len(set(machines)) > 1 and all(each.machine_types for each in found):
        sides = [
            [MachineType(name, alias, None, family, None, is_default) for name, alias, family, is_default in types]
            for types in (each.machine_types for each in found)
        ]
        machine = common_machine(sides)
        if machine is not None:
            environment.error(f"{target}: using machine type {machine}, the newest that all sources have")
            return [machine] * len(machines)
    return machines


def _write_tables(results: Mapping[str, CheckResult], args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Write one report with a table for each target."""
    from vmdump.report import render

    report, status = b"", ExitStatus.DONE
    for target, result in results.items():
        accepted, options, _ = accept(result, args, {}, environment)
        report += f"{printable(target)}:\n".encode() + render(accepted, args.format, options)
        status = max(status, status_of(accepted, options))
    write_report(report, args, environment)
    return status


def _write_joined(
    results: Mapping[str, CheckResult],
    args: argparse.Namespace,
    environment: Environment,
    rules: Mapping[str, RuleText],
) -> ExitStatus:
    """Write one document with all targets."""
    from vmdump.check.targets import joined
    from vmdump.report import render

    check_statistics(args)
    accepted = accept_targets(results, args, rules)
    _, options = next(iter(accepted.values()))
    whole = joined({target: result for target, (result, _) in accepted.items()})
    write_report(render(whole, args.format, options), args, environment)
    return _status(accepted)


def accept_targets(
    results: Mapping[str, CheckResult], args: argparse.Namespace, rules: Mapping[str, RuleText]
) -> dict[str, tuple[CheckResult, Options]]:
    """Return the results without ignored and accepted findings, and their options; see report_arguments.accept."""
    return {target: accept(result, args, rules)[:2] for target, result in results.items()}


def _status(accepted: Mapping[str, tuple[CheckResult, Options]]) -> ExitStatus:
    return max((status_of(*each) for each in accepted.values()), default=ExitStatus.DONE)

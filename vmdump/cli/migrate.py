"""vmdump migrate: save VMs with one QEMU and load them with another, both in the emulator."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from vmdump.cli.binary_trees import are_trees, pairs_of_trees
from vmdump.cli.environment import ExitStatus
from vmdump.cli.machine_sources import (
    add_any_target,
    add_qemu_arguments,
    add_qtest,
    find_binary,
    open_qtest,
    require_one_target,
)
from vmdump.cli.report_arguments import add_arguments as add_report
from vmdump.cli.report_arguments import check_statistics, finish, rule_texts
from vmdump.cli.source_arguments import UsageError, add_file, add_host, add_timeout, roots_of
from vmdump.errors import SourceError, VmdumpError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.check.results import CheckResult
    from vmdump.cli.environment import Environment
    from vmdump.migrate.findings import Migrations
    from vmdump.migrate.plan import Qemu, Wanted
    from vmdump.report.options import Options

HELP = "save VMs with one QEMU and load them with another, in the emulator"
EPILOG = """\
examples:
  vmdump migrate old/qemu-system-x86_64 new/qemu-system-x86_64
  vmdump migrate old/qemu-system-x86_64 new/qemu-system-x86_64 --both \\
    -M 'pc-q35-*' --device 'virtio-*-pci'
  vmdump migrate old/qemu-system-aarch64 new/qemu-system-aarch64 \\
    -- -M virt -cpu cortex-a57 -device e1000e,romfile=
  vmdump migrate old/ new/ --format html -o migrate.html
  vmdump migrate --matrix 7.2/qemu-system-ppc 10.0/qemu-system-ppc \\
    11.1/qemu-system-ppc

Each VM is saved by OLD just after reset and loaded by NEW, with the code of
both QEMUs; nothing runs natively. The VMs are the bare machine (-nodefaults),
and the machine with each device that -device can add to it, one at a time. With
ARGS the VM is yours, and gets further devices only with --device. --qtest lets
a guest act before a VM is saved: see vmdump save.

After a failure, the section that NEW refuses is left out and the load repeated,
so that all failures are reported. The outcomes are
  loads            NEW loads it
  misloads         NEW loads it, with values other than those sent
  fails            NEW refuses it; section, field, cause and QEMU's lines
  crashes          QEMU ends with a signal or an assertion
  does-not-start   QEMU refuses the command line
  blocked          OLD refuses to migrate the VM
  absent           a side lacks the machine type, the device or a property
  undecided        the emulator cannot tell; the reason is given
Verdicts in reports are those of vmdump check: breaks for what fails in NEW,
unknown for what OLD does not start or both refuse to migrate.

--format json prints a list with an object for each case: case, direction, way
(forward, backward), source_version, destination_version, machine, device,
arguments, outcome, side (that ended it before the load), reason, failures
(section, instance_id, field, cause, lines), changed (as vmdump load), guessed,
compared, accepted. Accepted findings, --select, --ignore and
baselines work as in vmdump check; vmdump explain RULE explains the [rule] of a
finding.

exit codes:
  0 nothing breaks; 1 something breaks (or has the --fail-on verdict or worse);
  2 usage error; 3 could not complete, or nothing breaks but something is
  undecided, not read or not tried
"""

#: Rules of migrations whose outcome is not known.
_UNDECIDED = ("migration-undecided", "migration-not-compared")

#: Default of --timeout.
_TIMEOUT = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_file(
        parser,
        "sources",
        nargs="+",
        metavar="QEMU",
        help="QEMU binaries, which are emulated, not run: OLD and NEW; or directories with unpacked packages, of which "
        "all targets that both have are tried",
    )
    parser.add_argument(
        "--target", default="*", metavar="GLOB", help="with directories: only these targets (default: all)"
    )
    parser.add_argument(
        "-M",
        "--machine",
        "--machines",
        dest="machine_types",
        action="append",
        default=[],
        metavar="GLOB",
        help="machine types that match GLOB, or all, and that all QEMUs have; may be repeated (default: the newest)",
    )
    parser.add_argument(
        "--device",
        action="append",
        metavar="GLOB",
        help="add only device types that match; may be repeated (default: all that the machine has a bus for; with "
        "ARGS, none)",
    )
    add_any_target(parser)
    parser.add_argument("--both", action="store_true", help="also migrate from NEW to OLD")
    parser.add_argument(
        "--matrix", action="store_true", help="migrate between all pairs of several QEMUs, and print a summary table"
    )
    add_qtest(parser)
    parser.add_argument("--jobs", type=_jobs, metavar="N", help="processes (default: one for each CPU)")
    add_report(parser)
    group = parser.add_argument_group("QEMU binaries")
    add_timeout(group, timeout=_TIMEOUT, limited="each machine, in CPU time")
    add_host(group, several=True)
    add_qemu_arguments(parser)


def _jobs(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Try the migrations and write the report."""
    check_statistics(args)
    _check(args)
    migrations, result, is_whole = _migrate_targets(args, environment)

    def render(accepted: CheckResult, options: Options) -> bytes:
        return _render(accepted, migrations, args, options)

    rules = rule_texts(args.format)
    status = finish(result, args, environment, rules=rules, render=render, undecided=_UNDECIDED)
    return ExitStatus.FAILED if status == ExitStatus.DONE and not is_whole else status


def _migrate_targets(args: argparse.Namespace, environment: Environment) -> tuple[list[Migrations], CheckResult, bool]:
    """Return the migrations between binaries, or between those of each target that all directories have.

    The flag says whether all that was asked for has been tried.
    """
    from vmdump.check.targets import joined
    from vmdump.migrate.plan import Wanted

    wanted = Wanted(tuple(args.machine_types), args.device, tuple(args.argv), args.timeout, open_qtest(args))
    roots = roots_of(args.sources, args.root)
    if not are_trees(args.sources):
        qemus = _open(args.sources, roots, args)
        if not args.any_target:
            require_one_target((each.binary.path, each.infos) for each in qemus)
        wanted = _with_devices(wanted, qemus)
        try:
            names = _machine_names(qemus, wanted, environment)
        except VmdumpError as error:
            raise UsageError(str(error)) from None
        migrations, result = _migrate(qemus, args.sources, names, wanted, args)
        return migrations, result, _has_all_cases(wanted, migrations, environment)
    opened, is_whole = _open_trees(roots, args, environment)
    wanted = _with_devices(wanted, [qemu for _, qemus in opened.values() for qemu in qemus])
    found = {}
    for target, (paths, qemus) in opened.items():
        names, has_all = _machine_names_of_target(target, qemus, wanted, environment)
        is_whole &= has_all
        if names:
            found[target] = _migrate(qemus, paths, names, wanted, args)
    if not found:
        raise UsageError("no target has a machine type to try; choose one with -M")
    migrations = [each for some, _ in found.values() for each in some]
    is_whole &= _has_all_cases(wanted, migrations, environment)
    return migrations, joined({target: result for target, (_, result) in found.items()}), is_whole


def _open_trees(
    roots: Sequence[str | None], args: argparse.Namespace, environment: Environment
) -> tuple[dict[str, tuple[list[str], list[Qemu]]], bool]:
    """Return the paths and binaries of each target that all directories have, and whether no target is missing."""
    pairs, is_whole = pairs_of_trees(args.sources, environment.error, directions=_directions(args), pattern=args.target)
    trees = [root or tree for tree, root in zip(args.sources, roots, strict=True)]
    opened = {}
    for target, paths in pairs.items():
        try:
            opened[target] = paths, _open(paths, trees, args)
        except SourceError as error:
            if len(pairs) == 1:
                raise
            environment.error(f"{target}: not tried: {error}")
            is_whole = False
    if not opened:
        raise SourceError(f"{', '.join(args.sources)}: no target can be tried")
    return opened, is_whole


def _machine_names_of_target(
    target: str, qemus: Sequence[Qemu], wanted: Wanted, environment: Environment
) -> tuple[list[str], bool]:
    """Return the machine types to try, and whether they are all that is wanted. Reports those that some QEMU lacks."""
    from vmdump.migrate.plan import matching

    names: list[str] = []
    is_whole = True
    choices = [wanted._replace(machines=(each,)) for each in wanted.machines] or [wanted]
    for choice in choices:
        if choice.machines and not any(matching(qemu.infos, choice.machines[0]) for qemu in qemus):
            continue
        try:
            names += _machine_names(qemus, choice, environment)
        except VmdumpError as error:
            environment.error(f"{target}: not tried: {error}")
            is_whole = False
    if not names and is_whole:
        environment.error(f"{target}: skipped, as no machine type matches {' or '.join(wanted.machines)}")
    return list(dict.fromkeys(names)), is_whole


def _machine_names(qemus: Sequence[Qemu], wanted: Wanted, environment: Environment) -> list[str]:
    """Return the machine types to try. Reports the default. Raises VmdumpError: there are none."""
    from vmdump.migrate.plan import machine_names

    names, is_default = machine_names(qemus, wanted)
    if is_default:
        environment.error(f"using machine type {names[0]}, the newest that all have; -M selects another")
    return names


def _directions(args: argparse.Namespace) -> list[tuple[int, int]]:
    from vmdump.cli.source_list import directions

    return directions(len(args.sources), "both" if args.both or args.matrix else "forward")


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError for sources that are too few or too many."""
    count = len(args.sources)
    if count < 2 or (count > 2 and not args.matrix):
        raise UsageError(f"{count} QEMU(s) given; give two binaries, OLD and NEW, or --matrix and several")


def _migrate(
    qemus: Sequence[Qemu], paths: Sequence[str], names: Sequence[str], wanted: Wanted, args: argparse.Namespace
) -> tuple[list[Migrations], CheckResult]:
    """Try the migrations of machine types."""
    import os

    from vmdump.check.labels import Named, labels
    from vmdump.migrate.findings import check_result
    from vmdump.migrate.plan import dumps_of, try_all

    found = try_all(qemus, _directions(args), names, wanted, args.jobs or len(os.sched_getaffinity(0)))
    named = labels([Named(each.version, None, path) for each, path in zip(qemus, paths, strict=True)])
    return found, check_result(dumps_of(qemus, named), found)


def _open(paths: Sequence[str], roots: Sequence[str | None], args: argparse.Namespace) -> list[Qemu]:
    from vmdump.migrate.cases import Binary
    from vmdump.migrate.plan import open_qemu

    return [
        open_qemu(Binary(find_binary(path, root), root, args.host)) for path, root in zip(paths, roots, strict=True)
    ]


def _with_devices(wanted: Wanted, qemus: Sequence[Qemu]) -> Wanted:
    """Return what is tried with patterns of device types for names. Raises UsageError for one that names nothing."""
    if wanted.devices is None:
        return wanted
    from vmdump.cli.device_names import device_patterns, read_dumps

    known = [each for qemu in qemus for each in qemu.devices]
    patterns = device_patterns(wanted.devices, known, lambda: read_dumps([each.binary for each in qemus], _TIMEOUT))
    return wanted._replace(devices=patterns)


def _has_all_cases(wanted: Wanted, found: Sequence[Migrations], environment: Environment) -> bool:
    """Return whether each pattern of devices has a case, or a device on the board. Reports those without."""
    cases = [case for each in found for case in each.cases]
    tried = {name for case in cases for name in (case.types if case.device is None else [case.device])}
    left_out = [each for each in wanted.devices or () if not any(fnmatchcase(device, each) for device in tried)]
    for pattern in left_out:
        environment.error(f"--device {pattern}: not tried, as -device can't add it to a machine of the source")
    return not left_out


def _render(result: CheckResult, migrations: Sequence[Migrations], args: argparse.Namespace, options: Options) -> bytes:
    from vmdump.report import render

    if args.format == "json" and not args.statistics:
        import json

        from vmdump.migrate.findings import to_plain

        return (json.dumps(to_plain(result, migrations), indent=1, ensure_ascii=False) + "\n").encode(
            "utf-8", "backslashreplace"
        )
    report = render(result, args.format, options)
    if args.format in ("text", "concise") and not args.statistics:
        from vmdump.migrate.findings import outcome_lines

        report += "".join(f"{line}\n" for line in outcome_lines(result, migrations)).encode("utf-8", "backslashreplace")
    return report

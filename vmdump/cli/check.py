"""vmdump check: report whether the device state of one QEMU can be loaded by another."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from vmdump.cli.check_folder import check_folder, is_folder
from vmdump.cli.report_arguments import add_arguments as add_report
from vmdump.cli.report_arguments import finish, rule_texts
from vmdump.cli.source_arguments import UsageError
from vmdump.cli.source_list import (
    add_reading,
    add_sources,
    compare_sides,
    directions,
    images_of,
    labelled,
    open_sources,
)
from vmdump.errors import VmdumpError
from vmdump.sources.open import STREAM

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.check.checker import Labelled
    from vmdump.check.evaluated.evaluations import Evaluations
    from vmdump.check.results import CheckResult
    from vmdump.cli.environment import Environment, ExitStatus
    from vmdump.dump.device_dump import DeviceDump

HELP = "check whether one QEMU can load the device state of another"
EPILOG = """\
examples:
  vmdump check old/qemu-system-x86_64 new/qemu-system-x86_64
  vmdump check old.json.xz new.json.xz --direction forward --type 'virtio-*'
  vmdump check old.json.xz new.json.xz --ignore 'type-absent,subsection-*'
  vmdump check --matrix 7.2.json 8.2.json 10.0.json
  vmdump check --matrix dumps --format html -o pages   output of bulk
  vmdump check vm.save new/qemu-system-x86_64          a saved VM

Both directions are checked: OLD -> NEW (forward) and NEW -> OLD (backward). The
verdicts on each device type are
  breaks        loading always fails, or silently loads wrong values
  conditional   loading fails under the condition given
  absent        the destination has no such device
  unknown       a part, which is named, could not be compared
  accepted      all findings are accepted by the configuration, or ignored
  safe          loads; --verbose also shows compatible changes
vmdump explain RULE explains the [rule] of a finding, vmdump explain "LINE" NEW
the error line that NEW printed. --select and --ignore, or select and ignore in
vmdump.toml, choose rules by id or pattern.

--format concise prints one line for each finding. --statistics counts the
findings of each rule; the keys of its objects with --format json are
  direction, rule, verdict, count

All sources must have the same target. Binaries are compared under the newest
machine type that all of them have, or that of -M. vmdump warns if the machine
types differ.

Findings that a VM decides at run time are evaluated in VMs of the machine type,
which are booted in an emulator; nothing of a binary runs natively. A test that
reads only the configuration of a device is definite, as long as the VM has the
property values that the finding names: the default ones of the machine type.
--machines 'pc-q35-*' checks each of these machine types.

A saved VM (see vmdump stream) is checked as far as it has devices, and can only
be OLD. Its sections must have a description at the end of the stream.

Binaries give the most accurate verdicts. Dump files of QEMU itself lack types,
hooks and the state of CPUs, those of QEMU 8.1 and older also array lengths;
verdicts affected by that say so. All verdicts assume that source and
destination are configured alike.

exit codes:
  0 nothing breaks; 1 something breaks (or has the --fail-on verdict or worse);
  2 usage error; 3 could not complete
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_sources(parser, "sources", nargs="+", metavar="SOURCE")
    parser.add_argument(
        "--matrix",
        action="store_true",
        help="check every pair of SOURCEs, and print a summary table; SOURCE may be an output directory of vmdump "
        "bulk, whose QEMUs are checked for each target",
    )
    parser.add_argument(
        "--target", default="*", metavar="GLOB", help="with such a directory: only these targets (default: all)"
    )
    parser.add_argument(
        "--between-sources",
        action="store_true",
        help="with such a directory: only pairs of QEMUs from different SOURCEs of vmdump bulk, such as old/ and new/",
    )
    parser.add_argument("--any-target", action="store_true", help="allow sources of different targets")
    parser.add_argument(
        "--direction",
        choices=["both", "forward", "backward"],
        default="both",
        help="direction to check (default: both)",
    )
    parser.add_argument(
        "--type",
        action="append",
        default=[],
        metavar="GLOB",
        help="only QOM types that match, or a name from an error message (0000:00:01.3/piix4_pm); may be repeated",
    )
    add_report(parser)
    add_reading(parser)
    group = parser.add_argument_group("machine types")
    group.add_argument(
        "--machines",
        metavar="GLOB",
        help="check QEMU binaries under each machine type that matches GLOB, or all, and that all SOURCEs have",
    )
    group.add_argument(
        "--no-evaluate",
        action="store_true",
        help="do not boot VMs of binaries in the emulator; what a VM decides at run time then stays conditional",
    )
    group.add_argument(
        "--confirm",
        action="store_true",
        help="try each type in a migration in the emulator, as vmdump migrate; where a finding disagrees, the "
        "migration stands",
    )


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Check the sources and write the report."""
    collects = gc.isenabled()
    gc.disable()  # collections would traverse many live objects and free next to none
    try:
        if is_folder(args):
            return check_folder(args, environment, rule_texts(args.format))
        return finish(check_sources(args, environment), args, environment, rules=rule_texts(args.format))
    finally:
        if collects:
            gc.enable()


def check_sources(args: argparse.Namespace, environment: Environment) -> CheckResult:
    """Run the check of the sources. Raises UsageError, VmdumpError."""
    from vmdump.check.checker import check
    from vmdump.check.sides import Side
    from vmdump.dump.type_patterns import require_types

    if args.matrix and len(args.sources) == 1:
        raise UsageError(f"{args.sources[0]}: not an output directory of vmdump bulk; give one, or several SOURCEs")
    if len(args.sources) < 2 or (len(args.sources) > 2 and not args.matrix):
        raise UsageError(f"{len(args.sources)} SOURCE(s) given; give two, or --matrix and several")
    if args.machines is not None and args.machine is not None:
        raise UsageError("-M and --machines exclude each other")
    count = len(args.sources)
    dumps = open_sources(args.sources, args, environment, args.machines)
    direction = args.direction
    if any(each.producer.kind == STREAM for each in dumps):
        dumps, direction = _fit_stream(dumps, args)
    require_types(args.type, dumps)
    named = _labelled(args, dumps)
    sides = [Side(each.label, each.dump, path) for each, path in zip(named[:count], args.sources, strict=True)]
    compare_sides(sides, environment, any_target=args.any_target)
    pairs = directions(count, direction)
    result = check(
        named,
        directions=[(at + i, at + j) for at in range(0, len(dumps), count) for i, j in pairs],
        types=args.type,
        evaluations=None if args.no_evaluate else _evaluations(dumps, args, environment),
    )
    if args.confirm:
        from vmdump.cli.confirm import confirm_result

        result = confirm_result(result, dumps, args)
    if args.type and not any(result.results.values()):
        raise VmdumpError(f"no type of the source matches {' or '.join(args.type)}; vmdump devices lists them")
    return result


def _labelled(args: argparse.Namespace, dumps: Sequence[DeviceDump]) -> list[Labelled]:
    """Return the dumps with their labels; with --machines, the labels contain the machine types."""
    count = len(args.sources)
    named = labelled(args.sources, dumps[:count])
    if args.machines is None:
        return named
    return [
        named[index % count]._replace(label=f"{named[index % count].label} {dump.machine}", dump=dump)
        for index, dump in enumerate(dumps)
    ]


def _evaluations(dumps: Sequence[DeviceDump], args: argparse.Namespace, environment: Environment) -> Evaluations | None:
    """Return the evaluations of the dumps of binaries in VMs; None: there are no binaries."""
    images = images_of(dumps, args.sources, args)
    if not any(images):
        return None
    from vmdump.check.evaluated.evaluations import Evaluations

    return Evaluations(images, environment.error, cache=not args.no_cache, timeout=args.timeout)


def _fit_stream(dumps: Sequence[DeviceDump], args: argparse.Namespace) -> tuple[list[DeviceDump], str]:
    """Return the dumps with a saved VM, the first, in the terms of the second, and the direction.

    Raises UsageError, VmdumpError.
    """
    from vmdump.stream.stream_dump import fit_first

    if args.direction == "backward":
        raise UsageError("--direction backward does not apply to a saved VM, which can only be loaded")
    return fit_first(dumps), "forward"

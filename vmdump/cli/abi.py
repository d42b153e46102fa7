"""vmdump abi: report what a guest notices when its machine type runs on another QEMU."""

from __future__ import annotations

from concurrent.futures import Future, wait
from functools import partial
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

from vmdump.cli.machine_sources import (
    add_any_target,
    add_binary,
    add_emulation,
    add_qemu_arguments,
    open_binaries,
    report_missed,
    require_one_target,
)
from vmdump.cli.report_arguments import add_arguments as add_report
from vmdump.cli.report_arguments import check_statistics, finish, rule_texts
from vmdump.cli.source_arguments import UsageError
from vmdump.errors import SourceError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from vmdump.check.results import CheckResult, Dump
    from vmdump.cli.environment import Environment, ExitStatus
    from vmdump.machines.mapping import Machines
    from vmdump.machines.survey import Survey

HELP = "report what a guest notices when its machine type runs on another QEMU"
EPILOG = """\
examples:
  vmdump abi old/qemu-system-x86_64 new/qemu-system-x86_64 -M pc-q35-7.2
  vmdump abi old/qemu-system-x86_64 new/qemu-system-x86_64 -M pc-q35-7.2 \\
    --device 'virtio-*-pci' --format sarif -o abi.sarif
  vmdump abi old/qemu-system-x86_64 new/qemu-system-x86_64 -M q35 \\
    -- -cpu Skylake-Server -device e1000e

Both QEMUs create the machine in an emulator: the board with ARGS, and the board
with each device that -device can add, one at a time. Compared are realized
devices, as QMP shows them: the values of properties, the device tree, memory
regions, the PCI configuration space, RAM blocks, the CPU's features, and the
state after reset, field by field. A name or alias of a machine type is
that of OLD.

Verdicts on each type are as in vmdump check:
  breaks        the guest finds another device
  conditional   it does under the condition given
  unknown       the device could not be created on one side
  safe          no difference; --verbose also shows differences without effect
vmdump explain RULE explains the [rule] of a finding. Accepted findings,
--select, --ignore and baselines work as in vmdump check.

exit codes:
  0 nothing breaks; 1 something breaks (or has the --fail-on verdict or worse);
  2 usage error; 3 could not complete
"""

#: Default of --timeout: a machine for each of about 250 device types, of two binaries at a time.
_TIMEOUT = 600

#: Seconds between two checks for signals.
_TICK = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    # Optional, as argparse takes paths after -M NAME for further names.
    add_binary(parser, "old", nargs="?", metavar="OLD")
    add_binary(parser, "new", nargs="?", metavar="NEW")
    parser.add_argument(
        "-M",
        "--machine",
        dest="machines",
        action="extend",
        nargs="+",
        metavar="NAME",
        help="machine types to compare (default: the newest that both have)",
    )
    parser.add_argument(
        "--device",
        action="append",
        metavar="GLOB",
        help="add only device types that match; may be repeated (default: all; none if ARGS contain -device)",
    )
    add_any_target(parser)
    add_report(parser)
    add_emulation(parser, timeout=_TIMEOUT, limited="the machines of one machine type")
    add_qemu_arguments(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Compare the machine types and write the report."""
    check_statistics(args)
    opened = open_binaries(_paths(args), args, environment)
    if not args.any_target:
        require_one_target((each.path, each.infos) for each in opened)
    result = _compare(opened, args, environment)
    return finish(result, args, environment, rules=rule_texts(args.format))


def _paths(args: argparse.Namespace) -> list[str]:
    """Return OLD and NEW; args.machines keeps the names. Raises UsageError if one is missing."""
    paths = [path for path in (args.old, args.new) if path is not None]
    names = args.machines or []
    missing = 2 - len(paths)
    if missing and len(names) > missing:
        paths = [*names[-missing:], *paths]
        args.machines = names[:-missing]
    if len(paths) < 2:
        raise UsageError("give two QEMU binaries, OLD and NEW; see vmdump abi --help")
    return paths


def _compare(opened: Sequence[Machines], args: argparse.Namespace, environment: Environment) -> CheckResult:
    from vmdump.check.abi import abi

    devices = args.device
    if devices is None:
        devices = [] if any(each.lstrip("-") == "device" for each in args.argv) else ["*"]
    else:
        from vmdump.cli.device_names import device_patterns, read_dumps

        known = [each for machines in opened for each in machines.device_types]
        devices = device_patterns(devices, known, lambda: read_dumps([each.source for each in opened], args.timeout))
    pairs = []
    for name in _names(opened, args.machines, environment):
        reads = [partial(machines.survey, name, args.argv, devices) for machines in opened]
        try:
            old, new = _at_once(reads, args.timeout)
        except TimeoutError:
            raise SourceError(
                f"the machines of {name} were not read within {args.timeout:g} seconds; allow more with --timeout, or "
                "add fewer devices with --device"
            ) from None
        for machines, found in zip(opened, (old, new), strict=True):
            report_missed(machines, found.missed_functions, environment)
        pairs.append((opened[0].path, old, opened[1].path, new))
    return abi(_labelled(pairs))


def _at_once(reads: Sequence[Callable[[], Survey]], timeout: float) -> list[Survey]:
    """Return the results of functions that run in threads, as the emulator does not hold Python's lock.

    An exception of a signal handler ends the wait at once. Raises TimeoutError after timeout seconds; the threads are
    then left alone, and end with the process.
    """
    until = monotonic() + timeout
    futures: list[Future[Survey]] = []
    for read in reads:
        future: Future[Survey] = Future()
        futures.append(future)
        Thread(target=_complete, args=(future, read), daemon=True).start()
    while not all(future.done() for future in futures):
        if monotonic() > until:
            raise TimeoutError
        wait(futures, _TICK)  # signal handlers run between two waits
    return [future.result() for future in futures]


def _complete(future: Future[Survey], read: Callable[[], Survey]) -> None:
    try:
        future.set_result(read())
    except BaseException as error:
        future.set_exception(error)


def _names(opened: Sequence[Machines], given: Sequence[str] | None, environment: Environment) -> list[str]:
    """Return the names of the machine types to compare, without aliases, which differ between versions."""
    if given:
        names = list(dict.fromkeys(opened[0].info(name).name for name in given))
        for name in names:
            opened[1].info(name)  # raises UnknownMachineError
        return names
    from vmdump.check.sides import common_machine

    name = common_machine([each.infos for each in opened]) or ""
    if not name:
        raise UsageError("the two QEMUs share no current machine type; choose one with -M")
    environment.error(f"using machine type {name}, the newest that both have; -M selects another")
    return [name]


def _labelled(pairs: Sequence[tuple[str, Survey, str, Survey]]) -> list[tuple[Dump, Survey, Dump, Survey]]:
    """Return the surveys with labels: versions, and machine types if there are several."""
    from vmdump.check.labels import Named, labels
    from vmdump.check.results import Dump
    from vmdump.dump.producer import Producer

    found = []
    for old_path, old, new_path, new in pairs:
        names = labels([Named(old.version, None, old_path), Named(new.version, None, new_path)])
        dumps = []
        for label, path, survey in zip(names, (old_path, new_path), (old, new), strict=True):
            suffix = f" {survey.machine}" if len(pairs) > 1 else ""
            dumps.append(Dump(label + suffix, Producer("image", path, survey.version), survey.machine))
        found.append((dumps[0], old, dumps[1], new))
    return found

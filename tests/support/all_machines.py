"""Compare emulated QEMUs with real ones: QMP answers, every machine type of every target, and VMs with one more device.

    python tests/support/all_machines.py [VERSION[:TARGET]...] [--only KIND] [--machines GLOB] [--every N] [--jobs N]

For each target: query-machines, qom-list-types, and device-list-properties of every device type must be equal. For
each machine type that the real QEMU starts, and each command line of tests/data/migrations/devices.jsonl.xz: the
description of the stream, RAM blocks and the bytes of each device's section. Fields that differ are accepted if they
have no determined value, and listed: see stream_comparison.py. The images are those of `.ci/images DIRECTORY --all`,
below $VMDUMP_IMAGES. Exit code 1: something differs.
"""

from __future__ import annotations

import argparse
import fnmatch
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.device_cases import DeviceCase, compare_devices, device_cases
from support.machine_pair import IMAGES, Pair, Result, compare_answers, compare_machine
from support.machine_trees import PARTS, targets_of, tree_of
from vmdump.errors import SourceError

#: What is compared.
KINDS = ("answers", "machines", "devices")

#: Outcomes that are no fault of the emulator.
EXPECTED = ("equal", "lacks a file", "native crashed", "native too slow", "refused by both")

#: Command lines with devices that one process compares.
_BATCH = 32

#: Machine types that are left out: x-remote needs a socket.
_LEFT_OUT = ("x-remote",)


class Task(NamedTuple):
    """What one process compares: answers, a machine type, or command lines with devices."""

    version: str
    target: str
    tree: str
    kind: str
    name: str = ""
    cases: tuple[DeviceCase, ...] = ()


def run(task: Task) -> list[Result]:
    """Run a task."""
    pair = Pair(task.version, task.target, Path(task.tree))
    try:
        if task.kind == "answers":
            return list(compare_answers(pair))
        if task.kind == "devices":
            return list(compare_devices(pair, task.cases))
        return [compare_machine(pair, "-M", task.name)]
    except (SourceError, RuntimeError, OSError) as error:
        what = f"-M {task.name}" if task.name else task.kind
        return [pair.result(what, "failed", f"{type(error).__name__}: {str(error)[-300:]}")]


def machine_names(pair: Pair) -> list[str]:
    """Return the names of the machine types of the real QEMU."""
    with pair.native("-M", "none") as native:
        return sorted(each["name"] for each in native.qmp("query-machines") if each["name"] not in _LEFT_OUT)


def tasks(arguments: argparse.Namespace, scratch: Path) -> Iterator[Task]:
    """Yield the tasks of the wanted VERSION[:TARGET]s."""
    for each in arguments.wanted:
        version, _, only = each.partition(":")
        tree = tree_of(version, IMAGES, scratch)
        for target in targets_of(tree):
            if only not in ("", target) or target.endswith("-microvm"):
                continue
            yield from _tasks_of(arguments, version, target, tree)


def _tasks_of(arguments: argparse.Namespace, version: str, target: str, tree: Path) -> Iterator[Task]:
    if "answers" in arguments.only:
        yield Task(version, target, str(tree), "answers")
    if "machines" in arguments.only:
        names = fnmatch.filter(machine_names(Pair(version, target, tree)), arguments.machines)
        for name in names[:: arguments.every]:
            yield Task(version, target, str(tree), "machines", name)
    if "devices" in arguments.only:
        cases = [each for each in device_cases(target) if fnmatch.fnmatch(each.machine, arguments.machines)]
        for _, group in itertools.groupby(cases[:: arguments.every], key=lambda each: each[:2]):
            some = list(group)
            for at in range(0, len(some), _BATCH):
                yield Task(version, target, str(tree), "devices", "", tuple(some[at : at + _BATCH]))


def parse_arguments() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wanted", nargs="*", default=["7.2", "10.0"], metavar="VERSION[:TARGET]")
    parser.add_argument("--only", action="append", choices=KINDS, help="compare only these; may be repeated")
    parser.add_argument("--machines", default="*", metavar="GLOB", help="only these machine types")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="a sample: every Nth machine type or device")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    arguments = parser.parse_args()
    arguments.only = arguments.only or KINDS
    unknown = [each for each in arguments.wanted if each.partition(":")[0] not in PARTS]
    if unknown or not IMAGES.is_dir():
        parser.error(f"{unknown or '$VMDUMP_IMAGES'}: versions are {', '.join(PARTS)}, below $VMDUMP_IMAGES")
    return arguments


def main() -> int:
    """Run the comparison and print a line for each result that is not equal, and totals."""
    arguments = parse_arguments()
    totals: Counter[tuple[str, str, str]] = Counter()
    accepted: Counter[tuple[str, str]] = Counter()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(dir=IMAGES if os.access(IMAGES, os.W_OK) else None) as scratch,
        multiprocessing.get_context("spawn").Pool(arguments.jobs, maxtasksperchild=8) as pool,
    ):
        for results in pool.imap_unordered(run, tasks(arguments, Path(scratch))):
            for result in results:
                kind = result.what.partition(" ")[0] if result.what[:1] != "-" else "machines and devices"
                totals[f"{result.version} {result.target}", kind, result.outcome] += 1
                accepted.update(result.accepted)
                if result.outcome != "equal" or result.detail:
                    print(*result[:5], sep="\t", flush=True)
    _print_totals(totals, accepted)
    print(f"{time.monotonic() - began:.0f} s")
    return int(any(outcome not in EXPECTED for _, _, outcome in totals))


def _print_totals(totals: Counter[tuple[str, str, str]], accepted: Counter[tuple[str, str]]) -> None:
    for (field, why), count in sorted(accepted.items()):
        print(f"accepted: {field}: {why}, in {count}")
    sums: Counter[tuple[str, str, str]] = Counter()
    for (where, kind, outcome), count in sorted(totals.items()):
        sums[where.partition(" ")[0], kind, outcome] += count
        print(f"{where} {kind}: {count} {outcome}")
    for (version, kind, outcome), count in sorted(sums.items()):
        print(f"{version} all targets {kind}: {count} {outcome}")


if __name__ == "__main__":
    sys.exit(main())

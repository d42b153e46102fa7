"""Compare emulated QEMUs with real ones: QMP answers and every machine type of every target.

    python tests/support/all_machines.py [VERSION[:TARGET]...] [--machines GLOB] [--jobs N]

For each target: query-machines, qom-list-types, and device-list-properties of every device type must be equal. For
each machine type that the real QEMU starts: the description of the stream, RAM blocks and the bytes of each device's
section. Bytes that differ are accepted if they depend on uninitialised memory (they change with the byte that fills the
emulator's heap) or if the section is in CLOCKS. The images are those of `.ci/images DIRECTORY --all`, below
$VMDUMP_IMAGES. Exit code 1: something differs.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.machine_trees import PARTS, native_command, targets_of, tree_of
from support.native_qemu import NativeQemu, ram_blocks, sections, vmdescription
from vmdump.emulator.machine import Machine, MachineError, QmpError, boot
from vmdump.errors import SourceError

IMAGES = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))

#: Sections whose bytes depend on the time of day or on the host's clock: the last component of their name.
CLOCKS = frozenset(
    (
        "allwinner-rtc",
        "cuda",
        "ds1338",
        "exynos4210.rtc",
        "goldfish_rtc",
        "kvmclock",
        "m48t59",
        "m48t59_isa",
        "mc146818rtc",
        "menelaus",
        "pl031",
        "pxa2xx_rtc",
        "rtc",
        "s390_todclock",
        "spapr",
        "strongarm-rtc",
        "sysbus_m48t59",
        "timebase",
        "timer",
        "todclock",
        "twl92230",
        "xlnx-zynmp.rtc",
    )
)

#: Name and target of sections with members that count time: ppc64's CPUs have PURR and VTB.
CLOCKS_OF_TARGETS = {("cpu", "ppc64")}


class Result(NamedTuple):
    """Outcome of one comparison; detail is the reason if it is not "equal"."""

    version: str
    target: str
    what: str
    outcome: str
    detail: str = ""


class Pair:
    """A binary, run natively and emulated."""

    def __init__(self, version: str, target: str, tree: Path) -> None:
        self.version, self.target, self.tree = version, target, tree
        self._command, self._environ = native_command(tree, target, IMAGES)

    def native(self, *args: str, seconds: float = 60) -> NativeQemu:
        """Start the real QEMU, which is killed after some seconds."""
        return NativeQemu(self._command, *args, environ=self._environ, seconds=seconds)

    def emulated(self, *args: str, fill: int = 0) -> Machine:
        """Boot the machine in the emulator."""
        return boot(self.tree / f"usr/bin/qemu-system-{self.target}", args, sysroot=self.tree, fill=fill)

    def result(self, what: str, outcome: str, detail: str = "") -> Result:
        """Make a result of this binary."""
        return Result(self.version, self.target, what, outcome, detail)


#: Commands whose answers are compared, order included.
_ANSWERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("query-machines", {}),
    ("qom-list-types", {"abstract": True}),
)


def compare_answers(pair: Pair) -> Iterator[Result]:
    """Compare QMP answers of a QEMU without a machine."""
    machine = pair.emulated("-M", "none")
    native = pair.native("-M", "none", seconds=1800)
    with contextlib.ExitStack() as stack:
        stack.enter_context(native)
        for command, arguments in _ANSWERS:
            expected, answer = native.qmp(command, **arguments), machine.qmp(command, **arguments)
            detail = "" if answer == expected else _first_difference(expected, answer)
            yield pair.result(command, "equal" if answer == expected else "differs", detail)
        types = [each["name"] for each in native.qmp("qom-list-types", implements="device", abstract=False)]
        for name in types:
            yield _compare_properties(pair, machine, native, name)
            if native.has_ended():
                native = stack.enter_context(pair.native("-M", "none", seconds=1800))


def _compare_properties(pair: Pair, machine: Machine, native: NativeQemu, name: str) -> Result:
    """Compare device-list-properties of one type; errors, and words with which QEMU exits, must be the same."""
    what = f"device-list-properties {name}"
    try:
        expected: Any = native.qmp("device-list-properties", typename=name)
    except RuntimeError as error:
        expected = str(error)
    if native.has_ended():
        expected = expected.strip()
    try:
        answer: Any = machine.qmp("device-list-properties", typename=name)
    except QmpError as error:
        answer = str(error).rpartition("device-list-properties: ")[2]
    except SourceError as error:
        answer = str(error).partition(": ")[2]
    if answer == expected:
        return pair.result(what, "equal")
    return pair.result(what, "differs", _first_difference(expected, answer))


def _first_difference(expected: Any, answer: Any) -> str:
    """Return the first elements that differ, as short text."""
    if isinstance(expected, list) and isinstance(answer, list):
        for one, other in zip(expected, answer, strict=False):
            if one != other:
                return f"native {json.dumps(one)[:200]}, emulated {json.dumps(other)[:200]}"
        return f"native has {len(expected)} elements, emulated {len(answer)}"
    return f"native {str(expected)[:200]!r}, emulated {str(answer)[:200]!r}"


def compare_machine(pair: Pair, name: str, *args: str) -> Result:
    """Boot and save one machine type with further arguments on both sides."""
    what = " ".join(["-M", name, *args])
    with tempfile.TemporaryDirectory() as directory:
        try:
            with pair.native("-M", name, *args) as native:
                expected = native.save(Path(directory, "stream"))
        except (RuntimeError, OSError) as error:
            return _compare_refusal(pair, what, name, args, str(error))
    try:
        machine = pair.emulated("-M", name, *args)
        stream = machine.save()
    except SourceError as error:
        return pair.result(what, "not emulated", str(error).replace("\n", " ")[-300:])
    if vmdescription(stream) != vmdescription(expected):
        return pair.result(what, "differs", "description: " + _description_difference(expected, stream))
    if ram_blocks(stream) != ram_blocks(expected):
        return pair.result(what, "differs", f"RAM blocks: {ram_blocks(expected)}, {ram_blocks(stream)}"[:300])
    differing = _differing_sections(expected, stream)
    if differing:
        other = sections(pair.emulated("-M", name, *args, fill=0xA5).save())
        mine = sections(stream)
        differing = [
            each
            for each in differing
            if (each[0], pair.target) not in CLOCKS_OF_TARGETS
            and not _is_explained(each, sections(expected), mine, other)
        ]
    missed = f"; not implemented: {', '.join(machine.missed_functions)}" if machine.missed_functions else ""
    if differing:
        return pair.result(what, "differs", f"bytes of {_named(differing, expected, stream)}{missed}")
    return pair.result(what, "equal", missed)


def _compare_refusal(pair: Pair, what: str, name: str, args: Sequence[str], reason: str) -> Result:
    """Compare a machine that the real QEMU refuses to start or to save."""
    words = " ".join(reason.split())[-200:]
    try:
        pair.emulated("-M", name, *args).save()
    except SourceError as error:
        return pair.result(what, "refused by both", f"{words} | {' '.join(str(error).split())[-200:]}")
    if reason == "it ended" or "Broken pipe" in reason:
        return pair.result(what, "native crashed")
    return pair.result(what, "refused by native only", words)


def _description_difference(expected: bytes, stream: bytes) -> str:
    """Return the devices that only one description has, or the first that differs."""
    one, other = ((vmdescription(each) or {"devices": []})["devices"] for each in (expected, stream))
    names, others = ([(each["name"], each["instance_id"]) for each in devices] for devices in (one, other))
    if names != others:
        lacking = [name for name in names if name not in others]
        surplus = [name for name in others if name not in names]
        return f"native only {lacking}, emulated only {surplus}" if lacking or surplus else "order of devices"
    return _first_difference(one, other)


def _differing_sections(expected: bytes, stream: bytes) -> list[tuple[str, int]]:
    """Return name and instance of the described sections whose bytes differ."""
    one, other = sections(expected), sections(stream)
    return [key for key in other if one.get(key) != other[key]]


def _is_explained(
    key: tuple[str, int], native: dict[Any, bytes], mine: dict[Any, bytes], filled: dict[Any, bytes]
) -> bool:
    """Return whether a section differs only because of a clock, or in bytes of uninitialised memory."""
    if key[0].rpartition("/")[2] in CLOCKS or key[0] in CLOCKS:
        return True
    one, two, three = native.get(key, b""), mine[key], filled.get(key, b"")
    if not len(one) == len(two) == len(three):
        return False
    return all(a == b or b != c for a, b, c in zip(one, two, three, strict=True))


def _named(keys: Sequence[tuple[str, int]], expected: bytes, stream: bytes) -> str:
    """Return the sections' names, each with the offsets of its first bytes that differ."""
    one, other = sections(expected), sections(stream)
    parts = []
    for key in keys[:5]:
        native, mine = one.get(key, b""), other[key]
        at = [index for index in range(min(len(native), len(mine))) if native[index] != mine[index]]
        parts.append(
            f"{key[0]}:{key[1]} ({len(native)} and {len(mine)} bytes; at "
            + ", ".join(f"{index}: {native[index]:#x} {mine[index]:#x}" for index in at[:4])
            + f"; {len(at)} in all)"
        )
    return "; ".join(parts)


# Running them all --------------------------------------------------------------------------------------------------


def machine_names(pair: Pair) -> list[str]:
    """Return the names of the machine types of the real QEMU, without x-remote, which needs a socket."""
    with pair.native("-M", "none") as native:
        return sorted(each["name"] for each in native.qmp("query-machines") if each["name"] != "x-remote")


def _task(task: tuple[str, str, str, str | None]) -> list[Result]:
    """Run one task in a process of its own: a machine type, or the answers of a binary (no name)."""
    version, target, tree, name = task
    pair = Pair(version, target, Path(tree))
    try:
        if name is None:
            return list(compare_answers(pair))
        return [compare_machine(pair, name)]
    except (MachineError, SourceError, RuntimeError, OSError) as error:
        return [pair.result(name or "answers", "failed", f"{type(error).__name__}: {str(error)[-300:]}")]


def tasks(wanted: Sequence[str], machines: str, scratch: Path) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield the tasks of the wanted VERSION[:TARGET]s."""
    for each in wanted:
        version, _, only = each.partition(":")
        tree = tree_of(version, IMAGES, scratch)
        for target in targets_of(tree):
            if only not in ("", target) or target.endswith("-microvm"):
                continue
            yield version, target, str(tree), None
            names = machine_names(Pair(version, target, tree))
            for name in fnmatch.filter(names, machines):
                yield version, target, str(tree), name


def main() -> int:
    """Run the comparison and print a line for each result that is not equal, and totals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wanted", nargs="*", default=["7.2", "10.0"], metavar="VERSION[:TARGET]")
    parser.add_argument("--machines", default="*", metavar="GLOB")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    arguments = parser.parse_args()
    unknown = [each for each in arguments.wanted if each.partition(":")[0] not in PARTS]
    if unknown or not IMAGES.is_dir():
        parser.error(f"{unknown or '$VMDUMP_IMAGES'}: versions are {', '.join(PARTS)}, below $VMDUMP_IMAGES")
    totals: Counter[tuple[str, str, str]] = Counter()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(dir=IMAGES if os.access(IMAGES, os.W_OK) else None) as scratch,
        multiprocessing.get_context("spawn").Pool(arguments.jobs, maxtasksperchild=4) as pool,
    ):
        for results in pool.imap_unordered(_task, tasks(arguments.wanted, arguments.machines, Path(scratch))):
            for result in results:
                kind = "machines" if result.what.startswith("-M ") else result.what.partition(" ")[0]
                totals[f"{result.version} {result.target}", kind, result.outcome] += 1
                if result.outcome != "equal" or result.detail:
                    print(*result, flush=True)
    sums: Counter[tuple[str, str, str]] = Counter()
    for (where, kind, outcome), count in sorted(totals.items()):
        sums[where.partition(" ")[0], kind, outcome] += count
        print(f"{where} {kind}: {count} {outcome}")
    for (version, kind, outcome), count in sorted(sums.items()):
        print(f"{version} all targets {kind}: {count} {outcome}")
    print(f"{time.monotonic() - began:.0f} s")
    return int(any(outcome not in ("equal", "refused by both", "native crashed") for _, _, outcome in totals))


if __name__ == "__main__":
    sys.exit(main())

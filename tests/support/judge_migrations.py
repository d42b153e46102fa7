"""Measure the accuracy of vmdump migrate: hold emulated migrations against recorded ones, and list each miss.

    python tests/support/judge_migrations.py [--sample N] [--only REGEX] [--jobs N] [-o results.jsonl]

The data, tests/data/migrations/cases.jsonl.xz, has a line for each migration of real QEMUs: Debian's 7.2 and 10.0, in
all four directions, of x86_64, aarch64 and m68k; `args` and `mopts` (appended to the machine type) are the command
line, which follows -S -nodefaults. `outcome` is what happened:

    ok            loaded
    fail, rom     refused, or the destination crashed; `error` has QEMU's lines, `section` the section
    blocked       the source refuses to migrate the VM
    absent        one side lacks the device (absent-src: of src = dst)
    absent-dst-config   the destination lacks an option of the machine type, or does not start
    nostart       one side does not start for another reason (nostart-src: of src = dst), or the source lacks an option
                  of the machine type (badargs-src)
    srccrash, dropped-src-crash       the source crashed while it saved
    dropped-control   the destination cannot load its own stream: judged only if `error` has lines

`variant` is the state: `reset`, stopped after reset; `reset-nocpu`, the same with the sections that every VM of the
type is refused for (cpu, and the command 0xb) left out, so that the next failures show; `run`, the guest ran some
seconds. The emulator saves after reset. Binaries are below $VMDUMP_IMAGES; see `.ci/images`.
"""

from __future__ import annotations

import argparse
import json
import lzma
import multiprocessing
import os
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.machine_trees import tree_of
from vmdump.errors import SourceError
from vmdump.machines.reader import Source
from vmdump.migrate import pair
from vmdump.migrate.arguments import without_host
from vmdump.migrate.pair import INCOMING, Migrated, Side

DATA = Path(__file__).parent.parent / "data" / "migrations" / "cases.jsonl.xz"

IMAGES = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))

#: Classes of outcomes: recorded, and emulated.
RECORDED = {
    "ok": "loads", "fail": "fails", "rom": "fails", "blocked": "blocked", "absent": "absent", "absent-src": "absent",
    "badargs-src": "does-not-start", "absent-dst-config": "absent", "nostart": "does-not-start",
    "nostart-src": "does-not-start", "srccrash": "crashes", "dropped-src-crash": "crashes", "dropped-control": "",
}  # fmt: skip
EMULATED = {"misloads": "loads"}

#: Sections that the variant reset-nocpu leaves out, and a line of what else it does.
_CPU, _COMMAND = "cpu", "MIG_CMD 0xb "


class Group(NamedTuple):
    """Migrations that share machines: target, and arguments but for -device."""

    target: str
    argv: tuple[str, ...]


def read_cases() -> list[dict[str, Any]]:
    """Return the recorded migrations."""
    with lzma.open(DATA, "rt") as file:
        return [json.loads(line) for line in file]


def grouped(cases: Iterable[dict[str, Any]]) -> dict[Group, list[tuple[tuple[str, ...], dict[str, Any]]]]:
    """Return the migrations by group, each with its -device arguments; large groups first."""
    found: dict[Group, list[tuple[tuple[str, ...], dict[str, Any]]]] = {}
    for case in cases:
        argv, devices = _split(case)
        group = Group(case["target"], argv)
        found.setdefault(group, []).append((devices, case))
    for rows in found.values():
        rows.sort(key=lambda row: (row[0], row[1]["src"], row[1]["dst"]))
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _split(case: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    memory = [] if case["device"] == "board" else ["-m", case.get("mem", "64")]
    words = iter(without_host(case.get("args", ())))
    others, devices = [], []
    for word in words:
        if word == "-device":
            devices.append(next(words))
        else:
            others.append(word)
    argv = ["-machine", case["machine"] + case.get("mopts", ""), *memory, *others]
    return tuple(argv), tuple(devices)


def migrate(group: Group, rows: Sequence[tuple[tuple[str, ...], dict[str, Any]]], trees: dict[str, str]) -> list[Any]:
    """Return each case with the emulated result, as JSON. A machine is saved once for all its destinations."""
    sources = {version: Source(f"{tree}/usr/bin/qemu-system-{group.target}", tree) for version, tree in trees.items()}
    old = {version: Side(source, group.argv) for version, source in sources.items()}
    new = {version: Side(source, (*group.argv, *INCOMING)) for version, source in sources.items()}
    saved: dict[tuple[str, tuple[str, ...]], bytes | Migrated] = {}
    known: dict[tuple[str, str, tuple[str, ...]], dict[str, Any]] = {}
    results = []
    for devices, case in rows:
        src, dst = case["src"], case["dst"]
        if (src, dst, devices) not in known:
            try:
                if (src, devices) not in saved:
                    saved[src, devices] = pair.save(old[src], devices)
                stream = saved[src, devices]
                migrated = stream if isinstance(stream, Migrated) else pair.load(new[dst], stream, devices)
                known[src, dst, devices] = _plain(migrated)
            except SourceError as error:
                reason = f"{type(error).__name__}: {error}"
                known[src, dst, devices] = {"outcome": "undecided", "reason": reason, "failures": []}
        results.append((case, known[src, dst, devices]))
    return results


def _plain(migrated: Migrated) -> dict[str, Any]:
    trial = migrated.trial
    return {
        "outcome": trial.outcome, "side": migrated.side, "reason": trial.reason, "compared": trial.is_compared,
        "failures": [{**each._asdict(), "lines": list(each.lines)} for each in trial.failures],
        "changed": [each._asdict() for each in trial.changes],
    }  # fmt: skip


class Judged(NamedTuple):
    """A migration beside its emulation. expected, actual: outcome classes; "" if not judged."""

    case: dict[str, Any]
    result: dict[str, Any]
    expected: str
    actual: str

    @property
    def is_right(self) -> bool:
        """Whether the outcomes agree."""
        return self.expected == self.actual

    def section_is_right(self) -> bool | None:
        """Whether the first failure names the recorded section; None: none is recorded."""
        if not self.case.get("section"):
            return None
        failures = _failures(self.case, self.result)
        return bool(failures) and failures[0]["section"] == self.case["section"]


def judge(case: dict[str, Any], result: dict[str, Any]) -> Judged:
    """Compare a migration with its emulation."""
    expected = RECORDED[case["outcome"]]
    error = case.get("error") or ""
    if case["outcome"] == "dropped-control" and error:
        expected = "fails"
    if case["outcome"] == "absent-dst-config" and "not found" not in error:
        expected = "does-not-start"
    if expected == "fails" and error.startswith("CRASH"):
        expected = "crashes"
    actual = EMULATED.get(result["outcome"], result["outcome"])
    if actual == "fails" and not _failures(case, result) and result["failures"]:
        actual = "loads"
    if actual == "fails" and any("crash" in (each.get("cause") or "") for each in result["failures"]):
        actual = "crashes" if expected == "crashes" else actual
    return Judged(case, result, expected, actual)


def _failures(case: dict[str, Any], result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the failures that count for the variant."""
    found = result["failures"]
    if case["variant"] != "reset-nocpu":
        return found
    return [each for each in found if each["section"] != _CPU and not any(_COMMAND in line for line in each["lines"])]


def table(judged: Sequence[Judged]) -> Iterator[str]:
    """Return the lines of the table, and each miss with its reason."""
    kinds = {"loads": "ok/fail", "fails": "ok/fail", "crashes": "ok/fail"}
    rows: dict[tuple[str, str], Counter[bool]] = {}
    for each in judged:
        if each.expected:
            kind = kinds.get(each.expected, "blocked, absent, nostart")
            for name in (f"{each.case['target']} {each.case['src']} -> {each.case['dst']}", "total"):
                rows.setdefault((name, kind), Counter())[each.is_right] += 1
            right = each.section_is_right()
            if each.expected in ("fails", "crashes") and right is not None:
                rows.setdefault(("total", "section of failures"), Counter())[right] += 1
    for (name, kind), counts in sorted(rows.items(), key=lambda item: (item[0][0] == "total", item[0])):
        count = sum(counts.values())
        yield f"{name:24}  {kind:24}  {counts[True]:5} of {count:5} right  {counts[True] / count:.4f}"
    for each in judged:
        if each.expected and not each.is_right:
            yield f"miss: {_where(each.case)}: {each.expected}, emulated {each.actual}: {_said(each)}"
        elif each.section_is_right() is False and each.expected in ("fails", "crashes"):
            yield f"section: {_where(each.case)}: {each.case['section']}: {_said(each)}"


def _where(case: dict[str, Any]) -> str:
    name = f"{case['target']} {case['src']} -> {case['dst']} {case['machine']}{case.get('mopts', '')}"
    return f"{name} {case['device']} ({case['variant']}, {case['outcome']})"


def _said(each: Judged) -> str:
    failures = "; ".join(f"{one['section']}: {one['cause']}" for one in _failures(each.case, each.result))
    real = " | ".join((each.case.get("error") or "").splitlines())
    return f"emulated: {(each.result.get('reason') or failures)[:300]!r}, real: {real[:200]!r}"


def _task(task: tuple[Group, Any, dict[str, str]]) -> list[Any]:
    return migrate(*task)


#: Cases of a task: a group is split, so that all processes have work to the end.
_CHUNK = 40


def main() -> int:
    """Run the migrations and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, metavar="N", help="N random migrations (default: all)")
    parser.add_argument("--only", default="", metavar="REGEX", help="migrations whose description matches")
    parser.add_argument("--jobs", type=int, metavar="N")
    parser.add_argument("-o", "--output", metavar="FILE", help="write each case with its result, as JSON lines")
    parser.add_argument("--trees", metavar="DIR", help="where the trees are made (default: temporary)")
    args = parser.parse_args()
    if not IMAGES.is_dir():
        parser.error("binaries are looked for below $VMDUMP_IMAGES")
    print(*run(args.sample, args.only, args.jobs, args.output, args.trees), sep="\n")
    return 0


def run(
    sample: int | None = None,
    only: str = "",
    jobs: int | None = None,
    output: str | None = None,
    trees: str | None = None,
) -> list[str]:
    """Run migrations and return the lines of the table. Arguments: see main."""
    cases = [each for each in read_cases() if re.search(only, _where(each))]
    if sample is not None:
        cases = random.Random(0).sample(cases, min(sample, len(cases)))
    with tempfile.TemporaryDirectory(dir=IMAGES if os.access(IMAGES, os.W_OK) else None) as scratch:
        return list(measure(cases, IMAGES, Path(trees or scratch), jobs or os.cpu_count() or 1, output))


def measure(
    cases: Sequence[dict[str, Any]], images: Path, scratch: Path, jobs: int, output: str | None = None
) -> Iterator[str]:
    """Run migrations, and yield the lines of the table."""
    trees = {version: str(tree_of(version, images, scratch)) for version in ("7.2", "10.0")}
    tasks = [
        (group, rows[at : at + _CHUNK], trees)
        for group, rows in grouped(cases).items()
        for at in range(0, len(rows), _CHUNK)
    ]
    judged = []
    file = open(output, "w") if output else None  # noqa: SIM115
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=8) as pool:
        for results in pool.imap_unordered(_task, tasks):
            for case, result in results:
                judged.append(judge(case, result))
                if file:
                    file.write(json.dumps({"case": case, "result": result}) + "\n")
                    file.flush()
    yield from table(judged)


if __name__ == "__main__":
    sys.exit(main())

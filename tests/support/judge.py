"""Measure a checker's accuracy: compare its verdicts with recorded migrations, and list the evidence for each error.

    python tests/support/judge.py                                    QEMU's own script, on the recorded dumps
    python tests/support/judge.py x86_64=check.json aarch64=b.json   and `vmdump check --format json` of these targets

The data, tests/data/migrations/by-type.jsonl.xz, has a line for each device type of a source QEMU that took part in
migrations between Debian's QEMU 7.2 and 10.0 (x86_64, aarch64, m68k; both directions): whole machines, mostly just
reset, so that few subsections were sent. `real` is what became of the type's sections:

    ok       loaded, whenever it was reached
    fail     ended the load, whenever it was reached
    mixed    now one, now the other: it depends on the board, not on the description; left out here
    unknown  never reached, an earlier section had ended the load (`masked` counts these); left out here

and `kinds` says why a failing one failed, `example` with which machine, device and message:

    section-missing  the destination has no section of that name and instance: "Unknown savevm section or instance".
                     The type or its description was renamed or is not there, or the board makes no such instance
    version          the section's version, or that of a description, is above version_id or below minimum_version_id:
                     "unsupported version 2 for 'x' v1", "incoming version_id 2 is too old"
    layout:length    the destination read fewer or more bytes than were sent: "Missing section footer for x"
    (others)         what no description shows: values that are compared after the load, CPUs, RAM blocks, instances of
                     a board. A failure whose kinds are all of these is set apart, and is nobody's error

Failing types, 7.2 -> 10.0: aarch64 7 version, 5 layout:length, 1 section-missing; x86_64 2 layout:length. 10.0 -> 7.2:
aarch64 5 section-missing, 3 version, 1 layout:length, and one section-missing of a mixed type. On m68k all load.

A verdict is one of `breaks`, `misload` (breaks, but only because the same bytes would mean something else, which no
migration notices), `conditional`, `unknown` (a part was not compared), `safe` and `absent` (the destination lacks the
type).

`vmdump migrate` is judged case by case: see judge_migrations.py.
"""

from __future__ import annotations

import argparse
import functools
import json
import lzma
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import vmdump
from support import judge_migrations
from support.machine_trees import PARTS, tree_of
from vmdump.check.checker import Labelled, check
from vmdump.check.evaluated.evaluation import image_of
from vmdump.check.evaluated.evaluations import Evaluations
from vmdump.check.results import TypeResult
from vmdump.check.static_checker import compare, load
from vmdump.dump.device_dump import DeviceDump
from vmdump.sources.image_cache import open_image
from vmdump.sources.qemu_image.image import QemuImage

DATA = Path(__file__).parent.parent / "data"

#: Prefixes of failure kinds that can be derived from both sides' descriptions.
DECIDABLE = ("section-missing", "version", "layout")

VERDICTS = ("breaks", "misload", "conditional", "unknown", "safe", "absent")

#: Machine types of both versions, by target, for checks with evaluation in VMs.
MACHINES = {"x86_64": ("pc-q35-7.2", "pc-i440fx-7.2"), "aarch64": ("virt-7.2",), "m68k": ("virt-7.2",)}

#: Limit for the VMs of a binary, in seconds of CPU time.
_SECONDS = 600

#: The dump directories of the recorded versions.
DUMPS = {"7.2": "7.2.22", "10.0": "10.0.13"}


class Pair(NamedTuple):
    """A direction of a target: source version -> destination version."""

    target: str
    src: str
    dst: str

    def __str__(self) -> str:
        return f"{self.target} {self.src} -> {self.dst}"


#: A checker's result: the verdict of each type of the source.
Verdicts = Mapping[tuple[str, str, str], Mapping[str, str]]


@dataclass(frozen=True)
class Migration:
    """A record of the data."""

    target: str
    src: str
    dst: str
    type: str
    vmsd: str
    real: str
    ok: int
    blamed: int
    masked: int
    kinds: Sequence[str]
    example: Sequence[str] | None
    classic_checker: Sequence[str]

    @property
    def pair(self) -> Pair:
        return Pair(self.target, self.src, self.dst)

    @property
    def decidable(self) -> bool:
        """Whether the failure has a cause that the descriptions show."""
        return any(kind.startswith(DECIDABLE) for kind in self.kinds)

    def evidence(self) -> str:
        """Return what happened, on one line."""
        if self.real != "fail":
            return f"loaded {self.ok} times"
        machine, device, state, error = self.example or ("?", "?", "?", "no example")
        return f"{', '.join(self.kinds)}: {error.partition(chr(10))[0]} (-M {machine}, {device}, {state})"


def read_migrations() -> list[Migration]:
    """Return the records, in file order."""
    with lzma.open(DATA / "migrations" / "by-type.jsonl.xz") as file:
        return [Migration(**json.loads(line)) for line in file]


@dataclass
class Score:
    """Counts of a checker's right and wrong verdicts, for one or several pairs."""

    hits: list[Migration] = field(default_factory=list)  #: failed, and breaks or misload
    warned: list[Migration] = field(default_factory=list)  #: failed, and conditional
    absent: list[Migration] = field(default_factory=list)  #: failed for want of the section, and absent
    unsure: list[Migration] = field(default_factory=list)  #: failed, and unknown: not reported as loadable
    misses: list[Migration] = field(default_factory=list)  #: failed, and anything else, or no verdict
    false_alarms: list[Migration] = field(default_factory=list)  #: loaded, and breaks
    misloads: list[Migration] = field(
        default_factory=list
    )  #: loaded, and misload: not an error, as a migration cannot show it
    lost: list[Migration] = field(default_factory=list)  #: loaded, and absent: present under another name
    conditional: list[Migration] = field(default_factory=list)  #: loaded, and conditional
    unknown: list[Migration] = field(default_factory=list)  #: loaded, and unknown
    quiet: list[Migration] = field(default_factory=list)  #: loaded, and safe
    unanswered: list[Migration] = field(default_factory=list)  #: loaded, and no verdict
    apart: list[Migration] = field(default_factory=list)  #: failed for a cause that no description shows

    def add(self, migration: Migration, verdict: str | None) -> None:
        """Count one type."""
        if verdict not in (None, *VERDICTS):
            raise ValueError(f"{migration.pair}: {migration.type}: {verdict!r} is no verdict; those are {VERDICTS}")
        if migration.real in ("mixed", "unknown"):
            return
        if migration.real == "ok":
            lists = {
                "breaks": self.false_alarms,
                "misload": self.misloads,
                "conditional": self.conditional,
                "unknown": self.unknown,
                "safe": self.quiet,
                "absent": self.lost,
            }
            lists.get(verdict or "", self.unanswered).append(migration)
        elif not migration.decidable:
            self.apart.append(migration)
        elif verdict in ("breaks", "misload"):
            self.hits.append(migration)
        elif verdict == "conditional":
            self.warned.append(migration)
        elif verdict == "absent" and "section-missing" in migration.kinds:
            self.absent.append(migration)
        elif verdict == "unknown":
            self.unsure.append(migration)
        else:
            self.misses.append(migration)

    def __add__(self, other: Score) -> Score:
        return Score(**{name: mine + getattr(other, name) for name, mine in vars(self).items()})

    @property
    def migrated(self) -> int:
        lists = (self.false_alarms, self.misloads, self.lost, self.conditional, self.unknown, self.quiet)
        return sum(map(len, (*lists, self.unanswered)))

    @property
    def caught(self) -> int:
        return len(self.hits) + len(self.warned) + len(self.absent)

    @property
    def failed(self) -> int:
        """The number of failures that the descriptions show."""
        return self.caught + len(self.unsure) + len(self.misses)

    @property
    def precision(self) -> float | None:
        """The share of reported breaks that did break; None without any."""
        return _ratio(len(self.hits), len(self.hits) + len(self.false_alarms))

    @property
    def recall(self) -> float | None:
        """The share of decidable failures that were reported; None without any."""
        return _ratio(self.caught, self.failed)

    @property
    def conditional_share(self) -> float | None:
        """The share of migrated types with verdict conditional."""
        return _ratio(len(self.conditional), self.migrated)

    @property
    def unknown_share(self) -> float | None:
        """The share of migrated types with verdict unknown."""
        return _ratio(len(self.unknown), self.migrated)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def judge(verdicts: Verdicts, migrations: Iterable[Migration] | None = None) -> dict[Pair, Score]:
    """Return the score of each pair that has verdicts, in the order of the data."""
    scores: dict[Pair, Score] = {}
    for migration in read_migrations() if migrations is None else migrations:
        if migration.pair in verdicts:
            score = scores.setdefault(migration.pair, Score())
            score.add(migration, verdicts[migration.pair].get(migration.type))
    return scores


def total(scores: Mapping[Pair, Score]) -> Score:
    """Return the sum of all scores."""
    return sum(scores.values(), Score())


# Checkers ---------------------------------------------------------------------------------------------------------


def ask(checker: Callable[[str, str, str], Mapping[str, str]]) -> Verdicts:
    """Call a function of (target, src, dst), such as ("x86_64", "7.2", "10.0"), for every pair of the data."""
    return {pair: checker(*pair) for pair in dict.fromkeys(migration.pair for migration in read_migrations())}


def recorded_classic(target: str, src: str, dst: str) -> Mapping[str, str]:
    """Return the recorded verdicts of QEMU's script: a type with any finding counts as breaks."""
    pair = (target, src, dst)
    return {m.type: "breaks" if m.classic_checker else "safe" for m in read_migrations() if m.pair == pair}


def classic(target: str, src: str, dst: str) -> Mapping[str, str]:
    """Return the verdicts of vmdump's implementation of the script on tests/data, dumps of other builds."""
    return {name: "breaks" if lines else "safe" for name, lines in classic_lines(target, src, dst).items()}


def classic_lines(target: str, src: str, dst: str) -> dict[str, list[str]]:
    """Return the lines of `vmdump classic` for each type of the source."""
    source, destination = (_dump(version, target) for version in (src, dst))
    return {
        name: "".join(message.text for message in compare({name: section}, destination)).splitlines()
        for name, section in source.items()
        if name != "vmschkmachine"
    }


def _dump(version: str, target: str) -> Mapping[str, Any]:
    path = DATA / "dumps" / f"qemu-{DUMPS[version]}" / f"{target}.json.xz"
    return load(lzma.decompress(path.read_bytes()), str(path))


def check_images(target: str, src: str, dst: str) -> Mapping[str, str]:
    """Return the verdicts of vmdump check on binaries below $VMDUMP_IMAGES, or on the extended dumps in tests/data."""
    return _check(_image(src, target), _image(dst, target))


def check_machine(machine: str) -> Callable[[str, str, str], Mapping[str, str]]:
    """Return a checker of binaries under a machine type of MACHINES, which evaluates tests in VMs of it.

    Targets without the machine type, or without binaries, are checked as by check_images.
    """

    def checker(target: str, src: str, dst: str) -> Mapping[str, str]:
        if machine not in MACHINES.get(target, ()) or not all(_path(each, target).exists() for each in (src, dst)):
            return check_images(target, src, dst)
        trees = [_tree(version) for version in (src, dst)]
        dumps = [open_image(tree / "usr/bin" / f"qemu-system-{target}").dump(machine) for tree in trees]
        images = [image_of(dump, str(tree), None) for dump, tree in zip(dumps, trees, strict=True)]
        return _check(*dumps, Evaluations(images, print, timeout=_SECONDS))

    return checker


def check_dumps(target: str, src: str, dst: str) -> Mapping[str, str]:
    """Return the verdicts of vmdump check on QEMU's own dumps, which have less metadata."""
    return _check(_parsed("dumps", src, target), _parsed("dumps", dst, target))


def _image(version: str, target: str) -> DeviceDump:
    binary = _path(version, target)
    if not binary.exists():
        return _parsed("extended", version, target)
    return QemuImage(str(binary)).dump()


def _path(version: str, target: str) -> Path:
    return Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"), DUMPS[version], "usr/bin", f"qemu-system-{target}")


def _tree(version: str) -> Path:
    """Return a tree of a version with the libraries that QEMU needs, if there are; of hard links beside the images."""
    images = Path(os.environ["VMDUMP_IMAGES"])
    if not (images / PARTS[version][0]).is_dir():
        return images / DUMPS[version]
    scratch = images / "trees"
    scratch.mkdir(exist_ok=True)
    return tree_of(version, images, scratch)


@functools.cache
def _parsed(kind: str, version: str, target: str) -> DeviceDump:
    name = {"dumps": f"qemu-{DUMPS[version]}/{target}", "extended": f"qemu-{DUMPS[version]}-{target}"}[kind]
    return vmdump.open(DATA / kind / f"{name}.json.xz")


def _check(source: DeviceDump, destination: DeviceDump, evaluations: Evaluations | None = None) -> Mapping[str, str]:
    dumps = [Labelled("A", source), Labelled("B", destination)]
    result = check(dumps, directions=[(0, 1)], evaluations=evaluations)
    return {each.type: _verdict(each) for each in result.results["A -> B"]}


def _verdict(result: TypeResult) -> str:
    breaking = [finding.rule for finding in result.findings if finding.verdict == "breaks"]
    return "misload" if breaking and all("misload" in rule for rule in breaking) else str(result.verdict)


def checked(target: str, report: Mapping[str, Any]) -> dict[tuple[str, str, str], dict[str, str]]:
    """Return the verdicts in the JSON of `vmdump check`, with directions identified by the versions in their labels. A
    breaking type counts as misload if all of its breaking findings have a misload rule.
    """
    verdicts = {}
    for direction, by_type in report["verdicts"].items():
        src, dst = (_version_in(name) for name in direction.split(" -> "))
        breaking: dict[str, list[bool]] = {}
        for finding in report.get("findings", ()):
            if finding.get("direction") == direction and finding["verdict"] == "breaks":
                breaking.setdefault(finding["type"], []).append("misload" in finding["rule"])
        verdicts[target, src, dst] = {
            name: "misload" if verdict == "breaks" and all(breaking.get(name, [False])) else verdict
            for name, verdict in by_type.items()
        }
    return verdicts


def _version_in(name: str) -> str:
    found = [version for version in DUMPS if re.search(rf"(?<![\d.]){re.escape(version)}(?!\d)", name)]
    if len(found) != 1:
        raise ValueError(f"{name!r} names not one of the versions {', '.join(DUMPS)}")
    return found[0]


# The table --------------------------------------------------------------------------------------------------------

HEADS = (
    *("", "migrated", "failed", "hits", "false", "precision", "caught", "missed", "recall", "conditional", "share"),
    *("unknown", "share"),
)

#: Score attributes listed below the table, with their headings.
LISTED = {
    "false_alarms": "false alarm",
    "misses": "miss",
    "unsure": "unknown, and failed",
    "misloads": "silent misload, no error",
    "lost": "called absent, but migrated",
    "unanswered": "no verdict",
    "apart": "set apart",
}


def table(scores: Mapping[Pair, Score]) -> Iterator[str]:
    """Return the lines of the table and of the lists below it."""
    rows = [HEADS, *(_row(str(pair), score) for pair, score in scores.items()), _row("total", total(scores))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        right = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield f"{name.ljust(widths[0])}  {right}"
    for pair, score in scores.items():
        for name, called in LISTED.items():
            for migration in getattr(score, name):
                yield f"{called}: {pair}: {migration.type}: {migration.evidence()}"


def _row(name: str, score: Score) -> tuple[str, ...]:
    cells = (score.migrated, score.failed, len(score.hits), len(score.false_alarms), score.precision, score.caught)
    cells += (len(score.misses), score.recall, len(score.conditional), score.conditional_share)
    cells += (len(score.unknown), score.unknown_share)
    return name, *("-" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells)


PAGE = """# Accuracy

Written by `{command}` (vmdump {version});
`make judge` prints the same, with all recorded migrations of `vmdump migrate`. Verdicts are compared with recorded
migrations of real QEMUs 7.2 and 10.0. A row counts device types that migrated, and failed. Of types reported as
`breaks`, `hits` did fail and `false` did not; of those that failed, `caught` were reported and `missed` were not;
`conditional` and `unknown`, with their share, are of those that migrated.
"""


def page(tables: Mapping[str, Sequence[str]]) -> str:
    """Return the page of the tables, by what was judged."""
    command = shlex.join(["python", "tests/support/judge.py", *sys.argv[1:]])
    parts = [PAGE.format(command=command, version=vmdump.__version__)]
    for name, lines in tables.items():
        parts.append(f"## {name}\n\n```text\n{chr(10).join(lines)}\n```\n")
    return "\n".join(parts)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Holds verdicts against real migrations.")
    parser.add_argument(
        "files", nargs="*", metavar="TARGET=FILE", help="JSON of vmdump check for a target's 7.2 and 10.0"
    )
    parser.add_argument(
        "--migrations", type=int, metavar="N", help="try N random migrations of vmdump migrate (default: all 7,048)"
    )
    parser.add_argument("--results", metavar="FILE", help="also write a page in Markdown, such as bench/ACCURACY.md")
    arguments = parser.parse_args()
    verdicts: dict[tuple[str, str, str], dict[str, str]] = {}
    for argument in arguments.files:
        target, _, path = argument.partition("=")
        try:
            verdicts |= checked(target, json.loads(Path(path).read_bytes()))
        except (OSError, ValueError, KeyError) as error:
            sys.exit(f"{argument}: {error}")
    checkers: dict[str, Callable[[str, str, str], Mapping[str, str]]] = {
        "QEMU's script, as recorded": recorded_classic,
        "vmdump classic": classic,
        "vmdump check, of binaries": check_images,
        "vmdump check, of QEMU's own dumps": check_dumps,
        **{
            f"vmdump check -M {machine}, of binaries": check_machine(machine)
            for machine in dict.fromkeys(name for names in MACHINES.values() for name in names)
            if "VMDUMP_IMAGES" in os.environ
        },
    }
    tables: dict[str, list[str]] = {}

    def show(name: str, lines: Iterable[str]) -> None:
        tables[name] = list(lines)
        print(f"{name}\n\n{chr(10).join(tables[name])}\n", flush=True)
        if arguments.results:
            Path(arguments.results).write_text(page(tables))

    for name, checker in checkers.items():
        show(name, table(judge(ask(checker))))
    if verdicts:
        show("vmdump check", table(judge(verdicts)))
    if "VMDUMP_IMAGES" in os.environ and arguments.migrations != 0:
        count = f", {arguments.migrations} of the recorded migrations" if arguments.migrations else ""
        show(f"vmdump migrate{count}", judge_migrations.run(arguments.migrations))


if __name__ == "__main__":
    main()

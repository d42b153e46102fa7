"""The check of two full dumps as a whole process, against QEMU's own script. Run by compare.py.

QEMU's script is given by VMDUMP_CLASSIC_SCRIPT (.ci/classic-script fetches it). Reading two JSON files with Python, a
lower bound for the script, is always measured.
"""

import json
import lzma
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from compare_process import installed_environ, process_comparison
from inputs import AARCH64
from measure import Comparison, Goal, Row

#: Findings are not a failure here.
ANYWAY = ["/bin/sh", "-c", '"$0" "$@" >/dev/null || :']

#: The script compares one direction.
FORWARD = "vmdump check OLD NEW, forward"
SCRIPT = "QEMU's script"

LOADS = "import json, sys; [json.load(open(path)) for path in sys.argv[1:]]"


def compare_check(quick: bool) -> Iterator[Comparison]:
    """CPU time and peak memory for aarch64, QEMU 7.2 against 10.0: 1.9 MB each."""
    with tempfile.TemporaryDirectory(prefix="vmdump-bench-") as temporary:
        directory = Path(temporary)
        old, new = directory / "old.json", directory / "new.json"
        for target, version in ((old, "qemu-7.2.22"), (new, "qemu-10.0.13")):
            target.write_bytes(lzma.decompress((AARCH64.parent.parent / version / AARCH64.name).read_bytes()))
        check = [*ANYWAY, sys.executable, "-m", "vmdump", "check", old, new]
        commands = {
            "vmdump check OLD NEW": check,
            FORWARD: [*check, "--direction", "forward"],
            "vmdump classic": [*ANYWAY, sys.executable, "-m", "vmdump", "classic", "-s", old, "-d", new],
            "json.load of both": [*ANYWAY, sys.executable, "-I", "-S", "-c", LOADS, old, new],
        }
        notes, more = [], []
        script = os.environ.get("VMDUMP_CLASSIC_SCRIPT")
        if script:
            commands[SCRIPT] = [*ANYWAY, sys.executable, "-I", "-S", script, "-s", old, "-d", new]
            more = [Row(SCRIPT, FORWARD, Goal(at_least=1))]
        else:
            notes.append(f"{SCRIPT}: skipped, VMDUMP_CLASSIC_SCRIPT is not set (.ci/classic-script fetches it)")
        yield process_comparison("check of two dumps", commands, installed_environ(), notes, more)
        yield _matrix(directory, old.read_bytes(), new.read_bytes(), quick=quick)
        yield _many(directory, 1_000 if quick else 100_000)


def _matrix(directory: Path, old: bytes, new: bytes, *, quick: bool) -> Comparison:
    """A matrix as HTML: many producers, a field of each resized in turn, against two."""
    count = 6 if quick else 40
    dumps = []
    for number in range(count):
        text = new if number % 2 else old
        at = text.index(b'"size": ', len(text) * number // (count + 1)) + 8
        dumps.append(directory / f"{number}.json")
        dumps[-1].write_bytes(text[:at] + b"1" + text[at:])
    page = [*ANYWAY, sys.executable, "-m", "vmdump", "check", "--format", "html", "-o", directory / "page.html"]
    two, many = "two QEMUs as HTML", f"{count} QEMUs as HTML, --matrix"
    commands = {two: [*page, *dumps[:2]], many: [*page, "--matrix", *dumps]}
    more = [Row(many, two, Goal(at_most=count))]  # there are count * count / 4 times as many pairs
    return process_comparison("check of a matrix", commands, installed_environ(), [], more)


def _many(directory: Path, count: int) -> Comparison:
    """Many devices: all equal, a field of each resized, all of them gone."""

    def written(name: str, size: int, number: int) -> Path:
        fields = [{"field": f"f{at}", "version_id": 0, "field_exists": False, "size": size} for at in range(3)]
        head = {"version_id": 1, "minimum_version_id": 1}
        devices = {
            f"dev-{at}": {"Name": f"sec-{at}", **head, "Description": {"name": f"sec-{at}", **head, "Fields": fields}}
            for at in range(number)
        }
        path = directory / name
        path.write_text(json.dumps({"vmschkmachine": {"Name": "pc"}, **devices}))
        return path

    old, new, none = written("many-old.json", 4, count), written("many-new.json", 8, count), written("none.json", 4, 0)
    check = [*ANYWAY, sys.executable, "-m", "vmdump", "check", "--direction", "forward"]
    parse = "json.load of both"
    commands = {
        parse: [*ANYWAY, sys.executable, "-I", "-S", "-c", LOADS, old, new],
        f"{count} devices, all equal": [*check, old, old],
        f"{count} devices, all differ": [*check, old, new],
        f"{count} devices, all gone": [*check, old, none],
    }
    return process_comparison("check of many devices", commands, installed_environ(), [], [])

"""The check of two full dumps as a whole process, against QEMU's own script. Run by compare.py.

QEMU's script is given by VMDUMP_CLASSIC_SCRIPT (.ci/classic-script fetches it). Reading two JSON files with Python, a
lower bound for the script, is always measured.
"""

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

"""vmdump migrate of a machine type with all its devices, on two processes. Run by compare.py.

From Debian's 7.2 to 10.0 below $VMDUMP_IMAGES (see .ci/images), else from the installed QEMU to itself.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from child import child_environ
from measure import Comparison, Goal, Row

ALL, MEMORY = "all devices on two processes", "largest process"

#: Goals of issue 15: seconds, bytes.
ALL_GOAL, MEMORY_GOAL = Goal(at_most=90), Goal(at_most=400e6)

MACHINE = "pc-q35-7.2"

#: Seconds between two looks at the processes' memory.
_TICK = 0.5


def compare_migrate(quick: bool) -> Iterator[Comparison]:
    """The whole run: elapsed time, and the largest peak memory of a process. quick: few devices."""
    title = f"migrate: {MACHINE}, each device"
    images = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))
    trees = [images / "roots" / f"{name}-amd64" for name in ("bookworm", "trixie")]
    installed = shutil.which("qemu-system-x86_64")
    if all((tree / "usr/bin/qemu-system-x86_64").exists() for tree in trees):
        sides = [str(tree / "usr/bin/qemu-system-x86_64") for tree in trees]
        roots = [word for tree in trees for word in ("--root", str(tree))]
    elif installed:
        sides, roots = [installed, installed], []
    else:
        yield Comparison(title, notes=["skipped: no qemu-system-x86_64"])
        return
    command = [sys.executable, "-m", "vmdump", "migrate", *sides, *roots, "-M", MACHINE, "--jobs", "2"]
    command += ["--format", "json", "--device", "virtio-*" if quick else "*", "-o"]

    def turn() -> dict[str, float]:
        with tempfile.NamedTemporaryFile() as file:
            start = time.monotonic()
            process = subprocess.Popen([*command, file.name], env=child_environ(), stderr=subprocess.DEVNULL)
            peak = 0
            while process.poll() is None:
                peak = max(peak, _largest(process.pid))
                time.sleep(_TICK)
            if process.returncode not in (0, 1, 3) or not os.path.getsize(file.name):
                raise SystemExit(f"vmdump migrate ended with {process.returncode}")
            return {ALL: time.monotonic() - start, MEMORY: float(peak)}

    yield Comparison(
        title, [turn],
        [
            Row(ALL, goal=None if quick else ALL_GOAL, promise="" if quick else f"migrate of {MACHINE}: {ALL}"),
            Row(MEMORY, goal=MEMORY_GOAL, unit="B", promise=f"migrate of {MACHINE}: {MEMORY}"),
        ],
        clock="elapsed time", max_rounds=3,
    )  # fmt: skip


def _largest(pid: int) -> int:
    """Return the largest peak memory of a process and its descendants, in bytes."""
    found = 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                found = int(line.split()[1]) * 1024
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found = max([found, *(_largest(int(each)) for each in children)])
    return found

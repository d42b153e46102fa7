"""QEMU binaries: read anew, read from the cache, and run to write the dump themselves. Run by compare.py.

Ratios are vmdump's CPU time over that of QEMU's own -dump-vmstate. A second table has the phases of a first read,
measured inside one process.

Of the four binaries two are installed (Debian's qemu-system-x86, -arm) and two are in $VMDUMP_IMAGES, unpacked by
.ci/images; missing ones are skipped.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from compare_process import installed_environ, memory_of, process_case
from measure import Case, Comparison, Goal, Row

from vmdump.sources.qemu_image.image import QemuImage

FIRST, SECOND, NATIVE = "first read (--no-cache)", "second read (cached)", "native run"

#: Goals of issue 3: CPU time over that of running the binary, for a first and a second read; peak memory in bytes.
FIRST_GOALS = {"x86_64": Goal(at_most=7), "aarch64": Goal(at_most=9)}
SECOND_GOAL = Goal(at_most=1)
MEMORY_GOAL = Goal(at_most=150e6)

PHASES = ("read", "map", "constructors", "init functions", "classes", "modules", "descriptions")


class Binary(NamedTuple):
    """A QEMU binary, and its module directory unless it is the default."""

    target: str
    path: str
    module_dir: str | None = None


def compare_image(quick: bool) -> Iterator[Comparison]:
    """Each binary: whole processes, then the phases of a first read."""
    for binary in find_binaries():
        with tempfile.TemporaryDirectory(prefix="vmdump-bench-") as temporary:
            yield _compare_processes(binary, Path(temporary))
        yield _compare_phases(binary)


def find_binaries() -> list[Binary]:
    """Return the available binaries; of several unpacked versions, the first that runs on this machine."""
    installed = [(target, shutil.which(f"qemu-system-{target}")) for target in ("x86_64", "aarch64")]
    binaries = [Binary(target, path) for target, path in installed if path]
    images = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))
    for target in ("s390x", "ppc64"):
        unpacked = [
            Binary(target, str(path), next(map(str, path.parent.parent.glob("lib/*/qemu")), None))
            for path in sorted(images.glob(f"*/usr/bin/qemu-system-{target}"))
        ]
        binaries += sorted(unpacked, key=lambda binary: not _runs(binary))[:1]
    return binaries


def _native(binary: Binary, output: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and environment variables with which the binary writes its own dump."""
    options = ["-M", "none", "-nodefaults", "-display", "none", "-dump-vmstate", output]
    return [binary.path, *options], {"QEMU_MODULE_DIR": binary.module_dir} if binary.module_dir else {}


def _runs(binary: Binary) -> bool:
    command, environ = _native(binary, os.devnull)
    return subprocess.run(command, env=os.environ | environ, capture_output=True, check=False).returncode == 0


def _compare_processes(binary: Binary, directory: Path) -> Comparison:
    environ = installed_environ() | {"XDG_CACHE_HOME": str(directory / "cache")}
    dump = [sys.executable, "-m", "vmdump", "dump", "-M", "none", binary.path, "-o"]
    cases = [
        process_case(FIRST, [*dump, directory / "first.json", "--no-cache"], environ),
        process_case(SECOND, [*dump, directory / "second.json"], environ),
    ]
    rows = [Row(FIRST), Row(SECOND)]
    notes = [f"{NATIVE}: skipped, this binary does not run here"]
    if _runs(binary):
        command, more = _native(binary, str(directory / "native.json"))
        cases.append(process_case(NATIVE, command, environ | more))
        rows = [Row(FIRST, NATIVE, FIRST_GOALS.get(binary.target)), Row(SECOND, NATIVE, SECOND_GOAL), Row(NATIVE)]
        notes = []
    rows += [Row(memory_of(row.name), goal=MEMORY_GOAL if row.name == FIRST else None, unit="B") for row in rows]
    title = f"{binary.target}: {binary.path}"
    return Comparison(title, cases, rows, clock="CPU time, user and system, of the child (wait4)", notes=notes)


def _compare_phases(binary: Binary) -> Comparison:
    return Comparison(
        f"{binary.target}: phases of a first read",
        [_phases_case(binary)],
        [Row("all phases"), *(Row(phase, "all phases") for phase in PHASES)],
    )


def _phases_case(binary: Binary) -> Case:
    def turn() -> dict[str, float]:
        times: dict[str, float] = defaultdict(float)
        phase, since = "", time.process_time()

        def on_phase(name: str) -> None:
            nonlocal phase, since
            now = time.process_time()
            times[phase] += now - since
            phase, since = name, now

        QemuImage(binary.path, details=False, on_phase=on_phase).dump("none")
        on_phase("")
        del times[""]
        return {"all phases": sum(times.values()), **times}

    return turn

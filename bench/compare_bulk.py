"""vmdump bulk on Debian's packages of a whole QEMU, compared with running the same binaries one after another, and all
machines of a binary compared with one. Run by compare.py; needs .ci/images' downloads in $VMDUMP_IMAGES.
"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from child import child_environ
from inputs import AARCH64
from measure import Case, Comparison, Goal, Row, cpu_timed

VERSION = "7.2.22"

NATIVE, COLD, UNCHANGED = "the binaries natively, one after another", "bulk, two jobs, cold", "bulk, unchanged"
JSON, ROWS = "read and render dumps: JSON", "read and render dumps: Parquet"
ONE, ALL = "read and render: one machine", "read and render: all machines"


def _compare_rows(quick: bool) -> Comparison:
    """What a worker does for a dump, with rows and without."""
    dumps = sorted(AARCH64.parent.glob("*.json.xz"))[: 4 if quick else None]

    def read(format: str) -> None:
        for path in dumps:
            _read(str(path), "default", "dump", format)

    return Comparison(
        "bulk: dumps to Parquet",
        [cpu_timed(JSON, lambda: read("json")), cpu_timed(ROWS, lambda: read("parquet"))],
        [Row(JSON), Row(ROWS, JSON, Goal(at_most=2), promise="bulk, read and render: Parquet vs JSON")],
    )


def compare_bulk(quick: bool) -> Iterator[Comparison]:
    """Wall time of whole runs, and CPU time of what a worker does for a binary and for a dump."""
    yield _compare_rows(quick)
    images = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))
    debs = sorted(glob.glob(f"{glob.escape(str(images))}/debs/{VERSION}/*.deb"))
    title = f"bulk: Debian's QEMU {VERSION} from its packages"
    if not debs:
        note = "skipped: no packages; run .ci/images DIRECTORY and set VMDUMP_IMAGES=DIRECTORY"
        yield Comparison(title, [], [], clock="wall time", notes=[note])
        return
    debs = debs[:2] if quick else debs
    with tempfile.TemporaryDirectory(prefix="vmdump-bench-") as temporary:
        out = Path(temporary, "out")
        command = [sys.executable, "-m", "vmdump", "bulk", *debs, "-o", str(out), "--machines", "none", "--jobs", "2"]
        binaries = _unpack(debs, Path(temporary, "root"))
        yield Comparison(
            title,
            [
                _timed(NATIVE, lambda: [_run_native(binary, temporary) for binary in binaries]),
                _timed(COLD, lambda: _run(command), before=lambda: shutil.rmtree(out, ignore_errors=True)),
                _timed(UNCHANGED, lambda: _run(command)),
            ],
            [Row(NATIVE), Row(COLD, NATIVE, goal=Goal(at_most=7)), Row(UNCHANGED, NATIVE, goal=Goal(at_most=0.5))],
            clock="wall time",
            notes=[f"{len(binaries)} binaries in {len(debs)} packages"],
        )
        x86_64 = next((each for each in binaries if each.endswith("/qemu-system-x86_64")), binaries[0])
        yield Comparison(
            f"bulk: machines of {os.path.basename(x86_64)}",
            [_timed(ONE, lambda: _read(x86_64, "default")), _timed(ALL, lambda: _read(x86_64, "all"))],
            [Row(ONE), Row(ALL, ONE, goal=Goal(at_most=1.5))],
            clock="wall time, excluding writing",
        )


def _timed(name: str, function: Callable[[], object], before: Callable[[], object] = lambda: None) -> Case:
    def turn() -> dict[str, float]:
        before()
        start = time.perf_counter()
        function()
        return {name: time.perf_counter() - start}

    return turn


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, env=child_environ())


def _run_native(binary: str, directory: str) -> None:
    options = ["-M", "none", "-nodefaults", "-display", "none", "-dump-vmstate", f"{directory}/native.json"]
    subprocess.run([binary, *options], check=True, capture_output=True, env=child_environ())


def _unpack(debs: list[str], root: Path) -> list[str]:
    """Unpack packages with dpkg-deb, each once."""
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
    found = (path for folder in ("bin", "libexec") for path in sorted((root / "usr" / folder).glob("qemu-system-*")))
    return [str(path) for path in found if not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF"]


def _read(path: str, machines: str, kind: str = "binary", format: str = "json") -> None:
    from vmdump.bulk.tasks import ReadTask
    from vmdump.bulk.worker import perform

    outcome = perform(ReadTask(kind, path, None, machines, format, 600.0))
    if outcome.error:
        raise SystemExit(outcome.error)

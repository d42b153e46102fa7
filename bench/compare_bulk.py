"""vmdump bulk over Debian's packages of a whole QEMU, against running the same binaries natively one after another; and
all machines of a binary against one. Run by compare.py; needs what .ci/images downloads, in $VMDUMP_IMAGES.
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
from measure import Case, Comparison, Goal, Row

VERSION = "7.2.22"

NATIVE, COLD, UNCHANGED = "the binaries natively, one after another", "bulk, two jobs, cold", "bulk, unchanged"
ONE, ALL = "read and render: one machine", "read and render: all machines"


def compare_bulk(quick: bool) -> Iterator[Comparison]:
    """Wall time of whole runs, and CPU time of what a worker does for a binary."""
    images = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))
    debs = sorted(glob.glob(f"{glob.escape(str(images))}/debs/{VERSION}/*.deb"))
    title = f"bulk: Debian's QEMU {VERSION} from its packages"
    if not debs:
        note = "skipped: no packages; .ci/images DIRECTORY downloads them, VMDUMP_IMAGES=DIRECTORY says where"
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
            clock="wall time, without the writing",
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
    """The QEMUs of packages, unpacked by dpkg-deb, each once."""
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
    found = (path for folder in ("bin", "libexec") for path in sorted((root / "usr" / folder).glob("qemu-system-*")))
    return [str(path) for path in found if not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF"]


def _read(path: str, machines: str) -> None:
    from vmdump.bulk.worker import Read, perform

    outcome = perform(Read("binary", path, None, machines, "json", 600.0))
    if outcome.error:
        raise SystemExit(outcome.error)

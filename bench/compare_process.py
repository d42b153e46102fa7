"""Whole processes: vmdump, the QEMU that writes the same dump, and an empty Python program. Run by
compare.py.

Ratios are the other's CPU time or memory over vmdump's; above 1 is in vmdump's favour. The ratio of `python -c pass` is
the share of Python itself.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from inputs import read_aarch64
from measure import Case, Comparison, Goal, Row

QEMU = "qemu-system-aarch64"
PROMISE = "python -m vmdump dump x.json -o y.json vs qemu-system-aarch64, CPU time"

#: Starts a process and prints its CPU time and peak memory. The latter includes the parent's memory at fork time, so
#: the parent must be small.
LAUNCHER = """
import os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(pid, 0)
if status:
    sys.exit(f"{sys.argv[1:]}: wait status {status}")
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
"""


def compare_process(quick: bool) -> Iterator[Comparison]:
    """CPU time and peak memory of the same processes."""
    with tempfile.TemporaryDirectory(prefix="vmdump-bench-") as temporary:
        directory = Path(temporary)
        source = directory / "aarch64.json"
        source.write_bytes(read_aarch64())
        dump = [sys.executable, "-m", "vmdump", "dump"]
        commands = {
            "vmdump dump FILE -o FILE": [*dump, source, "-o", directory / "vmdump.json"],
            "vmdump dump -o FILE (built-in devices)": [*dump, "-o", directory / "built-in.json"],
            "python -c pass": [sys.executable, "-c", "pass"],
        }
        notes = []
        if shutil.which(QEMU):
            options = ["-machine", "none", "-nodefaults", "-display", "none", "-dump-vmstate", directory / "qemu.json"]
            commands[QEMU] = [QEMU, *options]
        else:
            notes.append(f"{QEMU}: skipped, not installed (Debian has it in qemu-system-arm)")
        first = next(iter(commands))
        promised = [Row(first, QEMU, Goal(at_most=0.45), promise=PROMISE)] if QEMU in commands else []
        yield process_comparison("whole processes", commands, installed_environ(), notes, promised)


def installed_environ() -> dict[str, str]:
    """Return an environment in which children use the installed vmdump and its bytecode: another path or bytecode
    prefix would cost a tenth of their time.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def process_comparison(
    title: str,
    commands: dict[str, Sequence[str | os.PathLike[str]]],
    environ: dict[str, str],
    notes: Sequence[str],
    more: Sequence[Row] = (),
) -> Comparison:
    """Compare CPU time and peak memory of commands with the first's; and yield more rows."""
    first = next(iter(commands))
    cases = [process_case(name, command, environ) for name, command in commands.items()]
    against = {name: None if name == first else first for name in commands}
    return Comparison(
        title,
        cases,
        [
            *(Row(name, base) for name, base in against.items()),
            *more,
            *(Row(memory_of(name), base and memory_of(base), unit="B") for name, base in against.items()),
        ],
        clock="CPU time, user and system, of the child (wait4)",
        notes=notes,
    )


def memory_of(name: str) -> str:
    return f"{name}: peak memory"


def process_case(name: str, command: Sequence[str | os.PathLike[str]], environ: dict[str, str]) -> Case:
    def turn() -> dict[str, float]:
        launch = [sys.executable, "-I", "-S", "-c", LAUNCHER, *map(os.fspath, command)]
        launched = subprocess.run(launch, env=environ, stdout=subprocess.PIPE, check=False, text=True)
        if launched.returncode:
            raise SystemExit(f"{name}: failed, see above")
        seconds, peak = map(float, launched.stdout.split())
        return {name: seconds, memory_of(name): peak}

    return turn

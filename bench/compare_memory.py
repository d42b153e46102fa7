"""Peak memory of a dump above the tree itself, measured in a child process. Run by compare.py.

Read it as: how much does a dump of any size need? It should be the output's chunk and little more, for both engines,
and for bytes the dump itself.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from child import child_environ
from measure import Case, Comparison, Row

CHILD = Path(__file__).parent / "peak_memory.py"

#: What the child is asked to do, and the row that it makes.
DUMPS = {"fast": "fast, to /dev/null", "stdio": "stdio, to /dev/null", "bytes": "fast, to bytes"}

SIZE = "the dump itself"


def compare_memory(quick: bool) -> Iterator[Comparison]:
    """One tree whose dump is large: 10^6 fields, --quick 10^5."""
    n_fields = 10**5 if quick else 10**6
    title = f"peak memory of a dump of {n_fields:,} fields, above the tree"
    if not os.access("/proc/self/clear_refs", os.W_OK):
        yield Comparison(title, notes=["skipped: /proc/self/clear_refs cannot be written to"])
        return
    yield Comparison(
        title,
        [_memory_case(dump, n_fields) for dump in DUMPS],
        [Row(SIZE, unit="B"), *(Row(name, SIZE, unit="B") for name in DUMPS.values())],
        clock="the most pages at any time in a child process (VmHWM, reset before the dump)",
    )


def _memory_case(dump: str, n_fields: int) -> Case:
    def turn() -> dict[str, float]:
        printed = subprocess.run(
            [sys.executable, CHILD, dump, str(n_fields)], env=child_environ(), stdout=subprocess.PIPE, check=True
        ).stdout
        measured = json.loads(printed)
        return {DUMPS[dump]: measured["peak"]} | ({SIZE: measured["size"]} if dump == "fast" else {})

    return turn

"""Peak memory of a dump above the tree itself, measured in a child process. Run by compare.py.

For any size and depth it should be little more than the output buffer, for both engines; for bytes, the dump's size.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from child import child_environ
from measure import Case, Comparison, Goal, Row

CHILD = Path(__file__).parent / "peak_memory.py"

#: The child's mode, and the row that it makes.
DUMPS = {"fast": "fast, to /dev/null", "stdio": "stdio, to /dev/null", "bytes": "fast, to bytes"}

SIZE = "the dump itself"

#: Fields and depth of the trees; the last two are measured with the fast engine only. Source: the issue on speed.
SHAPES = ((10**6, 1), (10**7, 1), (10**5, 1000))
GOAL = Goal(at_most=2e6)


def compare_memory(quick: bool) -> Iterator[Comparison]:
    """Trees whose dumps are large; --quick: 10^5 fields."""
    if not os.access("/proc/self/clear_refs", os.W_OK):
        yield Comparison("peak memory of a dump", notes=["skipped: /proc/self/clear_refs cannot be written to"])
        return
    for n_fields, depth in [(10**5, 1)] if quick else SHAPES:
        dumps = list(DUMPS) if depth == 1 and n_fields <= 10**6 else ["fast"]
        promise = f"peak memory above the tree, {n_fields:,} fields, depth {depth:,}"
        yield Comparison(
            f"peak memory of a dump of {n_fields:,} fields, {depth:,} deep, above the tree",
            [_memory_case(dump, n_fields, depth) for dump in dumps],
            [
                Row(SIZE, unit="B"),
                Row(DUMPS["fast"], goal=GOAL, unit="B", promise=promise),
                *(Row(DUMPS[name], SIZE, unit="B") for name in dumps),
            ],
            clock="peak resident memory of a child process (VmHWM, reset before the dump)",
            max_rounds=5,
        )


def _memory_case(dump: str, n_fields: int, depth: int) -> Case:
    def turn() -> dict[str, float]:
        printed = subprocess.run(
            [sys.executable, CHILD, dump, str(n_fields), str(depth)],
            env=child_environ(),
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        measured = json.loads(printed)
        return {DUMPS[dump]: measured["peak"]} | ({SIZE: measured["size"]} if dump == "fast" else {})

    return turn

"""Instructions that the core executes for the aarch64 dump, as callgrind counts them. Run by compare.py.

Read it as: is the code another than in the last run? There is no noise in it. Instructions are not time: the engine
is without AVX-512, as valgrind's CPU is.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from child import child_environ
from inputs import AARCH64
from measure import Case, Comparison, Row

#: Row, and the function of the core within which is counted.
COUNTED = {"dump, fast engine": "vmd_dump_fd", "parse": "vmd_tree_parse"}

CHILD = """
import lzma, os, sys
from vmdump.dump.tree import parse
parse(lzma.open(sys.argv[1]).read()).dump_fd(os.open(os.devnull, os.O_WRONLY))
"""


def compare_instructions(quick: bool) -> Iterator[Comparison]:
    """One dump and one parse."""
    title = "instructions for the aarch64 dump"
    if quick or not shutil.which("valgrind"):
        yield Comparison(title, notes=["skipped: " + ("--quick" if quick else "valgrind is not installed")])
        return
    cases = [_case(name, function) for name, function in COUNTED.items()]
    yield Comparison(title, cases, [Row(name, unit="instructions") for name in COUNTED], "callgrind", max_rounds=1)


def _case(name: str, function: str) -> Case:
    def turn() -> dict[str, float]:
        with tempfile.TemporaryDirectory(prefix="vmdump-bench-") as directory:
            out = Path(directory) / "callgrind"
            valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
            command = [*valgrind, f"--toggle-collect={function}", sys.executable, "-c", CHILD, AARCH64]
            subprocess.run(command, env=child_environ(), stderr=subprocess.DEVNULL, check=True)
            return {name: int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)[1])}

    return turn

"""Run by compare_memory.py: makes a tree, dumps it, and prints how much memory the dump took at its peak.

python bench/peak_memory.py fast|stdio|bytes N_FIELDS DEPTH. Prints a JSON object: peak is in bytes above what was in
use before the dump, size is the dump's. getrusage's ru_maxrss would not do: it never falls, so the making of the tree,
and even the parent process, would hide the dump.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

from inputs import FIELDS_A_DEVICE, make_nested

from vmdump.dump.engine import Engine
from vmdump.dump.lowering import lower


def main() -> None:
    """The tree shares one description, so that it is small and its dump is large."""
    dump, n_fields, depth = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    vmsd = make_nested(depth)
    tree = lower("none", [(f"chip{i}", vmsd) for i in range(n_fields // FIELDS_A_DEVICE // depth)])
    null = os.open(os.devnull, os.O_WRONLY)
    lower("none", [("warm-up", vmsd)]).dump_fd(null)
    # Else the dump gets pages that are free, but still the process's. Not every C library has it.
    getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: 0)(0)
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM falls to what is in use now
    before = _status("VmHWM")
    kept = tree.dump_bytes() if dump == "bytes" else tree.dump_fd(null, Engine(dump))
    peak = _status("VmHWM") - before
    del kept
    print(json.dumps({"peak": peak, "size": tree.size}))


def _status(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


if __name__ == "__main__":
    main()

"""Helpers for tests of vmdump bulk."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from vmdump.cli import main

VMDUMP = (sys.executable, "-m", "vmdump")

#: Targets whose dumps are small.
TARGETS = ("avr", "m68k", "rx", "s390x", "sparc", "tricore")


def tree(directory: Path) -> dict[str, bytes]:
    """Return all files below a directory; of the manifest only the fields that do not depend on time."""
    files = {}
    for at, _, names in os.walk(directory):
        for name in names:
            path = Path(at, name)
            content = path.read_bytes()
            if name == "manifest.json":
                entries = json.loads(content)["entries"]
                content = json.dumps([{**entry, "seconds": 0, "files": []} for entry in entries]).encode()
            files[os.path.relpath(path, directory)] = content
    return files


def bulk(*args: object, executor: str = "threads") -> int:
    """Run vmdump bulk in this process, by default with threads, and return its exit code."""
    return main(["bulk", *map(str, args), "--executor", executor])


def entries(directory: Path) -> list[dict[str, Any]]:
    """Return the manifest's entries."""
    found: list[dict[str, Any]] = json.loads((directory / "manifest.json").read_text())["entries"]
    return found


def children(pid: int) -> list[int]:
    """Return the ids of all descendants of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in map(int, task.read_text().split()):
                found += [child, *children(child)]
        except OSError:
            continue
    return found

"""Runs of vmdump bulk and what they write."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from vmdump.cli import main

VMDUMP = (sys.executable, "-m", "vmdump")


def tree(directory: Path) -> dict[str, bytes]:
    """All files of a folder; of the manifest what does not depend on time."""
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
    """The command, in this process, by default with threads: they start at once."""
    return main(["bulk", *map(str, args), "--executor", executor])


def entries(directory: Path) -> list[dict[str, Any]]:
    """The manifest's."""
    found: list[dict[str, Any]] = json.loads((directory / "manifest.json").read_text())["entries"]
    return found


def children(pid: int) -> list[int]:
    """All processes that descend from one."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in map(int, task.read_text().split()):
                found += [child, *children(child)]
        except OSError:
            continue
    return found

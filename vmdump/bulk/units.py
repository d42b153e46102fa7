"""Units of work of vmdump bulk: a binary, a dump file, or packages that are unpacked together."""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from vmdump.bulk.packages.archives import MAX_BYTES
from vmdump.files.input_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.bulk.discover import Item
    from vmdump.bulk.packages.unpack import Package, UnpackResult
    from vmdump.bulk.tasks import Outcome, Task


class Unit:
    """A binary, a dump file or a group of packages, in progress."""

    def __init__(self, key: str, items: list[Item], packages: Sequence[Package] = ()) -> None:
        self.key, self.items, self.packages = key, items, packages
        #: Paths of the sources, with the indices of the command line's sources that each was found in.
        self.arguments = {package.path: package.arguments for package in packages}
        self.arguments |= {item.source: item.arguments for item in items}
        #: Results of UnpackTasks and outcomes of ReadTasks, by number of their job.
        self.kept: dict[int, UnpackResult] = {}
        self.results: dict[int, Outcome] = {}
        self.errors: list[tuple[str, str]] = []
        self.folder: str | None = None
        #: Unfinished tasks, and items that are written.
        self.waiting, self.written = 0, 0
        #: Number of manifest entries, once known.
        self.n_entries = 1
        self.is_unpacked = not packages


class Job(NamedTuple):
    """A task of a unit. number: index of its package, for an UnpackTask, or of its item."""

    unit: Unit
    number: int
    task: Task


def remove_folder(unit: Unit) -> None:
    """Remove the directory that a unit's packages are unpacked in."""
    if unit.folder is not None:
        shutil.rmtree(unit.folder, ignore_errors=True)
        unit.folder = None


def hash_files(paths: Sequence[str], jobs: int, max_size: int | None) -> dict[str, str]:
    """Return SHA-256 of files; empty for those unreadable or too large, which their reader reports."""
    limit = MAX_BYTES if max_size is None else max_size

    def digest(path: str) -> str:
        try:
            if os.path.getsize(path) > limit:
                return ""
            with open_regular(path) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return ""

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(paths, pool.map(digest, paths), strict=True))

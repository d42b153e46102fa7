"""Entries of the user's cache: their names, the files that they depend on, and why the cache is not used.

An entry is valid as long as the files that it depends on, vmdump's own code among them, are unchanged.
"""

from __future__ import annotations

import marshal
import sys
import time
from zlib import crc32

from vmdump.files.fingerprint import fingerprint_of, is_settled, refreshed, stat_signature

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from vmdump.cache.folder import CacheFolder, Entry
    from vmdump.files.fingerprint import Fingerprint

#: Reason for not using the cache if there is no place for it.
NO_FOLDER = "neither $HOME nor $XDG_CACHE_HOME and $XDG_STATE_HOME are absolute paths"

#: Reasons that have been reported already.
_reported: set[str] = set()


def report_unused(reason: str | None, report: Callable[[object], None] | None) -> None:
    """Report once why the cache is not used; None: it is."""
    if reason is not None and report is not None and reason not in _reported:
        _reported.add(reason)
        report(f"the cache of parsed QEMU binaries is not used: {reason}; --no-cache silences this")


def entry_name(key: tuple[Any, ...]) -> str:
    """Return the name of the entry with a key."""
    return f"{crc32(marshal.dumps(key, 2)):08x}"


def fingerprints(paths: Iterable[str], libraries: Iterable[str], began: int) -> list[Fingerprint] | None:
    """Return the fingerprints of files and of the code for the header of an entry: vmdump's, and that of libraries.

    None: a file changed after ``began`` (nanoseconds since the epoch) or shortly before, so an entry made from it might
    not match it. Raises OSError.
    """
    code = [*code_files(), *libraries]
    files = [*map(fingerprint_of, paths), *((path, stat_signature(path), None) for path in code)]
    return files if all(is_settled(signature, began) for _, signature, _ in files) else None


def code_files() -> Iterator[str]:
    """Iterate over the files of the code that read the image: vmdump's loaded modules."""
    for name, module in list(sys.modules.items()):
        if name.startswith("vmdump.") and not name.startswith("vmdump.cli") and getattr(module, "__file__", None):
            yield str(module.__file__)


def is_current(folder: CacheFolder, entry: Entry) -> bool:
    """Return whether all files that an entry depends on are unchanged. Stores new signatures of unchanged content."""
    began = time.time_ns()
    files: list[Fingerprint] = entry.header["files"]
    now: list[Fingerprint] = []
    for file in files:
        current = refreshed(file)
        if current is None:
            return False
        now.append(current)
    if now != files and all(is_settled(signature, began) for _, signature, _ in now):
        folder.write(entry.name, {**entry.header, "files": now}, bytes(entry.payload))
    return True

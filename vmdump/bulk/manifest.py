"""manifest.json: what is in a folder of dumps, where each comes from, and whether it still is so.

An entry is a source that was read, or one that could not be: source, and member (the path in a package); kind; key, by
which it is found again: what was read (of packages their content, not their names), and how; siblings, how
many entries have that key when all is done; digest, SHA-256
of the binary or dump file; files, that it was made of, with signature and SHA-256; producer, its label first; targets,
the name of the binary first, those of links to it behind; machines; outputs and rows, paths from the folder on;
reports, what went wrong without ending the reading; seconds; error.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from vmdump.dump.output import write_file
from vmdump.errors import OutputError, SourceError, VmdumpError
from vmdump.sources.image_cache.cache import hashed, is_settled, sign

NAME = "manifest.json"

#: The form of the file. Another one is of another vmdump.
VERSION = 1

#: Where packages are unpacked, in the folder; what output.py writes before it is renamed.
UNPACK_PREFIX = ".vmdump-unpack-"
_TEMPORARY = re.compile(r"\..*\.\d+-[0-9a-f]{16}\.tmp")

#: An entry, as in the file.
Entry = dict[str, Any]

_Name = tuple[str, str]


class Manifest:
    """The record of a folder. Not thread-safe; `locked` keeps other processes out."""

    def __init__(self, directory: str) -> None:
        """Reads it, where there is one. Raises SourceError for one that is damaged."""
        self.directory = directory
        self._entries: dict[_Name, Entry] = {}
        self._by_key: dict[str, list[Entry]] = {}
        self._uses: Counter[str] = Counter()
        if os.path.exists(os.path.join(directory, NAME)):
            for entry in read_entries(directory):
                self._add(entry)

    def __iter__(self) -> Iterator[Entry]:
        """All entries, by source and member."""
        return (self._entries[name] for name in sorted(self._entries))

    def find(self, key: str) -> list[Entry]:
        """The entries of a key."""
        return list(self._by_key.get(key, ()))

    def has_read(self, source: str) -> bool:
        """Whether anything was read of a source."""
        return any(name[0] == source and entry["error"] is None for name, entry in self._entries.items())

    def is_complete(self, entry: Entry) -> bool:
        """Whether it was read without an error, its outputs are there and what it was made of is as it was."""
        outputs = _outputs(entry)
        return (
            entry["error"] is None
            and bool(outputs)
            and all(os.path.isfile(os.path.join(self.directory, path)) for path in outputs)
            and all(_is_as_it_was(file) for file in entry["files"])
        )

    def put(self, entry: Entry) -> None:
        """Adds an entry, in the place of the one for the same source; outputs that nothing has then are removed."""
        before = self._entries.get(_name(entry))
        self._add(entry)
        if before is not None:
            self._unlink_unused(before)

    def drop_others(self, source: str, key: str) -> None:
        """Forgets what another content of a source has given, outputs included."""
        for entry in [each for name, each in self._entries.items() if name[0] == source and each["key"] != key]:
            self._remove(entry)
            self._unlink_unused(entry)

    def _unlink_unused(self, entry: Entry) -> None:
        for path in _outputs(entry):
            if not self._uses[path]:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self.directory, path))
                    os.removedirs(os.path.dirname(os.path.join(self.directory, path)))

    def _add(self, entry: Entry) -> None:
        if (before := self._entries.get(_name(entry))) is not None:
            self._remove(before)
        self._entries[_name(entry)] = entry
        self._by_key.setdefault(entry["key"], []).append(entry)
        self._uses.update(_outputs(entry))

    def _remove(self, entry: Entry) -> None:
        del self._entries[_name(entry)]
        self._by_key[entry["key"]].remove(entry)
        self._uses.subtract(_outputs(entry))

    def write(self) -> None:
        """Writes it, whole or not at all. Raises OutputError."""
        text = json.dumps({"vmdump_manifest": VERSION, "entries": list(self)}, indent=1) + "\n"
        write_file(os.path.join(self.directory, NAME), text.encode())


def _name(entry: Entry) -> _Name:
    return entry["source"], entry["member"] or ""


def _outputs(entry: Entry) -> list[str]:
    return [*entry["outputs"], *entry["rows"]]


def read_entries(directory: str) -> list[Entry]:
    """The entries of a folder's manifest. Raises SourceError."""
    path = os.path.join(directory, NAME)
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        if content["vmdump_manifest"] != VERSION:
            raise ValueError("of another version of vmdump")
        entries: list[Entry] = content["entries"]
        for entry in entries:
            lists = ("outputs", "rows", "files", "targets", "machines")
            if not all(isinstance(entry[name], list) for name in lists) or not isinstance(entry["key"], str):
                raise ValueError("an entry that is none")
            _name(entry), entry["error"], entry["producer"]
            for output in _outputs(entry):
                if os.path.isabs(output) or ".." in output.split("/"):
                    raise ValueError(f"an output outside of the folder: {output!r}")
        return entries
    except OSError as error:
        hint = "; vmdump bulk makes one" if isinstance(error, FileNotFoundError) else ""
        raise SourceError(f"{path}: {error.strerror}{hint}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SourceError(
            f"{path}: not a manifest: {error or type(error).__name__}; remove it to begin anew"
        ) from error


def recorded(files: tuple[tuple[str, Any, bytes | None], ...]) -> list[Any]:
    """Files with signatures and digests as an entry has them. A signature that a change may not show is left out."""
    now = time.time_ns()
    return [
        [path, list(signature) if signature and is_settled(signature, now) else None, digest and digest.hex()]
        for path, signature, digest in files
    ]


def _is_as_it_was(file: list[Any]) -> bool:
    path, signature, digest = file
    now = sign(path)
    if signature is not None and now is not None and list(now) == signature:
        return True
    if now is None or digest is None:
        return now is None and digest is None
    try:
        found = hashed(path)[2]
    except OSError:
        return False
    return found is not None and found.hex() == digest


@contextlib.contextmanager
def locked(directory: str) -> Iterator[None]:
    """A folder that no other vmdump writes to meanwhile, made where it is not there, without what a run that was
    killed has left behind. Raises OutputError, VmdumpError.
    """
    try:
        with contextlib.suppress(FileExistsError):  # what is no directory can't be opened as one
            os.makedirs(directory, exist_ok=True)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(error.errno, error.strerror, directory) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VmdumpError(
                f"{directory}: another vmdump bulk is writing here; wait for it, or name another folder"
            ) from None
        except OSError:
            pass  # a file system without locks
        remove_leftovers(directory)
        yield
    finally:
        os.close(fd)


def remove_leftovers(directory: str) -> None:
    """Removes unpacked packages and half-written files, of runs that were killed."""
    for folder, folders, names in os.walk(directory):
        for name in [each for each in folders if each.startswith(UNPACK_PREFIX)]:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
            folders.remove(name)
        for name in filter(_TEMPORARY.fullmatch, names):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))

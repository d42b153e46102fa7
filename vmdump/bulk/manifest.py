"""manifest.json: the dumps in an output directory, where each comes from, and whether they are up to date.

An entry describes one source, read or failed:

    source, member     path of the source, and path inside of a package
    kind               binary or dump
    key                identifies what was read and how; packages by content, not by name
    siblings           number of entries that have this key after a complete run
    digest             SHA-256 of the binary or dump file
    files              the files that the result depends on, with signature and SHA-256
    producer           label, version, build_id and host of the QEMU
    targets            targets in the names of the binary, then of links to it
    machines           machine types that dumps were written for
    outputs, rows      paths relative to the output directory
    reports            problems that did not end the reading
    seconds, error     time taken; why the source could not be read
    arguments          indices of the command line's sources that it was found in
    machine_types      all machine types of the QEMU, as [name, alias, family, is_default]

Beside the entries: sources, those of the command line in the order given; errors, the last run's by source, for sources
whose dumps from an earlier run are kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from vmdump.dump.output import write_file
from vmdump.errors import OutputError, SourceError, VmdumpError
from vmdump.files.fingerprint import is_settled, refreshed
from vmdump.files.input_file import read_input

NAME = "manifest.json"

#: Version of the file format.
VERSION = 1

#: The largest manifest that is read, in bytes; enough for some hundred thousand entries.
MAX_BYTES = 1 << 30

#: Prefix of the directories that packages are unpacked in; temporary files of dump/output.py.
UNPACK_PREFIX = ".vmdump-unpack-"
_TEMPORARY = re.compile(r"\..*\.\d+-[0-9a-f]{16}\.tmp")

#: Names as output_paths.py makes them, and paths of such names.
_NAME = r"[A-Za-z0-9_+~=-][A-Za-z0-9._+~=-]*"
_NAMES = re.compile(_NAME)
_PATHS = re.compile(f"{_NAME}(/{_NAME})*")

#: An entry as in the file.
Entry = dict[str, Any]

_Name = tuple[str, str]


def new_entry(source: str, key: str, siblings: int, arguments: Sequence[int] = ()) -> Entry:
    """Return an entry without results."""
    lists: Entry = {name: [] for name in ("files", "targets", "machines", "outputs", "rows", "reports")}
    lists |= {"arguments": list(arguments), "machine_types": []}
    head = {"source": source, "member": None, "kind": None, "key": key, "siblings": siblings, "digest": None}
    return {**head, "producer": None, **lists, "seconds": 0.0, "error": None}


def title_of(entry: Entry) -> str:
    """Return the source and member of an entry, for messages."""
    return entry["source"] if entry["member"] is None else f"{entry['source']}: {entry['member']}"


class Manifest:
    """The manifest of an output directory. Not thread-safe; `locked` excludes other processes."""

    def __init__(self, directory: str) -> None:
        """Read the manifest if there is one. Raises SourceError for a corrupt one."""
        self.directory = directory
        self._entries: dict[_Name, Entry] = {}
        self._by_key: dict[str, list[Entry]] = {}
        self._uses: Counter[str] = Counter()
        self.sources: list[str] = []
        self.errors: dict[str, str] = {}
        if os.path.exists(os.path.join(directory, NAME)):
            content = read_manifest(directory)
            self.sources = content.sources
            for entry in content.entries:
                self._add(entry)

    def begin(self, sources: Sequence[str], *, add: bool) -> list[int]:
        """Record the sources of a run, in place of earlier ones, or with add after them; return the index of each.

        Clears the entries' arguments that refer to these sources.
        """
        self.errors = {}
        before = self.sources if add else []
        self.sources = before + [source for source in sources if source not in before]
        new = itertools.count(len(before))
        numbers = [before.index(source) if source in before else next(new) for source in sources]
        for entry in self._entries.values():
            entry["arguments"] = [each for each in entry["arguments"] if add and each not in numbers]
        return numbers

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the entries, sorted by source and member."""
        return (self._entries[name] for name in sorted(self._entries))

    def find(self, key: str) -> list[Entry]:
        """Return the entries with a key."""
        return list(self._by_key.get(key, ()))

    def has_read(self, source: str) -> bool:
        """Return whether an entry of a source was read without an error."""
        return any(name[0] == source and entry["error"] is None for name, entry in self._entries.items())

    def is_complete(self, entry: Entry) -> bool:
        """Return whether an entry has no error, its outputs exist, and the files it depends on are unchanged."""
        outputs = _outputs(entry)
        return (
            entry["error"] is None
            and bool(outputs)
            and all(os.path.isfile(os.path.join(self.directory, path)) for path in outputs)
            and all(_is_unchanged(file) for file in entry["files"])
        )

    def put(self, entry: Entry) -> None:
        """Add an entry or replace that of the same source and member. Outputs that are no longer used are removed."""
        before = self._entries.get(_name(entry))
        self._add(entry)
        if before is not None:
            self._unlink_unused(before)

    def drop(self, entry: Entry) -> None:
        """Remove an entry and its outputs."""
        self._remove(entry)
        self._unlink_unused(entry)

    def rename(self, entry: Entry, source: str) -> None:
        """Change the source of an entry, whose content was found elsewhere."""
        self._remove(entry)
        entry["source"] = source
        self._add(entry)

    def drop_others(self, source: str, key: str) -> None:
        """Remove the entries of a source that have another key, and their outputs."""
        for entry in [each for name, each in self._entries.items() if name[0] == source and each["key"] != key]:
            self.drop(entry)

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
        """Write the manifest atomically. Raises OutputError."""
        content = {
            "vmdump_manifest": VERSION, "sources": self.sources, "errors": self.errors, "entries": list(self)
        }  # fmt: skip
        write_file(os.path.join(self.directory, NAME), (json.dumps(content, indent=1) + "\n").encode())


def _name(entry: Entry) -> _Name:
    return entry["source"], entry["member"] or ""


def _outputs(entry: Entry) -> list[str]:
    return [*entry["outputs"], *entry["rows"]]


class Content(NamedTuple):
    """The content of a manifest: see the top of this file."""

    entries: list[Entry]
    sources: list[str]
    errors: dict[str, str]


def read_manifest(directory: str) -> Content:
    """Return the manifest of an output directory. Older ones have no sources. Raises SourceError."""
    path = os.path.join(directory, NAME)
    try:
        content = json.loads(read_input(path, MAX_BYTES))
        if content["vmdump_manifest"] != VERSION:
            raise ValueError("written by another version of vmdump")
        entries: list[Entry] = content["entries"]
        sources, errors = content.get("sources", []), content.get("errors", {})
        if not _are_strings(sources) or not _are_strings([*errors, *errors.values()]):
            raise ValueError("malformed sources or errors")
        for entry in entries:
            _check_types(entry)
            arguments, machine_types = entry.setdefault("arguments", []), entry.setdefault("machine_types", [])
            if not all(type(each) is int and 0 <= each < len(sources) for each in arguments):
                raise ValueError("an entry whose arguments are not indices of sources")
            if not all(len(each) == 4 and all(map(isinstance, each, _MACHINE_TYPE)) for each in machine_types):
                raise ValueError("an entry with malformed machine types")
        return Content(entries, sources, errors)
    except OSError as error:
        hint = "; create the directory with vmdump bulk" if isinstance(error, FileNotFoundError) else ""
        raise SourceError(f"{path}: {error.strerror}{hint}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(
            f"{path}: not a manifest: {error or type(error).__name__}; remove it to start over"
        ) from error


def _are_strings(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) for each in values)


#: Types of an entry's values.
_TYPES: dict[str, tuple[type, ...]] = {
    "source": (str,), "member": (str, type(None)), "key": (str,), "siblings": (int,), "digest": (str, type(None)),
    "producer": (dict, type(None)), "error": (str, type(None)), "files": (list,),
}  # fmt: skip

#: Types of a machine type's values.
_MACHINE_TYPE = (str, str | None, str | None, bool)

#: An entry's lists of strings.
_LISTS = ("outputs", "rows", "targets", "machines", "reports")


def _check_types(entry: Any) -> None:
    """Raise ValueError, KeyError or TypeError for a malformed entry."""
    for name, kinds in _TYPES.items():
        if not isinstance(entry[name], kinds):
            raise ValueError(f"an entry whose {name} is {type(entry[name]).__name__}")
    for name in _LISTS:
        if not _are_strings(entry[name]):
            raise ValueError(f"an entry whose {name} is not a list of strings")
    names = list(entry["targets"])
    if entry["producer"] is not None:
        names.append(entry["producer"]["label"])
        if not isinstance(entry["producer"]["version"], (str, type(None))):
            raise ValueError("an entry whose producer has a malformed version")
    for name in names:
        if not isinstance(name, str) or not _NAMES.fullmatch(name):
            raise ValueError(f"an entry whose label or target is {name!r}, which cannot name a file")
    for path in _outputs(entry):
        if not _PATHS.fullmatch(path):
            raise ValueError(f"output {path!r} is not a path within the directory")
    for path, signature, digest in entry["files"]:
        if not isinstance(path, str) or not isinstance(signature, (list, type(None))):
            raise ValueError("an entry with a malformed file")
        if not isinstance(digest, (str, type(None))):
            raise ValueError("an entry with a malformed digest")


def recorded(files: tuple[tuple[str, Any, bytes | None], ...]) -> list[Any]:
    """Return files as in an entry. Omits signatures so recent that a later change might not alter them."""
    now = time.time_ns()
    return [
        [path, list(signature) if signature and is_settled(signature, now) else None, digest and digest.hex()]
        for path, signature, digest in files
    ]


def _is_unchanged(file: list[Any]) -> bool:
    path, signature, digest = file
    try:
        known = path, signature and tuple(signature), digest and bytes.fromhex(digest)
    except ValueError:
        return False
    return refreshed(known) is not None


@contextlib.contextmanager
def locked(directory: str) -> Iterator[None]:
    """Create and lock an output directory, and remove what a killed run has left in it.

    Raises OutputError, and VmdumpError if another vmdump holds the lock.
    """
    try:
        with contextlib.suppress(FileExistsError):  # os.open reports a file that is in the way
            os.makedirs(directory, exist_ok=True)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(error.errno, error.strerror, directory) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VmdumpError(
                f"{directory}: another vmdump bulk is writing here; wait for it, or use another directory"
            ) from None
        except OSError:
            pass  # a file system without locks
        remove_leftovers(directory)
        yield
    finally:
        os.close(fd)


def remove_leftovers(directory: str) -> None:
    """Remove unpacked packages and temporary files of killed runs."""
    for folder, folders, names in os.walk(directory):
        for name in [each for each in folders if each.startswith(UNPACK_PREFIX)]:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
            folders.remove(name)
        for name in filter(_TEMPORARY.fullmatch, names):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))

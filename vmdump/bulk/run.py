"""vmdump bulk itself: what is missing or changed is read, and the folder is complete again.

A unit is a binary, a dump, or a group of packages; its tasks go to the workers as they become ready (a group's binaries
when its packages are unpacked), and its results are written in the order of the units, whatever order they come in: so
a folder does not depend on the number of workers, and a run that was ended goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from vmdump.bulk.discover import Item, find_sources, unpacked_items
from vmdump.bulk.manifest import UNPACK_PREFIX, Entry, Manifest, locked, recorded
from vmdump.bulk.output_paths import Places
from vmdump.bulk.packages.unpack import Kept, Package, merge
from vmdump.bulk.scheduler import Dispatch
from vmdump.bulk.worker import FORMATS, FULL, HEAD, Outcome, Read, Reading, Unpack, compress
from vmdump.bulk.workers import Workers
from vmdump.dump.output import make_directory, write_file
from vmdump.errors import OutputError, SourceError
from vmdump.signals import held_back
from vmdump.version import __version__

#: Seconds that a source may take.
TIMEOUT = 120.0

#: Seconds between two writings of the manifest.
_MANIFEST_INTERVAL = 1.0

#: Units that are begun before an earlier one is written, for each worker; what they gave waits in memory.
_UNITS_PER_JOB = 4

#: Groups of packages that are unpacked at a time: each takes some 500 MB of disk.
_MAX_UNPACKED = 2


class Options(NamedTuple):
    """How sources are read: see the command's help. format is a key of work.FORMATS."""

    machines: str = "default"
    format: str = "json"
    timeout: float = TIMEOUT


class Tally:
    """How far a run is, or was when it ended: sources that are known (which grow in number when packages are unpacked),
    that were read, that are as before, and the errors of those that failed. The manifest says the same at any time.
    """

    def __init__(self) -> None:
        self.total, self.read, self.unchanged = 0, 0, 0
        self.errors: list[str] = []

    @property
    def finished(self) -> int:
        """Sources that are in the folder."""
        return self.read + self.unchanged

    @property
    def done(self) -> int:
        """Sources that there is nothing more to do for."""
        return self.finished + len(self.errors)


class Event(NamedTuple):
    """Told as it goes on: a source that is done, and how: entry is its manifest entry; is_new: it has been read now."""

    title: str
    entry: Entry
    is_new: bool


class _Unit:
    """A binary, a dump or a group of packages, on its way."""

    def __init__(self, key: str, items: list[Item], packages: Sequence[Package] = ()) -> None:
        self.key, self.items, self.packages = key, items, packages
        self.kept: dict[int, Kept] = {}
        self.results: dict[int, Outcome] = {}
        self.errors: list[tuple[str, str]] = []
        self.folder: str | None = None
        #: Tasks that are not done yet, and how many items are written.
        self.waiting, self.written = 0, 0
        #: Entries that it has in the manifest, once that is known.
        self.n_entries = 1
        self.is_unpacked = not packages


class _Job(NamedTuple):
    unit: _Unit
    number: int
    task: Unpack | Read


def run(
    sources: Sequence[str],
    directory: str,
    workers: Workers,
    options: Options | None = None,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    tally: Tally | None = None,
) -> Tally:
    """Reads what the sources mean into directory, as far as it is not there. Counts in tally, where one is given: it
    holds after an exception too.

    A source that can't be read is an error in the tally and in the manifest. Raises VmdumpError for a folder that
    can't be used, OutputError when nothing more can be written; what was finished then stays, as it does for anything
    that a signal handler raises.
    """
    with locked(directory):
        run = _Run(directory, workers, options or Options(), on_event, Tally() if tally is None else tally)
        return run.run(sources)


class _Run:
    def __init__(
        self, directory: str, workers: Workers, options: Options, on_event: Callable[[Event], None], tally: Tally
    ) -> None:
        self._directory, self._workers, self._options, self._on_event = directory, workers, options, on_event
        self._tally = tally
        self._manifest = Manifest(directory)
        self._places = Places(self._manifest)
        self._how = f"vmdump {__version__}, machines {options.machines}, format {options.format}"
        self._manifest_written = time.monotonic()

    def run(self, sources: Sequence[str]) -> Tally:
        found = find_sources(sources, self._directory)
        self._tally.total = len(found.items) + sum(map(len, found.groups)) + len(found.errors)
        if not self._tally.total:
            raise SourceError(f"{', '.join(sources)}: no QEMU binary, dump or package in there")
        try:
            for source, error in found.errors:
                self._fail(source, None, error)
            units = deque(self._missing(found.items, found.groups))
            self._work(units)
        finally:
            self._manifest.write()
        return self._tally

    # What there is to do

    def _missing(self, items: list[Item], groups: list[list[Package]]) -> Iterator[_Unit]:
        """The units that are not in the folder as they should be."""
        paths = [package.path for group in groups for package in group]
        paths += [item.path for item in items if item.kind == "dump"]
        digests = _digests(paths, self._workers.jobs)
        for item in items:
            content = os.path.abspath(item.path) if item.kind == "binary" else digests[item.path]
            unit = _Unit(f"{item.kind} {content}, {self._how}", [item])
            if not self._is_there(unit, item.source):
                yield unit
        for group in groups:
            group.sort(key=lambda package: (os.path.basename(package.path), package.path))
            content = " ".join(sorted(digests[package.path] for package in group))
            unit = _Unit(f"packages {hashlib.sha256(content.encode()).hexdigest()}, {self._how}", [], group)
            if not self._is_there(unit, None):
                yield unit

    def _is_there(self, unit: _Unit, source: str | None) -> bool:
        """Whether a unit's entries are complete; then they are told. Packages are known by content, wherever they are;
        source is the name of anything else.
        """
        entries = [each for each in self._manifest.find(unit.key) if source in (None, each["source"])]
        if not entries or len(entries) < entries[0]["siblings"] or not all(map(self._manifest.is_complete, entries)):
            return False
        if source is None:
            self._tally.total += len(entries) - len(unit.packages)
        for entry in entries:
            self._tally.unchanged += 1
            self._on_event(Event(_title(entry), entry, is_new=False))
        return True

    # Doing it

    def _work(self, units: deque[_Unit]) -> None:
        """Has all units done, and writes what comes back."""
        dispatch: Dispatch[_Job] = Dispatch(self._workers, self._options.timeout)
        started: deque[_Unit] = deque()
        try:
            while units or started:
                while units and len(started) < _UNITS_PER_JOB * self._workers.jobs and dispatch.has_room:
                    if units[0].packages and sum(bool(unit.packages) for unit in started) >= _MAX_UNPACKED:
                        break
                    started.append(units.popleft())
                    dispatch.add(self._begin(started[-1]))
                for job, outcome in dispatch.step():
                    dispatch.add(self._take(job, outcome))
                while started and self._flush(started[0]):
                    started.popleft()
        finally:
            self._workers.stop()
            for unit in started:
                _remove_folder(unit)

    def _begin(self, unit: _Unit) -> list[_Job]:
        """A unit's first tasks. The largest packages come first: they take longest."""
        if not unit.packages:
            unit.waiting = 1
            return [_Job(unit, 0, self._read_task(unit.items[0]))]
        try:
            unit.folder = tempfile.mkdtemp(prefix=UNPACK_PREFIX, dir=os.path.abspath(self._directory))
        except OSError as error:
            raise OutputError(error.errno, error.strerror, self._directory) from error
        order = sorted(range(len(unit.packages)), key=lambda i: -os.path.getsize(unit.packages[i].path))
        unit.waiting = len(order)
        timeout = self._options.timeout
        return [
            _Job(unit, i, Unpack(os.path.abspath(unit.packages[i].path), os.path.join(unit.folder, str(i)), timeout))
            for i in order
        ]

    def _read_task(self, item: Item) -> Read:
        machines, format, timeout = self._options
        return Read(item.kind, os.path.abspath(item.path), item.root, machines, format, timeout)

    def _take(self, job: _Job, outcome: Outcome) -> list[_Job]:
        """Takes in what a task gave; the tasks that follow from it."""
        unit = job.unit
        unit.waiting -= 1
        if isinstance(job.task, Read):
            unit.results[job.number] = outcome
            return []
        if outcome.error is not None:
            unit.errors.append((unit.packages[job.number].path, outcome.error))
        else:
            unit.kept[job.number] = outcome.value
        return [] if unit.waiting else self._unpacked(unit)

    def _unpacked(self, unit: _Unit) -> list[_Job]:
        """The tasks of a group whose packages are all unpacked."""
        assert unit.folder is not None
        root = os.path.join(unit.folder, "root")
        order = sorted(unit.kept)
        try:
            os.mkdir(root)
            merge([(os.path.join(unit.folder, str(i)), unit.kept[i]) for i in order], root)
            unit.items = unpacked_items([(unit.packages[i], unit.kept[i]) for i in order], root)
        except OSError as error:
            if error.errno in FULL:
                raise OutputError(error.errno, error.strerror, root) from error
            unit.errors.append((unit.packages[0].path, f"can't be unpacked: {error.strerror or error}"))
        except SourceError as error:
            unit.errors.append((unit.packages[0].path, str(error)))
        if not unit.items and not unit.errors:
            unit.errors.append((unit.packages[0].path, "no QEMU that dumps its device state is in this package"))
        unit.is_unpacked = True
        unit.n_entries = len(unit.items) + len(unit.errors)
        self._tally.total += unit.n_entries - len(unit.packages)
        unit.items = [item for item in unit.items if not self._is_read(item, unit)]
        unit.waiting = len(unit.items)
        return [_Job(unit, index, self._read_task(item)) for index, item in enumerate(unit.items)]

    def _is_read(self, item: Item, unit: _Unit) -> bool:
        """Whether a run that was ended has read this one already; then that is told."""
        for entry in self._manifest.find(unit.key):
            if entry["member"] == item.member and self._manifest.is_complete(entry):
                self._tally.unchanged += 1
                self._on_event(Event(item.title, entry, is_new=False))
                return True
        return False

    # What comes back

    def _flush(self, unit: _Unit) -> bool:
        """Writes what of a unit can be written in order; whether that was all."""
        while unit.written in unit.results:
            self._finish(unit.items[unit.written], unit.results.pop(unit.written), unit)
            unit.written += 1
        if not unit.is_unpacked or unit.written < len(unit.items):
            return False
        for source, error in sorted(unit.errors):
            self._fail(source, unit, error)
        for package in unit.packages:
            self._manifest.drop_others(package.path, unit.key)
        _remove_folder(unit)
        return True

    def _finish(self, item: Item, outcome: Outcome, unit: _Unit) -> None:
        if outcome.error is not None:
            error = outcome.error.replace(os.path.abspath(item.path), item.title)  # as the user knows it
            self._fail(item.source, unit, error, item, outcome.seconds)
            return
        reading: Reading = outcome.value
        digest = reading.files[0][2]
        place = self._places.choose(item, reading, digest.hex() if digest else "")
        outputs = []
        suffix, _, is_compressed, _ = FORMATS[self._options.format]
        for machine in reading.machines:
            path = place.file(machine, suffix)
            head = HEAD + machine.encode()
            self._write(path, compress(head) if is_compressed else head, reading.body)
            outputs.append(path)
        rows = []
        if reading.rows is not None:
            self._write(place.rows, reading.rows)
            rows.append(place.rows)
        entry = _entry(item.source, unit.key, unit.n_entries)
        entry |= {"kind": item.kind, "member": item.member, "digest": digest and digest.hex()}
        entry |= {"files": recorded(reading.files) if item.root is None else [], "producer": place.producer}
        entry |= {"targets": place.targets, "machines": list(reading.machines), "outputs": outputs, "rows": rows}
        entry |= {"reports": [_without(item.root, each) for each in reading.reports]}
        entry |= {"seconds": round(outcome.seconds, 3)}
        self._enter(item.title, entry)

    def _write(self, path: str, *parts: bytes) -> None:
        full = os.path.join(self._directory, path)
        make_directory(os.path.dirname(full))
        write_file(full, *parts)

    def _fail(
        self, source: str, unit: _Unit | None, error: str, item: Item | None = None, seconds: float = 0.0
    ) -> None:
        prefix = item.title if item is not None else source
        error = " ".join(error.splitlines())
        if not error.startswith(prefix):
            error = f"{prefix}: {error}"
        entry = (
            _entry(source, unit.key, unit.n_entries)
            if unit is not None
            else _entry(source, f"{source}, {self._how}", 1)
        )
        if item is not None:
            entry |= {"kind": item.kind, "member": item.member, "targets": [], "seconds": round(seconds, 3)}
        # Of one that is not to be seen, what was read of it before stays.
        self._enter(prefix, {**entry, "error": error}, is_kept=unit is not None or not self._manifest.has_read(source))

    def _enter(self, title: str, entry: Entry, *, is_kept: bool = True) -> None:
        with held_back():  # so that who is interrupted is told what the manifest says
            if is_kept:
                self._manifest.put(entry)
            if entry["error"] is None:
                self._tally.read += 1
            else:
                self._tally.errors.append(entry["error"])
        if time.monotonic() > self._manifest_written + _MANIFEST_INTERVAL:
            self._manifest.write()
            self._manifest_written = time.monotonic()
        self._on_event(Event(title, entry, is_new=True))


def _entry(source: str, key: str, siblings: int) -> Entry:
    """An entry with nothing in it yet."""
    lists: Entry = {name: [] for name in ("files", "targets", "machines", "outputs", "rows", "reports")}
    facts = {"source": source, "member": None, "kind": None, "key": key, "siblings": siblings, "digest": None}
    return {**facts, "producer": None, **lists, "seconds": 0.0, "error": None}


def _title(entry: Entry) -> str:
    return entry["source"] if entry["member"] is None else f"{entry['source']}: {entry['member']}"


def _without(root: str | None, text: str) -> str:
    return text if root is None else text.replace(root, "")


def _remove_folder(unit: _Unit) -> None:
    if unit.folder is not None:
        shutil.rmtree(unit.folder, ignore_errors=True)
        unit.folder = None


def _digests(paths: Sequence[str], jobs: int) -> dict[str, str]:
    """SHA-256 of files; that of one that can't be read is empty: its reader says what is wrong."""

    def digest(path: str) -> str:
        try:
            with open(path, "rb", buffering=0) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return ""

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(paths, pool.map(digest, paths), strict=True))

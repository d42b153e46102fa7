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
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from vmdump.bulk.discover import Found, Item, dangling_links, find_sources, unpacked_items
from vmdump.bulk.manifest import UNPACK_PREFIX, Entry, Manifest, locked, recorded
from vmdump.bulk.output_paths import Places
from vmdump.bulk.packages.archives import MAX_BYTES
from vmdump.bulk.packages.unpack import Package, UnpackResult, merge
from vmdump.bulk.query.verdicts import forget_verdicts
from vmdump.bulk.scheduler import Scheduler
from vmdump.bulk.tasks import FORMATS, Outcome, ReadResult, ReadTask, Task, UnpackTask
from vmdump.bulk.worker import FULL, HEAD, compress
from vmdump.bulk.workers import Workers
from vmdump.dump.output import make_directory, write_file
from vmdump.errors import OutputError, SourceError
from vmdump.files.input_file import open_regular
from vmdump.signals import deferred_signals
from vmdump.sources.open import BINARY, DUMP
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
    """How sources are read: see the command's help. format is a key of work.FORMATS; max_size in bytes."""

    machines: str = "default"
    format: str = "json"
    timeout: float = TIMEOUT
    max_size: int | None = None


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
        #: Its sources, and the numbers of the arguments that each was found in.
        self.arguments = {package.path: package.arguments for package in packages}
        self.arguments |= {item.source: item.arguments for item in items}
        self.kept: dict[int, UnpackResult] = {}
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
    task: Task


def run(
    sources: Sequence[str],
    directory: str,
    workers: Workers,
    options: Options | None = None,
    *,
    add: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
    on_notice: Callable[[str], None] = lambda text: None,
    tally: Tally | None = None,
) -> Tally:
    """Reads what the sources mean into directory, as far as it is not there. What is there of other sources is dropped,
    or with add kept, except what these sources had and have no more. Nothing is dropped if a source can't be found.
    Counts in tally, where one is given: it holds after an exception too. on_notice is called with what is dropped or
    passed over.

    A source that can't be read is an error in the tally and in the manifest. Raises VmdumpError for a folder that
    can't be used, OutputError when nothing more can be written; what was finished then stays, as it does for anything
    that a signal handler raises.
    """
    with locked(directory):
        run = _Run(directory, workers, options or Options(), on_event, on_notice, tally or Tally())
        return run.run(sources, add=add)


class _Run:
    def __init__(
        self,
        directory: str,
        workers: Workers,
        options: Options,
        on_event: Callable[[Event], None],
        on_notice: Callable[[str], None],
        tally: Tally,
    ) -> None:
        self._directory, self._workers, self._options = directory, workers, options
        self._on_event, self._on_notice, self._tally = on_event, on_notice, tally
        self._manifest = Manifest(directory)
        self._how = f"vmdump {__version__}, machines {options.machines}, format {options.format}"
        self._manifest_written = time.monotonic()

    def run(self, sources: Sequence[str], *, add: bool) -> Tally:
        numbers = self._manifest.begin(sources, add=add)
        found = find_sources(sources, self._directory, numbers)
        self._tally.total = len(found.items) + sum(map(len, found.groups)) + len(found.errors)
        for notice in found.notices:
            self._on_notice(notice)
        if not self._tally.total:
            raise SourceError(f"{', '.join(sources)}: no QEMU binary, dump or package in there")
        try:
            for source, error in found.errors:
                self._fail(source, None, error)
            units = self._units(found)
            asked = {source for unit in units for source in unit.arguments}
            missing = deque(unit for unit in units if not self._is_there(unit, asked))
            self._drop_others(found, sources, add=add)
            self._number_kept(sources, numbers)
            self._places = Places(self._staying(missing))
            self._work(missing)
        finally:
            self._manifest.write()
        return self._tally

    # What there is to do

    def _units(self, found: Found) -> list[_Unit]:
        """What there is to read, if it is not in the folder yet."""
        items, groups = found.items, found.groups
        paths = [package.path for group in groups for package in group]
        paths += [item.path for item in items if item.kind == DUMP]
        digests = _digests(paths, self._workers.jobs, self._options.max_size)
        units = []
        for item in items:
            content = os.path.abspath(item.path) if item.kind == BINARY else digests[item.path]
            units.append(_Unit(f"{item.kind} {content}, {self._how}", [item]))
        for group in groups:
            group.sort(key=lambda package: (os.path.basename(package.path), package.path))
            content = " ".join(sorted(digests[package.path] for package in group))
            units.append(_Unit(f"packages {hashlib.sha256(content.encode()).hexdigest()}, {self._how}", [], group))
        return units

    def _is_there(self, unit: _Unit, asked: set[str]) -> bool:
        """Whether a unit's entries are complete; then they are reported. asked: the sources of all units."""
        entries = self._entries_of(unit, asked)
        if not entries or len(entries) < entries[0]["siblings"] or not all(map(self._manifest.is_complete, entries)):
            return False
        if unit.packages:
            self._tally.total += len(entries) - len(unit.packages)
        for entry in entries:
            entry["arguments"] = list(unit.arguments[entry["source"]])
            self._tally.unchanged += 1
            self._on_event(Event(_title(entry), entry, is_new=False))
        return True

    def _entries_of(self, unit: _Unit, asked: set[str]) -> list[Entry]:
        """What the folder has of a unit. Packages are known by content: those that lie elsewhere now, under the same
        file names, are renamed.
        """
        entries = self._manifest.find(unit.key)
        own = [each for each in entries if each["source"] in unit.arguments]
        if own or not unit.packages:
            return own
        now = {os.path.basename(package.path): package.path for package in unit.packages}
        moved = [each for each in entries if each["source"] not in asked]
        if any(os.path.basename(entry["source"]) not in now for entry in moved):
            return []
        for entry in moved:
            self._manifest.rename(entry, now[os.path.basename(entry["source"])])
        return moved

    def _drop_others(self, found: Found, sources: Sequence[str], *, add: bool) -> None:
        """Drops what earlier runs have read of sources that this one does not mean, and says so."""
        if found.lost:
            return
        asked = _found_sources(found)
        for entry in list(self._manifest):
            source = entry["source"]
            if source in asked or (add and not any(_is_below(source, each) for each in sources)):
                continue
            self._manifest.drop(entry)
            self._forget_verdicts(entry)
            if entry["error"] is None:
                why = "it is not one of the sources given; --add keeps it" if os.path.lexists(source) else "it is gone"
                self._on_notice(f"dropped {_title(entry)}: {why}")

    def _number_kept(self, sources: Sequence[str], numbers: Sequence[int]) -> None:
        """Entries of sources that can't be seen now stay, as those of the arguments that they belong to."""
        for entry in self._manifest:
            if not entry["arguments"]:
                belongs = [number for source, number in zip(sources, numbers, strict=True)
                           if _is_below(entry["source"], source)]  # fmt: skip
                entry["arguments"] = belongs

    def _staying(self, missing: Iterable[_Unit]) -> Iterator[Entry]:
        """The entries that this run does not replace: others than those of the missing units, and what a run that was
        ended has read of these.
        """
        keys = {source: unit.key for unit in missing for source in unit.arguments}
        for entry in self._manifest:
            key = keys.get(entry["source"])
            if key is None or (entry["key"] == key and self._manifest.is_complete(entry)):
                yield entry

    def _forget_verdicts(self, entry: Entry) -> None:
        for target in entry["targets"]:
            forget_verdicts(self._directory, target)

    # Doing it

    def _work(self, units: deque[_Unit]) -> None:
        """Has all units done, and writes what comes back."""
        scheduler: Scheduler[_Job] = Scheduler(self._workers, self._options.timeout)
        started: deque[_Unit] = deque()
        try:
            while units or started:
                while units and len(started) < _UNITS_PER_JOB * self._workers.jobs and scheduler.has_room:
                    if units[0].packages and sum(bool(unit.packages) for unit in started) >= _MAX_UNPACKED:
                        break
                    started.append(units.popleft())
                    scheduler.add(self._begin(started[-1]))
                for job, outcome in scheduler.step():
                    scheduler.add(self._take(job, outcome))
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
        _, _, timeout, max_size = self._options
        tasks = {
            i: UnpackTask(os.path.abspath(unit.packages[i].path), os.path.join(unit.folder, str(i)), timeout, max_size)
            for i in order
        }
        return [_Job(unit, i, task) for i, task in tasks.items()]

    def _read_task(self, item: Item) -> ReadTask:
        machines, format, timeout, max_size = self._options
        return ReadTask(item.kind, os.path.abspath(item.path), item.root, machines, format, timeout, max_size)

    def _take(self, job: _Job, outcome: Outcome) -> list[_Job]:
        """Takes in what a task gave; the tasks that follow from it."""
        unit = job.unit
        unit.waiting -= 1
        if isinstance(job.task, ReadTask):
            unit.results[job.number] = outcome
            return []
        if outcome.error is not None:
            unit.errors.append((unit.packages[job.number].path, outcome.error))
        else:
            kept: UnpackResult = outcome.value
            unit.kept[job.number] = kept
            path = unit.packages[job.number].path
            unit.errors += [(path, error) for error in kept.errors]
            for notice in kept.notices:
                self._on_notice(f"{path}: {notice}")
        return [] if unit.waiting else self._unpacked(unit)

    def _unpacked(self, unit: _Unit) -> list[_Job]:
        """The tasks of a group whose packages are all unpacked."""
        assert unit.folder is not None
        root = os.path.join(unit.folder, "root")
        order = sorted(unit.kept)
        try:
            os.mkdir(root)
            merge([(os.path.join(unit.folder, str(i)), unit.kept[i]) for i in order], root)
            layers = [(unit.packages[i], unit.kept[i]) for i in order]
            unit.items = unpacked_items(layers, root)
            unit.errors += dangling_links(layers, root)
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
            is_it = (entry["source"], entry["member"]) == (item.source, item.member)
            if is_it and self._manifest.is_complete(entry):
                entry["arguments"] = list(item.arguments)
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
        for source in unit.arguments:
            self._manifest.drop_others(source, unit.key)
        _remove_folder(unit)
        return True

    def _finish(self, item: Item, outcome: Outcome, unit: _Unit) -> None:
        if outcome.error is not None:
            error = outcome.error.replace(os.path.abspath(item.path), item.title)  # as the user knows it
            self._fail(item.source, unit, error, item, outcome.seconds)
            return
        reading: ReadResult = outcome.value
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
        entry = _entry(item.source, unit.key, unit.n_entries, item.arguments)
        entry |= {"kind": item.kind, "member": item.member, "digest": digest and digest.hex()}
        entry |= {"files": recorded(reading.files) if item.root is None else [], "producer": place.producer}
        entry |= {"targets": place.targets, "machines": list(reading.machines), "outputs": outputs, "rows": rows}
        entry |= {"reports": [_without(item.root, each) for each in reading.reports]}
        entry |= {"seconds": round(outcome.seconds, 3), "machine_types": list(map(list, reading.machine_types))}
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
            _entry(source, unit.key, unit.n_entries, unit.arguments[source])
            if unit is not None
            else _entry(source, f"{source}, {self._how}", 1)
        )
        if item is not None:
            entry |= {"kind": item.kind, "member": item.member, "targets": [], "seconds": round(seconds, 3)}
        # Of one that is not to be seen, what was read of it before stays.
        is_kept = unit is not None or not self._manifest.has_read(source)
        if not is_kept:
            self._manifest.errors[source] = error
        self._enter(prefix, {**entry, "error": error}, is_kept=is_kept)

    def _enter(self, title: str, entry: Entry, *, is_kept: bool = True) -> None:
        with deferred_signals():  # so that who is interrupted is told what the manifest says
            if is_kept:
                self._manifest.put(entry)
                self._forget_verdicts(entry)
            if entry["error"] is None:
                self._tally.read += 1
            else:
                self._tally.errors.append(entry["error"])
        if time.monotonic() > self._manifest_written + _MANIFEST_INTERVAL:
            self._manifest.write()
            self._manifest_written = time.monotonic()
        self._on_event(Event(title, entry, is_new=True))


def _found_sources(found: Found) -> set[str]:
    """The files that are read or can't be read."""
    packages = (package.path for group in found.groups for package in group)
    return {*(item.source for item in found.items), *packages, *(source for source, _ in found.errors)}


def _is_below(path: str, source: str) -> bool:
    """Whether a file that was found once belongs to a source: it is the source, or in that directory."""
    return os.path.normpath(path) == os.path.normpath(source) or path.startswith(os.path.join(source, ""))


def _entry(source: str, key: str, siblings: int, arguments: Sequence[int] = ()) -> Entry:
    """An entry with nothing in it yet."""
    lists: Entry = {name: [] for name in ("files", "targets", "machines", "outputs", "rows", "reports")}
    lists |= {"arguments": list(arguments), "machine_types": []}
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


def _digests(paths: Sequence[str], jobs: int, max_size: int | None) -> dict[str, str]:
    """SHA-256 of files; that of one that can't be read or is too large is empty: its reader says what is wrong."""
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

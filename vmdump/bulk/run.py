"""Runs vmdump bulk: reads the sources that are new or have changed, and brings the output directory up to date.

A unit is a binary, a dump file or a group of packages. Its tasks are scheduled as they become ready (the binaries of a
group once its packages are unpacked). Results are written in the order of the units, whatever order they arrive in, so
the output does not depend on the number of workers, and an interrupted run can be resumed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from vmdump.bulk.discover import Found, Item, dangling_links, find_sources, unpacked_items
from vmdump.bulk.manifest import UNPACK_PREFIX, Entry, Manifest, locked, new_entry, recorded, title_of
from vmdump.bulk.output_paths import OutputPathAllocator
from vmdump.bulk.packages.unpack import UnpackResult, merge
from vmdump.bulk.query.verdicts import forget_verdicts
from vmdump.bulk.scheduler import Scheduler
from vmdump.bulk.tally import Event, Tally
from vmdump.bulk.tasks import FORMATS, Options, Outcome, ReadResult, ReadTask, UnpackTask
from vmdump.bulk.units import Job, Unit, hash_files, remove_folder
from vmdump.bulk.worker import FULL, HEAD, compress
from vmdump.bulk.workers import Workers
from vmdump.dump.output import make_directory, write_file
from vmdump.errors import OutputError, SourceError
from vmdump.signals import deferred_signals
from vmdump.sources.open import BINARY, DUMP
from vmdump.version import __version__

#: Seconds between two writes of the manifest.
_MANIFEST_INTERVAL = 1.0

#: Units in progress for each worker. Their results wait in memory for those of earlier units.
_UNITS_PER_JOB = 4

#: Groups of packages that are unpacked at a time; each takes about 500 MB of disk space.
_MAX_UNPACKED = 2


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
    """Read the sources into directory, except those that it has unchanged.

    Args:
        sources: binaries, dump files, packages, and directories of these.
        directory: the output directory; created if it does not exist.
        workers: perform the tasks; stopped at the end.
        options: how sources are read.
        add: keep the dumps of other sources, except of files that have disappeared from these sources. Otherwise they
            are dropped, unless a source or directory cannot be read.
        on_event: called with each source that is done.
        on_notice: called with a line for each file that is skipped and each dump that is dropped.
        tally: updated in place; valid after an exception, too.

    Returns:
        The tally. A source that cannot be read is an error there and in the manifest.

    Raises:
        VmdumpError: the directory cannot be used.
        OutputError: nothing more can be written. Finished dumps stay, as after an exception from a signal handler.
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
        self._settings = f"vmdump {__version__}, machines {options.machines}, format {options.format}"
        if options.boot is not None:
            self._settings += f", boot {options.boot}"
        self._manifest_written = time.monotonic()

    def run(self, sources: Sequence[str], *, add: bool) -> Tally:
        numbers = self._manifest.begin(sources, add=add)
        found = find_sources(sources, self._directory, numbers)
        self._tally.total = len(found.items) + sum(map(len, found.groups)) + len(found.errors)
        for notice in found.notices:
            self._on_notice(notice)
        if not self._tally.total:
            raise SourceError(f"{', '.join(sources)}: no QEMU binary, dump or package found")
        try:
            for source, error in found.errors:
                self._fail(source, None, error)
            units = self._units(found)
            requested = {source for unit in units for source in unit.arguments}
            missing = deque(unit for unit in units if not self._is_up_to_date(unit, requested))
            self._drop_others(found, sources, add=add)
            self._assign_arguments(sources, numbers)
            self._paths = OutputPathAllocator(self._kept_entries(missing))
            self._work(missing)
        finally:
            self._manifest.write()
        return self._tally

    # Planning

    def _units(self, found: Found) -> list[Unit]:
        """Return the units of everything that was found."""
        items, groups = found.items, found.groups
        paths = [package.path for group in groups for package in group]
        paths += [item.path for item in items if item.kind == DUMP]
        digests = hash_files(paths, self._workers.jobs, self._options.max_size)
        units = []
        for item in items:
            content = os.path.abspath(item.path) if item.kind == BINARY else digests[item.path]
            units.append(Unit(f"{item.kind} {content}, {self._settings}", [item]))
        for group in groups:
            group.sort(key=lambda package: (os.path.basename(package.path), package.path))
            content = " ".join(sorted(digests[package.path] for package in group))
            units.append(Unit(f"packages {hashlib.sha256(content.encode()).hexdigest()}, {self._settings}", [], group))
        return units

    def _is_up_to_date(self, unit: Unit, requested: set[str]) -> bool:
        """Return whether a unit's entries are complete, and report them if so. requested: the sources of all units."""
        entries = self._entries_of(unit, requested)
        if not entries or len(entries) < entries[0]["siblings"] or not all(map(self._manifest.is_complete, entries)):
            return False
        if unit.packages:
            self._tally.total += len(entries) - len(unit.packages)
        for entry in entries:
            entry["arguments"] = list(unit.arguments[entry["source"]])
            self._tally.unchanged += 1
            self._on_event(Event(title_of(entry), entry, is_new=False))
        return True

    def _entries_of(self, unit: Unit, requested: set[str]) -> list[Entry]:
        """Return the manifest entries of a unit.

        Packages are identified by content: entries of packages that have moved, with the same file names, are renamed.
        """
        entries = self._manifest.find(unit.key)
        own = [each for each in entries if each["source"] in unit.arguments]
        if own or not unit.packages:
            return own
        now = {os.path.basename(package.path): package.path for package in unit.packages}
        moved = [each for each in entries if each["source"] not in requested]
        if any(os.path.basename(entry["source"]) not in now for entry in moved):
            return []
        for entry in moved:
            self._manifest.rename(entry, now[os.path.basename(entry["source"])])
        return moved

    def _drop_others(self, found: Found, sources: Sequence[str], *, add: bool) -> None:
        """Drop the dumps of earlier runs whose sources are not among those found, with a notice for each."""
        if found.unreadable:
            return
        requested = found.paths
        for entry in list(self._manifest):
            source = entry["source"]
            if source in requested or (add and not any(_is_below(source, each) for each in sources)):
                continue
            self._manifest.drop(entry)
            self._forget_verdicts(entry)
            if entry["error"] is None:
                why = (
                    "not among the given sources; --add keeps it"
                    if os.path.lexists(source)
                    else "the file no longer exists"
                )
                self._on_notice(f"dropped {title_of(entry)}: {why}")

    def _assign_arguments(self, sources: Sequence[str], numbers: Sequence[int]) -> None:
        """Assign entries of unreadable sources, which are kept, to the command line's sources that contain them."""
        for entry in self._manifest:
            if not entry["arguments"]:
                belongs = [number for source, number in zip(sources, numbers, strict=True)
                           if _is_below(entry["source"], source)]  # fmt: skip
                entry["arguments"] = belongs

    def _kept_entries(self, missing: Iterable[Unit]) -> Iterator[Entry]:
        """Yield the entries that this run keeps: those of other units, and those of the missing units that an
        interrupted run has completed.
        """
        keys = {source: unit.key for unit in missing for source in unit.arguments}
        for entry in self._manifest:
            key = keys.get(entry["source"])
            if key is None or (entry["key"] == key and self._manifest.is_complete(entry)):
                yield entry

    def _forget_verdicts(self, entry: Entry) -> None:
        for target in entry["targets"]:
            forget_verdicts(self._directory, target)

    # Execution

    def _work(self, units: deque[Unit]) -> None:
        """Run the tasks of all units, and write their results."""
        scheduler: Scheduler[Job] = Scheduler(self._workers, self._options.timeout)
        started: deque[Unit] = deque()
        try:
            while units or started:
                while units and len(started) < _UNITS_PER_JOB * self._workers.jobs and scheduler.has_room:
                    if units[0].packages and sum(bool(unit.packages) for unit in started) >= _MAX_UNPACKED:
                        break
                    started.append(units.popleft())
                    scheduler.add(self._begin(started[-1]))
                for job, outcome in scheduler.step():
                    scheduler.add(self._handle(job, outcome))
                while started and self._write_results(started[0]):
                    started.popleft()
        finally:
            self._workers.stop()
            for unit in started:
                remove_folder(unit)

    def _begin(self, unit: Unit) -> list[Job]:
        """Return a unit's first tasks. The largest packages, which take longest, come first."""
        if not unit.packages:
            unit.waiting = 1
            return [Job(unit, 0, self._read_task(unit.items[0]))]
        try:
            unit.folder = tempfile.mkdtemp(prefix=UNPACK_PREFIX, dir=os.path.abspath(self._directory))
        except OSError as error:
            raise OutputError(error.errno, error.strerror, self._directory) from error
        order = sorted(range(len(unit.packages)), key=lambda i: -os.path.getsize(unit.packages[i].path))
        unit.waiting = len(order)
        _, _, timeout, max_size, _ = self._options
        tasks = {
            i: UnpackTask(os.path.abspath(unit.packages[i].path), os.path.join(unit.folder, str(i)), timeout, max_size)
            for i in order
        }
        return [Job(unit, i, task) for i, task in tasks.items()]

    def _read_task(self, item: Item) -> ReadTask:
        machines, format, timeout, max_size, boot = self._options
        return ReadTask(item.kind, os.path.abspath(item.path), item.root, machines, format, timeout, max_size, boot)

    def _handle(self, job: Job, outcome: Outcome) -> list[Job]:
        """Store the outcome of a task, and return the tasks that it makes ready."""
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

    def _unpacked(self, unit: Unit) -> list[Job]:
        """Merge a group's unpacked packages, and return the tasks that read its binaries."""
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
            unit.errors.append((unit.packages[0].path, f"cannot be unpacked: {error.strerror or error}"))
        except SourceError as error:
            unit.errors.append((unit.packages[0].path, str(error)))
        if not unit.items and not unit.errors:
            unit.errors.append((unit.packages[0].path, "contains no QEMU binary that supports -dump-vmstate"))
        unit.is_unpacked = True
        unit.n_entries = len(unit.items) + len(unit.errors)
        self._tally.total += unit.n_entries - len(unit.packages)
        unit.items = [item for item in unit.items if not self._is_read(item, unit)]
        unit.waiting = len(unit.items)
        return [Job(unit, index, self._read_task(item)) for index, item in enumerate(unit.items)]

    def _is_read(self, item: Item, unit: Unit) -> bool:
        """Return whether an interrupted run has read an item, and report it if so."""
        for entry in self._manifest.find(unit.key):
            is_it = (entry["source"], entry["member"]) == (item.source, item.member)
            if is_it and self._manifest.is_complete(entry):
                entry["arguments"] = list(item.arguments)
                self._tally.unchanged += 1
                self._on_event(Event(item.title, entry, is_new=False))
                return True
        return False

    # Results

    def _write_results(self, unit: Unit) -> bool:
        """Write the results of a unit that are next in order; return whether the unit is complete."""
        while unit.written in unit.results:
            self._finish(unit.items[unit.written], unit.results.pop(unit.written), unit)
            unit.written += 1
        if not unit.is_unpacked or unit.written < len(unit.items):
            return False
        for source, error in sorted(unit.errors):
            self._fail(source, unit, error)
        for source in unit.arguments:
            self._manifest.drop_others(source, unit.key)
        remove_folder(unit)
        return True

    def _finish(self, item: Item, outcome: Outcome, unit: Unit) -> None:
        if outcome.error is not None:
            error = outcome.error.replace(os.path.abspath(item.path), item.title)  # under the name the user knows
            self._fail(item.source, unit, error, item, outcome.seconds)
            return
        result: ReadResult = outcome.value
        digest = result.files[0][2]
        paths = self._paths.choose(item, result, digest.hex() if digest else "")
        outputs = []
        suffix, _, is_compressed, _ = FORMATS[self._options.format]
        for machine in result.machines:
            path = paths.file(machine, suffix)
            head = HEAD + machine.encode()
            self._write(path, compress(head) if is_compressed else head, result.body)
            outputs.append(path)
        rows = []
        if result.rows is not None:
            self._write(paths.rows, result.rows)
            rows.append(paths.rows)
        if result.machine_rows is not None:
            self._write(paths.machine_rows, result.machine_rows)
            rows.append(paths.machine_rows)
        entry = new_entry(item.source, unit.key, unit.n_entries, item.arguments)
        entry |= {"kind": item.kind, "member": item.member, "digest": digest and digest.hex()}
        entry |= {"files": recorded(result.files) if item.root is None else [], "producer": paths.producer}
        entry |= {"targets": paths.targets, "machines": list(result.machines), "outputs": outputs, "rows": rows}
        entry |= {"reports": [_without(item.root, each) for each in result.reports]}
        entry |= {"seconds": round(outcome.seconds, 3), "machine_types": list(map(list, result.machine_types))}
        self._record(item.title, entry)

    def _write(self, path: str, *parts: bytes) -> None:
        full = os.path.join(self._directory, path)
        make_directory(os.path.dirname(full))
        write_file(full, *parts)

    def _fail(self, source: str, unit: Unit | None, error: str, item: Item | None = None, seconds: float = 0.0) -> None:
        prefix = item.title if item is not None else source
        error = " ".join(error.splitlines())
        if not error.startswith(prefix):
            error = f"{prefix}: {error}"
        entry = (
            new_entry(source, unit.key, unit.n_entries, unit.arguments[source])
            if unit is not None
            else new_entry(source, f"{source}, {self._settings}", 1)
        )
        if item is not None:
            entry |= {"kind": item.kind, "member": item.member, "targets": [], "seconds": round(seconds, 3)}
        # The dumps of a source that has become unreadable are kept.
        is_kept = unit is not None or not self._manifest.has_read(source)
        if not is_kept:
            self._manifest.errors[source] = error
        self._record(prefix, {**entry, "error": error}, is_kept=is_kept)

    def _record(self, title: str, entry: Entry, *, is_kept: bool = True) -> None:
        with deferred_signals():  # keeps tally and manifest consistent when interrupted
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


def _is_below(path: str, source: str) -> bool:
    """Return whether path is the source, or a path below it."""
    return os.path.normpath(path) == os.path.normpath(source) or path.startswith(os.path.join(source, ""))


def _without(root: str | None, text: str) -> str:
    return text if root is None else text.replace(root, "")

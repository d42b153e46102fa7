"""Performs a task in a worker: unpacks a package, or reads a source."""

from __future__ import annotations

import errno
import fnmatch
import gc
import os
import re
import threading
import time
from typing import TYPE_CHECKING, Any

from vmdump.bulk.packages.unpack import UnpackResult, unpack
from vmdump.bulk.tasks import FORMATS, Outcome, ReadResult, ReadTask, Task, UnpackTask
from vmdump.errors import OutputError, SourceError, VmdumpError
from vmdump.signals import TimeOut, time_limit
from vmdump.sources.open import DUMP

if TYPE_CHECKING:
    from vmdump.dump.device_dump import DeviceDump

#: The JSON of a dump up to the machine's name, and the names that JSON needs no escapes for.
HEAD = b'{\n  "vmschkmachine": {\n    "Name": "'
_PLAIN_NAME = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")

#: The suffix of CPU types, which names the target.
_CPU = re.compile(r"-([a-z0-9_]+)-cpu")

#: Errors that end the run, as nothing more can be written; all others are of one source.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

#: Compression level; 3 is zstd's default.
_LEVEL = 3

#: The compressor of each thread.
_of_thread = threading.local()


def perform(task: Task) -> Outcome:
    """Perform a task. Raises OutputError if files cannot be written; any other error is part of the outcome."""
    began = time.monotonic()
    value, error = None, None
    try:
        with time_limit(task.timeout):
            value = _unpack(task) if isinstance(task, UnpackTask) else _read(task)
    except OutputError:
        raise
    except TimeOut:
        error = f"not finished after {task.timeout:g} seconds; raise --timeout to allow more"
    except VmdumpError as problem:
        error = str(problem)
    except OSError as problem:  # of the source: unpacking raises OutputError
        error = f"{problem.filename or task.path}: {problem.strerror or problem}"
    except MemoryError:
        error = "needs more memory than the limit of a worker process"
    except Exception as problem:
        error = f"internal error: {type(problem).__name__}: {problem}; please report this"
    if not isinstance(task, ReadTask) or task.kind != DUMP:
        gc.collect()  # frees emulated QEMUs, which are in reference cycles and reserve a GiB of address space
    return Outcome(value, error and " ".join(error.splitlines()), time.monotonic() - began)


def _unpack(task: UnpackTask) -> UnpackResult:
    try:
        os.makedirs(task.folder, exist_ok=True)
        return unpack(task.path, task.folder, task.max_size)
    except OSError as error:
        if error.errno in FULL:
            raise OutputError(error.errno, error.strerror, task.folder) from error
        raise SourceError(f"{task.path}: cannot be unpacked into {task.folder}: {error.strerror or error}") from error


def _read(task: ReadTask) -> ReadResult:
    from vmdump.files.fingerprint import fingerprint_of

    details = FORMATS[task.format][1]
    reports: list[str] = []
    files: tuple[Any, ...]
    machine_types: tuple[tuple[str, str | None, str | None, bool], ...] = ()
    if task.kind == DUMP:
        from vmdump.sources.dump_file import open_dump_file

        files = (fingerprint_of(task.path),)
        dump = open_dump_file(task.path, task.max_size)
        machines: tuple[str, ...] = (dump.machine,)
    else:
        from vmdump.sources.image_cache import read_files
        from vmdump.sources.qemu_image.image import QemuImage

        image = QemuImage(
            task.path,
            details=details,
            root=task.root,
            timeout=task.timeout,
            report=lambda each: reports.append(str(each).removeprefix(f"{task.path}: ")),
        )
        names = [(each.name, each.alias) for each in image.machines]
        machine_types = tuple((each.name, each.alias, each.family, bool(each.is_default)) for each in image.machines)
        machines = _choose(names, task.machines)
        if task.boot is not None:
            _choose(names, task.boot)
        dump = image.dump(machines[0] if machines else None)
        machines = machines or (dump.machine,)
        # Of unpacked packages, which are removed afterwards, only the binary matters.
        files = tuple(map(fingerprint_of, read_files(image))) if task.root is None else (fingerprint_of(image.path),)
    reading = _render(dump, machines, task.format)
    machine_rows = None
    if task.boot is not None and task.kind != DUMP:
        from vmdump.bulk.query.machines import read_machines

        try:
            machine_rows = read_machines(task.path, task.root, task.boot, dump.producer)
        except SourceError as error:  # such as Xen's QEMU, which has no accelerator without Xen; its dump is there
            reports.append(f"without machine types: {str(error).removeprefix(f'{task.path}: ')}")
    return reading._replace(files=files, reports=tuple(reports), machine_types=machine_types, machine_rows=machine_rows)


def _choose(machines: list[tuple[str, str | None]], pattern: str) -> tuple[str, ...]:
    """Return the names of the machine types that match a pattern; none for ``default``. Raises SourceError."""
    if pattern == "default":
        return ()
    if pattern == "all":
        return tuple(name for name, _ in machines)
    chosen = tuple(
        name
        for name, alias in machines
        if fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(alias or "", pattern)
    )
    if not chosen:
        from vmdump.suggestion import did_you_mean

        known = [each for machine in machines for each in machine if each]
        hint = did_you_mean(pattern, known, "vmdump dump BINARY -M help lists them")
        raise SourceError(f"no machine type matches {pattern!r}; {hint}")
    return chosen


def _render(dump: DeviceDump, machines: tuple[str, ...], format: str) -> ReadResult:
    _, extended, compressed, has_rows = FORMATS[format]
    for machine in machines:
        if not _PLAIN_NAME.fullmatch(machine):
            raise SourceError(f"machine name {machine!r} contains characters that are not allowed in file names")
    data = dump.to_bytes(extended=extended)
    head = HEAD + dump.machine.encode() + b'"'
    if not data.startswith(head):
        raise SourceError(
            f"internal error: a dump without its machine, {dump.machine!r}, at its head; please report this"
        )
    body = data[len(head) - 1 :]
    rows = None
    if has_rows:
        from vmdump.bulk.query.parquet import to_parquet

        rows = to_parquet(dump, machines)
    return ReadResult(
        machines, compress(body) if compressed else body, rows, dump.producer.to_plain(), (), _target(dump), ()
    )


def compress(data: bytes) -> bytes:
    """Return a Zstandard frame. A file may have several: the head of each machine's file is a frame of its own."""
    compressor = getattr(_of_thread, "compressor", None)
    if compressor is None:  # its tables are expensive to set up, and it is not thread-safe
        import zstandard

        compressor = _of_thread.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True)
    frame: bytes = compressor.compress(data)
    return frame


def _target(dump: DeviceDump) -> str | None:
    """Return the target whose CPU types have the most standalone VMSDs; None if there are none."""
    found = [match[1] for root in dump.standalone for name in root.types if (match := _CPU.search(name))]
    return max(sorted(set(found)), key=found.count, default=None)

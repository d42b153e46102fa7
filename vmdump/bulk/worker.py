"""What a worker does: it unpacks a package, or reads a source. Tasks carry paths, and bytes come back, so that a worker
may be a thread, a process, or on another machine that sees the same files.
"""

from __future__ import annotations

import errno
import fnmatch
import gc
import os
import re
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.bulk.packages.unpack import Kept, unpack
from vmdump.errors import OutputError, SourceError, VmdumpError
from vmdump.signals import TimeOut, time_limit

if TYPE_CHECKING:
    from vmdump.dump.device_dump import DeviceDump

#: Forms of output: file suffix, whether in the extended form, whether compressed, whether with rows.
FORMATS = {
    "json": (".json", False, False, False),
    "json.zst": (".json.zst", False, True, False),
    "extended": (".json", True, False, False),
    "parquet": (".json.zst", True, True, True),
}

#: How the JSON of a dump begins, up to the machine's name, and the bytes that a name can have in it as they are.
HEAD = b'{\n  "vmschkmachine": {\n    "Name": "'
_PLAIN_NAME = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")

#: CPU types whose names end so are of the target; what tells it where the binary's name does not.
_CPU = re.compile(r"-([a-z0-9_]+)-cpu")

#: Errors that are the run's, not a source's: nothing more can be written.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

#: zstd's level: 3 is its own default.
_LEVEL = 3

#: The compressor of each thread.
_of_thread = threading.local()


class Unpack(NamedTuple):
    """Unpack the package at path into folder; max_size: see archives.read_archive."""

    path: str
    folder: str
    timeout: float
    max_size: int | None = None


class Read(NamedTuple):
    """Read the binary or dump at path (kind, root as in Item), for machines, in a format of FORMATS; max_size: see
    dump_file.read_dump_file.
    """

    kind: str
    path: str
    root: str | None
    machines: str
    format: str
    timeout: float
    max_size: int | None = None


class Reading(NamedTuple):
    """What a source gave. One rendering serves all machines: body is what follows a machine's name, compressed where
    the format is; rows are those of the store, as Parquet. producer is Producer.to_plain(); files are those that it was
    made of, with signature and SHA-256, as the cache of images has them; target is what the content says of it;
    machine_types are all that a binary has, as (name, alias, family, is_default).
    """

    machines: tuple[str, ...]
    body: bytes
    rows: bytes | None
    producer: tuple[Any, ...]
    files: tuple[tuple[str, Any, bytes | None], ...]
    target: str | None
    reports: tuple[str, ...]
    machine_types: tuple[tuple[str, str | None, str | None, bool], ...] = ()


class Outcome(NamedTuple):
    """How a task ended: with a value, or an error on one line; and the seconds that it took."""

    value: Any
    error: str | None
    seconds: float


def perform(task: Unpack | Read) -> Outcome:
    """Does a task. Raises OutputError alone, where what is unpacked can't be written; all else is the outcome."""
    began = time.monotonic()
    value, error = None, None
    try:
        with time_limit(task.timeout):
            value = _unpack(task) if isinstance(task, Unpack) else _read(task)
    except OutputError:
        raise
    except TimeOut:
        error = f"not read after {task.timeout:g} seconds, and given up; --timeout gives it more"
    except VmdumpError as problem:
        error = str(problem)
    except OSError as problem:  # of the source: what is unpacked raises OutputError
        error = f"{problem.filename or task.path}: {problem.strerror or problem}"
    except MemoryError:
        error = "takes more memory than a worker may"
    except Exception as problem:
        error = f"internal error: {type(problem).__name__}: {problem}; please report this"
    if not isinstance(task, Read) or task.kind != "dump":
        gc.collect()  # an emulated QEMU reserves a GiB of addresses, and is in circles
    return Outcome(value, error and " ".join(error.splitlines()), time.monotonic() - began)


def _unpack(task: Unpack) -> Kept:
    try:
        os.makedirs(task.folder, exist_ok=True)
        return unpack(task.path, task.folder, task.max_size)
    except OSError as error:
        if error.errno in FULL:
            raise OutputError(error.errno, error.strerror, task.folder) from error
        raise SourceError(f"{task.path}: can't be unpacked into {task.folder}: {error.strerror or error}") from error


def _read(task: Read) -> Reading:
    details = FORMATS[task.format][1]
    reports: list[str] = []
    files: tuple[Any, ...]
    machine_types: tuple[tuple[str, str | None, str | None, bool], ...] = ()
    if task.kind == "dump":
        from vmdump.sources.dump_file import open_dump_file
        from vmdump.sources.image_cache.cache import hashed

        files = (hashed(task.path),)
        dump = open_dump_file(task.path, task.max_size)
        machines: tuple[str, ...] = (dump.machine,)
    else:
        from vmdump.sources.image_cache.cache import hashed, read_files
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
        dump = image.dump(machines[0] if machines else None)
        machines = machines or (dump.machine,)
        # In what is unpacked there is no need to know what else might have been there: it is gone afterwards.
        files = tuple(map(hashed, read_files(image))) if task.root is None else (hashed(image.path),)
    reading = _render(dump, machines, task.format)
    return reading._replace(files=files, reports=tuple(reports), machine_types=machine_types)


def _choose(machines: list[tuple[str, str | None]], pattern: str) -> tuple[str, ...]:
    """The names of the machine types that a pattern means; none for the default one. Raises SourceError."""
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
        raise SourceError(f"no machine type is like {pattern!r}; {hint}")
    return chosen


def _render(dump: DeviceDump, machines: tuple[str, ...], format: str) -> Reading:
    _, extended, compressed, has_rows = FORMATS[format]
    for machine in machines:
        if not _PLAIN_NAME.fullmatch(machine):
            raise SourceError(f"a machine's name that is not for a file: {machine!r}")
    data = dump.to_bytes(extended=extended)
    head = HEAD + dump.machine.encode() + b'"'
    if not data.startswith(head):
        raise SourceError(f"a dump that does not begin with its machine, {dump.machine!r}; please report this")
    body = data[len(head) - 1 :]
    rows = None
    if has_rows:
        from vmdump.bulk.query.parquet import to_parquet

        rows = to_parquet(dump, machines)
    return Reading(
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
    """The target whose CPU types hold the most descriptions; None where there are none."""
    found = [match[1] for root in dump.roots for name in root.types if (match := _CPU.search(name))]
    return max(sorted(set(found)), key=found.count, default=None)

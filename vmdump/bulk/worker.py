"""What a worker does: it unpacks a package, or reads a source. Tasks carry paths, and bytes come back, so that a worker
may be a thread, a process, or on another machine that sees the same files.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import gc
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.bulk.packages.unpack import Kept, unpack
from vmdump.errors import OutputError, SourceError, VmdumpError

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


class Unpack(NamedTuple):
    """Unpack the package at path into folder."""

    path: str
    folder: str
    timeout: float


class Read(NamedTuple):
    """Read the binary or dump at path (kind, root as in Item), for machines, in a format of FORMATS."""

    kind: str
    path: str
    root: str | None
    machines: str
    format: str
    timeout: float


class Reading(NamedTuple):
    """What a source gave. One rendering serves all machines: body is what follows a machine's name, compressed where
    the format is; rows are those of the store, as Parquet. producer is Producer.to_plain(); files are those that it was
    made of, with signature and SHA-256, as the cache of images has them; target is what the content says of it.
    """

    machines: tuple[str, ...]
    body: bytes
    rows: bytes | None
    producer: tuple[Any, ...]
    files: tuple[tuple[str, Any, bytes | None], ...]
    target: str | None
    reports: tuple[str, ...]


class Outcome(NamedTuple):
    """How a task ended: with a value, or an error on one line; and the seconds that it took."""

    value: Any
    error: str | None
    seconds: float


class _TimeOut(BaseException):
    """No code catches it on the way."""


def perform(task: Unpack | Read) -> Outcome:
    """Does a task. Raises OutputError alone, where what is unpacked can't be written; all else is the outcome."""
    began = time.monotonic()
    value, error = None, None
    try:
        with _time_limit(task.timeout):
            value = _unpack(task) if isinstance(task, Unpack) else _read(task)
    except OutputError:
        raise
    except _TimeOut:
        error = f"not read after {task.timeout:g} seconds, and given up; --timeout gives it more"
    except VmdumpError as problem:
        error = str(problem)
    except MemoryError:
        error = "takes more memory than a worker may"
    except Exception as problem:
        error = f"internal error: {type(problem).__name__}: {problem}; please report this"
    gc.collect()  # an emulated QEMU reserves a GiB of addresses, and is in circles
    return Outcome(value, error and " ".join(error.splitlines()), time.monotonic() - began)


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Ends the body after so many seconds, where that can be done: in a process of its own."""
    is_ours = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    )
    if not is_ours:
        yield
        return

    def give_up(number: int, frame: object) -> None:
        raise _TimeOut

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _unpack(task: Unpack) -> Kept:
    try:
        os.makedirs(task.folder, exist_ok=True)
        return unpack(task.path, task.folder)
    except OSError as error:
        if error.errno in FULL:
            raise OutputError(error.errno, error.strerror, task.folder) from error
        raise SourceError(f"{task.path}: can't be unpacked into {task.folder}: {error.strerror or error}") from error


def _read(task: Read) -> Reading:
    details = FORMATS[task.format][1]
    reports: list[str] = []
    files: tuple[Any, ...]
    if task.kind == "dump":
        from vmdump.sources.dump_file import open_dump_file
        from vmdump.sources.image_cache.cache import hashed

        files = (hashed(task.path),)
        dump = open_dump_file(task.path)
        machines: tuple[str, ...] = (dump.machine,)
    else:
        from vmdump.sources.image_cache.cache import hashed, read_files
        from vmdump.sources.qemu_image.image import QemuImage

        image = QemuImage(
            task.path,
            details=details,
            root=task.root,
            report=lambda each: reports.append(str(each).removeprefix(f"{task.path}: ")),
        )
        names = [(each.name, each.alias) for each in image.machines]
        machines = _choose(names, task.machines)
        dump = image.dump(machines[0] if machines else None)
        machines = machines or (dump.machine,)
        # In what is unpacked there is no need to know what else might have been there: it is gone afterwards.
        files = tuple(map(hashed, read_files(image))) if task.root is None else (hashed(image.path),)
    return _render(dump, machines, task.format)._replace(files=files, reports=tuple(reports))


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
        raise SourceError(f"no machine type is like {pattern!r}; vmdump dump BINARY -M help lists them")
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
    """A Zstandard frame. Frames behind each other are one file: the head of each machine's is its own."""
    import zstandard

    return zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(data)


def _target(dump: DeviceDump) -> str | None:
    """The target whose CPU types hold the most descriptions; None where there are none."""
    found = [match[1] for root in dump.roots for name in root.types if (match := _CPU.search(name))]
    return max(sorted(set(found)), key=found.count, default=None)

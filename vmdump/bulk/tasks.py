"""Task and result types that bulk.run, the scheduler and the workers exchange.

All of them pickle: a worker is a thread, a process, or a process on another machine that sees the same files. Tasks
carry paths, results carry bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class OutputFormat(NamedTuple):
    """A value of ``--format``: the suffix of a dump file, and what is written.

    extended: in the extended form. compressed: with Zstandard. has_rows: with a Parquet file of rows.
    """

    suffix: str
    extended: bool
    compressed: bool
    has_rows: bool


#: The output formats by name.
FORMATS = {
    "json": OutputFormat(".json", False, False, False),
    "json.zst": OutputFormat(".json.zst", False, True, False),
    "extended": OutputFormat(".json", True, False, False),
    "parquet": OutputFormat(".json.zst", True, True, True),
}


#: Default time limit of a source, in seconds.
TIMEOUT = 120.0


class Options(NamedTuple):
    """How sources are read. format: a key of tasks.FORMATS; timeout: in seconds; max_size: in bytes.

    boot: machine types to boot in the emulator, as ``machines``; None: none.
    """

    machines: str = "default"
    format: str = "json"
    timeout: float = TIMEOUT
    max_size: int | None = None
    boot: str | None = None


class UnpackTask(NamedTuple):
    """Unpack the package at path into folder.

    timeout: seconds. max_size: see archives.read_archive.
    """

    path: str
    folder: str
    timeout: float
    max_size: int | None = None


class ReadTask(NamedTuple):
    """Read the QEMU binary or dump file at path.

    kind, root: as in discover.Item. machines: ``default``, ``all`` or a glob pattern. format: a key of FORMATS.
    timeout: seconds. max_size: see dump_file.read_dump_file. boot: see Options.
    """

    kind: str
    path: str
    root: str | None
    machines: str
    format: str
    timeout: float
    max_size: int | None = None
    boot: str | None = None


Task = UnpackTask | ReadTask


class ReadResult(NamedTuple):
    """The dump of one source.

    machines: the machine types that the dump is written for; they share one rendering.
    body: the JSON that follows a machine's name, compressed if the format is.
    rows: the Parquet file of rows, if the format has one.
    producer: as Producer.to_plain returns it.
    files: path, signature and SHA-256 of every file the dump depends on, as in the image cache.
    target: the target that the dump's CPU types suggest.
    reports: problems that did not end the reading.
    machine_types: all machine types of a binary, as (name, alias, family, is_default).
    machine_rows: the Parquet file of machine types, if there are some to boot.
    """

    machines: tuple[str, ...]
    body: bytes
    rows: bytes | None
    producer: tuple[Any, ...]
    files: tuple[tuple[str, Any, bytes | None], ...]
    target: str | None
    reports: tuple[str, ...]
    machine_types: tuple[tuple[str, str | None, str | None, bool], ...] = ()
    machine_rows: bytes | None = None


class Outcome(NamedTuple):
    """How a task ended: its result (UnpackResult or ReadResult) or a one-line error, and the seconds it took."""

    value: Any
    error: str | None
    seconds: float

"""vmdump bulk: read many QEMUs into an output directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus, printable
from vmdump.cli.source_arguments import UsageError, add_directory, add_file, seconds, size
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.bulk.tally import Tally
    from vmdump.bulk.tasks import Options
    from vmdump.cli.environment import Environment

HELP = "read many QEMUs into an output directory"
EPILOG = """\
examples:
  vmdump bulk /usr/bin/qemu-system-* -o dumps
  vmdump bulk old/*.deb new/*.deb -o dumps --format extended
  vmdump bulk qemu-7.2/ qemu-10.0/ -o dumps --format parquet

Packages (.deb, .rpm, wheels, tarballs) are read without installing them or
executing anything; packages of one build are unpacked together. Directories
are searched recursively for binaries, dumps and packages, by content.

Dumps are written to DIR/LABEL/TARGET/MACHINE.json, where LABEL is the version
of the QEMU; DIR/manifest.json records the result for each source. Sources that
are already in DIR and unchanged are skipped; dumps of other sources are removed
unless --add is given. vmdump check --matrix DIR takes earlier sources as older.
If a source cannot be read, the others are still written, and the exit code is
3. Scripts named qemu-system-* are skipped.

formats:
  json        as QEMU's -dump-vmstate
  json.zst    the same, compressed with Zstandard
  extended    with the metadata of vmdump dump --all
  parquet     extended and compressed, with rows for vmdump query
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_file(parser, "source", nargs="+", metavar="SOURCE", help="a QEMU binary, dump, package, or directory of these")
    add_directory(parser, "-o", "--output", required=True, metavar="DIR", help="output directory; created if missing")
    parser.add_argument(
        "--add",
        action="store_true",
        help="keep the dumps of other sources, as older ones (default: remove them)",
    )
    parser.add_argument(
        "--machines",
        default="default",
        metavar="default|all|GLOB",
        help="machine types to write dumps for (default: default)",
    )
    parser.add_argument(
        "--boot",
        metavar="default|all|GLOB",
        help="also boot these machine types of binaries in the emulator, and store machine types, compat properties, "
        "properties, sections and RAM blocks for vmdump query (needs --format parquet, and seconds a machine type)",
    )
    parser.add_argument(
        "--format",
        default="json",
        choices=["json", "json.zst", "extended", "parquet"],
        help="output format, see below (default: json)",
    )
    parser.add_argument(
        "--executor",
        default="processes",
        metavar="EXECUTOR",
        help="processes, threads, or dask://HOST:PORT: a Dask scheduler whose workers share the file system, started "
        "with PYTHONSAFEPATH=1 (default: processes)",
    )
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Define --jobs, --timeout and --max-size."""
    parser.add_argument("--jobs", type=_jobs, metavar="N", help="number of workers (default: one for each CPU)")
    parser.add_argument(
        "--timeout", type=seconds, default=120.0, metavar="SECONDS", help="time limit of a source (default: 120)"
    )
    parser.add_argument(
        "--max-size",
        type=size,
        metavar="SIZE",
        help="limit for the decompressed size of a dump or package, such as 500M or 2G (default: 1G for dumps, 16G for "
        "packages, and at most 200 times the compressed size)",
    )


def _jobs(text: str) -> int:
    try:
        jobs = int(text)
    except ValueError:
        jobs = 0
    if not 0 < jobs <= 1024:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not a number from 1 to 1024")
    return jobs


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Read the sources that are new or have changed."""
    from vmdump.bulk.tasks import Options

    if missing := missing_packages(args.format):
        raise VmdumpError(f"--format {args.format} needs {' and '.join(missing)}: pip install 'vmdump[bulk]'")
    if args.boot is not None and args.format != "parquet":
        raise UsageError("--boot needs --format parquet")
    if not args.executor.startswith("dask://") and args.executor not in ("processes", "threads"):
        raise UsageError(f"--executor: invalid value {args.executor!r}; choose processes, threads or dask://HOST:PORT")
    options = Options(args.machines, args.format, args.timeout, args.max_size, args.boot)
    tally = read_sources(
        args.source, args.output, options, environment, add=args.add, executor=args.executor, jobs=args.jobs
    )
    environment.print(f"{printable(args.output)}: {_in_words(tally)}")
    return ExitStatus.FAILED if tally.errors else ExitStatus.DONE


def read_sources(
    sources: Sequence[str],
    directory: str,
    options: Options,
    environment: Environment,
    *,
    add: bool = False,
    executor: str = "processes",
    jobs: int | None = None,
) -> Tally:
    """Read the sources that are new or have changed, show the progress, and return what was read.

    Raises VmdumpError; errors of single sources are in the result.
    """
    from vmdump.bulk.process_pool import MEMORY, MEMORY_WITH_MACHINES
    from vmdump.bulk.run import run
    from vmdump.bulk.tally import Tally
    from vmdump.bulk.workers import make_workers
    from vmdump.cli.terminal.progress import Progress

    preload = (
        ["vmdump.bulk.query.parquet"] if options.format == "parquet" else []
    )  # pyarrow takes as long as many dumps
    memory = MEMORY if options.boot is None else MEMORY_WITH_MACHINES
    workers = make_workers(executor, jobs, memory=memory, preload=preload)
    tally = Tally()
    with Progress(environment, tally) as progress:
        try:
            run(
                sources, directory, workers, options,
                add=add, on_event=progress.show, on_notice=progress.notice, tally=tally,
            )  # fmt: skip
        except BaseException as error:
            kept = f"{tally.finished} of {tally.total} are in {printable(directory)}"
            if isinstance(error, KeyboardInterrupt) or tally.finished:
                environment.error(f"{kept}; run the same command again to continue")
            raise
    return tally


def _in_words(tally: Tally) -> str:
    parts = [f"{tally.read} read", f"{tally.unchanged} unchanged"]
    return ", ".join([*parts, f"{len(tally.errors)} failed"] if tally.errors else parts)


def missing_packages(format: str) -> list[str]:
    """Return the names of packages that a format needs and that are not installed."""
    from importlib.util import find_spec

    needed = {"json.zst": ["zstandard"], "parquet": ["zstandard", "pyarrow"]}
    return [name for name in needed.get(format, []) if find_spec(name) is None]

"""vmdump bulk: read many QEMUs into a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus, printable
from vmdump.cli.source_arguments import UsageError, add_directory, add_file, seconds

if TYPE_CHECKING:
    import argparse

    from vmdump.bulk.run import Tally
    from vmdump.cli.environment import Environment

HELP = "read many QEMUs, from binaries, dumps, directories and packages, into a folder"
EPILOG = """\
examples:
  vmdump bulk /usr/bin/qemu-system-* -o dumps
  vmdump bulk old/*.deb new/*.deb -o dumps --format extended
  vmdump bulk qemu-7.2/ qemu-10.0/ -o dumps --format parquet

Packages (.deb, .rpm, wheels, tarballs) are read without being installed, and
nothing of them is executed; those of one build are unpacked over each other.
Directories are searched for all of these, by content.

DIR gets LABEL/TARGET/MACHINE.json, LABEL being the QEMU's version, and
manifest.json, which says of each source what has become of it. A second run
reads what is missing or has changed, and adds to what is there. A source that
can't be read is an error, exit code 3, and the rest is there.

formats:
  json       as QEMU's -dump-vmstate        json.zst   the same, compressed
  extended   with all that is known         parquet    that, compressed, and
                                                       rows for vmdump query
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_file(parser, "source", nargs="+", metavar="SOURCE", help="a QEMU binary, a dump, a directory or a package")
    add_directory(parser, "-o", "--output", required=True, metavar="DIR", help="the folder; made if need be")
    parser.add_argument("--jobs", type=_jobs, metavar="N", help="how many at a time (default: one a CPU)")
    parser.add_argument(
        "--machines",
        default="default",
        metavar="default|all|GLOB",
        help="which machine types' dumps (default: default)",
    )
    parser.add_argument(
        "--format",
        default="json",
        choices=["json", "json.zst", "extended", "parquet"],
        help="see below (default: json)",
    )
    parser.add_argument(
        "--executor",
        default="processes",
        metavar="EXECUTOR",
        help="processes, threads, or dask://HOST:PORT, a Dask scheduler whose workers see the same files "
        "(default: processes)",
    )
    parser.add_argument(
        "--timeout", type=seconds, default=120.0, metavar="SECONDS", help="how long a source may take (default: 120)"
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
    """Reads what is missing."""
    from vmdump.bulk.run import Options, Tally
    from vmdump.bulk.run import run as run_bulk
    from vmdump.bulk.workers import make_workers
    from vmdump.cli.terminal.progress import Progress

    _check_packages(args.format)
    if not args.executor.startswith("dask://") and args.executor not in ("processes", "threads"):
        raise UsageError(f"--executor: {args.executor!r} is none of processes, threads, dask://HOST:PORT")
    workers = make_workers(args.executor, args.jobs)
    options = Options(args.machines, args.format, args.timeout)
    tally = Tally()
    with Progress(environment, tally) as progress:
        try:
            run_bulk(args.source, args.output, workers, options, on_event=progress.show, tally=tally)
        except BaseException as error:
            progress.close()
            kept = f"{tally.finished} of {tally.total} are in {printable(args.output)}"
            if isinstance(error, KeyboardInterrupt):
                environment.error(f"{kept}; the same command goes on from there")
            elif tally.finished:
                environment.error(f"{kept}, and stay; once there is room, the same command goes on from there")
            raise
    environment.print(f"{printable(args.output)}: {_in_words(tally)}")
    return ExitStatus.FAILED if tally.errors else ExitStatus.DONE


def _in_words(tally: Tally) -> str:
    parts = [f"{tally.read} read", f"{tally.unchanged} unchanged"]
    return ", ".join([*parts, f"{len(tally.errors)} failed"] if tally.errors else parts)


def _check_packages(format: str) -> None:
    """What a format needs is told before anything is read."""
    from importlib.util import find_spec

    from vmdump.errors import VmdumpError

    needed = {"json.zst": ["zstandard"], "parquet": ["zstandard", "pyarrow"]}
    if any(find_spec(name) is None for name in needed.get(format, [])):
        raise VmdumpError(f"--format {format} needs packages: pip install 'vmdump[bulk]'")

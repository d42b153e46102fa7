"""vmdump classic: QEMU's own script, scripts/vmstate-static-checker.py, in its words and with its exit code."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from vmdump.cli.source_arguments import UsageError, add_file

if TYPE_CHECKING:
    import argparse

    from vmdump.check.static_checker import Json
    from vmdump.cli.environment import Environment

HELP = "compare two dumps as QEMU's vmstate-static-checker.py does"
EPILOG = """\
examples:
  vmdump classic -s old.json -d new.json
  vmdump classic -s old.json.xz -d /usr/bin/qemu-system-x86_64 --reverse

What is printed and the exit code, the number of findings (255 at most), are
those of the script of QEMU 10.0, for what it sees and for what it misses.
FILE is what the script takes, also compressed (gzip, xz, Zstandard), or a QEMU
binary, with its default machine, which is read without being run.

Where the script ends with a traceback (a file that is no dump), an error is
told on standard error, and the exit code is 3.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_file(parser, "-s", "--src", metavar="FILE", required=True, help="what is migrated from; - for standard input")
    add_file(parser, "-d", "--dest", metavar="FILE", required=True, help="what is migrated to; - for standard input")
    parser.add_argument("--reverse", action="store_true", help="from --dest to --src")


def run(args: argparse.Namespace, environment: Environment) -> int:
    """Prints the findings, and returns how many they are."""
    if args.src == args.dest == "-":
        raise UsageError("standard input can be one of the two; give a file for the other")
    collects = gc.isenabled()
    gc.disable()  # two dumps are some 100,000 objects, none of them garbage, that it would go through again and again
    try:
        return _compare(args, environment)
    finally:
        if collects:
            gc.enable()


def _compare(args: argparse.Namespace, environment: Environment) -> int:
    from vmdump.check.static_checker import MAX_FINDINGS, compare

    src, dest = _load(args.src, environment), _load(args.dest, environment)
    if args.reverse:
        src, dest = dest, src
    text, findings = [], 0
    try:
        for message in compare(src, dest):
            text.append(message.text)
            findings += message.counts
    finally:
        environment.print("".join(text), end="")
    return min(findings, MAX_FINDINGS)


def _load(path: str, environment: Environment) -> Json:
    """What a dump file holds, as it is, or the dump of a QEMU binary."""
    from vmdump.check.static_checker import load
    from vmdump.sources.dump_file import open_bytes, read_bytes
    from vmdump.sources.open import is_binary, open

    if path == "-":
        return load(read_bytes(environment.stdin, "<stdin>"), "<stdin>")
    if is_binary(path):
        return load(open(path, report=environment.error).to_bytes(), path)
    return load(open_bytes(path), path)

"""vmdump classic: QEMU's scripts/vmstate-static-checker.py, with the same output and exit code."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from vmdump.cli.source_arguments import UsageError, add_file, add_host, add_max_size, refuse_inapplicable, roots_of

if TYPE_CHECKING:
    import argparse

    from vmdump.check.static_checker import Json
    from vmdump.cli.environment import Environment

HELP = "compare two dumps exactly as vmstate-static-checker.py does"
EPILOG = """\
examples:
  vmdump classic -s old.json -d new.json
  vmdump classic -s old.json.xz -d /usr/bin/qemu-system-x86_64 --reverse

Output and exit code (the number of findings, at most 255) are those of QEMU
10.0's scripts/vmstate-static-checker.py, including what it misses. vmdump check
finds more.

FILE is a dump file, plain or compressed (gzip, xz, Zstandard), or a QEMU
binary, which is read without being run, with its default machine. If the script
ends with a traceback, for a file that is not a dump, vmdump prints an error and
exits with 3.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_file(parser, "-s", "--src", metavar="FILE", required=True, help="dump of the source; - for standard input")
    add_file(
        parser, "-d", "--dest", metavar="FILE", required=True, help="dump of the destination; - for standard input"
    )
    parser.add_argument("--reverse", action="store_true", help="swap source and destination")
    add_host(parser.add_argument_group("QEMU binaries"), several=True)
    add_max_size(parser)


def run(args: argparse.Namespace, environment: Environment) -> int:
    """Print the findings, and return their number."""
    if args.src == args.dest == "-":
        raise UsageError("standard input can be one of the two; give a file for the other")
    collects = gc.isenabled()
    gc.disable()  # collections would traverse the 100,000 objects of two dumps and free none
    try:
        return _compare(args, environment)
    finally:
        if collects:
            gc.enable()


def _compare(args: argparse.Namespace, environment: Environment) -> int:
    from vmdump.check.static_checker import MAX_FINDINGS, compare
    from vmdump.sources.open import identify

    paths = (args.src, args.dest)
    roots = roots_of(paths, args.root)
    found = [identify(path, root=root) for path, root in zip(paths, roots, strict=True)]
    refuse_inapplicable(args, [kind for kind, _ in found])
    src, dest = (_load(*each, root, args, environment) for each, root in zip(found, roots, strict=True))
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


def _load(kind: str, path: str, root: str | None, args: argparse.Namespace, environment: Environment) -> Json:
    """Return the content of a dump file, unchecked, or the dump of a QEMU binary."""
    from vmdump.check.static_checker import load
    from vmdump.sources.dump_file import open_bytes, read_bytes
    from vmdump.sources.open import BINARY, open

    if path == "-":
        return load(read_bytes(environment.stdin, "<stdin>", args.max_size), "<stdin>")
    if kind == BINARY:
        return load(open(path, sysroot=root, host=args.host, report=environment.error).to_bytes(), path)
    return load(open_bytes(path, args.max_size), path)

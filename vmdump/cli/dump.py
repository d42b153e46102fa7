"""vmdump dump: write a dump as QEMU's -dump-vmstate does."""

from __future__ import annotations

from vmdump.cli.environment import ExitStatus
from vmdump.cli.source_arguments import UsageError, add_file, add_source, open_source

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment
    from vmdump.dump.engine import Engine

HELP = "write the device state of a source as QEMU's -dump-vmstate does"
EPILOG = """\
examples:
  vmdump dump -M q35 -o q35.json           the built-in devices and all modules
  vmdump dump x86_64.json.xz               a dump file, checked and written anew
  vmdump dump /usr/bin/qemu-system-x86_64 -M pc -o pc.json
  vmdump dump /usr/bin/qemu-system-x86_64 --all -o x86_64.json

With --extended there is more than QEMU shows, as further keys: of a field its
info, flags, offset, and where its length comes from; of a description its
hooks, needed, priority; of a device its parents and module; and the producer.
With --all there are also the descriptions that are on no device class, such as
that of the CPU, in vmschkmachine.Descriptions. All commands read such a file
back, and so does whoever reads QEMU's own.

FILE appears whole or not at all.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_file(parser, "-o", "--output", default="-", metavar="FILE", help="where to write (default: -, standard output)")
    parser.add_argument(
        "--engine", choices=["fast", "stdio"], help="which C code writes (default: fast); the bytes are the same"
    )
    parser.add_argument("--extended", action="store_true", help="with all that is known beside what QEMU prints")
    parser.add_argument(
        "--all", action="store_true", help="the same, with descriptions that are on no device class, of a QEMU binary"
    )
    add_source(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Writes the dump."""
    extended = args.extended or args.all
    if extended and args.engine is not None:
        raise UsageError("--engine is for QEMU's own form; the extended one has one engine")
    engine = None if args.engine is None else _engine(args.engine)
    form = {"engine": engine, "extended": extended, "roots": args.all}
    if args.output != "-":
        open_source(args, environment, details=extended).write(args.output, **form)
        return ExitStatus.DONE
    with environment.sending() as stdout:
        open_source(args, environment, details=extended).write(stdout.buffer, **form)
    return ExitStatus.DONE


def _engine(name: str) -> Engine:
    from vmdump.dump.engine import Engine

    return Engine(name)

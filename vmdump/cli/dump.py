"""vmdump dump: write a dump as QEMU's -dump-vmstate does."""

from __future__ import annotations

from vmdump.cli.arguments import add_file, add_source, open_source
from vmdump.cli.environment import ExitStatus

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment
    from vmdump.engines import Engine

HELP = "write the device state of a source as QEMU's -dump-vmstate does"
EPILOG = """\
examples:
  vmdump dump -M q35 -o q35.json           the built-in devices and all modules
  vmdump dump x86_64.json.xz               a dump file, checked and written anew
  vmdump dump /usr/bin/qemu-system-x86_64 -M pc -o pc.json

FILE appears whole or not at all.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_file(parser, "-o", "--output", default="-", metavar="FILE", help="where to write (default: -, standard output)")
    parser.add_argument(
        "--engine", choices=["fast", "stdio"], help="which C code writes (default: fast); the bytes are the same"
    )
    add_source(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Writes the dump."""
    engine = None if args.engine is None else _engine(args.engine)
    if args.output != "-":
        open_source(args, environment).write(args.output, engine=engine)
        return ExitStatus.DONE
    with environment.sending() as stdout:
        open_source(args, environment).write(stdout.buffer, engine=engine)
    return ExitStatus.DONE


def _engine(name: str) -> Engine:
    from vmdump.engines import Engine

    return Engine(name)

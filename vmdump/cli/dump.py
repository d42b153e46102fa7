"""vmdump dump: write a dump in the format of QEMU's -dump-vmstate."""

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
  vmdump dump x86_64.json.xz               validate and rewrite a dump file
  vmdump dump /usr/bin/qemu-system-x86_64 -M pc -o pc.json
  vmdump dump /usr/bin/qemu-system-x86_64 --all -o x86_64.json

--extended adds keys that QEMU does not write: info, flags, offset and the
source of the length of a field; hooks, needed and priority of a description;
parents and module of a device; and the producer of the dump. --all also adds
standalone VMSDs, which belong to no device class, such as that of the CPU, as
vmschkmachine.Descriptions. All commands read these files, and so do programs
that read QEMU's own dumps.

FILE is written atomically: on failure it is left unchanged.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_file(parser, "-o", "--output", default="-", metavar="FILE", help="output file (default: -, standard output)")
    parser.add_argument(
        "--engine", choices=["fast", "stdio"], help="C implementation (default: fast); the output is identical"
    )
    parser.add_argument("--extended", action="store_true", help="add metadata that QEMU does not write")
    parser.add_argument(
        "--all", action="store_true", help="like --extended, with the standalone VMSDs of a QEMU binary"
    )
    add_source(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Write the dump."""
    extended = args.extended or args.all
    if extended and args.engine is not None:
        raise UsageError("--engine does not apply to the extended form")
    engine = None if args.engine is None else _engine(args.engine)
    form = {"engine": engine, "extended": extended, "standalone": args.all}
    if args.output != "-":
        open_source(args, environment, details=extended).write(args.output, **form)
        return ExitStatus.DONE
    with environment.sending() as stdout:
        dump = open_source(args, environment, details=extended)
        if not stdout.isatty():
            dump.write(stdout.buffer, **form)
            return ExitStatus.DONE
    # JSON escapes control characters, but not all characters that a terminal interprets.
    environment.print(dump.to_bytes(**form).decode("utf-8", "backslashreplace"))
    return ExitStatus.DONE


def _engine(name: str) -> Engine:
    from vmdump.dump.engine import Engine

    return Engine(name)

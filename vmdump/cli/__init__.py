"""The command line: parses arguments, runs a command, and turns what goes wrong into one line and an exit code."""

from __future__ import annotations

import argparse
import errno
import signal
import sys
from typing import TYPE_CHECKING

from vmdump.cli.arguments import Answer, CommandParser, Parser, UsageError, machine_help
from vmdump.cli.environment import STDOUT, Environment, ExitStatus
from vmdump.errors import OutputError, VmdumpError
from vmdump.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

DESCRIPTION = """\
What device state a QEMU migrates: QEMU's -dump-vmstate for devices that are
declared in Python, for C modules, dump files and QEMU binaries.
"""

EPILOG = """\
QEMU's own spelling works too:
  vmdump -dump-vmstate FILE [-M MACHINE]

exit codes:
  0 done, nothing found; 1 findings; 2 usage; 3 could not complete;
  130 interrupted

environment:
  QEMU_MODULE_DIR       look for modules here, after --module-dir
  NO_COLOR, TERM=dumb   draw nothing, on a terminal too
  VMDUMP_DEBUG          if set, errors come with a traceback
"""

#: QEMU's options, which have one dash or two, as those of vmdump dump.
_QEMU_OPTIONS = {"-dump-vmstate": "--output", "--dump-vmstate": "--output", "-machine": "--machine"}


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; completion and the man page are made from it."""
    from vmdump.cli import check, classic, devices, dump, explain, lint, modules, rules, show

    parser = Parser(
        prog="vmdump",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vmdump {__version__}")
    commands = parser.add_subparsers(prog=parser.prog, metavar="COMMAND", required=True, parser_class=CommandParser)
    for name, module in (
        ("dump", dump),
        ("devices", devices),
        ("show", show),
        ("modules", modules),
        ("check", check),
        ("lint", lint),
        ("explain", explain),
        ("rules", rules),
        ("classic", classic),
    ):
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP[0].upper() + module.HELP[1:] + ".",
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(command)
        command.set_defaults(run_command=module.run)
    return parser


def main(argv: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Runs a command line (default: the process's own) and returns its exit code. Nothing is raised."""
    if environment is None:
        environment = Environment()
        _clean_up_when_ended()
    try:
        return _run(sys.argv[1:] if argv is None else argv, environment)
    except BaseException as error:
        if environment.environ.get("VMDUMP_DEBUG"):
            environment.traceback()
        return _explain(error, environment)


def _run(argv: Sequence[str], environment: Environment) -> int:
    try:
        args = build_parser().parse_args(_from_qemu_spelling(argv))
    except Answer as answer:
        environment.print(str(answer))
        return ExitStatus.DONE
    if "machine" in args and args.machine in ("help", "?"):
        environment.print(machine_help(args, environment))
        return ExitStatus.DONE
    status: int = args.run_command(args, environment)
    return status


def _from_qemu_spelling(argv: Sequence[str]) -> list[str]:
    """QEMU's -dump-vmstate FILE as the arguments of vmdump dump; a line that begins with a command as it is."""
    if argv and argv[0].startswith("-") and any(_QEMU_OPTIONS.get(arg) == "--output" for arg in argv):
        return ["dump", *(_QEMU_OPTIONS.get(arg, arg) for arg in argv)]
    return list(argv)


def _explain(error: BaseException, environment: Environment) -> ExitStatus:
    """Tells what went wrong."""
    match error:
        case KeyboardInterrupt():
            environment.error("interrupted")
            return ExitStatus.INTERRUPTED
        case UsageError():
            environment.error(error)
            return ExitStatus.USAGE
        case OutputError(errno=errno.EPIPE, filename=filename) if filename == STDOUT:
            pass  # whoever reads our output has seen enough of it: head -1
        case VmdumpError():
            environment.error(error)
        case MemoryError():
            environment.error("out of memory")
        case RecursionError():
            environment.error("something nests deeper than Python's stack; please report this with the source")
        case _:
            debug = "VMDUMP_DEBUG=1 shows where"
            environment.error(f"internal error: {type(error).__name__}: {error}; please report this ({debug})")
    return ExitStatus.FAILED


def _clean_up_when_ended() -> None:
    """Lets kill and a closed terminal end the process as Ctrl-C does: no QEMU and no temporary file is left behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)

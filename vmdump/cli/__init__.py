"""The command line: parses arguments, runs a command, and turns what goes wrong into one line and an exit code."""

from __future__ import annotations

import errno
import sys
from importlib import import_module

from vmdump.cli.environment import STDOUT, Environment, ExitStatus
from vmdump.cli.fast_parser import Reader
from vmdump.cli.source_arguments import UsageError, machine_help
from vmdump.errors import OutputError, VmdumpError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    import argparse
    import signal
    from collections.abc import Sequence
    from typing import Any
else:
    import _signal as signal  # what signal is made of, without the enums that it adds

#: The commands, in the order of the help; each has a file of its name here.
COMMANDS = (
    "dump", "devices", "show", "modules", "check", "lint", "explain", "rules", "classic", "bulk", "query", "cache"
)  # fmt: skip

#: QEMU's options, which have one dash or two, as those of vmdump dump.
_QEMU_OPTIONS = {"-dump-vmstate": "--output", "--dump-vmstate": "--output", "-machine": "--machine"}


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; completion and the man page are made from it."""
    from vmdump.cli.parser import build_parser

    return build_parser()


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
    argv = _from_qemu_spelling(argv)
    args = _read(argv)
    if args is None:
        from vmdump.cli.parser import Answer

        try:
            args = build_parser().parse_args(argv)
        except Answer as answer:
            environment.print(str(answer))
            return ExitStatus.DONE
    if "machine" in args and args.machine in ("help", "?"):
        environment.print(machine_help(args, environment))
        return ExitStatus.DONE
    status: int = args.run_command(args, environment)
    return status


def _read(argv: Sequence[str]) -> Any:
    """The arguments of a command line that is as it should be; None: argparse has to be asked."""
    if not argv or argv[0] not in COMMANDS:
        return None
    command = import_module(f"vmdump.cli.{argv[0]}")
    reader = Reader()
    command.add_arguments(reader)
    args = reader.read(argv[1:])
    if args is not None:
        args.run_command = command.run
    return args


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

"""The command line: parses arguments, runs a command, and reports an error as one line and an exit code."""

from __future__ import annotations

import errno
import sys

from vmdump.cli.environment import STDOUT, Environment, ExitStatus
from vmdump.cli.fast_parser import FastParser
from vmdump.cli.source_arguments import UsageError, machine_help
from vmdump.errors import OutputError, VmdumpError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    import argparse
    import signal
    from collections.abc import Sequence
    from typing import Any
else:
    import _signal as signal  # faster to import than signal, which adds enums

#: The commands, in the order of the help. Each has a module of this name here.
COMMANDS = (
    "dump", "devices", "show", "modules", "check", "lint", "explain", "rules", "machines", "properties", "abi",
    "classic", "stream", "save", "load", "migrate", "gate", "bulk", "query", "browse", "cache", "doctor",
)  # fmt: skip

#: QEMU's spellings of options of vmdump dump, with one dash or two.
_QEMU_OPTIONS = {"-dump-vmstate": "--output", "--dump-vmstate": "--output", "-machine": "--machine"}

#: Errors of the system, such as a failing disk, that are never an internal error of vmdump.
_SYSTEM = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.EMFILE, errno.ENFILE)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line, from which completion and the man page are made."""
    from vmdump.cli.parser import build_parser

    return build_parser(COMMANDS)


def main(argv: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run a command line (default: the process's own) and return its exit code. Raises nothing."""
    if environment is None:
        environment = Environment()
        _handle_termination()
    try:
        return _run(sys.argv[1:] if argv is None else argv, environment)
    except BaseException as error:
        if environment.environ.get("VMDUMP_DEBUG"):
            environment.traceback()
        return _report(error, environment)


def _run(argv: Sequence[str], environment: Environment) -> int:
    if not argv:
        from vmdump.cli.first_steps import first_steps

        environment.print(first_steps(environment.environ))
        return ExitStatus.DONE
    argv = _from_qemu_spelling(argv)
    args = _parse_dump(argv)
    if args is None:
        from vmdump.cli.parser import Answer, build_parser

        try:
            args = build_parser(argv[:1] if argv and argv[0] in COMMANDS else COMMANDS).parse_args(argv)
        except Answer as answer:
            environment.print(str(answer))
            return ExitStatus.DONE
    with environment.showing_activity():
        if "machine" in args and args.machine in ("help", "?"):
            environment.print(machine_help(args, environment))
            return ExitStatus.DONE
        status: int = args.run_command(args, environment)
        return status


def _parse_dump(argv: Sequence[str]) -> Any:
    """Return the arguments of a usual ``vmdump dump`` or ``stream`` command line; None if argparse has to parse it."""
    if not argv or argv[0] not in ("dump", "stream"):
        return None
    if argv[0] == "dump":
        from vmdump.cli import dump as command
    else:
        from vmdump.cli import stream as command  # type: ignore[no-redef]

    parser = FastParser()
    command.add_arguments(parser)  # type: ignore[arg-type]  # it has the methods that add_arguments uses
    args = parser.parse(argv[1:])
    if args is not None:
        args.run_command = command.run
    return args


def _from_qemu_spelling(argv: Sequence[str]) -> list[str]:
    """Translate QEMU's -dump-vmstate FILE to arguments of vmdump dump; leave other command lines unchanged."""
    if argv and argv[0].startswith("-") and any(_QEMU_OPTIONS.get(arg) == "--output" for arg in argv):
        return ["dump", *(_QEMU_OPTIONS.get(arg, arg) for arg in argv)]
    return list(argv)


def _report(error: BaseException, environment: Environment) -> ExitStatus:
    """Report an error on stderr, and return the exit code."""
    match error:
        case KeyboardInterrupt():
            environment.error("interrupted")
            return ExitStatus.INTERRUPTED
        case UsageError():
            environment.error(error)
            return ExitStatus.USAGE
        case OutputError(errno=errno.EPIPE, filename=filename) if filename == STDOUT:
            pass  # the reader of a pipe has closed it, as head -1 does
        case VmdumpError():
            environment.error(error)
        case OSError(strerror=str(reason), filename=str(filename)):
            environment.error(f"{filename}: {reason}")
        case OSError(errno=number, strerror=str(reason)) if number in _SYSTEM:
            environment.error(reason)
        case MemoryError():
            environment.error("out of memory")
        case RecursionError():
            environment.error("the source nests too deeply for this command; vmdump dump and show have no limit")
        case _:
            debug = "VMDUMP_DEBUG=1 prints a traceback"
            environment.error(f"internal error: {type(error).__name__}: {error}; please report this ({debug})")
    return ExitStatus.FAILED


def _handle_termination() -> None:
    """Make SIGTERM and SIGHUP end the process as Ctrl-C does, so that no QEMU or temporary file is left behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)

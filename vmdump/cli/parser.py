"""The argparse parser of the command line, for all that fast_parser.py does not parse, completion and the man page."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING

from vmdump.cli.source_arguments import UsageError
from vmdump.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NoReturn

DESCRIPTION = """\
Show and compare the device state that QEMU migrates: QEMU's -dump-vmstate for
QEMU binaries (read, not run), dump files, C modules and devices in Python.
"""

EPILOG = """\
QEMU's own spelling works too:
  vmdump -dump-vmstate FILE [-M MACHINE]

exit codes:
  0 success, no findings; 1 findings; 2 usage error; 3 could not complete;
  130 interrupted

environment:
  QEMU_MODULE_DIR       searched for modules after --module-dir; loading a C or
                        Python module executes it
  XDG_CACHE_HOME        parsed QEMU binaries are cached in its directory vmdump
                        (default: ~/.cache)
  XDG_STATE_HOME        the key of the cache is in its directory vmdump
                        (default: ~/.local/state)
  NO_COLOR, TERM=dumb   no colours and no progress display
  VMDUMP_DEBUG          if set, print a traceback with each error
"""


class Answer(Exception):  # noqa: N818
    """The text of --help or --version."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of printing and exiting."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Called by argparse to check a command or a choice."""
        if action.choices is not None and value not in action.choices:
            from vmdump.suggestion import did_you_mean

            known = [str(each) for each in action.choices]
            hint = did_you_mean(str(value), known, f"choose from {', '.join(known)}")
            if isinstance(action, argparse._SubParsersAction):
                raise argparse.ArgumentError(None, f"no command {value!r}; {hint}")
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}; {hint}")

    def error(self, message: str) -> NoReturn:
        """Called by argparse for an invalid command line."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> NoReturn:
        """Called by argparse for --help and --version."""
        raise Answer(message)


class CommandParser(Parser):
    """The parser of a command. Options may stand between positional arguments.

    takes_qemu_arguments: what follows ``--`` is for QEMU, and stored as ``argv``.
    """

    takes_qemu_arguments = False
    _intermixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Called by argparse for a command, and by parse_known_intermixed_args."""
        if self.takes_qemu_arguments and not self._intermixing:
            end = args.index("--") if "--" in args else len(args)
            namespace = argparse.Namespace() if namespace is None else namespace
            namespace.argv, args = args[end + 1 :], args[:end]
        if not self._intermixing:
            self._check_options(args)
        positionals = self._get_positional_actions()
        if self._intermixing or (len(positionals) < 2 and not any(each.nargs == "+" for each in positionals)):
            return super().parse_known_args(args, namespace)
        self._intermixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixing = False

    def _check_options(self, args: Sequence[str]) -> None:
        """Raise UsageError for an unknown option, for which argparse would report its value or a missing argument."""
        for arg in args:
            if arg == "--":
                return
            name = arg.partition("=")[0]
            is_option = name.startswith("-") and len(name) > 2 and not {" ", "."} & set(name) and not name[1].isdigit()
            known_short = not name.startswith("--") and name[:2] in self._option_string_actions
            if is_option and not known_short and name not in self._option_string_actions:
                from vmdump.suggestion import did_you_mean

                known = [each for each in self._option_string_actions if each.startswith("--")]
                self.error(f"no option {name}" + (f"; {hint}" if (hint := did_you_mean(name, known)) else ""))


def build_parser(names: Iterable[str]) -> argparse.ArgumentParser:
    """Return the parser of a command line with these commands."""
    parser = Parser(
        prog="vmdump",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vmdump {__version__}")
    commands = parser.add_subparsers(prog=parser.prog, metavar="COMMAND", required=True, parser_class=CommandParser)
    for name in names:
        module = import_module(f"vmdump.cli.{name}")
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

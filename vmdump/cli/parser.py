"""The argparse parser of the whole command line: for what reader.py passes on (help, mistakes, rarer spellings), for
completion and the man page.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING

from vmdump.cli.source_arguments import UsageError
from vmdump.version import __version__

if TYPE_CHECKING:
    from typing import Any, NoReturn

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
  XDG_CACHE_HOME        images that were read are in its folder vmdump
                        (default: ~/.cache)
  NO_COLOR, TERM=dumb   draw nothing, on a terminal too
  VMDUMP_DEBUG          if set, errors come with a traceback
"""


class Answer(Exception):  # noqa: N818
    """What the parser itself answers: the text of --help or --version."""


class Parser(argparse.ArgumentParser):
    """Raises instead of printing and exiting: where, and whether that works, is the environment's business."""

    def error(self, message: str) -> NoReturn:
        """What argparse calls when the command line is wrong."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> NoReturn:
        """What argparse calls for --help and --version."""
        raise Answer(message)


class CommandParser(Parser):
    """A command's parser: options may stand between SOURCE and TYPE, and between several SOURCEs, too."""

    _intermixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What argparse calls for a command, and parse_known_intermixed_args calls in turn."""
        positionals = self._get_positional_actions()
        if self._intermixing or (len(positionals) < 2 and not any(each.nargs == "+" for each in positionals)):
            return super().parse_known_args(args, namespace)
        self._intermixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixing = False


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    from vmdump.cli import COMMANDS

    parser = Parser(
        prog="vmdump",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vmdump {__version__}")
    commands = parser.add_subparsers(prog=parser.prog, metavar="COMMAND", required=True, parser_class=CommandParser)
    for name in COMMANDS:
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

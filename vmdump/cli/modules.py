"""vmdump modules: the module table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.source_arguments import add_modules, make_session

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment
    from vmdump.cli.terminal.table import Column

HELP = "list the modules that are found, what they provide and need, and their state"
EPILOG = """\
examples:
  vmdump modules                           what is found, without loading it
  vmdump modules --load --module-dir ./build
                                           what becomes of each in a dump

The table is in the order of loading. With --json the keys are
  name                   of the file, without its suffix
  kind                   python or c
  arch                   the only target that it is for, or null
  objs, deps, opts       QOM types that it provides, modules that it needs,
                         QemuOpts groups that it registers
  state                  not loaded, loaded, failed, arch mismatch, not found
  file                   what was or would be opened, or null
  error                  why it is not loaded, or null
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--load", action="store_true", help="load them, as a dump does")
    parser.add_argument("--json", action="store_true", help="as a JSON list, one object a module")
    add_modules(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Prints the table."""
    from vmdump.cli.terminal.table import print_json, print_table

    with make_session(args, environment) as session:
        if args.load:
            session.modules.module_load_qom_all()
        rows = session.modules.states()
    if args.json:
        keys = ("name", "kind", "arch", "objs", "deps", "opts", "state", "file", "error")
        print_json(environment, [{key: getattr(row, key) for key in keys} for row in rows])
        return ExitStatus.DONE
    columns: dict[str, Column] = {
        "NAME": [row.name for row in rows],
        "KIND": [row.kind for row in rows],
        "ARCH": [row.arch for row in rows],
        "OBJS": [",".join(row.objs) for row in rows],
        "DEPS": [",".join(row.deps) for row in rows],
        "STATE": [row.state.value for row in rows],
        "FILE": [row.file or row.path for row in rows],
    }
    print_table(environment, columns)
    return ExitStatus.DONE

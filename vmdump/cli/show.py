"""vmdump show: print the device state of one device as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.source_arguments import add_source, make_session, open_source
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.sources.session import Session

HELP = "show the migrated state of one device as a tree"
EPILOG = """\
examples:
  vmdump show e1000                        a built-in device
  vmdump show x86_64.json.xz e1000
  vmdump show /usr/bin/qemu-system-x86_64 e1000
  vmdump show /usr/bin/qemu-system-x86_64 cpu           a standalone VMSD
  vmdump show x86_64.json.xz 0000:00:01.3/piix4_pm      as in an error message
  vmdump show vm.save e1000                             what a saved VM contains

TYPE is a QOM type, or a name from an error message of QEMU: a section, with or
without device path and instance id, or the name of a nested description. If
several types have this section, all of them are shown.

Each line is a field or a subsection. BYTES is the number of elements times the
size of one; n is a number known only at run time. The description of a nested
struct follows indented. Dump files of QEMU itself contain neither the encoding
of values nor the names of tests.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_source(parser)
    parser.add_argument(
        "type",
        metavar="TYPE",
        help="a QOM type, or the name of a section or description as in QEMU's error messages; vmdump devices --all "
        "lists them",
    )
    parser.add_argument(
        "instance",
        nargs="?",
        type=_instance,
        metavar="INSTANCE",
        help="the instance id after a section's name in an error message ('cpu' 0); accepted for pasting, ignored",
    )


def _instance(text: str) -> int:
    """Parse an instance id as in error messages: decimal, or hexadecimal with 0x."""
    return int(text, 0)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Print the tree."""
    if args.source is not None:
        _show(args.type, open_source(args, environment), None, environment)
        return ExitStatus.DONE
    with make_session(args, environment) as session:
        _show(args.type, session.dump(args.machine), session, environment)
    return ExitStatus.DONE


def _show(name: str, dump: DeviceDump, session: Session | None, environment: Environment) -> None:
    """Print the state that a name refers to, or that a type of the session has none. Raises VmdumpError."""
    found = dump.find(name)
    if found:
        from vmdump.cli.terminal.device_tree import print_trees

        print_trees(environment, found)
    elif session and _is_device(session, name):
        environment.print(f"{name}: no VMStateDescription, so no state is migrated")
    else:
        raise VmdumpError(_unknown(name, dump))


def _is_device(session: Session, name: str) -> bool:
    klass = session.types.object_class_by_name(name)
    return klass is not None and session.types.object_class_dynamic_cast(klass, "device") is not None


def _unknown(name: str, dump: DeviceDump) -> str:
    from vmdump.dump.lookup import section_name
    from vmdump.dump.type_patterns import known_names
    from vmdump.suggestion import did_you_mean

    hint = did_you_mean(section_name(name), known_names(dump), "vmdump devices lists the types")
    return f"no device type, section or description is called {name!r}; {hint}"

"""vmdump show: what one device migrates, as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.arguments import add_source, make_session, open_source
from vmdump.cli.environment import ExitStatus
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment
    from vmdump.device_dump import DeviceDump
    from vmdump.session import Session

HELP = "show what one device migrates, as a tree"
EPILOG = """\
examples:
  vmdump show e1000                        a built-in device
  vmdump show x86_64.json.xz e1000
  vmdump show /usr/bin/qemu-system-x86_64 e1000
  vmdump show /usr/bin/qemu-system-x86_64 cpu    on no device class: by its name
  vmdump show x86_64.json.xz 0000:00:01.3/piix4_pm      as an error line has it

TYPE is a QOM type, or a name from QEMU's error lines: a section, with or
without the path of its device and its instance id, or a description that is
nested in others. If several types have that section, each is shown.

A line is a field (BYTES of an element, times how many; n: as many as the device
says at run time), with below it the description of a nested struct; or a
subsection. A dump file tells less than a device that is declared here: neither
how a value is put on the wire nor which test decides.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_source(parser)
    parser.add_argument(
        "type",
        metavar="TYPE",
        help="the device's QOM type, or the name of a section or a description, as QEMU's error lines have it; "
        "vmdump devices --all lists them",
    )
    parser.add_argument(
        "instance",
        nargs="?",
        type=_instance,
        metavar="INSTANCE",
        help="the instance id behind a section's name in an error line ('cpu' 0), so that both can be pasted; ignored",
    )


def _instance(text: str) -> int:
    """An instance id as error lines have it: decimal, or 0x and hexadecimal."""
    return int(text, 0)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Prints the tree."""
    if args.source is not None:
        _show(args.type, open_source(args, environment), None, environment)
        return ExitStatus.DONE
    with make_session(args, environment) as session:
        _show(args.type, session.dump(args.machine), session, environment)
    return ExitStatus.DONE


def _show(name: str, dump: DeviceDump, session: Session | None, environment: Environment) -> None:
    """Print what a name stands for; that a device has no state, where a session knows the type. Raises VmdumpError."""
    found = dump.find(name)
    if found:
        from vmdump.cli.tree import print_trees

        print_trees(environment, found)
    elif session and _is_device(session, name):
        environment.print(f"{name}: has no VMStateDescription: nothing of it is migrated")
    else:
        raise VmdumpError(_unknown(name, dump))


def _is_device(session: Session, name: str) -> bool:
    klass = session.types.object_class_by_name(name)
    return klass is not None and session.types.object_class_dynamic_cast(klass, "device") is not None


def _unknown(name: str, dump: DeviceDump) -> str:
    from vmdump.lookup import known_names, section_name
    from vmdump.suggestion import did_you_mean

    hint = did_you_mean(section_name(name), known_names(dump), "vmdump devices lists those that are there")
    return f"no device type {name!r} with a description among {len(dump)}; {hint}"

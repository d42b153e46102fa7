"""vmdump show: what one device migrates, as a tree."""

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

HELP = "show what one device migrates, as a tree"
EPILOG = """\
examples:
  vmdump show e1000                        a built-in device
  vmdump show x86_64.json.xz e1000
  vmdump show /usr/bin/qemu-system-x86_64 e1000
  vmdump show /usr/bin/qemu-system-x86_64 cpu    on no device class: by its name

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
        help="the device's QOM type name, or the name of a description that is on no device class; "
        "vmdump devices --all lists them",
    )


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Prints the tree."""
    if args.source is not None:
        _show(args.type, open_source(args, environment), None, environment)
        return ExitStatus.DONE
    with make_session(args, environment) as session:
        _show(args.type, session.dump(args.machine), session, environment)
    return ExitStatus.DONE


def _show(name: str, dump: DeviceDump, session: Session | None, environment: Environment) -> None:
    """Prints the tree of a device; that it has none, where a session knows the type. Raises VmdumpError."""
    device = dump.get(name)
    shown = [root for root in dump.roots if root.name == name] if device is None else [device]
    if shown:
        from vmdump.cli.terminal.device_tree import print_tree

        for each in shown:
            print_tree(environment, each)
    elif session and _is_device(session, name):
        environment.print(f"{name}: has no VMStateDescription: nothing of it is migrated")
    else:
        raise VmdumpError(_unknown(name, dump))


def _is_device(session: Session, name: str) -> bool:
    klass = session.types.object_class_by_name(name)
    return klass is not None and session.types.object_class_dynamic_cast(klass, "device") is not None


def _unknown(name: str, dump: DeviceDump) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, dict.fromkeys([*dump, *(root.name for root in dump.roots)]), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "vmdump devices lists those that are there"
    return f"no device type {name!r} with a description among {len(dump)}; {hint}"

"""vmdump properties: the properties of a QOM type under a machine type."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.machine_sources import add_binary, add_emulation, add_qemu_arguments, open_binaries, report_missed
from vmdump.cli.source_arguments import UsageError

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from vmdump.cli.environment import Environment
    from vmdump.machines.mapping import Machines
    from vmdump.machines.properties import DeviceProperties

HELP = "show a device's properties under a machine type and what sets them"
EPILOG = """\
examples:
  vmdump properties /usr/bin/qemu-system-x86_64 e1000e -M pc-q35-5.2
  vmdump properties /usr/bin/qemu-system-x86_64 qemu64-x86_64-cpu --changed
  vmdump properties /usr/bin/qemu-system-x86_64 e1000 \\
    -- -global e1000.autonegotiation=off

DEFAULT is the value without a machine type. EFFECTIVE is the value of the
realized device in the machine, as QMP's qom-get returns it: the board's device,
else one that is added with -device. SET BY is
  default                     the class, or the instance's init function
  compat DRIVER.NAME=VALUE    a compat property of the machine type
  -global DRIVER.NAME=VALUE   an argument
  board or realize            the board's code, or the device's realize function
  not known                   QMP returns no default, and the binary exports no
                              functions that would (a microvm build)

If QEMU refuses to add the device, vmdump says so, and EFFECTIVE has the values
of a device that is not realized. Long values are shortened to the width of the
terminal; --json has all. Its keys are type, machine, path,
added, why_unrealized and properties: name, type, default, effective, set_by,
description.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_binary(parser, "source", metavar="SOURCE")
    parser.add_argument(
        "type",
        metavar="TYPE",
        help="QOM type of a device, CPU or machine, such as e1000e, or a name from an error message",
    )
    parser.add_argument(
        "-M", "--machine", metavar="NAME", help="machine type (default: the default one); -M help lists them"
    )
    parser.add_argument("--changed", action="store_true", help="only properties that are not at their default")
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    add_emulation(parser)
    add_qemu_arguments(parser)
    parser.set_defaults(run=False, module_dir=[], max_size=None)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Print the properties."""
    from dataclasses import replace

    machines = open_binaries([args.source], args, environment)[0]
    found = _properties(machines, args)
    report_missed(machines, found.missed_functions, environment)
    if args.changed:
        kept = tuple(each for each in found.properties if each.set_by != "default")
        found = replace(found, properties=kept)
    if args.json:
        import json

        environment.print(json.dumps(_object(found), indent=2))
        return ExitStatus.DONE
    _print(found, environment)
    return ExitStatus.DONE


def _properties(machines: Machines, args: argparse.Namespace) -> DeviceProperties:
    """Return the properties of a type, or of the type that has the section or description of that name."""
    from vmdump.machines.properties import UnknownTypeError

    try:
        return machines.properties(args.type, args.machine, args.argv)
    except UnknownTypeError:
        from vmdump.cli.device_names import read_dumps, types_named

        types = types_named(args.type, read_dumps([machines.source], args.timeout))
        if not types:
            raise
        if len(types) > 1:
            raise UsageError(
                f"{args.type!r} is a name of the state of {len(types)} types; give one: {', '.join(types[:8])}"
                + (", ..." if len(types) > 8 else "")
            ) from None
    return machines.properties(types[0], args.machine, args.argv)


def _object(found: DeviceProperties) -> dict[str, Any]:
    known = asdict(found)
    del known["missed_functions"]
    return known


def _print(found: DeviceProperties, environment: Environment) -> None:
    from vmdump.cli.environment import printable
    from vmdump.cli.terminal.table import print_table

    where = f"added by -device {found.added}" if found.added else f"{found.path} of the board"
    if found.why_unrealized is not None:
        where = f"not realized: {found.why_unrealized}"
    environment.print(printable(f"{found.type} under {found.machine}, {where}"))
    print_table(
        environment,
        {
            "PROPERTY": [each.name for each in found.properties],
            "TYPE": [each.type for each in found.properties],
            "DEFAULT": [_text(each.default) for each in found.properties],
            "EFFECTIVE": [_text(each.effective) for each in found.properties],
            "SET BY": [each.set_by for each in found.properties],
        },
        shorten=("TYPE", "DEFAULT", "EFFECTIVE"),
    )


def _text(value: Any) -> str | None:
    import json

    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)

"""vmdump machines: list and compare the machine types of QEMU binaries."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.machine_sources import (
    BINARY_HELP,
    add_any_target,
    add_emulation,
    open_binaries,
    report_missed,
    require_one_target,
)
from vmdump.cli.source_arguments import UsageError, add_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.cli.environment import Environment
    from vmdump.machines.mapping import Machines

HELP = "list the machine types of a QEMU binary, show one, or compare two binaries"
EPILOG = """\
examples:
  vmdump machines /usr/bin/qemu-system-x86_64
  vmdump machines /usr/bin/qemu-system-x86_64 pc-q35-7.2
  vmdump machines old/qemu-system-x86_64 new/qemu-system-x86_64
  vmdump machines old/qemu-system-x86_64 new/qemu-system-x86_64 pc-q35-7.2

SOURCE is a QEMU binary; its own code creates the machine in an emulator. The
second argument is a binary if there is such a file, else a machine type: its
name or alias.

One machine type: compat properties in the order in which QEMU applies them and
whether they take effect, the default CPU, RAM and devices, the devices, the
sections of the migration stream, the RAM blocks, and the CPU's features. The
keys of --json are
  name, alias, default, deprecated
  compat_props           driver, property, value
  devices                path, type, properties: all objects below /machine
  sections               idstr, instance_id, version
  ram_blocks             name, size in bytes
  cpu                    type, features, feature_words, registers; or null

Two binaries: the machine types that only one has, and the differences of those
that both have; with NAME, everything that differs in this machine type (an
alias is that of OLD). The keys of --json are both, only_old, only_new and
changed; with NAME, name and differences, each with kind, subject, old and new.
"""

#: Positional arguments, at most: OLD NEW NAME.
_MOST = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_file(parser, "words", nargs="+", metavar="SOURCE [SOURCE] [NAME]", help=f"{BINARY_HELP}; a machine type")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_any_target(parser)
    add_emulation(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Print the machine types."""
    paths, name = _split(args.words)
    opened = open_binaries(paths, args, environment)
    if len(opened) > 1 and not args.any_target:
        require_one_target((each.path, each.infos) for each in opened)
    from vmdump.cli.terminal import machine_types

    if len(opened) == 1 and name is None:
        machine_types.print_list(environment, opened[0].infos, as_json=args.json)
    elif len(opened) == 1:
        _print_one(opened[0], str(name), environment, as_json=args.json)
    else:
        _compare(opened, name, environment, as_json=args.json)
    return ExitStatus.DONE


def _split(words: Sequence[str]) -> tuple[list[str], str | None]:
    """Return the paths of binaries, and the name of a machine type; None if none is given."""
    is_pair = len(words) == _MOST or (len(words) == 2 and os.path.exists(words[1]))
    paths, names = (list(words[:2]), words[2:]) if is_pair else (list(words[:1]), words[1:])
    if len(names) > 1:
        raise UsageError(f"{len(words)} arguments; give a SOURCE and at most one machine type, or OLD NEW [NAME]")
    return paths, names[0] if names else None


def _print_one(machines: Machines, name: str, environment: Environment, *, as_json: bool) -> None:
    from vmdump.cli.terminal import machine_types

    machine = machines[name]
    report_missed(machines, machine.missed_functions, environment)
    if machine.why_no_sections is not None:
        environment.error(f"{machines.path}: {machine.name}: no sections and RAM blocks: {machine.why_no_sections}")
    machine_types.print_one(environment, machine, as_json=as_json)


def _compare(opened: Sequence[Machines], name: str | None, environment: Environment, *, as_json: bool) -> None:
    from vmdump.cli.terminal import machine_types
    from vmdump.machines.differences import compare_lists, compare_machines

    if name is None:
        machine_types.print_lists(environment, compare_lists(*(each.infos for each in opened)), as_json=as_json)
        return
    name = opened[0].info(name).name  # an alias stands for different types in different versions
    old, new = (each[name] for each in opened)
    for machines, machine in zip(opened, (old, new), strict=True):
        report_missed(machines, machine.missed_functions, environment)
    machine_types.print_differences(environment, new.name, compare_machines(old, new), as_json=as_json)

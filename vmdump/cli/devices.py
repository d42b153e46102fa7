"""vmdump devices: which device classes a source has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.source_arguments import add_source, open_source

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.cli.environment import Environment
    from vmdump.cli.terminal.table import Column
    from vmdump.dump.device_dump import Device, Root

HELP = "list the device classes of a source"
EPILOG = """\
examples:
  vmdump devices                           the built-in devices and all modules
  vmdump devices x86_64.json.xz | grep virtio
  vmdump devices /usr/bin/qemu-system-s390x --json
  vmdump devices /usr/bin/qemu-system-x86_64 --all

MIN is the minimum_version_id. FIELDS counts those of nested descriptions and of
subsections too, SUBS the device's own subsections. The table is sorted by type.
With --json the order is the dump's, and the keys are
  type                   QOM type name
  description            name of its VMStateDescription
  version_id, minimum_version_id
  fields, subsections    how many
  abstract               whether the class is abstract
  parents                its parent types, nearest first
  desc                   DeviceClass.desc
  module                 the module that it comes from
and null is what the source does not tell. With --all there are also the
descriptions on no device class, whose type is null, and whose further keys are
  uses                   register, save, VirtioDeviceClass, legacy_vmsd, GTREE
  types                  device types whose classes refer to it
  symbol                 as the binary exports it
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--json", action="store_true", help="as a JSON list, one object a device")
    parser.add_argument(
        "--all", action="store_true", help="also the descriptions that are on no device class, of a QEMU binary"
    )
    add_source(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Prints the list."""
    from vmdump.cli.terminal.table import print_json, print_table

    dump = open_source(args, environment)
    roots = dump.roots if args.all else ()
    if args.json:
        print_json(environment, [*map(_device_object, dump.values()), *map(_root_object, roots)])
        return ExitStatus.DONE
    devices = sorted(dump.values(), key=lambda device: device.name)
    columns: dict[str, Column] = {
        "TYPE": [device.name for device in devices],
        "DESCRIPTION": [device.description for device in devices],
        "VERSION": [device.version_id for device in devices],
        "MIN": [device.minimum_version_id for device in devices],
        "FIELDS": [device.n_fields for device in devices],
        "SUBS": [device.n_subsections for device in devices],
        "PARENT": [device.parents[0] if device.parents else None for device in devices],
        "MODULE": [device.module for device in devices],
    }
    for optional in ("PARENT", "MODULE"):
        if not any(columns[optional]):
            del columns[optional]
    print_table(environment, columns)
    if roots:
        environment.print("")
        print_table(environment, _root_columns(sorted(roots, key=lambda root: root.name)))
    return ExitStatus.DONE


def _root_columns(roots: Sequence[Root]) -> dict[str, Column]:
    return {
        "DESCRIPTION": [root.name for root in roots],
        "VERSION": [root.vmsd.version_id for root in roots],
        "MIN": [root.vmsd.minimum_version_id for root in roots],
        "FIELDS": [root.n_fields for root in roots],
        "SUBS": [len(root.vmsd.subsections or ()) for root in roots],
        "USED BY": [", ".join(root.uses) or None for root in roots],
        "SYMBOL": [root.symbol for root in roots],
        "TYPES": [_few(root.types) for root in roots],
    }


def _few(types: Sequence[str]) -> str | None:
    return f"{types[0]} and {len(types) - 1} more" if len(types) > 1 else types[0] if types else None


def _root_object(root: Root) -> dict[str, object]:
    return {
        "type": None,
        "description": root.name,
        "version_id": root.vmsd.version_id,
        "minimum_version_id": root.vmsd.minimum_version_id,
        "fields": root.n_fields,
        "subsections": len(root.vmsd.subsections or ()),
        "uses": root.uses,
        "types": root.types,
        "symbol": root.symbol,
    }


def _device_object(device: Device) -> dict[str, object]:
    return {
        "type": device.name,
        "description": device.description,
        "version_id": device.version_id,
        "minimum_version_id": device.minimum_version_id,
        "fields": device.n_fields,
        "subsections": device.n_subsections,
        "abstract": device.abstract,
        "parents": device.parents,
        "desc": device.desc,
        "module": device.module,
    }

"""vmdump devices: list the device classes of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.source_arguments import add_source, open_source

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.cli.environment import Environment
    from vmdump.cli.terminal.table import Column
    from vmdump.dump.device import Device, StandaloneVMState

HELP = "list the device classes of a source"
EPILOG = """\
examples:
  vmdump devices                           the built-in devices and all modules
  vmdump devices x86_64.json.xz | grep virtio
  vmdump devices /usr/bin/qemu-system-s390x --json
  vmdump devices /usr/bin/qemu-system-x86_64 --all

MIN is the minimum_version_id. FIELDS includes the fields of nested descriptions
and subsections, SUBS counts the device's own subsections. The table is sorted
by type. --json keeps the order of the dump, and the keys are
  type                   QOM type name
  description            name of the VMStateDescription
  version_id, minimum_version_id
  fields, subsections    their number
  abstract               whether the class is abstract
  parents                parent types, nearest first
  desc                   DeviceClass.desc
  module                 module that provides the type
Values that the source does not contain are null. --all adds standalone VMSDs,
which belong to no device class: type is null, and there are the further keys
  uses                   register, save, VirtioDeviceClass, legacy_vmsd, GTREE
  types                  device types whose classes refer to it
  symbol                 exported symbol in the binary
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print a JSON list with an object for each device")
    parser.add_argument(
        "--all",
        action="store_true",
        help="include the standalone VMSDs of a QEMU binary (see below)",
    )
    add_source(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Print the list."""
    from vmdump.cli.terminal.table import print_json, print_table

    dump = open_source(args, environment)
    roots = dump.standalone if args.all else ()
    if args.json:
        print_json(environment, [*map(_device_object, dump.values()), *map(_root_object, roots)])
        return ExitStatus.DONE
    devices = sorted(dump.values(), key=lambda device: device.name)
    columns: dict[str, Column] = {
        "TYPE": [device.name for device in devices],
        "DESCRIPTION": [device.vmsd_name if device.has_description else None for device in devices],
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


def _root_columns(roots: Sequence[StandaloneVMState]) -> dict[str, Column]:
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


def _root_object(root: StandaloneVMState) -> dict[str, object]:
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
        "description": device.vmsd_name if device.has_description else None,
        "version_id": device.version_id,
        "minimum_version_id": device.minimum_version_id,
        "fields": device.n_fields,
        "subsections": device.n_subsections,
        "abstract": device.abstract,
        "parents": device.parents,
        "desc": device.desc,
        "module": device.module,
    }

"""vmdump devices: which device classes a source has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.arguments import add_source, open_source
from vmdump.cli.environment import ExitStatus

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment
    from vmdump.cli.table import Column
    from vmdump.device_dump import Device

HELP = "list the device classes of a source"
EPILOG = """\
examples:
  vmdump devices                           the built-in devices and all modules
  vmdump devices x86_64.json.xz | grep virtio
  vmdump devices /usr/bin/qemu-system-s390x --json

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
and null is what the source does not tell.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--json", action="store_true", help="as a JSON list, one object a device")
    add_source(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Prints the list."""
    from vmdump.cli.table import print_json, print_table

    dump = open_source(args, environment)
    if args.json:
        print_json(environment, [_json_object(device) for device in dump.values()])
        return ExitStatus.DONE
    devices = sorted(dump.values(), key=lambda device: device.name)
    columns: dict[str, Column] = {
        "TYPE": [device.name for device in devices],
        "DESCRIPTION": [device.vmsd.name for device in devices],
        "VERSION": [device.version_id for device in devices],
        "MIN": [device.minimum_version_id for device in devices],
        "FIELDS": [device.n_fields for device in devices],
        "SUBS": [len(device.vmsd.subsections or ()) for device in devices],
        "PARENT": [device.parents[0] if device.parents else None for device in devices],
        "MODULE": [device.module for device in devices],
    }
    for optional in ("PARENT", "MODULE"):
        if not any(columns[optional]):
            del columns[optional]
    print_table(environment, columns)
    return ExitStatus.DONE


def _json_object(device: Device) -> dict[str, object]:
    return {
        "type": device.name,
        "description": device.vmsd.name,
        "version_id": device.version_id,
        "minimum_version_id": device.minimum_version_id,
        "fields": device.n_fields,
        "subsections": len(device.vmsd.subsections or ()),
        "abstract": device.abstract,
        "parents": device.parents,
        "desc": device.desc,
        "module": device.module,
    }

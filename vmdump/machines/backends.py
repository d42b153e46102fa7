"""Backends that devices need, and the properties of a device that refer to one.

A device refers to a backend by a property whose description or type says so, for example "Node name or ID of a block
device to use as a backend", or link<rng-backend>.

Source: QEMU 7.2 hw/core/qdev-properties-system.c (qdev_prop_drive, qdev_prop_chr, qdev_prop_audiodev).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.emulator.guest_services import EMPTY_DIRECTORY
from vmdump.emulator.machine import MachineError, QmpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.emulator.machine import Machine


class _Backend(NamedTuple):
    """A kind of backend: how devices refer to it, and how it is created.

    Attributes:
        name: its id.
        described: the noun in descriptions of properties.
        linked: type of links to it; None if properties have its id instead.
        argv: arguments of QEMU.
    """

    name: str
    described: str | None
    linked: str | None
    argv: tuple[str, str]


_BACKENDS = (
    _Backend("vmdump-blk", "block device", None, ("-blockdev", "driver=null-co,node-name=vmdump-blk,size=1073741824")),
    _Backend("vmdump-chr", "chardev", None, ("-chardev", "null,id=vmdump-chr")),
    _Backend("vmdump-aud", "audiodev", None, ("-audiodev", "none,id=vmdump-aud")),
    _Backend("vmdump-mem", None, "memory-backend", ("-object", "memory-backend-ram,id=vmdump-mem,size=16777216")),
    _Backend("vmdump-rng", None, "rng-backend", ("-object", "rng-builtin,id=vmdump-rng")),
    _Backend("vmdump-cry", None, "cryptodev-backend", ("-object", "cryptodev-backend-builtin,id=vmdump-cry")),
)

#: An option that some QEMUs lack, and its value: a directory for virtio-9p, which refers to it by an undescribed id.
_FILE_SYSTEM = ("fsdev", f"local,id=vmdump,path={EMPTY_DIRECTORY},security_model=none")

_NOUN = "to use as a backend"


def backend_arguments(machine: Machine) -> list[str]:
    """Return arguments of QEMU that create all backends which this QEMU has.

    Args:
        machine: of any machine type.
    """
    types = {row["name"] for row in machine.qmp("qom-list-types")}
    argv: list[str] = []
    for each in _BACKENDS:
        option, value = each.argv
        if option != "-object" or value.partition(",")[0] in types:
            argv += [option, value]
    option, value = _FILE_SYSTEM
    if option in {row["option"] for row in machine.qmp("query-command-line-options")}:
        argv += [f"-{option}", value]
    return argv


def read_rows(machine: Machine, type_: str) -> list[dict[str, Any]]:
    """Return the answer of device-list-properties; empty for types that QMP cannot instantiate."""
    with contextlib.suppress(QmpError, MachineError):
        rows: list[dict[str, Any]] = machine.qmp("device-list-properties", typename=type_)
        return rows
    return []


def backend_of(row: dict[str, Any]) -> str | None:
    """Return the backend that a property refers to, by its row of device-list-properties; None if to none.

    >>> backend_of({"name": "chardev", "type": "str", "description": "ID of a chardev to use as a backend"})
    'vmdump-chr'
    >>> backend_of({"name": "rng", "type": "link<rng-backend>"})
    'vmdump-rng'
    """
    for each in _BACKENDS:
        if each.linked is not None and row["type"] == f"link<{each.linked}>":
            return each.name
        if each.described is not None and f"{each.described} {_NOUN}" in row.get("description", ""):
            return each.name
    return None


def device_argument(type_: str, rows: Iterable[dict[str, Any]], extra: Sequence[str] = ()) -> str:
    """Return the argument of -device for a device with its block device, chardev and audiodev.

    Links to other backends are left out, as most are optional.

    Args:
        type_: QOM type.
        rows: answer of device-list-properties.
        extra: further properties, NAME=VALUE.
    """
    given = {each.partition("=")[0] for each in extra}
    backends = [
        f"{row['name']}={backend_of(row)}"
        for row in rows
        if backend_of(row) and not row["type"].startswith("link<") and row["name"] not in given
    ]
    return ",".join([f"driver={type_}", *backends, *extra])

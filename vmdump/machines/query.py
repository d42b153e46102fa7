"""Machine types of a booted QEMU: query-machines, completed with the compat properties of versions that lack them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmdump.emulator.machine import QmpError
from vmdump.machines.model import CompatProperty, MachineInfo

if TYPE_CHECKING:
    from vmdump.emulator.machine import Machine


def read_machine_types(machine: Machine) -> tuple[MachineInfo, ...]:
    """Return all machine types in the order of query-machines.

    QEMU 9.1 and newer return compat properties with ``compat-props: true``; they are read from MachineClass of older
    ones.

    Args:
        machine: of any machine type, such as ``none``.

    Source: QEMU 7.2 and 10.0 hw/core/machine-qmp-cmds.c qmp_query_machines.
    """
    try:
        rows = machine.qmp("query-machines", compat_props=True)
        compat = {row["name"]: tuple(_from_qmp(row.get("compat-props", ()))) for row in rows}
    except QmpError:  # "Parameter 'compat-props' is unexpected"
        from vmdump.machines.compat_props import read_compat_props

        rows = machine.qmp("query-machines")
        compat = read_compat_props(machine)
    return tuple(_info(row, compat.get(row["name"], ())) for row in rows)


def read_names(machine: Machine) -> tuple[MachineInfo, ...]:
    """Return all machine types, without their compat properties."""
    return tuple(_info(row, ()) for row in machine.qmp("query-machines"))


def _from_qmp(entries: list[dict[str, str]]) -> list[CompatProperty]:
    return [CompatProperty(each["qom-type"], each["property"], each["value"]) for each in entries]


def _info(row: dict[str, Any], compat: tuple[CompatProperty, ...]) -> MachineInfo:
    return MachineInfo(
        name=row["name"], alias=row.get("alias"), is_default=row.get("is-default", False),
        is_deprecated=row.get("deprecated", False), default_cpu_type=row.get("default-cpu-type"),
        default_ram_id=row.get("default-ram-id"), cpu_max=row.get("cpu-max"), compat_props=compat,
    )  # fmt: skip

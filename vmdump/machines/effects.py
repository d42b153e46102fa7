"""The effect of compat properties: QEMU applies them in order, each to its driver and all subtypes.

Source: QEMU 7.2 qom/object.c object_apply_global_props.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmdump.emulator.machine import Machine
    from vmdump.machines.model import CompatProperty

#: A compat property: it applies; a later entry sets the property again; this QEMU has no such type.
APPLIES, OVERRIDDEN, NO_TYPE = "applies", "overridden", "no such type"


def effects(compat_props: Sequence[CompatProperty], machine: Machine) -> tuple[str, ...]:
    """Return APPLIES, OVERRIDDEN or NO_TYPE for each compat property."""
    parents = read_parents(machine)
    found = []
    for index, each in enumerate(compat_props):
        lineage = ancestors(each.driver, parents)
        later = compat_props[index + 1 :]
        if each.driver not in parents:
            found.append(NO_TYPE)
        elif any(other.property == each.property and other.driver in lineage for other in later):
            found.append(OVERRIDDEN)
        else:
            found.append(APPLIES)
    return tuple(found)


def read_parents(machine: Machine) -> dict[str, str | None]:
    """Return the parent type of all types. Interfaces have parent ``interface``."""
    return {row["name"]: row.get("parent") for row in machine.qmp("qom-list-types", abstract=True)}


def ancestors(name: str, parents: Mapping[str, str | None]) -> list[str]:
    """Return a type and its ancestors, nearest first.

    >>> ancestors("e1000e", {"e1000e": "pci-device", "pci-device": "device", "device": None})
    ['e1000e', 'pci-device', 'device']
    """
    found: list[str] = []
    current: str | None = name
    while current is not None and current not in found:
        found.append(current)
        current = parents.get(current)
    return found

"""The first CPU of a machine: its type, features, and system registers.

Feature words are a property of x86 CPUs; other targets have boolean properties for their features. Arm CPUs migrate
their system registers as a list of indexes and values.

Source: QEMU 7.2 target/i386/cpu.c x86_cpu_get_feature_words, target/arm/machine.c vmstate_arm_cpu.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.emulator.machine import MachineError
from vmdump.machines.model import Cpu

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.emulator.machine import Machine
    from vmdump.machines.model import Field, QomObject

#: Property of an x86 CPU.
_FEATURE_WORDS = "feature-words"

#: Properties of every object with a device class, which are no CPU features.
_NOT_FEATURES = ("realized", "hotpluggable", "hotplugged", "start-powered-off")

#: Fields of section "cpu" with the indexes and values of system registers, as 64-bit words.
_INDEXES, _VALUES = "cpreg_vmstate_indexes", "cpreg_vmstate_values"


def read_cpu(machine: Machine, devices: Sequence[QomObject], fields: Iterable[Field]) -> Cpu | None:
    """Return the first CPU; None if the machine has none.

    Args:
        machine: the machine.
        devices: its QOM tree.
        fields: of its migration stream.
    """
    try:
        cpus = machine.qmp("query-cpus-fast")
    except (MachineError, KeyError):
        return None
    path = cpus[0].get("qom-path") if cpus else None
    cpu = next((each for each in devices if each.path == path), None)
    if cpu is None:
        return None
    features = {
        each.name: each.value
        for each in cpu.properties
        if isinstance(each.value, bool) and each.name not in _NOT_FEATURES
    }
    return Cpu(cpu.type, features, tuple(cpu.value(_FEATURE_WORDS) or ()), read_registers(fields))


def read_registers(fields: Iterable[Field]) -> dict[str, str] | None:
    """Return the system registers of the first section "cpu"."""
    words: dict[str, list[int]] = {_INDEXES: [], _VALUES: []}
    for field in fields:
        name = field.path.partition("[")[0]
        if field.section == "cpu 0" and name in words:
            data = field.data
            words[name] += [int.from_bytes(data[at : at + 8], "big") for at in range(0, len(data), 8)]
    if not words[_INDEXES]:
        return None
    return {f"{index:#x}": f"{value:#x}" for index, value in zip(*words.values(), strict=False)}

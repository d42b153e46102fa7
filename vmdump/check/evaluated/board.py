"""What every VM of a machine type has: sections, RAM blocks, system registers, and the properties of its devices."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmdump.check.evaluated.answers import Key
from vmdump.emulator.machine import MachineError
from vmdump.emulator.trace import collect
from vmdump.errors import SourceError
from vmdump.machines.cpu import read_registers
from vmdump.machines.reader import saved_stream
from vmdump.machines.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.check.evaluated.handlers import Handler
    from vmdump.check.evaluated.memory import Instance, Memory
    from vmdump.emulator.machine import Machine


#: A name that QOM makes for an object without a parent.
_NUMBERED = re.compile(r"device\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class BoardSection:
    """A section.

    Attributes:
        idstr, instance: its name in the stream.
        aliases: further pairs of idstr and instance with which it is found when it is loaded.
        is_sent: whether the VM sends it at reset.
    """

    idstr: str
    instance: int
    aliases: tuple[tuple[str, int], ...]
    is_sent: bool


@dataclass(frozen=True, slots=True)
class BoardBlock:
    """A migrated RAM block, its size in bytes, and the file of the same size that QEMU has loaded; None: none has."""

    name: str
    size: int
    file: str | None = None


@dataclass(frozen=True, slots=True)
class BoardTest:
    """The result of a field's test at reset, in all sections of a type.

    Attributes:
        type: device type; None: the section belongs to no device.
        description: name of the section's description.
        key: the field.
        value: the result.
    """

    type: str | None
    description: str
    key: Key
    value: int


@dataclass(frozen=True, slots=True)
class Board:
    """A VM of a machine type without further devices.

    Attributes:
        machine: the machine type.
        sections: in order.
        blocks: RAM blocks in order.
        registers: indexes of the migrated system registers of the first CPU (Arm), in hex.
        properties: values of static properties by ``TYPE.PROPERTY``, or ``TYPE[PATH].PROPERTY`` if they differ
            between the devices of a type.
        booleans: names of properties that are on or off.
        compat: ``TYPE.PROPERTY`` of all compat properties of the machine type.
        cpu: type of the first CPU; empty if there is none.
        features: feature words of an x86 CPU, by CPUID leaf and register.
        tests: of fields, without those that differ between sections of a type.
        stand_ins: firmware files that were missing and replaced by zeros.
    """

    machine: str
    sections: tuple[BoardSection, ...]
    blocks: tuple[BoardBlock, ...]
    registers: tuple[str, ...]
    properties: dict[str, int]
    booleans: tuple[str, ...]
    compat: tuple[str, ...]
    cpu: str
    features: dict[str, int]
    tests: tuple[BoardTest, ...]
    stand_ins: tuple[str, ...]


def read_board(
    machine: Machine, name: str, handlers: Sequence[Handler], memory: Memory, tests: Sequence[BoardTest]
) -> Board:
    """Return the board of a complete machine. Raises SourceError."""
    try:
        stream = saved_stream(machine)
    except SourceError:  # what is sent is not known, so nothing is concluded from it
        stream = Stream((), (), ())
    sent = {(each.idstr, each.instance_id) for each in stream.sections}
    cpu, features = _cpu(machine)
    properties, booleans = _properties(machine, memory)
    return Board(
        machine=name,
        sections=tuple(
            BoardSection(each.idstr, each.instance, each.aliases, (each.idstr, each.instance) in sent)
            for each in handlers
        ),
        blocks=tuple(_blocks(machine)),
        registers=tuple(read_registers(stream.fields) or ()),
        properties=properties,
        booleans=booleans,
        compat=(),
        cpu=cpu,
        features=features,
        tests=tuple(tests),
        stand_ins=tuple(sorted(os.path.basename(path) for path, real in machine.files.items() if real == "stand-in")),
    )


def _blocks(machine: Machine) -> list[BoardBlock]:
    """Source: migration/ram.c ram_save_setup."""
    blocks = []
    for address in collect(machine.guest, machine.functions.get("qemu_ram_foreach_block")):
        if not machine.call("qemu_ram_is_migratable", address) & 0xFF:
            continue
        name = machine.guest.text(machine.call("qemu_ram_get_idstr", address))
        size = machine.call("qemu_ram_get_used_length", address)
        blocks.append(BoardBlock(name, size, _file_of(machine, size)))
    return blocks


def _file_of(machine: Machine, size: int) -> str | None:
    """Return the name of the only file whose size, rounded up to a power of two, is that of a block."""
    found = set()
    for path, real in machine.files.items():
        if os.path.isfile(real):
            length = os.path.getsize(real)
            if size in (length, 1 << max(length - 1, 1).bit_length()):
                found.add(os.path.basename(path))
    return found.pop() if len(found) == 1 else None


def _cpu(machine: Machine) -> tuple[str, dict[str, int]]:
    """Return the type of the first CPU, and its feature words if it is an x86 CPU."""
    try:
        path = machine.qmp("query-cpus-fast")[0]["qom-path"]
        type_ = str(machine.qmp("qom-get", path=path, property="type"))
    except (MachineError, KeyError, IndexError):
        return "", {}
    features: dict[str, int] = {}
    with contextlib.suppress(MachineError):
        for word in machine.qmp("qom-get", path=path, property="feature-words"):
            leaf = f"{word['cpuid-input-eax']:#x}"
            index = f".{word['cpuid-input-ecx']}" if "cpuid-input-ecx" in word else ""
            features[f"CPUID {leaf}{index} {word['cpuid-register']}"] = word["features"]
    return type_, features


def _properties(machine: Machine, memory: Memory) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the static properties of all devices (integers, booleans and bits), and the names of booleans.

    Values that differ between the devices of a type are named by the device's path in the QOM tree, too.
    """
    found: dict[tuple[str, str], dict[Instance, int]] = {}
    booleans = set[tuple[str, str]]()
    for each in memory.instances:
        for field in memory.properties(each):
            value = memory.value(each, field)
            if value is not None:
                found.setdefault((each.type, field.name), {})[each] = value
                booleans |= {(each.type, field.name)} if field.kind == "bool" else set()
    labels = _labels(machine, memory)
    values, names = dict[str, int](), dict[str, None]()
    for (type_, name), by_instance in found.items():
        is_uniform = len(set(by_instance.values())) == 1
        for each, value in by_instance.items():
            key = f"{type_}.{name}" if is_uniform else f"{type_}[{labels[each]}].{name}"
            values[key] = value
            if (type_, name) in booleans:
                names[key] = None
    return values, tuple(names)


def _labels(machine: Machine, memory: Memory) -> dict[Instance, str]:
    """Return a name for each object that is the same in other versions of the machine.

    It is the path in the QOM tree; for objects that QOM numbers, a number among those of the type.
    """
    labels: dict[Instance, str] = {}
    numbered: dict[str, list[tuple[int, Instance]]] = {}
    for each in memory.instances:
        address = machine.call("object_get_canonical_path", each.start)
        path = machine.guest.text(address) if address else "/"
        number = _NUMBERED.search(path)
        if number is None:
            labels[each] = path
        else:
            numbered.setdefault(each.type, []).append((int(number[1]), each))
    for those in numbered.values():
        labels.update((each, str(at)) for at, (_, each) in enumerate(sorted(those)))
    return labels

"""What a guest finds in the machines of one machine type: the board, and each device that can be added, one at a time.

Everything is read from booted machines with realized devices, because unrealized values mislead.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from vmdump.activity import counted
from vmdump.errors import SourceError
from vmdump.machines.backends import backend_arguments
from vmdump.machines.cpu import read_cpu
from vmdump.machines.determined import SHIFT, determined
from vmdump.machines.effects import ancestors, read_parents
from vmdump.machines.model import CompatProperty, Cpu, Field, QomObject, RamBlock, Section
from vmdump.machines.objects import ROOT, read_tree
from vmdump.machines.plug import PATH, Plugger, Rows, device_types
from vmdump.machines.reader import NO_MACHINE, Source, machine_arguments, saved_stream, version_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.emulator.machine import Machine
    from vmdump.machines.model import MachineInfo
    from vmdump.machines.stream import Stream


@dataclass(frozen=True, slots=True)
class State:
    """A part of a machine: the board, or a device that was added to it.

    Attributes:
        type: QOM type of the device, or of the machine.
        arguments: of -device, with which QEMU creates the device; empty for the board.
        objects: the QOM tree below the device, or the machine.
        sections: that it adds to the migration stream.
        fields: of these sections.
        ram_blocks: that it adds.
        missed_functions: host functions that it called and the emulator lacks; it may differ from a real one.
    """

    type: str
    arguments: tuple[str, ...] = ()
    objects: tuple[QomObject, ...] = ()
    sections: tuple[Section, ...] = ()
    fields: tuple[Field, ...] = ()
    ram_blocks: tuple[RamBlock, ...] = ()
    missed_functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """The machines of a machine type.

    Attributes:
        machine: name of the machine type.
        version: as QEMU's --version prints it.
        compat_props: see MachineInfo.
        parents: parent type of each QOM type.
        device_types: all concrete device types.
        board: the machine without further devices, or with those of the user's arguments.
        cpu: its first CPU.
        devices: each device that was added, by type.
        refused: QEMU's reason for each type that it does not create, by type.
        missed_functions: of the board; see MachineType.
    """

    machine: str
    version: str
    compat_props: tuple[CompatProperty, ...]
    parents: dict[str, str | None]
    device_types: tuple[str, ...]
    board: State
    cpu: Cpu | None
    devices: dict[str, State] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    missed_functions: tuple[str, ...] = ()

    def lineage(self, type_: str) -> list[str]:
        """Return a type and its ancestors, nearest first."""
        return ancestors(type_, self.parents)

    def compat(self, type_: str, name: str) -> CompatProperty | None:
        """Return the last compat property that sets a property of a type; None if there is none."""
        lineage = self.lineage(type_)
        applying = [each for each in self.compat_props if each.property == name and each.driver in lineage]
        return applying[-1] if applying else None


def survey(
    source: Source,
    info: MachineInfo,
    argv: Sequence[str],
    device_globs: Sequence[str],
) -> Survey:
    """Boot a machine type, and again with each device that it can have.

    Args:
        source: the binary.
        info: the machine type.
        argv: further arguments of QEMU.
        device_globs: patterns of the device types to add; empty: none.

    Raises:
        MachineError: QEMU does not start the machine type.
        SourceError: the binary does not export QEMU's functions.
    """
    bare = source.boot(["-M", NO_MACHINE])
    if not bare.functions.exported:
        raise SourceError(
            f"{source.path}: the binary does not export QEMU's functions, so that RAM blocks and the state after reset "
            "can't be read; vmdump properties shows the properties of a device"
        )
    parents = read_parents(bare)
    concrete = sorted(row["name"] for row in bare.qmp("qom-list-types", implements="device", abstract=False))
    arguments = machine_arguments(info.name, [*backend_arguments(bare), *argv])
    template = source.boot_template(arguments)
    with template.boot() as machine:
        stream = saved_stream(machine)
        objects = determined(read_tree(machine), partial(_read_again, source, arguments))
        board = State(info.name, (), objects, stream.sections, stream.fields, stream.ram_blocks)
        found = Survey(
            info.name, version_of(machine), info.compat_props, parents, tuple(concrete), board,
            read_cpu(machine, objects, stream.fields), missed_functions=tuple(machine.missed_functions),
        )  # fmt: skip
    pluggable = device_types(bare)
    plugger = Plugger(template, Rows(bare), pluggable)
    wanted = [type_ for type_ in pluggable if any(fnmatchcase(type_, pattern) for pattern in device_globs)]
    for type_ in counted(f"adding devices to {info.name} of {os.path.basename(source.path)}", wanted):
        try:
            with plugger.boot(type_) as (machine, added):
                state = _added(machine, type_, added, stream)
                missed = tuple(machine.missed_functions)
            plugs = [word for each in added for word in ("-device", each)]
            state_objects = determined(state.objects, partial(_read_again, source, [*arguments, *plugs], PATH))
            found.devices[type_] = replace(state, objects=state_objects, missed_functions=missed)
        except SourceError as error:
            found.refused[type_] = str(error)
    return found


def _read_again(source: Source, argv: Sequence[str], root: str = ROOT) -> tuple[QomObject, ...]:
    """Return the objects of a machine with other addresses."""
    return read_tree(source.boot(argv, shift=SHIFT), root)


def _added(machine: Machine, type_: str, arguments: tuple[str, ...], base: Stream) -> State:
    """Return the state of a device that was added to the machine whose stream is base."""
    stream = saved_stream(machine)
    sections = tuple(each for each in stream.sections if each not in base.sections)
    names = {f"{each.idstr} {each.instance_id}" for each in sections}
    return State(
        type_, arguments, read_tree(machine, PATH), sections,
        tuple(each for each in stream.fields if each.section in names),
        tuple(each for each in stream.ram_blocks if each not in base.ram_blocks),
    )  # fmt: skip

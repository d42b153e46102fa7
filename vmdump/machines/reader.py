"""Boots a QEMU binary, and reads machine types and machines from it."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING

from vmdump.emulator.host_profile import HostProfile
from vmdump.emulator.machine import ARGUMENTS, SECONDS, MachineError, boot
from vmdump.emulator.template import boot_template
from vmdump.files.sysroot import followed, tree_of
from vmdump.machines.cpu import read_cpu
from vmdump.machines.effects import effects
from vmdump.machines.model import MachineType
from vmdump.machines.objects import read_tree, tree_types
from vmdump.machines.query import read_machine_types
from vmdump.machines.stream import Stream, read_stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmdump.emulator.machine import Machine
    from vmdump.emulator.template import MachineTemplate
    from vmdump.machines.model import MachineInfo

#: Machine type without devices, which every QEMU has.
NO_MACHINE = "none"

#: Instead of -nodefaults: default devices, without a host behind the NIC, the display and the ports.
WITH_DEFAULTS = (
    "-net", "nic", "-display", "none", "-no-user-config", "-S", "-serial", "null", "-parallel", "none",
    "-monitor", "none",
)  # fmt: skip

#: Options that choose the accelerator; without them, TCG, else KVM for binaries without TCG.
_ACCELERATOR_OPTIONS = ("-accel", "--accel", "-enable-kvm", "--enable-kvm")
_ACCELERATORS = ("-accel", "tcg", "-accel", "kvm")

#: Limit of a machine, in seconds, when no time is left: it fails at once, with the emulator's error.
_LEAST_SECONDS = 0.001


class Source:
    """A binary, and the host that its machines see.

    Attributes:
        path: of the binary; with sysroot, also a path within it.
        sysroot: see vmdump.emulator.machine.boot.
        host: see vmdump.emulator.machine.boot.
        binary: path of the binary on the host.
        tree: directory that holds QEMU's other files, without a trailing slash.
        requested: for each machine booted so far, the files that QEMU requested; see Machine.files.
    """

    def __init__(
        self, path: str, sysroot: str | None = None, host: HostProfile | None = None, seconds: float | None = None
    ) -> None:
        """seconds: from now on, in which all calls of booted machines must end; default: no limit but a machine's."""
        self._end = None if seconds is None else monotonic() + seconds
        self.path, self.sysroot, self.host = path, sysroot, host or HostProfile()
        self.binary = os.path.realpath(path) if sysroot is None else os.path.abspath(followed(path, sysroot))
        self.tree = (sysroot or tree_of(self.binary) or os.path.dirname(self.binary)).rstrip("/")
        self.requested: list[Mapping[str, str]] = []

    def boot(
        self, argv: Sequence[str], *, defaults: Sequence[str] = ARGUMENTS, fill: int = 0, shift: int = 0
    ) -> Machine:
        """Boot a machine. Raises MachineError, SourceError."""
        machine = boot(
            self.path, argv, sysroot=self.sysroot, host=self.host, defaults=defaults, fill=fill, shift=shift,
            seconds=self._seconds(),
        )  # fmt: skip
        self.requested.append(machine.files)
        return machine

    def _seconds(self) -> float:
        """Return the limit of a machine that is booted now."""
        return SECONDS if self._end is None else max(self._end - monotonic(), _LEAST_SECONDS)

    def boot_template(self, argv: Sequence[str], *, defaults: Sequence[str] = ARGUMENTS) -> MachineTemplate:
        """Boot a machine to the point where devices can be added. Raises MachineError, SourceError."""
        template = boot_template(self.path, argv, sysroot=self.sysroot, host=self.host, defaults=defaults)
        self.requested.append(template.files)
        return template


def machine_arguments(name: str, argv: Sequence[str] = ()) -> list[str]:
    """Return QEMU's arguments for a machine type and further arguments of the user.

    The stream's description is enabled, which machine types up to 2.2 switch off.

    >>> machine_arguments("pc-q35-7.2")
    ['-M', 'pc-q35-7.2,suppress-vmdesc=off', '-accel', 'tcg', '-accel', 'kvm']
    """
    chosen = any(each in _ACCELERATOR_OPTIONS or "accel=" in each for each in argv)
    return ["-M", f"{name},suppress-vmdesc=off", *(() if chosen else _ACCELERATORS), *argv]


def read_infos(source: Source) -> tuple[MachineInfo, ...]:
    """Return all machine types of a binary. Raises MachineError, SourceError."""
    return read_machine_types(source.boot(["-M", NO_MACHINE]))


def read_machine_type(source: Source, info: MachineInfo) -> MachineType:
    """Return a machine type with the contents of its machine.

    Raises:
        MachineError: QEMU does not start it.
        SourceError: not a QEMU that can be emulated.
    """
    machine = source.boot(machine_arguments(info.name))
    stream = saved_stream(machine)
    devices = read_tree(machine)
    return MachineType(
        info=info, devices=devices, sections=stream.sections, ram_blocks=stream.ram_blocks,
        cpu=read_cpu(machine, devices, stream.fields), default_devices=_default_devices(source, info, machine),
        compat_effects=effects(info.compat_props, machine),
        ram_size=machine.qmp("query-memory-size-summary")["base-memory"],
        why_no_sections=stream.why_empty, missed_functions=tuple(machine.missed_functions),
    )  # fmt: skip


def saved_stream(machine: Machine, *, has_fields: bool = True) -> Stream:
    """Return the decoded migration stream of a machine; empty if it cannot be migrated, or saved.

    has_fields: see read_stream.
    """
    from vmdump.emulator.migration import MigrationBlockedError, save_stream

    if not machine.functions.can_save:
        why = "the binary does not export QEMU's functions, and its migration code was not found"
        return Stream((), (), (), why)
    try:
        return read_stream(save_stream(machine), has_fields=has_fields)
    except MigrationBlockedError as error:
        return Stream((), (), (), str(error).removeprefix(f"{machine.name}: "))


def version_of(machine: Machine) -> str:
    """Return the output of --version, from query-version."""
    answer = machine.qmp("query-version")
    number = ".".join(str(answer["qemu"][part]) for part in ("major", "minor", "micro"))
    package = answer.get("package")
    return f"QEMU emulator version {number}" + (f" ({package})" if package else "")


def _default_devices(source: Source, info: MachineInfo, bare: Machine) -> tuple[str, ...]:
    """Return the QOM types of devices that a machine has only without -nodefaults; empty if it does not start so."""
    try:
        machine = source.boot(machine_arguments(info.name), defaults=WITH_DEFAULTS)
    except MachineError:
        return ()
    devices = {row["name"] for row in machine.qmp("qom-list-types", implements="device", abstract=False)}
    known = list(tree_types(bare).values())
    added = []
    for type_ in tree_types(machine).values():
        if type_ in known:
            known.remove(type_)
        elif type_ in devices:
            added.append(type_)
    return tuple(added)

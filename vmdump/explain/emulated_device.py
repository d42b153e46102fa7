"""A device in an emulated machine: started from the name of its section, on the bus that it was on."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.errors import SourceError
from vmdump.signals import TimeOut, time_limit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.emulator.machine import Machine

#: A hop of a device path: slot and function.
_HOP = re.compile(r"[0-9a-f]{2}\.[0-9a-f]")

#: Boards with a PCI Express root bus, preferred in this order: a part of the names of machine types.
_EXPRESS_BOARDS = ("q35", "virt", "sbsa-ref")

#: A disk for devices that need one.
_DISK = ("-blockdev", "null-co,node-name=disk,size=1048576,read-zeroes=on")

#: Most types that are tried, as each is a boot.
_MAX_TYPES = 4

#: The device's path in the QOM tree, by its id.
_ID, _PATH = "explained", "/machine/peripheral/explained"


class Binary(NamedTuple):
    """A QEMU binary to boot.

    Attributes:
        path: of the binary.
        machines: names of its machine types.
        sysroot: the tree that it was unpacked in, if any.
        machine: of -M, if any.
        timeout: limit for a boot, in seconds; None: the emulator's.
    """

    path: str
    machines: tuple[str, ...] = ()
    sysroot: str | None = None
    machine: str | None = None
    timeout: float | None = None


class EmulatedDevice(NamedTuple):
    """A device that was started, in the machine of a command line."""

    type: str
    arguments: list[str]
    machine: Machine

    @property
    def command_line(self) -> str:
        """The command line, without the device's id."""
        return " ".join(self.arguments).replace(f",id={_ID}", "")

    def properties(self) -> frozenset[str]:
        """Return the names of the type's properties; none if they can't be read."""
        try:
            found = self.machine.qmp("device-list-properties", typename=self.type)
        except (SourceError, KeyError):
            return frozenset()
        return frozenset(each["name"] for each in found)

    def values(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the values that properties have after realize, without those that can't be read."""
        found = {}
        for name in names:
            try:
                found[name] = self.machine.qmp("qom-get", path=_PATH, property=name)
            except (SourceError, KeyError):
                continue
        return found


def start_device(
    binary: Binary, section: str, types: Sequence[str], *, needs_express: bool = False
) -> EmulatedDevice | str:
    """Start a device on the kind of bus that it was on; return it, or the reason why it can't be started.

    Args:
        binary: the QEMU.
        section: the device's section: device path and name.
        types: QOM types that have the section.
        needs_express: PCI Express is needed, for a register beyond the first 256 bytes.
    """
    hops = len(_HOP.findall(section.rpartition("/")[0]))
    board = binary.machine or _board(binary.machines, express=needs_express or hops > 1)
    reasons = []
    for name in _candidates(types)[:_MAX_TYPES]:
        arguments = _command_line(name, board, behind_port=hops > 1)
        found = _boot(binary, name, arguments)
        if isinstance(found, str) and "drive" in found:
            found = _boot(binary, name, [*_DISK, *arguments[:-1], f"{arguments[-1]},drive=disk"])
        if isinstance(found, EmulatedDevice):
            return found
        reasons.append(found)
    return (reasons or ["no type has this section"])[0]


def _boot(binary: Binary, name: str, arguments: list[str]) -> EmulatedDevice | str:
    from vmdump.emulator.machine import boot

    limit = nullcontext() if binary.timeout is None else time_limit(binary.timeout)
    try:
        with limit:
            return EmulatedDevice(name, arguments, boot(binary.path, arguments, sysroot=binary.sysroot))
    except TimeOut:
        return f"it did not start within {binary.timeout:g} seconds; allow more with --timeout"
    except SourceError as error:
        return str(error).removeprefix(f"{binary.path}: ")


def _board(machines: Sequence[str], *, express: bool) -> str | None:
    """Return a machine type with the bus that is needed; None: the default."""
    if not express:
        return None
    return next((board for board in _EXPRESS_BOARDS if any(board in name.split("-")[:2] for name in machines)), None)


def _candidates(types: Sequence[str]) -> list[str]:
    """Return the types that may be PCI devices: a virtio device is wrapped by one."""
    wrapped = [f"{name.removesuffix('-device')}-pci" for name in types if name.endswith("-device")]
    return list(dict.fromkeys([*wrapped, *types]))


def _command_line(name: str, board: str | None, *, behind_port: bool) -> list[str]:
    """Return a command line that starts the device, on the bus that it was on."""
    first = ["-M", board] if board else []
    device = f"{name},id={_ID}"
    if not behind_port:
        return [*first, "-device", device]
    has_express = board is not None and any(each in board for each in _EXPRESS_BOARDS)
    port = "pcie-root-port,id=behind,chassis=1" if has_express else "pci-bridge,id=behind,chassis_nr=1"
    return [*first, "-device", port, "-device", f"{device},bus=behind"]


def as_option(value: object) -> str:
    """Return the value of a property as -device takes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)[:64]

"""Finds devices whose sections a saved VM has and a machine lacks, by adding candidates to the machine.

A section's name has the path of its device: PCI functions behind bridges, ports of USB, addresses of SCSI. Candidates
are the types whose description has the section's name, and those called like it, as virtio-net-pci for virtio-net. Of
those with which the machine sends the section, the one whose state at reset is most like the stream's is taken.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, NamedTuple

from vmdump.emulator.migration import save_stream
from vmdump.errors import SourceError, VmdumpError
from vmdump.machines.backends import device_argument
from vmdump.machines.plug import Rows
from vmdump.stream.walk import saved_vm_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.emulator.machine import Machine
    from vmdump.emulator.template import MachineTemplate

#: A section: its name and instance.
Key = tuple[str, int]

#: The path of a PCI function, through bridges, from a root bus; and what is behind the function.
_PCI = re.compile(
    r"(?P<bridge>(?:[0-9a-f]{4}:00|pci@[0-9a-f]+)(?::[0-9a-f]{2}\.[0-7])*):(?P<address>[0-9a-f]{2}\.[0-7])"
)

#: An address on a SCSI bus: channel, target and LUN. Source: hw/scsi/scsi-bus.c scsibus_get_dev_path.
_SCSI = re.compile(r"(\d+):(\d+):(\d+)")

#: Limits: types that are tried for a section, and devices that are found.
_MAX_CANDIDATES, MAX_DEVICES = 8, 64


def read_sections(machine: Machine) -> dict[Key, bytes]:
    """Return the state of each section that a machine sends. Raises MachineError."""
    with saved_vm_of(save_stream(machine)) as vm:
        return {(each.name, each.instance_id): bytes(each.body) for each in vm.sections}


#: Backends that only one device can use, and the options that create them.
_EXCLUSIVE = re.compile(r"\bvmdump-(?:chr|blk|net)\b")
_EXCLUSIVE_OPTIONS = ("-chardev", "-blockdev", "-netdev")

#: A TAP, which the features of some network devices depend on, and properties that all of these have.
TAP = ("-netdev", "tap,id=vmdump-net,ifname=tap0,script=no,downscript=no")
_OFFLOADING = frozenset(["netdev", "guest_csum"])


def numbered_backends(backends: Sequence[str], number: int) -> list[str]:
    """Return arguments that create those of the backends that only one device can use, under names with a number.

    >>> numbered_backends(["-chardev", "null,id=vmdump-chr", "-audiodev", "none,id=vmdump-aud"], 2)
    ['-chardev', 'null,id=vmdump-chr-2']
    """
    pairs = zip(backends[::2], backends[1::2], strict=True)
    return [
        each
        for option, value in pairs
        if option in _EXCLUSIVE_OPTIONS
        for each in (option, _EXCLUSIVE.sub(rf"\g<0>-{number}", value))
    ]


class Found(NamedTuple):
    """A device.

    Attributes:
        argument: of -device.
        section: name of the section that it was found for.
        number: of its backends, see numbered_backends; None: it has none of its own.
    """

    argument: str
    section: str
    number: int | None = None


class DeviceFinder:
    """Adds devices to a template until its machine has the sections of a stream."""

    def __init__(
        self, template: MachineTemplate, bare: Machine, open_dump: Callable[[], DeviceDump], *, has_tap: bool = False
    ) -> None:
        """Args:
        template: the board, with the backends of backend_arguments, and numbered ones up to MAX_DEVICES.
        bare: a machine that answers QMP.
        open_dump: returns the dump of the binary.
        has_tap: whether TAP is one of the backends.
        """
        self._template, self._rows = template, Rows(bare)
        self._types = {row["name"] for row in bare.qmp("qom-list-types", implements="device", abstract=False)}
        self._open_dump, self._has_tap = open_dump, has_tap
        self._dump: DeviceDump | None = None
        self._found: list[Found] = []
        #: Ids of the devices by path.
        self._ids: dict[str, str] = {}

    def find(self, wanted: Mapping[Key, bytes]) -> tuple[list[Found], list[str]]:
        """Return devices in the order in which they can be added, and the sections for which there is none.

        Args:
            wanted: the sections of the stream, and their state.
        """
        present, unknown = self._sent(()), []
        # What is behind a bridge or a controller has a longer path.
        for key in sorted(wanted, key=lambda each: each[0].count(":") + each[0].count("/")):
            path = _path(key[0])
            if key in present or path in self._ids:
                continue
            working = list(self._working(key, wanted, present.keys()))
            if not working:
                unknown.append(key[0])
                continue
            _, found, present = max(working, key=lambda each: each[0])
            self._found.append(found)
            if path:
                self._ids[path] = _id(path)
        sent = {name for name, _ in present}
        return self._found, list(dict.fromkeys(each for each in unknown if each not in sent))

    def _working(
        self, key: Key, wanted: Mapping[Key, bytes], present: AbstractSet[Key]
    ) -> Iterator[tuple[float, Found, dict[Key, bytes]]]:
        """Yield devices with which the machine sends a section, and all that it has sent before.

        Each with the similarity of the section's state, and what the machine sends.
        """
        before, number = [each.argument for each in self._found], len(self._found)
        for type_ in self._candidates(key[0])[:_MAX_CANDIDATES]:
            argument = self._argument(type_, key[0], wanted)
            if argument is None or number == MAX_DEVICES:
                continue
            argument, has_own = _EXCLUSIVE.subn(rf"\g<0>-{number}", argument)
            sent = self._sent([*before, argument])
            if key in sent and present <= sent.keys():
                yield _similarity(sent[key], wanted[key]), Found(argument, key[0], number if has_own else None), sent

    def _sent(self, arguments: Sequence[str]) -> dict[Key, bytes]:
        """Return the sections of the machine with devices; none if it does not start."""
        try:
            with self._template.boot(*arguments) as machine:
                return read_sections(machine)
        except SourceError:
            return {}

    def _candidates(self, section: str) -> list[str]:
        stem = section.rpartition("/")[2]
        if self._dump is None:
            self._dump = self._open_dump()
        try:
            named = [each.name for each in self._dump.find(section)]
        except VmdumpError:
            named = []
        words = [
            *named,
            *(each.removesuffix("-device") for each in named),
            stem.lower(),
            stem.lower().replace("_", "-"),
        ]
        spelled = (f"{each}{suffix}" for suffix in ("-pci", "-ccw", "", "-transitional") for each in words)
        return [each for each in dict.fromkeys(spelled) if each in self._types]

    def _argument(self, type_: str, section: str, wanted: Iterable[Key]) -> str | None:
        """Return the argument of -device at the place of a section; None: the device in front of it is not known."""
        path, rows = _path(section), self._rows[type_]
        if not path:
            return device_argument(type_, rows)
        names = {row["name"] for row in rows}
        extra = [f"id={_id(path)}", *(["netdev=vmdump-net"] if self._has_tap and names >= _OFFLOADING else [])]
        if place := _PCI.fullmatch(path):
            extra.append(f"addr={place['address']}")
            if place["bridge"] in self._ids:
                extra.append(f"bus={self._ids[place['bridge']]}")
            elif "." in place["bridge"]:
                return None
            if "chassis" in names:
                extra.append(f"chassis={len(self._found) + 1}")
            others = re.compile(re.escape(path[:-1]) + r"[1-7]\b")
            if path.endswith(".0") and any(others.match(each) for each, _ in wanted):
                extra.append("multifunction=on")
            return device_argument(type_, rows, extra)
        parent, _, address = path.rpartition("/")
        if parent not in self._ids:
            return None
        extra.append(f"bus={self._ids[parent]}.0")
        if "port" in names:
            extra.append(f"port={address}")
        elif (scsi := _SCSI.fullmatch(address)) and "scsi-id" in names:
            extra += [f"channel={scsi[1]}", f"scsi-id={scsi[2]}", f"lun={scsi[3]}"]
        return device_argument(type_, rows, extra)


def _path(section: str) -> str:
    """Return the path in a section's name; empty if it has none.

    >>> _path("0000:00:02.0:00.0/virtio-net"), _path("0000:00:1d.0/1/usb-ptr"), _path("serial")
    ('0000:00:02.0:00.0', '0000:00:1d.0/1', '')
    """
    return section.rpartition("/")[0]


def _similarity(state: bytes, other: bytes) -> float:
    """Return the share of equal bytes, from 0 to 1.

    >>> _similarity(b"abcd", b"abxd"), _similarity(b"a", b"ab")
    (0.75, 0.5)
    """
    equal: int = sum(map(operator.eq, state, other))
    return equal / max(len(state), len(other), 1)


def _id(path: str) -> str:
    """Return the id of a device.

    >>> _id("0000:00:02.0:00.0")
    'at-0000-00-02.0-00.0'
    """
    return "at-" + re.sub(r"[^0-9a-zA-Z.]", "-", path)

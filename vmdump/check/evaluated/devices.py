"""Arguments of -device that bring a section's device into a VM: itself, or a device that contains it.

Whether they do shows in the VM's list of sections, so candidates may be wrong. Properties that name a backend are found
by what QEMU says about them; the template of the machine has one backend of each kind.

Source: the descriptions of properties in QEMU's hw/core/qdev-properties-system.c; messages of qdev-monitor.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from vmdump.emulator.machine import Machine, MachineError

#: Backends, one of each kind, and the memory that they need.
BACKENDS = (
    "-m", "64,slots=4,maxmem=2G",
    "-object", "memory-backend-ram,id=memory0,size=134217728",
    "-blockdev", "driver=null-co,node-name=drive0,size=67108864,read-zeroes=on",
    "-chardev", "null,id=chardev0",
    "-netdev", "hubport,id=net0,hubid=0",
    "-audiodev", "none,id=audio0",
)  # fmt: skip

#: Values for properties, by type or by words of their description.
_VALUES = (
    (re.compile(r"link<memory-backend>"), "memory0"),
    (re.compile(r"block device"), "drive0"),
    (re.compile(r"chardev"), "chardev0"),
    (re.compile(r"netdev"), "net0"),
    (re.compile(r"audiodev"), "audio0"),
)

#: Devices that have a bus, by the name of the bus in QEMU's message.
_CONTROLLERS = {
    "sd-bus": "sdhci-pci", "usb-bus": "qemu-xhci", "SCSI": "virtio-scsi-pci", "virtio-serial-bus": "virtio-serial-pci",
    "HDA": "intel-hda", "ISA": "i82378", "ccid-bus": "usb-ccid",
}  # fmt: skip
_NO_BUS = re.compile(r"No '([^']+)' bus found for device")

#: Limit of devices that may contain a type.
_CONTAINERS_MAX = 6

#: Concrete types of templates' machines, by the type that they implement.
_types: WeakKeyDictionary[Machine, dict[str, frozenset[str]]] = WeakKeyDictionary()


def is_concrete(machine: Machine, type_: str) -> bool:
    """Return whether a VM can have an object of a type: it is known, and not abstract."""
    return type_ in _concrete_types(machine, "object")


def _concrete_types(machine: Machine, implements: str) -> frozenset[str]:
    """Return the types of a template's machine that implement a type and are not abstract."""
    known = _types.setdefault(machine, {})
    if implements not in known:
        found = machine.qmp("qom-list-types", implements=implements, abstract=False)
        known[implements] = frozenset(each["name"] for each in found)
    return known[implements]


def candidates(machine: Machine, type_: str) -> Iterator[str]:
    """Iterate over device types that may bring a type into a VM, the most likely first."""
    known = _concrete_types(machine, "device")
    if type_ in known:
        yield type_
    stem = type_.removesuffix("-device").removesuffix("-common").lower()
    similar = [name for name in known if name != type_ and name.lower().startswith(stem)]
    yield from sorted(similar, key=lambda name: (not name.endswith("-pci"), len(name), name))[:_CONTAINERS_MAX]


def devices_named_in(machine: Machine, description: str) -> Iterator[str]:
    """Iterate over device types whose names begin as a description's does, by the longest beginning that any has."""
    words = description.split("-")
    for count in range(len(words), 0, -1):
        found = list(candidates(machine, "-".join(words[:count])))
        if found:
            yield from found
            return


def with_backends(machine: Machine, device: str) -> str | None:
    """Return the argument with all properties that name a backend; None: it has none."""
    values = []
    for each in machine.qmp("device-list-properties", typename=device):
        value = _value(each)
        if value is not None:
            values.append(f"{each['name']}={value}")
    return ",".join([device, *values]) if values else None


def _value(described: dict[str, Any]) -> str | None:
    words = described["type"], described.get("description", "")
    if described["type"] not in ("str", "link<memory-backend>"):
        return None
    return next((value for pattern, value in _VALUES if any(map(pattern.search, words))), None)


def completed(arguments: Sequence[str], error: MachineError) -> list[str] | None:
    """Return arguments with what QEMU's message asks for: a bus, or no ROM file; None: nothing known."""
    bus = _NO_BUS.search(str(error))
    if bus is not None and bus[1] in _CONTROLLERS and _CONTROLLERS[bus[1]] not in arguments:
        return [_CONTROLLERS[bus[1]], *arguments]
    if "romfile" in str(error):
        plain = [each for each in arguments if "romfile=" not in each]
        missing = next((each for each in plain if f"-device {each}:" in str(error)), None)
        if missing is not None:
            return [f"{each},romfile=" if each == missing else each for each in arguments]
    return None

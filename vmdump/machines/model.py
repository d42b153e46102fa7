"""A machine type, and the machine that QEMU creates for it, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

#: A value of a QOM property, as QMP returns it.
Value = Any


@dataclass(frozen=True, slots=True)
class CompatProperty:
    """A compat property of a machine type: an entry of MachineClass.compat_props.

    Attributes:
        driver: QOM type that it applies to, with its subtypes.
        property: name of the property.
        value: as QEMU parses it (``off``, ``0x1000``).
    """

    driver: str
    property: str
    value: str


@dataclass(frozen=True, slots=True)
class MachineInfo:
    """A machine type, without a machine: what query-machines returns, and the compat properties.

    Attributes:
        name: for example ``pc-q35-7.2``.
        alias: other name, such as ``q35``; None if there is none.
        is_default: QEMU's default machine type.
        is_deprecated: QEMU warns when it is used.
        default_cpu_type: QOM type of the default CPU.
        default_ram_id: id of the RAM block of the main memory.
        cpu_max: maximum number of CPUs.
        compat_props: in the order in which QEMU applies them; later entries override earlier ones.
    """

    name: str
    alias: str | None
    is_default: bool
    is_deprecated: bool
    default_cpu_type: str | None = None
    default_ram_id: str | None = None
    cpu_max: int | None = None
    compat_props: tuple[CompatProperty, ...] = ()


@dataclass(frozen=True, slots=True)
class Property:
    """A property of an object in the machine.

    Attributes:
        name: name of the property.
        type: QOM's name of the type (``bool``, ``uint32``, ``link<pci-bus>``).
        value: as qom-get returns it; None if it cannot be read.
        error: why it cannot be read.
    """

    name: str
    type: str
    value: Value = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class QomObject:
    """An object of the QOM tree of a machine.

    Attributes:
        path: its canonical path (``/machine/q35/mch``).
        type: QOM type.
        properties: all properties except children.
    """

    path: str
    type: str
    properties: tuple[Property, ...] = ()

    def value(self, name: str) -> Value:
        """Return the value of a property; None if the object has no such property."""
        return next((each.value for each in self.properties if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the migration stream.

    Attributes:
        idstr: for example ``0000:00:1f.2/ich9_ahci``.
        instance_id: distinguishes sections of the same idstr.
        version: version_id of the state.
    """

    idstr: str
    instance_id: int
    version: int


@dataclass(frozen=True, slots=True)
class RamBlock:
    """A RAM block that is migrated: its idstr, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the saved state.

    Attributes:
        section: ``idstr instance_id`` of its section.
        path: names from the section's description down, as ``parent_obj.config`` or ``virtio/64bit_features/x``.
        data: the bytes in the migration stream; of an array, those of all elements.
        size: bytes of an element.
        type: name of the VMStateInfo (``uint32``, ``pci config``).
    """

    section: str
    path: str
    data: bytes
    size: int
    type: str = ""


@dataclass(frozen=True, slots=True)
class Cpu:
    """The first CPU of a machine.

    Attributes:
        type: QOM type.
        features: CPU features and other boolean properties, by name.
        feature_words: feature words of an x86 CPU as QEMU returns them: CPUID leaf, register and value.
        registers: system registers that are migrated (Arm): index and value at reset, in hex.
    """

    type: str
    features: dict[str, bool]
    feature_words: tuple[dict[str, Value], ...] = ()
    registers: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class MachineType:
    """A machine type, and the machine that it creates without further devices.

    Attributes:
        info: name, defaults and compat properties.
        devices: the QOM tree of the machine below ``/machine``, parents before children.
        sections: of the migration stream, in order.
        ram_blocks: migrated RAM blocks, in order.
        cpu: the first CPU; None if the machine has none.
        default_devices: QOM types of the devices that QEMU adds by default (NIC, display, drives, serial ports), unless
            ``-nodefaults`` is given.
        compat_effects: for each compat property, an Effect.
        ram_size: default RAM size in bytes; None: unknown.
        why_no_sections: why there are no sections and RAM blocks, in words; None if there are.
        missed_functions: host functions that the machine's code called and the emulator lacks. If there are any, the
            machine may differ from a real one.

    >>> machine = MachineType(MachineInfo("none", None, False, False), (), (), (), None)
    >>> machine.name, list(machine.to_json())[:3]
    ('none', ['name', 'alias', 'default'])
    """

    info: MachineInfo
    devices: tuple[QomObject, ...]
    sections: tuple[Section, ...]
    ram_blocks: tuple[RamBlock, ...]
    cpu: Cpu | None
    default_devices: tuple[str, ...] = ()
    compat_effects: tuple[str, ...] = ()
    ram_size: int | None = None
    why_no_sections: str | None = None
    missed_functions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For example ``pc-q35-7.2``."""
        return self.info.name

    @property
    def alias(self) -> str | None:
        """Other name, such as ``q35``."""
        return self.info.alias

    @property
    def compat_props(self) -> tuple[CompatProperty, ...]:
        """See MachineInfo."""
        return self.info.compat_props

    def device(self, path_or_type: str) -> QomObject:
        """Return the first object with this path or type. Raises KeyError."""
        for each in self.devices:
            if path_or_type in (each.path, each.type):
                return each
        raise KeyError(path_or_type)

    def to_json(self) -> dict[str, Value]:
        """Return the JSON object of ``vmdump machines SOURCE NAME --json``."""
        info = self.info
        return {
            "name": info.name,
            "alias": info.alias,
            "default": info.is_default,
            "deprecated": info.is_deprecated,
            "compat_props": [asdict(each) for each in info.compat_props],
            "devices": [
                {
                    "path": each.path,
                    "type": each.type,
                    "properties": {known.name: known.value for known in each.properties if known.error is None},
                }
                for each in self.devices
            ],
            "sections": [asdict(each) for each in self.sections],
            "ram_blocks": [asdict(each) for each in self.ram_blocks],
            "cpu": None if self.cpu is None else asdict(self.cpu),
        }

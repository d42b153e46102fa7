"""Choosing a machine type: by name or alias, the default one, and all in the order of QEMU's ``-M help``.

>>> from vmdump.qom import TypeInfo, TypeTable, register_base_types
>>> def q35_class_init(klass, data):
...     klass.alias = "q35"
>>> table = TypeTable()
>>> register_base_types(table)
>>> _ = table.type_register(TypeInfo("pc-q35-8.2-machine", parent="machine", class_init=q35_class_init))
>>> find_machine(table, "q35").name
'pc-q35-8.2'

Source: QEMU 8.2.2 system/vl.c.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from vmdump.errors import QOMError
from vmdump.qom import TYPE_MACHINE, MachineClass, TypeTable


def find_machine(table: TypeTable, name: str) -> MachineClass:
    """The machine type with this name ("pc-q35-8.2", "none") or alias ("q35").

    Raises QOMError when there is none. Source: QEMU 8.2.2 system/vl.c find_machine, select_machine.

    >>> from vmdump.qom import register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> find_machine(table, "q36")
    Traceback (most recent call last):
    vmdump.errors.QOMError: unsupported machine type 'q36'; use -M help to list supported machines
    """
    for machine in _machines(table):
        if name in (machine.name, machine.alias):
            return machine
    raise QOMError(f"unsupported machine type '{name}'; use -M help to list supported machines")


def find_default_machine(table: TypeTable) -> MachineClass | None:
    """The machine type that QEMU takes without ``-M``; None when there is no default.

    Raises QOMError when there are several. Source: QEMU 8.2.2 system/vl.c find_default_machine.

    >>> from vmdump.qom import register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> find_default_machine(table)
    """
    defaults = [machine for machine in _machines(table) if machine.is_default]
    if len(defaults) > 1:
        names = ", ".join(sorted(machine.name for machine in defaults))
        raise QOMError(f"Multiple default machines: {names}; only one may set is_default, and children inherit it")
    return defaults[0] if defaults else None


def machine_list(table: TypeTable) -> list[MachineClass]:
    """All machine types as ``-M help`` lists them: by family, each from the highest name down, then those without one.

    Source: QEMU 8.2.2 system/vl.c machine_class_cmp. It compares names as strings: 2.9 stands before 2.12.

    >>> from vmdump.qom import TypeInfo, register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> for name in "none", "microvm", "isapc":
    ...     _ = table.type_register(TypeInfo(f"{name}-machine", parent="machine"))
    >>> [machine.name for machine in machine_list(table)]
    ['isapc', 'microvm', 'none']
    """
    return in_help_order(_machines(table))


def machine_help(table: TypeTable) -> str:
    """What ``-M help`` prints: name, description, and whether it is an alias, the default or deprecated.

    Source: QEMU 8.2.2 system/vl.c machine_help_func.

    >>> from vmdump.qom import TypeInfo, register_base_types
    >>> def q35_class_init(klass, data):
    ...     klass.alias, klass.desc = "q35", "Standard PC (Q35 + ICH9, 2009)"
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> _ = table.type_register(TypeInfo("pc-q35-8.2-machine", parent="machine", class_init=q35_class_init))
    >>> print(machine_help(table), end="")
    Supported machines are:
    q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-8.2)
    pc-q35-8.2           Standard PC (Q35 + ICH9, 2009)
    """
    return help_text(_machines(table))


class Machine(Protocol):
    """What -M help tells of a machine type, wherever it comes from."""

    @property
    def name(self) -> str:
        """As in MachineClass, and so on."""

    @property
    def alias(self) -> str | None: ...

    @property
    def desc(self) -> str | None: ...

    @property
    def family(self) -> str | None: ...

    @property
    def is_default(self) -> bool: ...

    @property
    def deprecation_reason(self) -> str | None: ...


_M = TypeVar("_M", bound=Machine)


def in_help_order(machines: Iterable[_M]) -> list[_M]:
    """The machine types in the order of machine_list."""
    by_name = sorted(machines, key=lambda machine: f"{machine.name}-machine")
    standalone = [machine for machine in by_name if machine.family is None]
    families = [machine for machine in reversed(by_name) if machine.family is not None]
    return sorted(families, key=lambda machine: machine.family or "") + standalone


def help_text(machines: Iterable[Machine]) -> str:
    """What machine_help prints, of any machine types."""
    lines = ["Supported machines are:\n"]
    for machine in in_help_order(machines):
        desc = machine.desc or ""
        if machine.alias:
            lines.append(f"{machine.alias:<20} {desc} (alias of {machine.name})\n")
        remarks = (" (default)" if machine.is_default else "") + (" (deprecated)" if machine.deprecation_reason else "")
        lines.append(f"{machine.name:<20} {desc}{remarks}\n")
    return "".join(lines)


def _machines(table: TypeTable) -> list[MachineClass]:
    """In the order in which QEMU looks for a name."""
    classes = table.object_class_get_list(TYPE_MACHINE, include_abstract=False)
    return [machine for machine in classes if isinstance(machine, MachineClass)]

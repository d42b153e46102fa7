"""Machine types: lookup by name or alias, the default, and the list of ``-M help``.

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
    """Return the machine type with a name ("pc-q35-8.2", "none") or alias ("q35").

    Raises:
        QOMError: there is no such machine type.

    Source: QEMU 8.2.2 system/vl.c find_machine, select_machine.

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
    raise QOMError(unsupported(name, _machines(table)))


def unsupported(name: str, machines: Iterable[Machine]) -> str:
    """Return QEMU's error message for an unknown machine type, with a suggestion."""
    from vmdump.suggestion import did_you_mean

    known = [known for machine in machines for known in (machine.name, machine.alias) if known]
    hint = did_you_mean(name, known)
    return f"unsupported machine type '{name}'; use -M help to list supported machines" + (f"; {hint}" if hint else "")


def find_default_machine(table: TypeTable) -> MachineClass | None:
    """Return the machine type that QEMU uses without ``-M``, or None if there is no default.

    Raises:
        QOMError: there are several defaults.

    Source: QEMU 8.2.2 system/vl.c find_default_machine.

    >>> from vmdump.qom import register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> find_default_machine(table)
    """
    defaults = [machine for machine in _machines(table) if machine.is_default]
    if len(defaults) > 1:
        names = ", ".join(sorted(machine.name for machine in defaults))
        raise QOMError(f"Multiple default machines: {names}; only one may set is_default, which is inherited")
    return defaults[0] if defaults else None


def machine_list(table: TypeTable) -> list[MachineClass]:
    """Return all machine types in the order of ``-M help``: families, each in descending order of names, then the rest.

    Source: QEMU 8.2.2 system/vl.c machine_class_cmp. Names are compared as strings: 2.9 precedes 2.12.

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
    """Return the output of ``-M help``: names, descriptions, aliases, and which are the default and deprecated.

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
    """Properties of a machine type that -M help uses."""

    @property
    def name(self) -> str:
        """As in MachineClass; so are the others."""

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
    """Return machine types in the order of machine_list."""
    by_name = sorted(machines, key=lambda machine: f"{machine.name}-machine")
    standalone = [machine for machine in by_name if machine.family is None]
    families = [machine for machine in reversed(by_name) if machine.family is not None]
    return sorted(families, key=lambda machine: machine.family or "") + standalone


def help_text(machines: Iterable[Machine]) -> str:
    """Return the text of machine_help for any machine types."""
    lines = ["Supported machines are:\n"]
    for machine in in_help_order(machines):
        desc = machine.desc or ""
        if machine.alias:
            lines.append(f"{machine.alias:<20} {desc} (alias of {machine.name})\n")
        remarks = (" (default)" if machine.is_default else "") + (" (deprecated)" if machine.deprecation_reason else "")
        lines.append(f"{machine.name:<20} {desc}{remarks}\n")
    return "".join(lines)


def _machines(table: TypeTable) -> list[MachineClass]:
    """Return the machine types in the order in which QEMU compares names."""
    classes = table.object_class_get_list(TYPE_MACHINE, include_abstract=False)
    return [machine for machine in classes if isinstance(machine, MachineClass)]

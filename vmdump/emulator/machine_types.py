"""Machine types of an image and their selection by -M. Imported for cached images, too."""

from __future__ import annotations

from collections import namedtuple

from vmdump.errors import SourceError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterable


class MachineType(namedtuple("MachineType", ("name", "alias", "desc", "family", "deprecation_reason", "is_default"))):
    """A machine type of an image; see vmdump.qom.MachineClass."""

    __slots__ = ()

    name: str
    alias: str | None
    desc: str | None
    family: str | None
    deprecation_reason: str | None
    is_default: bool


def choose_machine(machines: Iterable[MachineType], machine: str | None, path: str) -> str:
    """Return the name of the machine type for -M: a name or alias; None: the default one, else "none".

    Raises:
        SourceError: unknown machine type. The message names the binary at path.
    """
    machines = list(machines)
    if machine is None:
        return next((each.name for each in machines if each.is_default), "none")
    for each in machines:
        if machine in (each.name, each.alias):
            return each.name
    from vmdump.qom.machines import unsupported

    raise SourceError(f"{path}: {unsupported(machine, machines)}")

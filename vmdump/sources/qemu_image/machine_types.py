"""The machine types of an image, and choosing one of them, as QEMU does; an image from the cache needs no more."""

from __future__ import annotations

from collections import namedtuple

from vmdump.errors import SourceError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterable


class MachineType(namedtuple("MachineType", ("name", "alias", "desc", "family", "deprecation_reason", "is_default"))):
    """A machine type of an image; as in vmdump.qom.MachineClass."""

    __slots__ = ()

    name: str
    alias: str | None
    desc: str | None
    family: str | None
    deprecation_reason: str | None
    is_default: bool


def choose_machine(machines: Iterable[MachineType], machine: str | None, path: str) -> str:
    """The name of the machine type that -M machine means, a name or alias; None: the default one's, else "none".

    Raises SourceError, which names the binary at path.
    """
    if machine is None:
        return next((each.name for each in machines if each.is_default), "none")
    for each in machines:
        if machine in (each.name, each.alias):
            return each.name
    raise SourceError(f"{path}: unsupported machine type '{machine}'; use -M help to list supported machines")

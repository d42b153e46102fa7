"""Finds uninitialised memory that is sent: two boots differ only in the bytes that malloc returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmdump.errors import SourceError
from vmdump.machines.answers import Answers as Cache
from vmdump.machines.reader import Source, machine_arguments, saved_stream

if TYPE_CHECKING:
    from vmdump.check.evaluated.evaluation import ImageOfMachine
    from vmdump.machines.model import Field

#: Bytes that fill memory from malloc.
_FILLS = (0xA5, 0x5A)


@dataclass(frozen=True, slots=True)
class Uninitialised:
    """A section with uninitialised bytes: their number, that of all bytes, and the fields that they are in."""

    section: str
    count: int
    total: int
    fields: tuple[str, ...]


def find_uninitialised(
    image: ImageOfMachine, *, cache: bool = True, timeout: float | None = None
) -> tuple[Uninitialised, ...]:
    """Return the sections of the machine type's VMs with uninitialised bytes.

    Raises:
        SourceError: no VM of the machine type can be booted or saved.
    """
    source = Source(image.path, image.sysroot, image.host)
    known = Cache(source, cache=cache, timeout=timeout)
    found = known.get(
        ("uninitialised", image.machine), list[Uninitialised], lambda: list(_compare(source, image.machine))
    )
    return tuple(found)


def _compare(source: Source, machine: str) -> list[Uninitialised]:
    first, second = (saved_stream(source.boot(machine_arguments(machine), fill=fill)).fields for fill in _FILLS)
    if [(each.section, each.path) for each in first] != [(each.section, each.path) for each in second]:
        raise SourceError(f"{source.path}: the sections of {machine} depend on uninitialised memory")
    sections: dict[str, list[tuple[Field, int]]] = {}
    for one, other in zip(first, second, strict=True):
        differing = sum(a != b for a, b in zip(one.data, other.data, strict=False))
        sections.setdefault(one.section, []).append((one, differing))
    return [
        Uninitialised(
            section.rpartition(" ")[0],
            sum(count for _, count in fields),
            sum(len(field.data) for field, _ in fields),
            tuple(field.path for field, count in fields if count),
        )
        for section, fields in sections.items()
        if any(count for _, count in fields)
    ]

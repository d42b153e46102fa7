"""The context of a line, from other lines of the text and from a binary: the section, its types, the field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vmdump.explain.pci_config import PciConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from vmdump.explain.image import ImageFacts

#: Label and text of a row of an explanation.
Row = tuple[str, str]

#: Most types that are listed.
_MAX_TYPES = 6

#: Offset of the first capability's pointer; registers before it are the same in all devices.
_CAPABILITIES_POINTER = 0x34

#: Machine types with a version: family and version.
_VERSIONED = re.compile(r"(.+)-(\d+)\.(\d+)$")


class Context:
    """What is known apart from the line itself.

    ``section``: section that failed, as in QEMU's lines (``0000:00:02.0/e1000``); ``field_failed``: description and
    field; ``has_cause``: one of the lines says why; ``image``: facts of a binary, or None.
    """

    def __init__(self, image: ImageFacts | None = None) -> None:
        self.image = image
        self.section: str | None = None
        self.field_failed: tuple[str, str] | None = None
        self.has_cause = False

    def types_of(self, name: str) -> Iterator[Row]:
        """Yield the types of the binary whose section, or a part of it, has a name."""
        if self.image is None:
            return
        types = self.image.types_of(name)
        if types:
            more = f" and {len(types) - _MAX_TYPES} more" if len(types) > _MAX_TYPES else ""
            yield "types", ", ".join(types[:_MAX_TYPES]) + more
        else:
            near = self.image.names_like(name)
            hint = f"; similar: {', '.join(near)}" if near else ""
            yield "types", f"none in {self.image.label} has such a section{hint}"

    def type_row(self, name: str) -> Iterator[Row]:
        """Yield whether the binary has a type."""
        if self.image is not None:
            has = self.image.has_string(name)
            yield "in the binary", f"{self.image.label} {'contains the name' if has else 'has no type'} {name}"

    def field(self, description: str, name: str, compared: Mapping[str, str]) -> Iterator[Row]:
        """Yield the encoding of a field in the binary, and what the load function compares."""
        if self.image is None:
            return
        encoding = self.image.encoding_of(description, name)
        if encoding:
            text = f"{encoding}: {compared[encoding]}" if encoding in compared else encoding
            yield "encoding", text

    def defects_of(self, name: str) -> Iterator[Row]:
        """Yield the defects of a section's description in the binary, which lint finds."""
        if self.image is not None:
            for defect in self.image.defects_of(name)[:_MAX_TYPES]:
                yield "defect", defect

    def hooks_of(self, name: str) -> Iterator[Row]:
        """Yield the descriptions in a section that have hooks, which may refuse a state without a message."""
        if self.image is None:
            return
        hooks = self.image.hooks_of(name)
        if hooks:
            more = f" and {len(hooks) - _MAX_TYPES} more" if len(hooks) > _MAX_TYPES else ""
            yield "hooks", ", ".join(hooks[:_MAX_TYPES]) + more

    def version(self, name: str, incoming: int) -> Iterator[Row]:
        """Yield the versions that the binary accepts of a description."""
        vmsd = self.image.description_of(name) if self.image else None
        if vmsd is None or self.image is None:
            return
        least = vmsd.minimum_version_id
        yield "in the binary", f"version {vmsd.version_id}, minimum {least}"
        if least <= incoming <= vmsd.version_id:
            yield "note", f"{self.image.label} accepts version {incoming}: another QEMU printed the line"

    def migratable(self, name: str) -> Iterator[Row]:
        """Yield whether the binary can migrate a section."""
        vmsd = self.image.description_of(name) if self.image else None
        if vmsd is not None and self.image is not None:
            can = f"can be migrated: {self.image.label} did not print the line"
            yield "in the binary", "unmigratable" if vmsd.unmigratable else can

    def pci_config(self, offset: int, properties: Iterable[str] = ()) -> PciConfig:
        """Return the configuration space of the section's device in an emulated machine.

        Without a binary, or if the device can't be started, it has no data, and a reason if there is one.
        """
        if self.image is None or offset < _CAPABILITIES_POINTER:
            return PciConfig(None, "")
        if self.section is None:
            return PciConfig(None, "unknown: no line names the device (error while loading state ... of device '...')")
        return self.image.pci_config(self.section, offset, properties)

    def machines(self, sent: str, local: str) -> Iterator[Row]:
        """Yield how two machine types are related, and whether the binary has the first."""
        ours, theirs = _VERSIONED.match(local), _VERSIONED.match(sent)
        if ours and theirs and ours[1] == theirs[1]:
            newer = (int(theirs[2]), int(theirs[3])) > (int(ours[2]), int(ours[3]))
            yield "versions", f"the same family; the source's type is {'newer' if newer else 'older'}"
        elif ours and theirs:
            yield "versions", f"different families: {theirs[1]} and {ours[1]} are different hardware"
        yield from self.machine(sent)

    def machine(self, name: str) -> Iterator[Row]:
        """Yield whether the binary has a machine type, else the similar ones."""
        if self.image is None:
            return
        if self.image.has_machine(name):
            yield "in the binary", f"{self.image.label} has the machine type {name}"
            return
        like = self.image.machines_like(name)
        known = f"; it has {like[0]}" if like else ""
        more = f" to {like[-1]}" if len(like) > 1 else ""
        yield "in the binary", f"{self.image.label} does not have the machine type {name}{known}{more}"

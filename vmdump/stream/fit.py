"""Fit a description to what a stream sent, for a check of the stream against a QEMU.

The result describes what was sent in the destination's terms. A field that was sent is the destination's, with the size
and number of elements that were sent; a field with a test that was not sent keeps its test, which source and
destination evaluate alike if their VMs are configured alike; a field without a test that was not sent is missing; what
the destination lacks is added.
"""

from __future__ import annotations

import msgspec

from vmdump.qemu import vmstate_flags as flags
from vmdump.stream.describe import Describer, clean, runs
from vmdump.stream.values import BOOLS, SIGNED, UNSIGNED
from vmdump.vmstate.model import VMStateDescription, VMStateField

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any

_WIRE_SIZES = {**UNSIGNED, **SIGNED, **BOOLS}

#: VMStateInfos whose size in the stream is the field's.
_BUFFERS = ("buffer", "unused_buffer", "pci config")


class Fitter:
    """Fits descriptions of a destination to objects of a vmdescription."""

    def __init__(self, *, detailed: bool) -> None:
        """Args: detailed: the destination's descriptions have VMStateInfos."""
        self._describer = Describer(detailed=detailed)
        self._detailed = detailed

    def fit(self, vmsd: VMStateDescription, sent: dict[str, Any], version: int) -> VMStateDescription:
        """Return the description of a source of this version that sends an object of the vmdescription."""
        subsections = [each for each in sent.get("subsections") or () if isinstance(each, dict)]
        by_name = {each.get("vmsd_name"): each for each in subsections}
        fitted = [
            each if each.name not in by_name else self.fit(each, by_name[each.name], _version(by_name[each.name], each))
            for each in vmsd.subsections or ()
        ]
        known = {each.name for each in fitted}
        fitted += [self._describer.description(each) for name, each in by_name.items() if name not in known]
        return msgspec.structs.replace(
            vmsd,
            version_id=version,
            minimum_version_id=min(vmsd.minimum_version_id, version),
            fields=self._fields(vmsd, sent, version),
            subsections=fitted or None,
        )

    def _fields(self, vmsd: VMStateDescription, sent: dict[str, Any], version: int) -> list[VMStateField]:
        """Align the fields of a description with those that were sent, in order."""
        entries = list(runs(sent))
        names = _wire_names(vmsd)
        fields = []
        at = 0
        for field, name in zip(vmsd.fields or (), names, strict=True):
            ahead = next((i for i in range(at, len(entries)) if entries[i][0] == name), None)
            if ahead is not None:
                fields += [self._describer.field(*each, 0) for each in entries[at:ahead]]
                fields.append(self._field(field, entries[ahead][1]))
                at = ahead + 1
            elif _may_be_absent(field, version):
                fields.append(field)
        fields += [self._describer.field(*each, 0) for each in entries[at:]]
        return fields

    def _field(self, field: VMStateField, entries: list[dict[str, Any]]) -> VMStateField:
        """Return a field with the size and the number of elements that were sent."""
        struct, size = entries[0].get("struct"), entries[0].get("size")
        if field.vmsd is not None and isinstance(struct, dict) and int(field.flags) & (flags.STRUCT | flags.VSTRUCT):
            version = _version(struct, field.vmsd)
            return msgspec.structs.replace(field, vmsd=self.fit(field.vmsd, struct, version))
        info = field.info.name if field.info else None
        wire = field.size if info in _BUFFERS or (info is None and not self._detailed) else _WIRE_SIZES.get(info or "")
        is_fixed = not int(field.flags) & (flags.VBUFFER | flags.VARRAY)
        if is_fixed and wire is not None and isinstance(size, int) and size != wire:
            return self._describer.field(clean(field.name), entries, 0)
        count = self._describer.field("", entries, 0).num
        if int(field.flags) & flags.ARRAY and is_fixed and field.vmsd is None and count and count != field.num:
            return msgspec.structs.replace(field, num=count)
        return field


def _may_be_absent(field: VMStateField, version: int) -> bool:
    """Return whether a source may send a field of its version with no bytes, or not at all."""
    kind = int(field.flags)
    has_length = kind & (flags.VARRAY | flags.VBUFFER)
    return bool(field.field_exists or field.version_id > version or has_length or kind & flags.MUST_EXIST)


def _version(sent: dict[str, Any], vmsd: VMStateDescription) -> int:
    version = sent.get("version")
    return version if isinstance(version, int) and 0 <= version < 1 << 31 else vmsd.version_id


def _wire_names(vmsd: VMStateDescription) -> list[str]:
    """Return the names of fields in the vmdescription, which numbers those that share one."""
    names = [field.name or "" for field in vmsd.fields or ()]
    seen: dict[str, int] = {}
    result = []
    for name in names:
        if names.count(name) > 1:
            number = seen[name] = seen.get(name, -1) + 1
            result.append(f"{name}[{number}]")
        else:
            result.append(name)
    return result

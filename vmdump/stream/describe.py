"""VMStateDescriptions of what a stream sent, from its vmdescription."""

from __future__ import annotations

from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

#: Limits of a description: fields and depth.
_MAX_FIELDS, _MAX_DEPTH = 100_000, 100


class Describer:
    """Makes descriptions of the objects of a vmdescription. Those that are equal are one."""

    def __init__(self, *, detailed: bool) -> None:
        """Args: detailed: keep the names of VMStateInfos, as descriptions of QEMU binaries do."""
        self._detailed = detailed
        self._left = _MAX_FIELDS

    def description(self, sent: dict[str, Any], version: int | None = None, depth: int = 0) -> VMStateDescription:
        """Return the description of an object with "vmsd_name", "version", "fields" and "subsections"."""
        own = sent.get("version")
        if version is None:
            version = own if isinstance(own, int) and 0 <= own < 1 << 31 else 0
        fields = [self.field(name, entries, depth) for name, entries in runs(sent)]
        subsections = [
            self.description(each, None, depth + 1)
            for each in sent.get("subsections") or ()
            if isinstance(each, dict) and isinstance(each.get("vmsd_name"), str) and depth < _MAX_DEPTH
        ]
        return VMStateDescription(
            clean(sent.get("vmsd_name")), version_id=version, fields=fields, subsections=subsections or None,
            detailed=self._detailed,
        )  # fmt: skip

    def field(self, name: str, entries: list[dict[str, Any]], depth: int) -> VMStateField:
        """Return the field of the entries of an array, or of a single one."""
        self._left -= 1
        first = entries[0]
        size = first.get("size")
        struct = first.get("struct")
        count = sum(_count(each) for each in entries)
        is_array = len(entries) > 1 or "array_len" in first or "index" in first
        vmsd = None
        if isinstance(struct, dict) and depth < _MAX_DEPTH and self._left > 0:
            vmsd = self.description(struct, None, depth + 1)
        info = first.get("type") if vmsd is None and self._detailed else None
        return VMStateField(
            clean(name),
            size=size if isinstance(size, int) and 0 <= size < 1 << 40 else 0,
            num=count if is_array else 0,
            flags=(VMStateFlags.ARRAY if is_array else VMStateFlags.SINGLE) | (VMStateFlags.STRUCT if vmsd else 0),
            info=VMStateInfo(info) if isinstance(info, str) else None,
            vmsd=vmsd,
        )


def runs(sent: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the name and the entries of each field. The entries of an array follow each other.

    QEMU numbers the names of fields that share one: ``config[1]``.
    """
    entries: list[dict[str, Any]] = []
    for each in sent.get("fields") or ():
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            continue
        if entries and each["name"] != entries[0]["name"]:
            yield entries[0]["name"], entries
            entries = []
        entries.append(each)
    if entries:
        yield entries[0]["name"], entries


def _count(entry: dict[str, Any]) -> int:
    count = entry.get("array_len", 1)
    return count if isinstance(count, int) and 0 <= count < 1 << 24 else 1


def clean(name: object) -> str:
    """Return a name that a dump can have: what JSON would escape is replaced."""
    text = name if isinstance(name, str) else ""
    return "".join(each if each.isprintable() and each not in '"\\' else "?" for each in text) or "unnamed"

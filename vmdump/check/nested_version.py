"""Find the version of a nested struct in the stream.

The stream has no versions of nested structs; a device may send one as a field of the struct around it, ahead of the
nested struct, and let run-time tests of the nested fields check it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.stream import FIXED, INFO_BYTES
from vmdump.check.tree_view import ARRAY, NOT_TOLD, POINTER

if TYPE_CHECKING:
    from vmdump.check.stream import Item, Stream
    from vmdump.check.tree_view import Description, Field


def newer_version(item: Item, sent: Stream, read: Stream) -> dict[str, str | int] | None:
    """Return the facts of a nested struct whose version is in the stream and newer than the destination's.

    A field of the struct around it sends it: it lies within the nested struct, whose own fields do not include it, and
    precedes it in the stream. Fields that only the newer version has are then always sent. None: no field does so.
    """
    if item.kind is not FIXED:
        return None
    prefix = item.path[: -len(item.name)]
    source, destination = sent.parts.get(prefix), read.parts.get(prefix)
    around = sent.parts.get(prefix.rstrip(".").rpartition(".")[0])
    around = around or sent.parts.get("")
    if source is not item.description or destination is None or around is None or destination.name != source.name:
        return None
    carrier = _carrier(around, source)
    if carrier is None or source.version_id <= destination.version_id:
        return None
    return {"carrier": carrier.name, "version": source.version_id, "local": destination.version_id}


def version_of(name: str, stream: Stream) -> int | None:
    """Version of the flattened description of a name; None: there is none."""
    return next((vmsd.version_id for vmsd in stream.parts.values() if vmsd.name == name), None)


def _carrier(around: Description, nested: Description) -> Field | None:
    """The number among the fields of a struct that lies within its nested struct and is sent before it."""
    for index, inner in enumerate(around.fields):
        if inner.vmsd is not nested or inner.flags & (POINTER | ARRAY) or inner.offset == NOT_TOLD:
            continue
        own = {inner.offset + each.offset for each in nested.fields}
        for field in around.fields[:index]:
            within = inner.offset <= field.offset < inner.offset + inner.size
            if within and field.offset not in own and field.info in INFO_BYTES and not field.test and not field.vmsd:
                return field
    return None

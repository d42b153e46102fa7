"""The vmdescription at the end of a stream: JSON that lists the fields of each device section with their sizes.

Source: migration/vmstate.c vmstate_save_state_v, vmsd_desc_field_start, vmsd_desc_field_end; migration/savevm.c
vmstate_save_old_style, qemu_savevm_state_vmdesc.
"""

from __future__ import annotations

import json

from vmdump.stream.values import Node, decode

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any

#: Bytes of a subsection's header besides its name: 0x05, the length, the version.
SUBSECTION_HEADER = 6

#: Limit of the elements of an array and of nested descriptions.
MAX_ELEMENTS = 1 << 20


def parse(text: bytes) -> dict[str, Any] | None:
    """Return the parsed vmdescription; None if it is not valid.

    A tmp, qtailq or gtree field writes the description of its elements into its own object, for each element again. Of
    keys that come more often, "fields" and "subsections" keep all values, in the list "spilled" of (key, value).
    """
    try:
        document = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        found["spilled"] = pairs
    return found


def devices(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the descriptions of the device sections, in stream order."""
    found = document.get("devices")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def section_sizes(document: dict[str, Any]) -> list[tuple[tuple[str, int], int]]:
    """Return the sizes in bytes of the device sections by name and instance id, in stream order."""
    found = []
    for device in devices(document):
        name, instance_id = device.get("name"), device.get("instance_id")
        if isinstance(name, str) and isinstance(instance_id, int):
            size = _description_size(device)
            if size is not None:
                found.append(((name, instance_id & 0xFFFFFFFF), size))
    return found


def _description_size(description: dict[str, Any]) -> int | None:
    """Return the bytes of a description's fields and subsections; None if it is malformed."""
    total = 0
    for field in description.get("fields") or ():
        size = field.get("size") if isinstance(field, dict) else None
        count = field.get("array_len", 1) if isinstance(field, dict) else 1
        if not isinstance(size, int) or not isinstance(count, int) or size < 0 or count < 0:
            return None
        total += size * count
    for subsection in description.get("subsections") or ():
        name = subsection.get("vmsd_name") if isinstance(subsection, dict) else None
        size = _description_size(subsection) if isinstance(name, str) else None
        if size is None or not isinstance(name, str):
            return None
        total += SUBSECTION_HEADER + len(name) + size
    return total


def find_description(document: dict[str, Any], name: str, instance_id: int) -> dict[str, Any] | None:
    """Return the description of a section."""
    return next(
        (
            each
            for each in devices(document)
            if each.get("name") == name
            and isinstance(each.get("instance_id"), int)
            and each["instance_id"] & 0xFFFFFFFF == instance_id
        ),
        None,
    )


def section_fields(description: dict[str, Any], body: memoryview) -> tuple[list[Node], str | None]:
    """Return the fields of a section by its description in the vmdescription, and why they may be wrong."""
    reader = _Reader(body)
    try:
        nodes = reader.fields(description, 0)
    except _MalformedError as error:
        return reader.done, str(error)
    except RecursionError:
        return reader.done, "the vmdescription nests too deeply"
    if reader.at != len(body):
        return nodes, f"the vmdescription has {reader.at} bytes of fields, the section {len(body)}"
    return nodes, None


class _MalformedError(Exception):
    """The vmdescription does not fit the section."""


class _Reader:
    """Reads fields one after the other. ``done``: the outermost fields so far."""

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self.at = 0
        self.done: list[Node] = []
        self._left = MAX_ELEMENTS

    def fields(self, description: dict[str, Any], depth: int) -> list[Node]:
        """Read the fields and subsections of a description."""
        nodes: list[Node] = [] if depth else self.done
        for field in description.get("fields") or ():
            if not isinstance(field, dict) or not isinstance(field.get("name"), str):
                raise _MalformedError("the vmdescription has a field without a name")
            count, index = field.get("array_len", 1), field.get("index")
            if nodes and nodes[-1].name == field["name"] and nodes[-1].index is not None:
                index = nodes[-1].index + 1  # an array in several entries, of which the last may lack the index
            elif "array_len" in field:
                index = 0
            if not isinstance(count, int) or not 0 <= count <= self._left:
                raise _MalformedError(f"the vmdescription has an array of {count} elements: {field['name']}")
            for number in range(count):
                self._left -= 1
                nodes.append(self._field(field, None if index is None else index + number, depth))
        for subsection in description.get("subsections") or ():
            nodes.append(self._subsection(subsection, depth))
        return nodes

    def _take(self, size: object, what: str) -> bytes:
        if not isinstance(size, int) or not 0 <= size <= len(self._body) - self.at:
            raise _MalformedError(f"the vmdescription has {size} bytes for {what}, the section has fewer")
        self.at += size
        return bytes(self._body[self.at - size : self.at])

    def _field(self, field: dict[str, Any], index: int | None, depth: int) -> Node:
        name, type = field["name"], str(field.get("type"))
        node = Node(name, type, self.at, index=index)
        struct = field.get("struct")
        if isinstance(struct, dict):
            node.children = self.fields(struct, depth + 1)
            version = struct.get("version")
            node.version = version if isinstance(version, int) else None
            if self.at - node.offset != field.get("size"):
                raise _MalformedError(f"the vmdescription has {field.get('size')} bytes for the struct {name}")
        elif type == "tmp" and "fields" in field:
            node.children = self.fields(field, depth + 1)
        elif type in ("qtailq", "qlist") and "fields" in field:
            node.children = self._list(field, depth)
        else:
            node.value = decode(type, self._take(field.get("size"), name))
        node.size = self.at - node.offset
        return node

    def _list(self, field: dict[str, Any], depth: int) -> list[Node]:
        """Read a list, whose elements have a marker before them. Each has its own "fields" in the field's object."""
        nodes = []
        spilled = field.get("spilled") or [("fields", field["fields"])]
        for number, fields in enumerate(value for key, value in spilled if key == "fields"):
            if self._take(1, field["name"]) != b"\x01":
                raise _MalformedError(f"no marker before an element of {field['name']}")
            node = Node(field["name"], "struct", self.at, index=number)
            node.children = self.fields({"fields": fields}, depth + 1)
            node.size = self.at - node.offset
            nodes.append(node)
        if self._take(1, field["name"]) != b"\0":
            raise _MalformedError(f"no end of the list {field['name']}")
        return nodes

    def _subsection(self, subsection: object, depth: int) -> Node:
        name = subsection.get("vmsd_name") if isinstance(subsection, dict) else None
        if not isinstance(subsection, dict) or not isinstance(name, str):
            raise _MalformedError("the vmdescription has a subsection without a name")
        start = self.at
        wanted = name.encode("latin-1", "replace")
        header = self._take(2 + len(wanted), f"the subsection {name}")
        if header != bytes([5, len(wanted) & 0xFF]) + wanted:
            raise _MalformedError(f"the subsection {name} of the vmdescription is not in the section")
        node = Node(name, "subsection", start)
        node.version = int.from_bytes(self._take(4, f"the subsection {name}"), "big")
        node.children = self.fields(subsection, depth + 1)
        node.size = self.at - start
        return node

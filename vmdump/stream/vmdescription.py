"""The vmdescription at the end of a stream: JSON that lists the fields of each device section with their sizes.

Source: migration/vmstate.c vmstate_save_state_v, vmsd_desc_field_start, vmsd_desc_field_end; migration/savevm.c
vmstate_save_old_style, qemu_savevm_state_vmdesc.
"""

from __future__ import annotations

import json

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
        if size is None:
            return None
        total += SUBSECTION_HEADER + len(name) + size
    return total

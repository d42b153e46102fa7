"""Matches fields of a description with the vmdescription: which were sent, and how many elements.

Source: migration/vmstate.c vmfield_get_type_name, vmfield_name_num, vmsd_can_compress, vmsd_desc_field_start.
"""

from __future__ import annotations

from collections import Counter

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any

    from vmdump.vmstate.model import VMStateDescription, VMStateField


class Guide:
    """The fields that one description sent, in order."""

    def __init__(self, description: dict[str, Any], vmsd: VMStateDescription) -> None:
        """Args: description: its object in the vmdescription."""
        self._entries = [each for each in description.get("fields") or () if isinstance(each, dict)]
        self._subsections = [each for each in description.get("subsections") or () if isinstance(each, dict)]
        self._at = 0
        self._repeated = {name for name, n in Counter(each.name for each in vmsd.fields or ()).items() if n > 1}
        self._seen: Counter[str | None] = Counter()

    def elements(self, field: VMStateField) -> list[dict[str, Any]] | None:
        """Return the object of each element of the next field of the description; None: the field was not sent.

        The vmdescription numbers the names of fields that share one, so entries of one name are one array. Its last
        element may lack the index (QEMU 10.0).
        """
        name = field.name
        if name in self._repeated:
            number = self._seen[name]
            self._seen[name] += 1
            name = f"{name}[{number}]"
        found: list[dict[str, Any]] = []
        while self._at < len(self._entries):
            entry = self._entries[self._at]
            if entry.get("name") != name:
                break
            count = entry.get("array_len", 1)
            found += [entry] * (count if isinstance(count, int) and 0 <= count < 1 << 20 else 1)
            self._at += 1
        return found or None

    def subsection(self, name: str) -> dict[str, Any] | None:
        """Return the object of a subsection."""
        return next((each for each in self._subsections if each.get("vmsd_name") == name), None)

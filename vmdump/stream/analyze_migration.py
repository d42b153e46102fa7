"""The JSON that QEMU's scripts/analyze-migration.py -d state prints, so that its users can switch.

Values are text as there: integers in hexadecimal with all digits, other values as bytes. Its readers of fields decide
by "type"; an unknown one is bytes. Source: QEMU 11.1 scripts/analyze-migration.py.
"""

from __future__ import annotations

from vmdump.errors import SourceError
from vmdump.stream.vmdescription import MAX_ELEMENTS, find_description

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any

    from vmdump.stream.saved_vm import SavedVM, Section

_SIGNED = ("int8", "int16", "int32", "int32 equal", "int32 le", "int64", "int64 equal", "uint8 equal", "uint16 equal")
_UNSIGNED = ("uint8", "uint16", "uint32", "uint32 equal", "uint64")


def analyze(vm: SavedVM) -> dict[str, Any]:
    """Return the state as the script's object. Raises SourceError if the stream has no vmdescription."""
    if vm.document is None:
        raise SourceError(
            f"{vm.path}: no vmdescription, which --format analyze-migration needs; --json works without, and a SECTION "
            "with --image QEMU"
        )
    # The script keeps the last section of an id, in the place of the first.
    return {f"{each.name} ({each.id})": _section(vm, each) for each in vm.sections}


def _section(vm: SavedVM, section: Section) -> Any:
    if section.name == "ram":
        return {"section sizes": {each.name: f"0x{each.size:016x}" for each in vm.blocks}}
    description = find_description(vm.document or {}, section.name, section.instance_id)
    if section.is_live or description is None:
        return ""
    reader = _Reader(section.body)
    found = reader.struct(description)
    if reader.failed:
        raise SourceError(
            f"{vm.path}: the vmdescription of section {section.name!r} does not describe its bytes; "
            "analyze-migration.py can't read this stream either"
        )
    return found


class _Reader:
    """Reads fields in the script's way. ``failed``: the description does not fit the body."""

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self._at = 0
        self._left = MAX_ELEMENTS
        self.failed = False

    def _take(self, size: object) -> bytes:
        if not isinstance(size, int) or not 0 <= size <= len(self._body) - self._at:
            self.failed = True
            return b"\0"
        self._at += size
        return bytes(self._body[self._at - size : self._at])

    def struct(self, description: dict[str, Any]) -> dict[str, Any]:
        """Read the fields and subsections of a description. Fields of one name become a list."""
        found: dict[str, Any] = {}
        repeated = set()
        for field in description.get("fields") or ():
            name, count = field.get("name"), field.get("array_len", 1)
            if not isinstance(count, int) or not 0 <= count <= self._left or self.failed:
                self.failed = True
                break
            self._left -= count
            for _ in range(max(count, 1)):  # an empty array has one element, as in the script
                value = self._value(field)
                if name not in found:
                    found[name] = value
                elif name in repeated:
                    found[name].append(value)
                else:
                    found[name] = [found[name], value]
                    repeated.add(name)
        for subsection in description.get("subsections") or ():
            header = self._take(2)
            name = self._take(header[-1]).decode("latin-1")
            self._take(4)
            found[name] = self.struct(subsection)
        return found

    def _value(self, field: dict[str, Any]) -> Any:
        type, size = field.get("type"), field.get("size")
        if type == "struct":
            return self.struct(field.get("struct") or {})
        data = self._take(size)
        if type == "bool":
            return data[:1] != b"\0"
        if type == "nullptr":
            return "nullptr"
        if type in _SIGNED or type in _UNSIGNED:
            value = int.from_bytes(data, "big", signed=type in _SIGNED)
            digits = f"0x{int.from_bytes(data, 'big'):0{2 * len(data)}x}"
            return f"{digits} ({value})" if value < 0 else digits
        return " ".join(f"{byte:02x}" for byte in data)

"""Sections, RAM blocks and fields of the stream of an emulated machine, divided by the vmdescription at its end.

Unlike the fields of vmdump.stream, an array of values is one field: of whole machines there are many.

Source: QEMU 5.2 to 11.1 migration/vmstate.c vmstate_save_state_v.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from vmdump.errors import SourceError
from vmdump.machines.model import Field, RamBlock, Section
from vmdump.stream.vmdescription import SUBSECTION_HEADER, devices
from vmdump.stream.walk import read_saved_vm

if TYPE_CHECKING:
    from typing import Any

#: Limits of nested structs, and of fields.
_MAX_DEPTH, _MAX_FIELDS = 64, 2_000_000


class Stream(NamedTuple):
    """A decoded stream.

    Attributes:
        sections: in order.
        ram_blocks: in order.
        fields: of all sections whose contents the description covers.
        why_empty: why there is no stream, in words; None if there is one.
    """

    sections: tuple[Section, ...]
    ram_blocks: tuple[RamBlock, ...]
    fields: tuple[Field, ...]
    why_empty: str | None = None


def read_stream(data: bytes, *, has_fields: bool = True) -> Stream:
    """Decode a stream.

    Args:
        data: the stream.
        has_fields: whether the sections are divided into fields. Before QEMU 10.0, this fails for arrays of pointers of
            which the first is NULL, as s390_css has: their elements have different sizes, but one description.

    Raises:
        SourceError: the stream is malformed or has no description.
    """
    try:
        vm = read_saved_vm("-", stdin=io.BytesIO(data))
        if vm.document is None:
            raise ValueError("the stream has no description")
        described = {(each.get("name"), each.get("instance_id", 0) & 0xFFFFFFFF): each for each in devices(vm.document)}
        fields: list[Field] = []
        for each in vm.sections:
            if has_fields and not each.is_live:
                description = described.get((each.name, each.instance_id))
                if description is None:
                    raise ValueError(f"the description lacks section {each.name!r}")
                fields += _Reader(f"{each.name} {each.instance_id}", each.body, _MAX_FIELDS - len(fields)).read(
                    description
                )
    except SourceError as error:
        raise SourceError(f"malformed migration stream: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise SourceError(f"malformed migration stream: {error!r}") from error
    sections = (Section(each.name, each.instance_id, each.version_id) for each in vm.sections)
    return Stream(tuple(sections), tuple(RamBlock(each.name, each.size) for each in vm.blocks), tuple(fields))


class _Reader:
    """Reads the fields of a section."""

    def __init__(self, section: str, body: memoryview, max_fields: int) -> None:
        self._section, self._body, self._left, self._at = section, body, max_fields, 0
        self._fields: list[Field] = []

    def read(self, description: dict[str, Any]) -> list[Field]:
        self._struct("", description, 0)
        if self._at != len(self._body):
            raise ValueError(f"the description of {self._section} ends {len(self._body) - self._at} bytes early")
        return self._fields

    def _struct(self, path: str, description: dict[str, Any], depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError("structs nest too deeply")
        for field in description.get("fields", ()):
            self._field(path, field, depth)
        for sub in description.get("subsections", ()):
            name = sub["vmsd_name"]
            if self._take(SUBSECTION_HEADER + len(name))[1:-4].decode("latin-1") != chr(len(name) & 0xFF) + name:
                raise ValueError(f"subsection {name!r} is not in the stream")
            self._struct(f"{path}{name}/", sub, depth + 1)

    def _field(self, path: str, field: dict[str, Any], depth: int) -> None:
        """Read a field, or all equal elements of an array, of which the description has the first one."""
        name = path + field["name"]
        if "index" in field:
            name += f"[{field['index']}]"
        count, size, inner = field.get("array_len", 1), field["size"], field.get("struct")
        if inner is None or not (inner.get("fields") or inner.get("subsections")):
            self._count()
            self._fields.append(Field(self._section, name, self._take(count * size), size, field.get("type", "")))
            return
        for index in range(count):
            self._count()
            self._struct((f"{name}[{index}]" if "array_len" in field else name) + ".", inner, depth + 1)

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {_MAX_FIELDS} fields")

    def _take(self, size: int) -> bytes:
        if not 0 <= size <= len(self._body) - self._at:
            raise ValueError(f"section {self._section} ends within a field of {size} bytes")
        self._at += size
        return bytes(self._body[self._at - size : self._at])

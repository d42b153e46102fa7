"""Reads the state of a section by a VMStateDescription, as vmstate_save_state wrote it.

The bytes are those of the source, so versions are the source's own. What neither the description nor the bytes read so
far determine is a choice (choices.py).

Source: migration/vmstate.c vmstate_save_state_v, vmstate_field_exists, vmstate_n_elems, vmstate_size,
vmstate_subsection_save; migration/vmstate-types.c put_tmp, put_qtailq, put_qlist, put_gtree.
"""

from __future__ import annotations

from vmdump.qemu import vmstate_flags as flags
from vmdump.stream.guide import Guide
from vmdump.stream.values import BOOLS, BYTES, NULL_MARKER, SIGNED, UNSIGNED, Node, decode

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from vmdump.stream.choices import Choices
    from vmdump.stream.descriptions import Descriptions
    from vmdump.vmstate.model import VMStateDescription, VMStateField

    #: Reads the value of a field with a VMStateInfo of this name into a node. Raises MismatchError.
    ReadInfo: TypeAlias = Callable[["DescriptionReader", Node, VMStateField, str | None], None]

_LENGTHS = {
    flags.VARRAY_INT32: 4, flags.VARRAY_UINT32: 4, flags.VARRAY_UINT16: 2, flags.VARRAY_UINT8: 1,
}  # fmt: skip
_NO_NULL_MARKER = 0x31
_SUBSECTION = 5

#: Bytes of a value, by VMStateInfo.name.
SIZES = {**UNSIGNED, **SIGNED, **BOOLS, "nullptr": 1, "pci irq state": 16, "avr": 16, "vsr": 8, "slbe": 16}

#: Limits of one attempt: fields read, elements of an array.
MAX_FIELDS, _MAX_ELEMENTS = 200_000, 70_000


class MismatchError(Exception):
    """The bytes do not fit the description and the choices."""


class DescriptionReader:
    """One attempt to read a section.

    Attributes:
        body: The section's state.
        at: Offset of the next byte.
        descriptions: Of the image.
        name: The section's idstr.
        pci_config: The configuration space that was read last.
    """

    def __init__(
        self,
        body: bytes,
        name: str,
        descriptions: Descriptions,
        choices: Choices,
        read_info: ReadInfo,
        max_fields: int = MAX_FIELDS,
    ) -> None:
        """read_info: reads a value whose bytes the description does not determine; see code_infos.py."""
        self.body, self.name, self.descriptions, self._choices = body, name, descriptions, choices
        self._read_info = read_info
        self.at = 0
        self.pci_config = b""
        self._path: list[str] = []
        #: Fields that may still be read.
        self.left = max_fields
        #: Values that were read, by (object, offset in it). Objects are numbered.
        self._memory: dict[tuple[int, int], int] = {}
        self._objects = 0

    # Bytes

    def take(self, size: int) -> bytes:
        """Return the next size bytes. Raises MismatchError at the end of the section."""
        if size < 0 or self.at + size > len(self.body):
            raise MismatchError(f"{'/'.join(self._path)} exceeds the section")
        self.at += size
        return self.body[self.at - size : self.at]

    def uint(self, size: int) -> int:
        """Return the next integer of size bytes."""
        return int.from_bytes(self.take(size), "big")

    def node(self, name: str, type: str, size: int) -> Node:
        """Return a node of the next size bytes."""
        start = self.at
        return Node(name, type, start, size, decode(type, self.take(size)))

    def choose(self, kind: str, name: str, options: list[int]) -> int:
        """Return an option for a choice of the current description."""
        return self._choices.choose(f"{kind} {'/'.join(self._path)}/{name}", options)

    def fail(self, what: str) -> MismatchError:
        """Return the error for a mismatch."""
        return MismatchError(f"{'/'.join(self._path)}: {what}")

    # Descriptions

    def new_object(self) -> int:
        """Return the number of a new object in memory."""
        self._objects += 1
        return self._objects

    def description(
        self, vmsd: VMStateDescription, version: int, base: int, offset: int = 0, sent: dict[str, Any] | None = None
    ) -> list[Node]:
        """Read the fields and subsections of a description.

        Args:
            vmsd: the description.
            version: of the state.
            base: the number of the object that has the fields.
            offset: of the struct in the object, in bytes.
            sent: its object in the vmdescription; None: not known.
        """
        if len(self._path) > 100:
            raise self.fail("nests too deeply")
        self._path.append(vmsd.name)
        nodes: list[Node] = []
        guide = None if sent is None else Guide(sent, vmsd)
        before = None
        for field in vmsd.fields or ():
            elements = None if guide is None else guide.elements(field)
            if elements is not None if guide else self._exists(field, version, before):
                self._field(field, nodes, base, offset, elements)
                before = field.name if field.field_exists else None
        self._subsections(vmsd, nodes, base, offset, guide)
        self._path.pop()
        return nodes

    def _exists(self, field: VMStateField, version: int, before: str | None) -> bool:
        if int(field.flags) & flags.MUST_EXIST:
            return False
        if not field.field_exists:
            return field.version_id <= version
        if before == field.name:
            return False  # alternatives of one name, as PCIDevice's two sizes of config
        return bool(self.choose("exists", f"{field.name}.{field.size}", [1, 0]))

    def _subsections(
        self, vmsd: VMStateDescription, nodes: list[Node], base: int, offset: int, guide: Guide | None
    ) -> None:
        while self.at + 2 <= len(self.body) and self.body[self.at] == _SUBSECTION:
            size = self.body[self.at + 1]
            name = self.body[self.at + 2 : self.at + 2 + size]
            found = next((each for each in vmsd.subsections or () if each.name.encode() == name), None)
            if found is None:
                return
            node = Node(found.name, "subsection", self.at)
            self.take(2 + size)
            node.version = self.uint(4)
            sent = None if guide is None else guide.subsection(found.name)
            node.children = self.description(found, node.version, base, offset, sent)
            node.size = self.at - node.offset
            nodes.append(node)

    # Fields

    def _field(
        self, field: VMStateField, nodes: list[Node], base: int, offset: int, elements: list[dict[str, Any]] | None
    ) -> None:
        """Read all elements of a field. elements: their objects in the vmdescription, if known."""
        count = self._count(field, base, offset) if elements is None else len(elements)
        size = self._size(field, base, offset, elements)
        start = offset + (field.offset or 0)
        is_array = count != 1 or bool(int(field.flags) & (flags.ARRAY | sum(_LENGTHS)))
        if int(field.flags) & flags.POINTER and count:
            base, start = self.new_object(), 0
        if is_array and self._values(field, count, size, (base, start), nodes):
            return
        for number in range(count):
            self.left -= 1
            if self.left < 0:
                raise self.fail("too many fields")
            at = (base, start + number * size)
            if int(field.flags) & flags.ARRAY_OF_POINTER:
                at = (self.new_object(), 0)
                if self._is_null(field, elements[number] if elements else None):
                    nodes.append(Node(field.name or "", "nullptr", self.at - 1, 1, "NULL", number))
                    continue
            node = self._element(field, size, at, elements[number] if elements else None)
            node.index = number if is_array else None
            nodes.append(node)

    def _values(self, field: VMStateField, count: int, size: int, at: tuple[int, int], nodes: list[Node]) -> bool:
        """Read an array of values at once; return whether the field is one. Some have 100,000 elements."""
        info = field.info.name if field.info else ""
        width = SIZES.get(info)
        if width is None or int(field.flags) & (flags.STRUCT | flags.VSTRUCT | flags.ARRAY_OF_POINTER):
            return False
        self.left -= 1 + count // 16
        offset, name = self.at, field.name or ""
        data = self.take(width * count)
        for number in range(count):
            value = decode(info, data[number * width : (number + 1) * width])
            nodes.append(Node(name, info, offset + number * width, width, value, number))
            if isinstance(value, int):
                self._memory[at[0], at[1] + number * size] = value
        return True

    def _count(self, field: VMStateField, base: int, offset: int) -> int:
        """Source: vmstate_n_elems."""
        kind = int(field.flags)
        count = field.num if kind & flags.ARRAY else 1
        if any(kind & flag for flag in _LENGTHS):
            known = self._memory.get((base, offset + (field.num_offset or 0)))
            count = self._length(field) if known is None or field.num_offset is None else known
        if kind & flags.MULTIPLY_ELEMENTS:
            count *= field.num
        if not 0 <= count <= _MAX_ELEMENTS:
            raise self.fail(f"{field.name} has {count} elements")
        return count

    def _size(self, field: VMStateField, base: int, offset: int, elements: list[dict[str, Any]] | None) -> int:
        """Source: vmstate_size."""
        if not int(field.flags) & flags.VBUFFER:
            return field.size
        if elements and isinstance(elements[0].get("size"), int):
            return int(elements[0]["size"])
        known = self._memory.get((base, offset + (field.size_offset or 0)))
        size = self._length(field) if known is None or field.size_offset is None else known
        return size * field.size if int(field.flags) & flags.MULTIPLY else size

    def _length(self, field: VMStateField) -> int:
        """Choose a length that the source's object has and the bytes before do not: nothing, powers of two, others."""
        room = len(self.body) - self.at
        powers = [1 << bits for bits in range(17) if 1 << bits <= room]
        others = [number for number in range(3, min(room, 300)) if number & (number - 1)]
        return self.choose("length", field.name or "", [0, *powers, *others])

    def _is_null(self, field: VMStateField, sent: dict[str, Any] | None) -> bool:
        if int(field.flags) & flags.ARRAY_OF_POINTER_AUTO_ALLOC:
            marker = self.uint(1)
            if marker not in (NULL_MARKER, _NO_NULL_MARKER):
                raise self.fail(f"{field.name} has no marker")
            return marker == NULL_MARKER
        if self.at >= len(self.body) or self.body[self.at] != NULL_MARKER:
            return False
        is_null = sent.get("type") == "nullptr" if sent else self.choose("null", field.name or "", [1, 0])
        if not is_null and not (sent and sent.get("size") == 1):  # 7.2 and older describe NULL as the struct
            return False
        self.take(1)
        return True

    def _element(self, field: VMStateField, size: int, at: tuple[int, int], sent: dict[str, Any] | None) -> Node:
        name, kind, info = field.name or "", int(field.flags), field.info.name if field.info else None
        node = Node(name, info or "struct", self.at)
        if kind & (flags.STRUCT | flags.VSTRUCT) and field.vmsd is not None:
            version = field.struct_version_id if kind & flags.VSTRUCT else field.vmsd.version_id
            node.version = version
            struct = sent.get("struct") if sent else None
            node.children = self.description(field.vmsd, version, *at, struct if isinstance(struct, dict) else None)
        elif info in ("qtailq", "qlist", "tmp", "gtree") and field.vmsd is not None:
            node.children = self._list(info, field)
        else:
            self._value(node, field, info, size, at)
        node.size = self.at - node.offset
        return node

    def _value(self, node: Node, field: VMStateField, info: str | None, size: int, at: tuple[int, int]) -> None:
        if info in BYTES:
            node.value = self.take((size + 63) // 64 * 8 if info == "bitmap" else size)
            if info == "pci config":
                self.pci_config = node.value
            return
        known = SIZES.get(info or "")
        if known is None:
            self._read_info(self, node, field, info)
            return
        node.value = decode(info or "", self.take(known))
        if isinstance(node.value, int):
            self._memory[at] = int(node.value)

    def _list(self, info: str, field: VMStateField) -> list[Node]:
        """Read the elements of a list, or the one of a tmp field."""
        vmsd = field.vmsd
        if vmsd is None:
            raise self.fail(f"{field.name} has no description")
        if info == "tmp":
            return self.description(vmsd, vmsd.version_id, self.new_object())
        nodes: list[Node] = []
        if info == "gtree":
            nodes.append(self.node("nnodes", "uint32", 4))
        while marker := self.uint(1):
            if marker != 1 or len(nodes) > _MAX_ELEMENTS:
                raise self.fail(f"{field.name} has no marker before an element")
            node = Node(field.name or "", "struct", self.at, index=len(nodes) - (info == "gtree"))
            node.children = self._key(field) if info == "gtree" else []
            node.children += self.description(vmsd, vmsd.version_id, self.new_object())
            node.size = self.at - node.offset
            nodes.append(node)
        return nodes

    def _key(self, field: VMStateField) -> list[Node]:
        """Read the key of a GTree: an integer, or a struct described apart."""
        if not field.start:
            return [self.node("key", "uint64", 8)]
        vmsd = self.descriptions.key_of_gtree()
        if vmsd is None:
            raise self.fail(f"{field.name} has keys that the image does not describe")
        return self.description(vmsd, vmsd.version_id, self.new_object())

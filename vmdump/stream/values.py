"""Fields of a section with their values: the result of vmdescription.py and by_image.py, and the encodings of values.

Source: migration/vmstate-types.c and the VMStateInfos of devices, QEMU 5.2 to 11.1.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterator

    Value = int | bool | bytes | str | None

#: VMStateInfo.name of integers, with their bytes.
UNSIGNED = {
    "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "uint8 equal": 1, "uint16 equal": 2, "uint32 equal": 4,
    "uint64 equal": 8, "int64 equal": 8,  # sic: the name of vmstate_info_uint64_equal
    "CPU_Double_U": 8, "cpsr": 4, "fpscr": 4, "fpcr": 8, "fpsr": 8, "pstate64": 8, "psr": 4, "xcc": 4, "cwp": 4,
    "cpu/altivec/vscr": 4, "msr": 4, "sr": 4, "sreg": 1, "rampD": 1, "rampX": 1, "rampY": 1, "rampZ": 1, "eind": 1,
    "int32_as_uint16": 2, "uint16_from_uint8": 1, "uint32_as_uint16": 2,
}  # fmt: skip
SIGNED = {"int8": 1, "int16": 2, "int32": 4, "int64": 8, "int32 equal": 4, "int32 le": 4, "timer": 8}
BOOLS = {"bool": 1, "powered_off": 1}

#: VMStateInfo.name of values whose bytes are sent as they are.
BYTES = ("buffer", "unused_buffer", "pci config", "bitmap")

#: VMSTATE's marker of a NULL pointer.
NULL_MARKER = 0x30


class Node:
    """A field or subsection as it was sent.

    Attributes:
        name: Of the field; of a subsection, its description's.
        type: VMStateInfo.name, ``struct`` or ``subsection``.
        index: In an array; None: not an element.
        offset: Of the first byte in the section's body.
        size: In the stream, in bytes.
        value: An integer, a bool, bytes, or text in words; None: see children.
        children: Fields of a struct, a subsection, or a list.
        version: Of a subsection or a struct, if known.
    """

    __slots__ = ("children", "index", "name", "offset", "size", "type", "value", "version")

    def __init__(
        self, name: str, type: str, offset: int, size: int = 0, value: Value = None, index: int | None = None
    ) -> None:
        self.name, self.type, self.offset, self.size, self.value, self.index = name, type, offset, size, value, index
        self.children: list[Node] | None = None
        self.version: int | None = None

    @property
    def label(self) -> str:
        """The name with the index."""
        return self.name if self.index is None else f"{self.name}[{self.index}]"


def decode(type: str, data: bytes) -> Value:
    r"""Return the value of a VMStateInfo.

    >>> decode("int32", b"\xff\xff\xff\xfe"), decode("bool", b"\1"), decode("buffer", b"ab")
    (-2, True, b'ab')
    """
    if UNSIGNED.get(type) == len(data):
        return int.from_bytes(data, "big")
    if SIGNED.get(type) == len(data):
        return int.from_bytes(data, "big", signed=True)
    if BOOLS.get(type) == len(data):
        return data != b"\0"
    if type == "nullptr" and data == bytes([NULL_MARKER]):
        return "NULL"
    return data


def shown(node: Node) -> str:
    """Return a value in words: integers in hexadecimal, negative ones in decimal, too; bytes in hexadecimal."""
    value = node.value
    if node.type == "timer" and isinstance(value, int):
        return "off" if value == -1 else f"{value} ns"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return hex(value) if value >= 0 else f"{value & ((1 << 8 * node.size) - 1):#x} ({value})"
    if isinstance(value, bytes):
        return value.hex() if any(value) else "" if not value else f"{len(value)} zero bytes"
    return "" if value is None else value


def walk(nodes: list[Node], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Yield every node with its path, parents first."""
    for node in nodes:
        here = (*path, node.label)
        yield here, node
        if node.children is not None:
            yield from walk(node.children, here)

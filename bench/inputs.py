"""What is measured: a real dump, and devices that are made as an author makes them. Nothing to run here."""

import ctypes
import functools
import lzma
from collections.abc import Sequence
from pathlib import Path

from vmdump import Session, TypeInfo
from vmdump.dump.lowering import lower
from vmdump.dump.tree import Tree, parse
from vmdump.vmstate import (
    VMSTATE_BOOL,
    VMSTATE_END_OF_LIST,
    VMSTATE_INT32,
    VMSTATE_UINT8,
    VMSTATE_UINT8_ARRAY,
    VMSTATE_UINT16,
    VMSTATE_UINT32,
    VMSTATE_UINT32_ARRAY,
    VMSTATE_UINT32_TEST,
    VMSTATE_UINT32_V,
    VMSTATE_UINT64,
    VMStateDescription,
    VMStateField,
)

#: The largest real dump of QEMU 7.2: 626 devices, 10,217 fields, 1.9 MB.
AARCH64 = Path(__file__).parent.parent / "tests" / "data" / "dumps" / "qemu-7.2.22" / "aarch64.json.xz"

#: Fields of a device that make_fields makes; the real aarch64 dump has 16 a device.
FIELDS_A_DEVICE = 20


@functools.cache
def read_aarch64() -> bytes:
    """The bytes that QEMU wrote."""
    return lzma.decompress(AARCH64.read_bytes())


class ChipState(ctypes.Structure):
    """A device's state: the kinds of members that are frequent in QEMU."""

    _fields_ = (
        *((f"flag{i}", ctypes.c_bool) for i in range(2)),
        *((f"reg8_{i}", ctypes.c_uint8) for i in range(3)),
        *((f"reg16_{i}", ctypes.c_uint16) for i in range(2)),
        *((f"reg{i}", ctypes.c_uint32) for i in range(8)),
        *((f"count{i}", ctypes.c_int32) for i in range(1)),
        *((f"addr{i}", ctypes.c_uint64) for i in range(2)),
        ("fifo", ctypes.c_uint8 * 16),
        ("lane", ctypes.c_uint32 * 4),
    )


def _has_irq(state: object, version_id: int) -> bool:
    return version_id >= 2


def make_fields() -> list[VMStateField]:
    """FIELDS_A_DEVICE fields and a terminator."""
    return [
        VMSTATE_BOOL("flag0", ChipState),
        VMSTATE_BOOL("flag1", ChipState),
        VMSTATE_UINT8("reg8_0", ChipState),
        VMSTATE_UINT8("reg8_1", ChipState),
        VMSTATE_UINT8("reg8_2", ChipState),
        VMSTATE_UINT16("reg16_0", ChipState),
        VMSTATE_UINT16("reg16_1", ChipState),
        VMSTATE_UINT32("reg0", ChipState),
        VMSTATE_UINT32("reg1", ChipState),
        VMSTATE_UINT32("reg2", ChipState),
        VMSTATE_UINT32("reg3", ChipState),
        VMSTATE_UINT32("reg4", ChipState),
        VMSTATE_UINT32("reg5", ChipState),
        VMSTATE_UINT32_V("reg6", ChipState, 2),
        VMSTATE_UINT32_TEST("reg7", ChipState, _has_irq),
        VMSTATE_INT32("count0", ChipState),
        VMSTATE_UINT64("addr0", ChipState),
        VMSTATE_UINT64("addr1", ChipState),
        VMSTATE_UINT8_ARRAY("fifo", ChipState, 16),
        VMSTATE_UINT32_ARRAY("lane", ChipState, 4),
        VMSTATE_END_OF_LIST(),
    ]


def make_descriptions(n_fields: int) -> list[VMStateDescription]:
    """Descriptions with n_fields fields in all, none of them shared."""
    return [
        VMStateDescription(f"chip{i}", version_id=2, minimum_version_id=1, fields=make_fields())
        for i in range(n_fields // FIELDS_A_DEVICE)
    ]


def make_nested(depth: int) -> VMStateDescription:
    """A description with FIELDS_A_DEVICE fields, and so the one below it as its subsection: depth levels in all."""
    below: list[VMStateDescription] = []
    for level in range(depth):
        below = [VMStateDescription(f"chip/{level}", fields=make_fields(), subsections=below)]
    return below[0]


def make_tree(n_devices: int, vmsd: VMStateDescription | None = None) -> Tree:
    """A native tree in which no two devices share a description: one device's text, read with other names in each."""
    vmsd = vmsd or make_descriptions(FIELDS_A_DEVICE)[0]
    mark = b"@" * 7
    text = lower("none", [(mark.decode(), vmsd)]).dump_bytes().replace(b'"name": "', b'"name": "' + mark)
    begin = text.index(b',\n  "' + mark)
    device, end = text[begin:-3], text[-3:]
    return parse(b"".join([text[:begin], *(device.replace(mark, b"%07d" % i) for i in range(n_devices)), end]))


def _class_init(klass: object, vmsd: VMStateDescription) -> None:
    klass.vmsd = vmsd


def make_session() -> Session:
    """A session with QOM's base types alone."""
    return Session(builtin=False, entry_points=False)


def register_types(session: Session, descriptions: Sequence[VMStateDescription]) -> None:
    """A device type for each description."""
    for vmsd in descriptions:
        session.type_register(TypeInfo(vmsd.name, parent="device", class_init=_class_init, class_data=vmsd))

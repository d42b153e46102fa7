"""Small ELF objects, made in memory: what a test needs of the format, with anything in it replaceable."""

import struct
from collections.abc import Sequence

X86_64, AARCH64 = 62, 183
PT_LOAD, PT_DYNAMIC = 1, 2
DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_STRSZ = 4, 5, 6, 7, 8, 10
DT_INIT_ARRAY, DT_INIT_ARRAYSZ, DT_RELRSZ, DT_RELR = 25, 27, 35, 36

#: Where in the object its data, which relocations and code refer to, begins.
DATA = 0x1000

#: (name, section index, value); 0: undefined.
Symbol = tuple[bytes, int, int]


def elf_object(
    *,
    machine: int = X86_64,
    data: bytes = bytes(256),
    symbols: Sequence[Symbol] = (),
    rela: Sequence[tuple[int, int, int, int]] = (),
    relr: Sequence[int] = (),
    init_array: Sequence[int] = (),
    dynamic: dict[int, int] | None = None,
) -> bytes:
    """An object that is loaded at 0: header and tables, from DATA on data. rela: (offset, type, symbol, addend)."""
    strings, table = b"\0", bytes(24)
    for name, section, value in symbols:
        table += struct.pack("<IBBHQQ", len(strings), 0x12, 0, section, value, 0)
        strings += name + b"\0"
    parts = {
        DT_STRTAB: strings,
        DT_SYMTAB: table,
        DT_HASH: struct.pack("<II", 1, len(symbols) + 1),
        DT_RELA: b"".join(struct.pack("<QQq", at, symbol << 32 | kind, addend) for at, kind, symbol, addend in rela),
        DT_RELR: struct.pack(f"<{len(relr)}Q", *relr),
        DT_INIT_ARRAY: struct.pack(f"<{len(init_array)}Q", *init_array),
    }
    tags = {DT_STRSZ: len(strings), DT_RELASZ: 24 * len(rela), DT_RELRSZ: 8 * len(relr)}
    tags[DT_INIT_ARRAYSZ] = 8 * len(init_array)
    body, at = b"", 64 + 2 * 56
    for tag, part in parts.items():
        tags[tag] = at + len(body)
        body += part + bytes(-len(part) % 8)
    tags |= dynamic or {}
    dynamic_at = at + len(body)
    section = b"".join(struct.pack("<QQ", *item) for item in tags.items()) + bytes(16)
    body += section
    image = bytes(at) + body
    assert len(image) <= DATA
    image += bytes(DATA - len(image)) + data
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = struct.pack("<IIQQQQQQ", PT_LOAD, 7, 0, 0, 0, len(image), len(image), 0x1000)
    segments += struct.pack("<IIQQQQQQ", PT_DYNAMIC, 6, dynamic_at, dynamic_at, 0, len(section), len(section), 8)
    return header + segments + image[at:]

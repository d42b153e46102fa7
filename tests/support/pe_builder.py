"""Small PE objects built in memory, in which a test can replace any part."""

import struct
from collections.abc import Mapping, Sequence

X86_64, AARCH64 = 0x8664, 0xAA64

#: Address at which the linker expects the image.
BASE = 0x140000000

#: Addresses in the image of code, of data and of the tables.
CODE, DATA, TABLES = 0x1000, 0x2000, 0x4000

#: Offset of the PE header, of its optional header, and of the section headers.
HEADER, OPTIONAL = 0x80, 0x80 + 24
SECTIONS = OPTIONAL + 112 + 16 * 8

EXPORTS, IMPORTS, FUNCTIONS, RELOCATIONS, DEBUGGING, THREAD_LOCAL = 0, 1, 3, 5, 6, 9

#: (type, address)
Relocation = tuple[int, int]


class Tables:
    """Bytes that begin at an address of the image."""

    def __init__(self, address: int) -> None:
        self.address, self.data = address, bytearray()

    def add(self, data: bytes) -> int:
        """Append bytes, aligned to 8, and return their address."""
        at = self.address + len(self.data)
        self.data += data + bytes(-len(data) % 8)
        return at


def pe_object(
    *,
    machine: int = X86_64,
    code: bytes = b"\xc3",
    data: bytes = bytes(256),
    relocations: Sequence[Relocation] = (),
    imports: Mapping[bytes, Sequence[bytes | int]] | None = None,
    exports: Mapping[bytes, int] | None = None,
    functions: Sequence[int] = (),
    tls: tuple[int, int, int] | None = None,
    build_id: bytes = b"",
    directories: Mapping[int, tuple[int, int]] | None = None,
    is_qemu: bool = True,
) -> bytes:
    """Return a PE32+ file with code at CODE, data at DATA and tables at TABLES.

    imports: names or numbers by DLL; their slots are the first words of TABLES, in order. functions: addresses for the
    unwinding directory. tls: address and size of initial data in DATA, and address of the index. build_id: GUID.
    directories: data directories to replace. is_qemu: whether to include the string "vmschkmachine".
    """
    tables, found = Tables(TABLES), dict[int, tuple[int, int]]()
    found[IMPORTS] = add_imports(tables, imports or {})
    if exports:
        found[EXPORTS] = add_exports(tables, exports)
    if functions:
        rest = bytes(8 if machine == X86_64 else 4)
        entries = b"".join(struct.pack("<I", each) + rest for each in functions)
        found[FUNCTIONS] = tables.add(entries), len(entries)
    if tls:
        start, size, index = tls
        words = BASE + DATA + start, BASE + DATA + start + size, BASE + DATA + index, 0
        at = tables.add(struct.pack("<4QII", *words, 0, 0))
        found[THREAD_LOCAL] = at, 40
        relocations = [*relocations, *((10, at + 8 * i) for i in range(3))]
    if build_id:
        entry = tables.add(b"RSDS" + build_id + struct.pack("<I", 1) + b"\0")
        at = tables.add(struct.pack("<IIHHIIII", 0, 0, 0, 0, 2, 25, entry, entry))
        found[DEBUGGING] = at, 28
    if is_qemu:
        tables.add(b'  "vmschkmachine": {\n\0')
    block = b"".join(blocks_of(relocations))
    found[RELOCATIONS] = tables.add(block), len(block)
    found |= directories or {}
    sections = [
        (b".text", CODE, code, 0x60000020),
        (b".data", DATA, data, 0xC0000040),
        (b".rdata", TABLES, tables.data, 0x40000040),
    ]
    size = TABLES + len(tables.data) + 0x1000 & ~0xFFF
    header = (b"MZ".ljust(60, b"\0") + struct.pack("<I", HEADER)).ljust(HEADER, b"\0")
    header += b"PE\0\0" + struct.pack("<HHIIIHH", machine, len(sections), 0, 0, 0, 112 + 16 * 8, 0x22)
    optional = struct.pack("<HBBIIIIIQII", 0x20B, 2, 44, 0, 0, 0, CODE, CODE, BASE, 0x1000, 0x1000)
    optional += struct.pack("<HHHHHHIIIIHHQQQQII", 4, 0, 0, 0, 5, 2, 0, size, CODE, 0, 3, 0, 0, 0, 0, 0, 0, 16)
    optional += b"".join(struct.pack("<II", *found.get(number, (0, 0))) for number in range(16))
    header += optional
    image = b""
    for name, address, content, flags in sections:
        header += struct.pack("<8sIIII12xI", name, max(len(content), 1), address, len(content), address, flags)
    assert len(header) <= CODE
    for _, address, content, _ in sections:
        image = image.ljust(address - CODE, b"\0") + content
    return header.ljust(CODE, b"\0") + image  # offsets in the file are the addresses in the image


def add_imports(tables: Tables, imports: Mapping[bytes, Sequence[bytes | int]]) -> tuple[int, int]:
    """Add import slots, then names and descriptors; return the directory."""
    slots = [tables.add(bytes(8 * len(names) + 8)) for names in imports.values()]
    descriptors = b""
    for (dll, names), slot in zip(imports.items(), slots, strict=True):
        entries = [1 << 63 | name if isinstance(name, int) else tables.add(b"\0\0" + name + b"\0") for name in names]
        lookup = tables.add(struct.pack(f"<{len(entries) + 1}Q", *entries, 0))
        descriptors += struct.pack("<IIIII", lookup, 0, 0, tables.add(dll + b"\0"), slot)
    return tables.add(descriptors + bytes(20)), len(descriptors) + 20


def add_exports(tables: Tables, exports: Mapping[bytes, int]) -> tuple[int, int]:
    """Add the export directory; return it."""
    n = len(exports)
    names = struct.pack(f"<{n}I", *(tables.add(name + b"\0") for name in exports))
    addresses = tables.add(struct.pack(f"<{n}I", *exports.values()))
    at, numbers = tables.add(names), tables.add(struct.pack(f"<{n}H", *range(n)))
    return tables.add(struct.pack("<IIHHIIIIIII", 0, 0, 0, 0, 0, 1, n, n, addresses, at, numbers)), 40


def blocks_of(relocations: Sequence[Relocation]) -> list[bytes]:
    """Return the blocks of relocations, one a page."""
    blocks = []
    for page in sorted({at & ~0xFFF for _, at in relocations}):
        words = [kind << 12 | at & 0xFFF for kind, at in relocations if at & ~0xFFF == page]
        words += [0] * (len(words) % 2)
        blocks.append(struct.pack(f"<II{len(words)}H", page, 8 + 2 * len(words), *words))
    return blocks

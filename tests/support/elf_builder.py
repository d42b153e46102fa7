"""Small ELF objects built in memory, in which a test can replace any part."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

S390X, X86_64, AARCH64, RISCV64 = 22, 62, 183, 243

#: Names of the host architectures, for tests.
HOSTS = {X86_64: "x86_64", AARCH64: "aarch64", RISCV64: "riscv64", S390X: "s390x"}
PT_LOAD, PT_DYNAMIC, PT_NOTE, PT_TLS, PT_GNU_RELRO = 1, 2, 4, 7, 0x6474E552
DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_STRSZ = 4, 5, 6, 7, 8, 10
DT_PLTRELSZ, DT_JMPREL, DT_INIT_ARRAY, DT_INIT_ARRAYSZ, DT_RELRSZ, DT_RELR = 2, 23, 25, 27, 35, 36
DT_GNU_HASH = 0x6FFFFEF5
STT_FUNC, STT_TLS = 2, 6

#: Offset and address of the object's data, to which relocations and code refer.
DATA = 0x1000

#: Offsets of the program headers: PT_LOAD, PT_DYNAMIC, PT_TLS.
PHDR_LOAD, PHDR_DYNAMIC, PHDR_TLS = 64, 64 + 56, 64 + 2 * 56

#: (offset, type, symbol, addend)
Rela = tuple[int, int, int, int]


class Symbol(NamedTuple):
    """A dynamic symbol; section 0 means undefined."""

    name: bytes
    section: int = 0
    value: int = 0
    type: int = STT_FUNC
    size: int = 0


def gnu_hash(symbols: Sequence[Symbol], order: str = "<") -> bytes:
    """Return a DT_GNU_HASH table with one bucket. Undefined symbols must come first."""
    defined = [symbol for symbol in symbols if symbol.section]
    first = 1 + len(symbols) - len(defined)
    hashes = []
    for symbol in defined:
        value = 5381
        for byte in symbol.name:
            value = (value * 33 + byte) % 2**32
        hashes.append(value & ~1 | (symbol is defined[-1]))
    bloom = struct.pack(order + "Q", 2**64 - 1)
    return (
        struct.pack(order + "IIII", 1, first, 1, 0)
        + bloom
        + struct.pack(order + f"{1 + len(hashes)}I", first if defined else 0, *hashes)
    )


def elf_object(
    *,
    machine: int = X86_64,
    data: bytes = bytes(256),
    symbols: Sequence[tuple[bytes, int, int] | Symbol] = (),
    rela: Sequence[Rela] = (),
    jmprel: Sequence[Rela] = (),
    relr: Sequence[int] = (),
    init_array: Sequence[int] = (),
    tls: tuple[int, int, int] = (0, 0, 0),
    has_gnu_hash: bool = False,
    dynamic: dict[int, int | None] | None = None,
    is_qemu: bool = True,
) -> bytes:
    """Return an ELF object loaded at address 0: headers and tables, then data at DATA. tls: size in the file (a prefix
    of data), size in memory, alignment; without it there is no PT_TLS. dynamic: entries of the dynamic section to
    replace, or to omit (None). is_qemu: whether to include the string "vmschkmachine".
    """
    order = ">" if machine == S390X else "<"
    all_symbols = [Symbol(*symbol) for symbol in symbols]
    strings, table = b"\0", bytes(24)
    for symbol in all_symbols:
        table += struct.pack(order + "IBBHQQ", len(strings), 0x10 | symbol.type, 0, *symbol[1:3], symbol.size)
        strings += symbol.name + b"\0"
    parts = {
        DT_STRTAB: strings,
        DT_SYMTAB: table,
        DT_RELA: pack_rela(rela, order),
        DT_JMPREL: pack_rela(jmprel, order),
        DT_RELR: struct.pack(order + f"{len(relr)}Q", *relr),
        DT_INIT_ARRAY: struct.pack(order + f"{len(init_array)}Q", *init_array),
    }
    if has_gnu_hash:
        parts[DT_GNU_HASH] = gnu_hash(all_symbols, order)
    else:
        parts[DT_HASH] = struct.pack(order + "II", 1, len(all_symbols) + 1)
    tags: dict[int, int | None] = {DT_STRSZ: len(strings), DT_RELASZ: 24 * len(rela), DT_PLTRELSZ: 24 * len(jmprel)}
    tags |= {DT_RELRSZ: 8 * len(relr), DT_INIT_ARRAYSZ: 8 * len(init_array)}
    segment_count = 3 if tls[1] else 2
    body, at = b"", 64 + segment_count * 56
    for tag, part in parts.items():
        tags[tag] = at + len(body)
        body += part + bytes(-len(part) % 8)
    tags |= dynamic or {}
    dynamic_at = at + len(body)
    section = b"".join(
        struct.pack(order + "QQ", tag, value) for tag, value in tags.items() if value is not None
    ) + bytes(16)
    body += section
    image = bytes(at) + body
    assert len(image) <= DATA
    mark = b'  "vmschkmachine": {\n\0' if is_qemu else b""
    image += mark.rjust(DATA - len(image), b"\0") + data
    header = b"\x7fELF\x02" + (b"\2" if order == ">" else b"\1") + b"\x01" + bytes(9)
    header += struct.pack(order + "HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, segment_count, 0, 0, 0)
    segments = struct.pack(order + "IIQQQQQQ", PT_LOAD, 7, 0, 0, 0, len(image), len(image), 0x1000)
    segments += struct.pack(order + "IIQQQQQQ", PT_DYNAMIC, 6, dynamic_at, dynamic_at, 0, len(section), len(section), 8)
    if tls[1]:
        segments += struct.pack(order + "IIQQQQQQ", PT_TLS, 4, DATA, DATA, 0, *tls)
    return header + segments + image[at:]


def with_segments(data: bytes, *segments: Sequence[int], content: bytes = b"") -> bytes:
    """Return an object with further program headers, and content behind it.

    segments: type, flags, offset from the start of content, size in the file and in memory of each.
    """
    order = "<" if data[5] == 1 else ">"
    (phoff,), (phnum,) = struct.unpack_from(order + "Q", data, 32), struct.unpack_from(order + "H", data, 56)
    headers = data[phoff : phoff + 56 * phnum]
    start = len(data) + len(headers) + 56 * len(segments)
    for kind, flags, offset, filesz, memsz in segments:
        headers += struct.pack(order + "IIQQQQQQ", kind, flags, start + offset, DATA, DATA, filesz, memsz, 1)
    changed = bytearray(data)
    struct.pack_into(order + "Q", changed, 32, len(data))
    struct.pack_into(order + "H", changed, 56, phnum + len(segments))
    return bytes(changed) + headers + content


def pack_rela(rela: Sequence[Rela], order: str = "<") -> bytes:
    """Return packed Elf64_Rela entries."""
    return b"".join(struct.pack(order + "QQq", at, symbol << 32 | kind, addend) for at, kind, symbol, addend in rela)

"""Small Mach-O objects built in memory, in which a test can replace any part.

Source: Apple's mach-o/loader.h, mach-o/nlist.h, mach-o/fixup-chains.h, mach-o/fat.h.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

CPU_ARM64, CPU_X86_64 = 0x100000C, 0x1000007

#: Address of the header, and offsets from it: of code, constructors' offsets, strings; of data, thread-local variables,
#: their data, constructors' pointers; of the tables.
BASE = 0x1_0000_0000
TEXT, OFFSETS, STRINGS = 0x1000, 0x2000, 0x2100
DATA, VARIABLES, THREAD_DATA, POINTERS = 0x4000, 0x5000, 0x5800, 0x6000
TABLES = 0x8000
SEGMENT_SIZE = PAGE = 0x4000

#: Formats of fixups: pointers to addresses or offsets in chains; opcodes.
CHAINED_64, CHAINED_64_OFFSET, OPCODES = 2, 6, 0


class Symbol(NamedTuple):
    """A defined symbol; value: offset from the header."""

    name: bytes
    value: int
    is_external: bool = True
    type: int = 0x0E


class Bind(NamedTuple):
    """A place that is bound to an import, by its number."""

    place: int
    number: int
    addend: int = 0


class Import(NamedTuple):
    """A symbol of a library; ordinal: of the library, or 0 and less for a search."""

    name: bytes
    ordinal: int = 1
    addend: int = 0


def uleb(value: int) -> bytes:
    """Return an unsigned LEB128 number."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def sleb(value: int) -> bytes:
    """Return a signed LEB128 number."""
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value & 127])


def chained_fixups(
    image: bytearray,
    rebases: Mapping[int, int],
    binds: Sequence[Bind],
    imports: Sequence[Import],
    pointer_format: int,
    import_format: int,
) -> bytes:
    """Write the chains of the data segment into the image, and return LC_DYLD_CHAINED_FIXUPS' table."""
    places: dict[int, int] = {}
    for place, target in rebases.items():
        address = target & 0xFFFFFFFF
        address += BASE if pointer_format == CHAINED_64 else 0
        places[place] = address | (target >> 56) << 36
    for bind in binds:
        places[bind.place] = 1 << 63 | bind.addend << 24 | bind.number
    starts = [0xFFFF] * (SEGMENT_SIZE // PAGE)
    ordered = sorted(places)
    for place, following in zip(ordered, [*ordered[1:], None], strict=False):
        page = (place - DATA) // PAGE
        if starts[page] == 0xFFFF:
            starts[page] = (place - DATA) % PAGE
        distance = 0 if following is None or (following - DATA) // PAGE != page else (following - place) // 4
        struct.pack_into("<Q", image, place, places[place] | distance << 51)
    names, records = bytearray(b"\0"), b""
    for each in imports:
        if import_format == 3:
            records += struct.pack("<IIq", each.ordinal & 0xFFFF, len(names), each.addend)
        else:
            records += struct.pack("<I", each.ordinal & 0xFF | len(names) << 9)
            records += struct.pack("<i", each.addend) if import_format == 2 else b""
        names += each.name + b"\0"
    in_segment = struct.pack("<IHHQIH", 22 + 2 * len(starts), PAGE, pointer_format, DATA, 0, len(starts))
    in_segment += struct.pack(f"<{len(starts)}H", *starts)
    in_image = struct.pack("<6I", 4, 0, 0, 24, 0, 0) + in_segment
    in_image += bytes(-len(in_image) % 8)
    return (
        struct.pack("<7I", 0, 32, 32 + len(in_image), 32 + len(in_image) + len(records), len(imports), import_format, 0)
        + bytes(4) + in_image + records + names
    )  # fmt: skip


def rebase_opcodes(image: bytearray, rebases: Mapping[int, int]) -> bytes:
    """Write the addresses into the image, and return opcodes that rebase them, each in another way."""
    out, ordered = b"\x11", sorted(rebases)
    for index, place in enumerate(ordered):
        struct.pack_into("<Q", image, place, (rebases[place] & 0xFFFFFFFF) + BASE | rebases[place] >> 56 << 56)
        offset = place - DATA
        out += (
            b"\x22" + uleb(offset) + b"\x51",
            b"\x22" + uleb(offset) + b"\x60\x01",
            b"\x22" + uleb(offset) + b"\x70\x10",
            b"\x22" + uleb(offset) + b"\x80\x01\x08",
            b"\x22" + uleb(0) + b"\x30" + uleb(offset) + b"\x51",
            b"\x22" + uleb(offset - 8 if offset >= 8 else 0) + (b"\x41" if offset >= 8 else b"") + b"\x51",
        )[index % 6]
    return out + b"\0"


def bind_opcodes(binds: Sequence[Bind], imports: Sequence[Import], *, is_lazy: bool = False) -> bytes:
    """Return opcodes that bind places, each in another way."""
    out = b"" if is_lazy else b"\x51"
    for index, bind in enumerate(binds):
        each = imports[bind.number]
        if each.ordinal <= 0:
            out += bytes([0x30 | each.ordinal & 15])
        else:
            out += bytes([0x10 | each.ordinal]) if index % 2 else b"\x20" + uleb(each.ordinal)
        out += b"\x40" + each.name + b"\0" + b"\x60" + sleb(bind.addend + each.addend)
        out += b"\x72" + uleb(bind.place - DATA)
        out += (b"\x90", b"\xa0\x08", b"\xb1", b"\xc0\x01\x10")[0 if is_lazy else index % 4] + (
            b"\0" if is_lazy else b""
        )
    return out if is_lazy else out + b"\0"


def macho_object(
    *,
    cpu: int = CPU_ARM64,
    subtype: int = 0,
    file_type: int = 2,
    code: bytes = b"",
    data: bytes = b"",
    symbols: Sequence[Symbol] = (),
    imports: Sequence[Import] = (),
    rebases: Mapping[int, int] | None = None,
    binds: Sequence[Bind] = (),
    lazy_binds: Sequence[Bind] = (),
    fixups: int = CHAINED_64_OFFSET,
    import_format: int = 1,
    init_offsets: Sequence[int] = (),
    init_pointers: Sequence[int] = (),
    variables: Sequence[int] = (),
    thread_data: bytes = b"",
    functions: Sequence[int] = (),
    is_qemu: bool = True,
    commands: Sequence[bytes] = (),
    replace: Mapping[int, bytes] | None = None,
) -> bytes:
    """Return a Mach-O file. Places and targets are offsets from the header.

    ``rebases``: targets of pointers by place, the upper byte is a tag. ``init_pointers``: targets; pointers to them are
    at POINTERS. ``variables``: offsets of thread-local variables in ``thread_data``. ``commands``: further load
    commands. ``replace``: bytes by offset in the finished file.
    """
    image = bytearray(TABLES)
    image[TEXT : TEXT + len(code)] = code
    image[DATA : DATA + len(data)] = data
    struct.pack_into(f"<{len(init_offsets)}I", image, OFFSETS, *init_offsets)
    strings = b'{\n  "vmschkmachine": {\0' if is_qemu else b"nothing\0"
    image[STRINGS : STRINGS + len(strings)] = strings
    for index, offset in enumerate(variables):
        struct.pack_into("<QQQ", image, VARIABLES + 24 * index, 0, 0, offset)
    image[THREAD_DATA : THREAD_DATA + len(thread_data)] = thread_data
    all_rebases = dict(rebases or {})
    all_rebases |= {POINTERS + 8 * index: target for index, target in enumerate(init_pointers)}

    tables = bytearray()

    def table(content: bytes) -> tuple[int, int]:
        """Append a table; return its offset and size."""
        tables.extend(bytes(-len(tables) % 8))
        start = len(tables)
        tables.extend(content)
        return (TABLES + start if content else 0), len(content)

    load = []
    if fixups == OPCODES:
        parts = [
            *table(rebase_opcodes(image, all_rebases)),
            *table(bind_opcodes(binds, imports)),
            *table(b""),
            *table(bind_opcodes(lazy_binds, imports, is_lazy=True)),
            *table(b""),
        ]
        load.append(struct.pack("<II10I", 0x80000022, 48, *parts))
    else:
        chains = chained_fixups(image, all_rebases, [*binds, *lazy_binds], imports, fixups, import_format)
        load.append(struct.pack("<IIII", 0x80000034, 16, *table(chains)))
    names, entries = bytearray(b"\0"), b""
    for symbol in symbols:
        n_type, value = symbol.type | symbol.is_external, symbol.value + BASE * (symbol.type == 0x0E)
        entries += struct.pack("<IBBHQ", len(names), n_type, 1, 0, value)
        names += symbol.name + b"\0"
    symbols_at, _ = table(entries)
    names_at, names_size = table(bytes(names))
    load.append(struct.pack("<6I", 2, 24, symbols_at, len(symbols), names_at, names_size))
    deltas = [after - before for before, after in zip([0, *functions], functions, strict=False)]
    load.append(struct.pack("<IIII", 0x26, 16, *table(b"".join(map(uleb, deltas)) + b"\0" if functions else b"")))
    load.append(struct.pack("<II", 0x1B, 24) + bytes(range(16)))
    load += commands

    def section(name: bytes, segment: bytes, at: int, size: int, kind: int) -> bytes:
        return struct.pack("<16s16sQQ8I", name, segment, BASE + at, size, at, 3, 0, 0, kind, 0, 0, 0)

    text = [
        section(b"__text", b"__TEXT", TEXT, OFFSETS - TEXT, 0x80000400),
        section(b"__init_offsets", b"__TEXT", OFFSETS, 4 * len(init_offsets), 0x16),
        section(b"__cstring", b"__TEXT", STRINGS, DATA - STRINGS, 2),
    ]
    writable = [
        section(b"__data", b"__DATA", DATA, VARIABLES - DATA, 0),
        section(b"__thread_vars", b"__DATA", VARIABLES, 24 * len(variables), 0x13),
        section(b"__thread_data", b"__DATA", THREAD_DATA, len(thread_data), 0x11),
        section(b"__mod_init_func", b"__DATA", POINTERS, 8 * len(init_pointers), 9),
    ]
    segments = [
        (b"__PAGEZERO", 0, BASE, 0, 0, 0, []),
        (b"__TEXT", BASE, DATA, 0, DATA, 5, text),
        (b"__DATA", BASE + DATA, SEGMENT_SIZE, DATA, SEGMENT_SIZE, 3, writable),
        (b"__LINKEDIT", BASE + TABLES, len(tables) + 0x1000, TABLES, len(tables), 1, []),
    ]
    head = [
        struct.pack("<II16s4Q4I", 0x19, 72 + 80 * len(each), *rest, protection, protection, len(each), 0)
        + b"".join(each)
        for *rest, protection, each in segments
    ]
    load = [*head, *load]
    header = struct.pack("<8I", 0xFEEDFACF, cpu, subtype, file_type, len(load), sum(map(len, load)), 0x200085, 0)
    image[: len(header) + sum(map(len, load))] = header + b"".join(load)
    image += tables
    for offset, content in (replace or {}).items():
        image[offset : offset + len(content)] = content
    return bytes(image)


def fat(*parts: tuple[int, int, bytes], is_64: bool = False) -> bytes:
    """Return a file for several CPUs: CPU, subtype and content of each."""
    entry = struct.Struct(">IIQQII" if is_64 else ">IIIII")
    table, body = b"", b""
    start = 0x1000
    for cpu, subtype, content in parts:
        body += bytes(-len(body) % 0x1000)
        table += entry.pack(cpu, subtype, start + len(body), len(content), 12, *([0] if is_64 else []))
        body += content
    return (struct.pack(">II", 0xCAFEBABF if is_64 else 0xCAFEBABE, len(parts)) + table).ljust(start, b"\0") + body

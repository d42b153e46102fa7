"""Writes what the fuzz targets begin with: good inputs, small. Usage: corpus.py DIRECTORY; one folder a target."""

import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from elf_builder import AARCH64, DATA, PHDR_DYNAMIC, STT_TLS, X86_64, Symbol, elf_object

#: FUZZ_BASE of guest.h.
BASE = 0x10600000


def objects() -> list[bytes]:
    """For objects.c: both architectures and hash tables, every kind of relocation."""
    inputs = []
    for machine, kinds in ((X86_64, (8, 1, 6, 5, 16, 17, 18)), (AARCH64, (1027, 257, 1025, 1024, 1028, 1029, 1030))):
        for has_gnu_hash in (False, True):
            image = elf_object(
                machine=machine,
                symbols=[
                    Symbol(b"strlen"),
                    Symbol(b"main", 1, DATA, size=8),
                    Symbol(b"g_ascii_table", 1, DATA, 1, 8),
                    Symbol(b"local", 1, 8, STT_TLS),
                ],
                rela=[(DATA + 8 * i, kind, 1 + i % 4, 8) for i, kind in enumerate(kinds)],
                relr=[DATA + 64, 0b1011],
                init_array=[DATA],
                has_gnu_hash=has_gnu_hash,
            )
            (dynamic,) = struct.unpack_from("<Q", image, PHDR_DYNAMIC + 16)
            inputs.append(struct.pack("<BH", machine == AARCH64, dynamic) + image)
    return inputs


def descriptions() -> list[bytes]:
    """For descriptions.c: in both layouts a description with a field that is a structure, and a subsection."""
    inputs = []
    layouts = ((72, 80, 104, 72, 80, 0x10000), (96, 104, 96, 64, 72, 0x20000))
    for layout, (fields, subsections, size, flags, vmsd, end) in enumerate(layouts):
        memory = bytearray(1024)
        memory[896:900] = b"pci\0"
        for at in (0, 128):
            struct.pack_into("<QQii", memory, at, BASE + 896, 0, 2, 1)
        struct.pack_into("<Q", memory, fields, BASE + 256)
        struct.pack_into("<Q", memory, subsections, BASE + 768)
        struct.pack_into("<QQ", memory, 768, BASE + 128, 0)
        struct.pack_into("<Q", memory, 256, BASE + 896)
        struct.pack_into("<I", memory, 256 + flags, 4)
        struct.pack_into("<Q", memory, 256 + vmsd, BASE + 128)
        struct.pack_into("<I", memory, 256 + size + flags, end)
        inputs.append(struct.pack("<BH", layout, 0) + memory)
    return inputs


def host() -> list[bytes]:
    """For host.c: a hash table with a key, strings, printf."""
    calls = (
        (0x60, 0, 0, 0, 0, 0, 0, 0),  # g_hash_table_new(g_str_hash, ...)
        (0x62, 2, 0x80, 7, 0, 0, 0, 4),  # insert
        (0x65, 2, 0x80, 0, 0, 0, 0, 0),  # lookup
        (0x20, 0x80, 0, 0, 0, 0, 0, 0),  # strlen
        (0x40, 0x90, 0x80, 3, 0, 0, 0, 4),  # g_strdup_printf
        (0x80, 0, 5, 0, 0, 0, 0, 3),  # g_slist_prepend
    )
    memory = b"".join(map(bytes, calls)).ljust(0x7F, b"\0") + b"pci-device\0".ljust(0x10, b"\0") + b"%s is %d%%\0"
    return [bytes([arch]) + memory for arch in (0, 1)]


for make in (objects, descriptions, host):
    folder = Path(sys.argv[1]) / make.__name__
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(make()):
        (folder / f"seed-{number}").write_bytes(content)

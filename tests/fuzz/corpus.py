"""Write small valid inputs as a corpus for each fuzz target. Usage: corpus.py DIRECTORY; one folder per target."""

import base64
import itertools
import lzma
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import streams
from support.elf_builder import AARCH64, DATA, PHDR_DYNAMIC, STT_TLS, X86_64, Symbol, elf_object
from support.macho_builder import (
    CHAINED_64,
    CHAINED_64_OFFSET,
    CPU_ARM64,
    CPU_X86_64,
    OPCODES,
    Bind,
    Import,
    macho_object,
)
from support.macho_builder import DATA as MACHO_DATA
from support.macho_builder import Symbol as MachoSymbol
from support.paths import TESTS
from support.pe_builder import BASE as BASE_OF_PE
from support.pe_builder import CODE, pe_object
from support.pe_builder import DATA as PE_DATA

#: FUZZ_BASE in guest.h.
BASE = 0x10600000


def objects() -> list[bytes]:
    """Seeds of objects.c: both architectures, both hash tables, every kind of relocation."""
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


def pe() -> list[bytes]:
    """Seeds of pe.c: every data directory that is read, and constructors."""
    data = struct.pack("<4Q", 2**64 - 1, BASE_OF_PE + CODE, BASE_OF_PE + CODE, 0).ljust(256, b"\0")
    imports = {b"libglib-2.0-0.dll": [b"g_free", b"g_ascii_table"], b"WS2_32.dll": [115]}
    exports = {b"qemu_plugin_a": CODE, b"qemu_plugin_b": CODE + 8}
    relocations = [(10, PE_DATA + 8), (10, PE_DATA + 16)]
    return [
        pe_object(
            data=data, relocations=relocations, imports=imports, exports=exports, functions=[CODE], tls=(64, 16, 96)
        ),
        pe_object(),
    ]


def macho() -> list[bytes]:
    """Seeds of macho.c: every format of fixups, with imports, constructors, symbols and thread-local variables."""
    inputs = []
    for fixups in (CHAINED_64, CHAINED_64_OFFSET, OPCODES):
        for import_format, (cpu, flag) in itertools.product((1, 2, 3), ((CPU_ARM64, 0), (CPU_X86_64, 0x8000))):
            image = macho_object(
                cpu=cpu, fixups=fixups, import_format=import_format,
                rebases={MACHO_DATA + 8 * n: 0x1000 for n in range(8)},
                imports=[Import(b"_strlen"), Import(b"_own", -3)],
                binds=[Bind(MACHO_DATA + 0x100, 0), Bind(MACHO_DATA + 0x108, 1, 8)],
                lazy_binds=[Bind(MACHO_DATA + 0x110, 0)], symbols=[MachoSymbol(b"_own", 0x1000)], functions=[0x1000],
                init_offsets=[0x1000], init_pointers=[0x1000], variables=[0], thread_data=b"12345678",
            )  # fmt: skip
            head = image[:0x1000].rstrip(b"\0")
            inputs.append(struct.pack("<H", len(head) | flag) + head + image[MACHO_DATA:])
    return inputs


def descriptions() -> list[bytes]:
    """Seeds of descriptions.c: in both struct layouts, a description with a nested struct and a subsection."""
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
    """Seeds of host.c: a hash table with one key, strings, printf."""
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


def vex() -> list[bytes]:
    """Seeds of vex.c: VEX instructions of each map, EVEX and XOP; stfle."""
    code = "c5f1fec2 c4e271a8c2 c4e3f916c001 c5fe6f8710000000 64c5fa7e042500000000 c5f877 62f17548fec2 8fe870cec200"
    return [b"\0" + bytes.fromhex(code), b"\1" + bytes.fromhex("a7090002 b2b02008 07fe")]


def parse() -> list[bytes]:
    """Seeds of parse.c: the first devices of real dumps, and the extended form with all of its keys."""
    inputs = []
    for path in sorted((TESTS / "data" / "dumps").glob("*/aarch64.json.xz")):
        dump = lzma.decompress(path.read_bytes())
        for at in (0, len(dump) // 2):
            start, end = dump.index(b'\n  "', at), dump.index(b"\n  },\n", at + 2000)
            inputs.append(b'{"vmschkmachine": {"Name": "none"},' + dump[start:end] + b"}}")
    inputs.append(
        b'{"vmschkmachine":{"Name":"q","prints_num":false,"producer":{"a":[1,"b"]},"Descriptions":[{"uses":["icp"],'
        b'"types":["t"],"symbol":"s","Description":{"name":"r","version_id":1,"minimum_version_id":1,"needed":true,'
        b'"hooks":["pre_load"],"priority":-1,"unmigratable":true,"early_setup":true,"Fields":[{"field":"f",'
        b'"version_id":0,"field_exists":true,"num":2,"size":4,"info":"i","flags":["ARRAY"],"offset":8,'
        b'"struct_version_id":1,"start":2,"num_offset":3,"size_offset":4,"err_hint":"h\\u00e9\\n"}],"Validations":[{'
        b'"position":1,"field":"v","version_id":0,"field_exists":true,"size":0,"flags":["MUST_EXIST"]}]}}]},"d":{"Name":'
        b'"d","version_id":1,"minimum_version_id":1,"parents":["p"],"abstract":true,"desc":"x","module":"m",'
        b'"Description":{"name":"n","version_id":1,"minimum_version_id":1,"Subsections":[]}}}'
    )
    return inputs


def table() -> list[bytes]:
    """For table.c: two descriptions with fields, one nested, one a subsection; a second table that refers to them."""

    def texts(*words: bytes) -> bytes:
        joined = b"".join(word + b"\0" for word in words)
        return bytes([len(joined)]) + joined

    inputs = []
    for detailed in (0, 1):
        first = bytes([detailed, 2, 3, 0, 0, 3, 1, 2, 1, 5, 0, 2, 0, 1, 1, 9, 0])
        fields = bytes([96, 4, 129, 1, 3, 2, 8, 0, 0, 0, 0, 10, 2])
        names = texts(b"pci", b"irq", b"config", b"usb", b"x") + texts(b"uint32", b"hint", b"int")
        second = bytes([detailed, 1, 1, 1, 1, 2, 2, 3, 1, 4, 0, 16, 8, 0, 1])
        more = texts(b"e1000", b"parent_obj") + texts(b"")
        use = bytes([2, 1, 1, 0x0F, 2, 1, 0, 1, 1])
        inputs.append(
            first + fields + names + second + more + use
            + texts(b"none", b"nic", b"bus") + texts(b"device", b"a NIC", b"net") + texts(b"sym", b"post", b"type")
        )  # fmt: skip
    # A device whose description has the trait VMD_NO_DESCRIPTION, and fields all the same.
    inputs.append(base64.b64decode(
        "AQIDAAADAQIBBQACAAEB8gBgBIEBAwII////AgoCFXBjaQBpcnEAY29uZmlnAHVzYgB4ABB1aW50MzIAaGludABpbnQAAAEBAQECAgMBBAApCAAB"
        "EWUwOTk5AHBhcmVudF9vYmoAAQACAQEPAgEAAQENbm9uZQBuaWMAYnVzABFkZXZpY2UAYQAAAAAAAAAAAA5zeW0AcA8CAAAAAAplAA=="
    ))  # fmt: skip
    return inputs


def savevm() -> list[bytes]:
    """Seeds of savevm.c: every kind of element, record and live section, and a block of LZO1X."""
    blocks = {"pc.ram": 4 * streams.PAGE}
    setup = streams.HEADER + streams.configuration("pc")
    pages = (
        streams.page(0, streams.FULL_PAGE, bytes(streams.PAGE), "pc.ram")
        + streams.page(0, streams.XBZRLE, b"\1" + streams.be(2, 3) + b"abc")
        + streams.page(0, streams.COMPRESS, streams.be(4, 2) + b"ab")
        + streams.be(8, streams.FLUSH)
        + streams.be(8, streams.EOS)
    )
    live = {
        "spapr/htab": streams.be(4, 0) + streams.be(4, 1) + streams.be(2, 1, 0) + bytes(16 + 8),
        "s390-storage_attributes": streams.be(8, 0x1002, 2) + b"ab" + streams.be(8, 1),
        "dirty-bitmap": b"\x1c" + streams.str8("b") + streams.str8("n") + bytes(5) + b"\x21",
        "block": streams.be(8, 0x209) + streams.str8("d") + streams.be(8, 2),
        "id/vfio": streams.be(8, 0xFFFFFFFFEF100004, 2) + b"ab" + streams.be(8, 0xFFFFFFFFEF100001),
    }
    mapped = streams.configuration("pc", streams.capabilities("mapped-ram", "x-ignore-shared"))
    package = streams.section(5, "nic", bytes(4)) + streams.command(5)
    inputs = [
        setup + streams.ram_setup(blocks) + streams.part(2, pages, type=2) + streams.EOF,
        setup + b"".join(streams.section(7, name, body, type=1) for name, body in live.items()) + streams.EOF,
        setup + streams.section(7, "s390-skeys", streams.be(8, 2, 1) + b"k" + streams.be(8, 1)) + streams.EOF,
        streams.HEADER + mapped + streams.ram_setup(blocks, bytes(8) + streams.be(4, 1) + bytes(24)) + streams.EOF,
        setup + streams.command(7, streams.be(4, len(package))) + package + streams.EOF,
        streams.small_stream(),
        streams.small_stream(footers=False),
    ]
    lzo = b"\x16hello\x2d\x10\0\x11\0\0"
    return [bytes([how]) + each for each in inputs for how in (0, 1, 6)] + [b"\x08" + lzo]


for make in (objects, pe, macho, descriptions, host, vex, parse, table, savevm):
    folder = Path(sys.argv[1]) / make.__name__
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(make()):
        (folder / f"seed-{number}").write_bytes(content)

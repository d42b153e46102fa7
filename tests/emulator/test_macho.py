"""Mach-O objects are mapped and linked, or refused with the place in the file; including damaged ones."""

import struct
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.elf_builder import AARCH64
from support.examples import EXAMPLES
from support.macho_builder import (
    BASE,
    CHAINED_64,
    CHAINED_64_OFFSET,
    CPU_ARM64,
    CPU_X86_64,
    DATA,
    OFFSETS,
    OPCODES,
    POINTERS,
    TABLES,
    TEXT,
    THREAD_DATA,
    VARIABLES,
    Bind,
    Import,
    Symbol,
    fat,
    macho_object,
)
from support.refusals import check_refused

from vmdump._core import ffi
from vmdump.emulator.guest import Guest
from vmdump.emulator.hosts.model import Platform
from vmdump.emulator.objects.macho import MachoFile
from vmdump.emulator.objects.model import MappedObject
from vmdump.errors import SourceError
from vmdump.files.elf_header import HostArch

GOOD = macho_object()

FIXUPS = pytest.mark.parametrize("fixups", [CHAINED_64, CHAINED_64_OFFSET, OPCODES], ids=["64", "offset", "opcodes"])


def mapped(content: bytes, scope: tuple[bytes, ...] = (), *, is_main: bool = True) -> MappedObject:
    """Map a file, and the libraries that it is bound to before it."""
    guest = Guest("guest", HostArch.AARCH64, platform=Platform.MACOS)
    libraries = [MachoFile(each, "library").map(guest, is_main=False) for each in scope]
    return MachoFile(content, "file").map(guest, libraries, is_main=is_main)


def words(found: MappedObject, *places: int) -> list[int]:
    """Return the words at offsets from the object's header."""
    return [found.guest.pointer(found.bias + BASE + place) for place in places]


def slots(found: MappedObject) -> list[int]:
    """Return the object's slots as offsets from its header."""
    addresses, count = found.slots()
    return [address - found.bias - BASE for address in ffi.unpack(addresses, count)] if count else []


@FIXUPS
def test_rebases(fixups: int) -> None:
    """Pointers within the object become addresses in the guest, tags included, and are the slots."""
    places = {DATA + 8 * n + (64 if n > 4 else 0): TEXT + 4 * n for n in range(13)}
    places[DATA + 0x800] = TEXT | 0x5A << 56
    found = mapped(macho_object(rebases=places, fixups=fixups))
    expected = [found.bias + BASE + (target & 0xFFFFFFFF) + (target >> 56 << 56) for target in places.values()]
    assert words(found, *places) == expected
    assert slots(found) == sorted(places)
    assert words(found, DATA + 0x900) == [0]


@FIXUPS
@pytest.mark.parametrize("import_format", [1, 2, 3])
def test_binds(fixups: int, import_format: int) -> None:
    """Imports are bound to the host's functions, which lose the underscore and the variant, with addends."""
    addend = 0 if import_format == 1 and fixups != OPCODES else -16
    imports = [Import(b"_strlen"), Import(b"_open$NOCANCEL", 2), Import(b"_puts", -2, addend), Import(b"___error", 3)]
    binds = [Bind(DATA + 32 * n, n, 8 * (n == 1)) for n in range(4)]
    found = mapped(
        macho_object(imports=imports, binds=binds, lazy_binds=[Bind(DATA + 256, 0)], fixups=fixups,
                     import_format=import_format)
    )  # fmt: skip
    functions = [found.guest.host_function(name) for name in ("strlen", "open", "puts", "__error")]
    places = [bind.place for bind in binds]
    assert words(found, *places) == [functions[0], functions[1] + 8, functions[2] + addend, functions[3]]
    assert words(found, DATA + 256) == functions[:1]
    assert slots(found) == [*places, DATA + 256]


@FIXUPS
def test_bound_to_objects(fixups: int) -> None:
    """Imports of the object itself and of libraries are bound to exported symbols, not to static ones."""
    library = macho_object(symbols=[Symbol(b"_shared", TEXT), Symbol(b"_strlen", TEXT + 4, is_external=False)])
    imports = [Import(b"_shared"), Import(b"_strlen"), Import(b"_own", -3), Import(b"_own", 0), Import(b"_own", 1)]
    content = macho_object(
        symbols=[Symbol(b"_own", TEXT + 8)], imports=imports, binds=[Bind(DATA + 8 * n, n) for n in range(5)],
        fixups=fixups,
    )  # fmt: skip
    guest = Guest("guest", HostArch.AARCH64, platform=Platform.MACOS)
    first = MachoFile(library, "library").map(guest, is_main=False)
    found = MachoFile(content, "file").map(guest, [first], is_main=True)
    own = found.bias + BASE + TEXT + 8
    assert words(found, *(DATA + 8 * n for n in range(5))) == [
        first.bias + BASE + TEXT, guest.host_function("strlen"), own, own, guest.host_function("own"),
    ]  # fmt: skip


def test_symbols() -> None:
    """Static symbols are found too, exported ones first; a symbol extends to the next one or the end of its section."""
    found = mapped(
        macho_object(
            symbols=[
                Symbol(b"_twice", TEXT + 16, is_external=False),
                Symbol(b"_twice", TEXT + 32),
                Symbol(b"_twice", TEXT + 48, is_external=False),
                Symbol(b"_alias", TEXT + 48),
                Symbol(b"_table", DATA),
                Symbol(b"plain", TEXT + 64),
                Symbol(b"_debug", TEXT + 20, type=0x24),
                Symbol(b"_absolute", 0x1234, type=2),
                Symbol(b"_undefined", 0, type=0),
            ]
        )
    )
    at = found.bias + BASE
    assert dict(found.symbols) == {
        "twice": at + TEXT + 32, "alias": at + TEXT + 48, "table": at + DATA, "plain": at + TEXT + 64,
        "absolute": 0x1234,
    }  # fmt: skip
    assert "debug" not in found.symbols
    assert [found.symbol_at(at + TEXT + n) for n in (0, 16, 31, 32, 48, 63)] == [
        None, "twice", "twice", "twice", "alias", "alias",
    ]  # fmt: skip
    assert found.symbol_at(at + OFFSETS - 1) == "plain"
    assert found.symbol_at(at + OFFSETS) is None
    assert found.symbol_at(at + DATA + 8) == "table"


def test_constructors_and_functions() -> None:
    """Pointers to constructors come before offsets of constructors, each in the file's order; functions are listed."""
    found = mapped(
        macho_object(
            init_offsets=[TEXT + 8, TEXT],
            init_pointers=[TEXT + 24, TEXT + 16],
            functions=[TEXT, TEXT + 8, TEXT + 0x200],
        )
    )
    at = found.bias + BASE
    assert found.constructors == [at + TEXT + 24, at + TEXT + 16, at + TEXT + 8, at + TEXT]
    assert found.function_starts() == [at + TEXT, at + TEXT + 8, at + TEXT + 0x200]


def test_thread_local_variables() -> None:
    """The thunk of a variable returns its address in the running thread's data, which begins as the template."""
    found = mapped(macho_object(variables=[0, 24], thread_data=bytes(range(1, 33))))
    addresses = []
    for index in range(2):
        descriptor = found.bias + BASE + VARIABLES + 24 * index
        addresses.append(found.guest.call(found.guest.pointer(descriptor), descriptor))
    assert addresses[1] - addresses[0] == 24
    assert found.guest.read(addresses[0], 32) == bytes(range(1, 33))


def test_segments() -> None:
    """Code and constants of __TEXT are separate; the tables are no part of the object."""
    found = mapped(GOOD)
    at = found.bias + BASE
    assert [(part.start - at, part.end - at, part.executable, part.writable) for part in found.segments] == [
        (0, OFFSETS, True, False), (OFFSETS, DATA, False, False), (DATA, TABLES, False, True),
    ]  # fmt: skip
    assert b"vmschkmachine" in found.read(found.constants)
    assert MachoFile(GOOD, "file").build_id() == bytes(range(16)).hex()


@pytest.mark.parametrize("size", [8, 16])
def test_short_uuid(size: int) -> None:
    """LC_UUID that is smaller than a UUID is no build ID."""
    content = macho_object(commands=[struct.pack("<II", 0x1B, size).ljust(size, b"x")])
    content = content.replace(struct.pack("<II", 0x1B, 24), struct.pack("<II", 0x99, 24))
    assert MachoFile(content, "file").build_id() is None


@pytest.mark.parametrize("is_64", [False, True])
def test_several_cpus(is_64: bool) -> None:
    """Of a file for several CPUs the part for AArch64 is read."""
    other = macho_object(cpu=CPU_X86_64)
    content = fat((CPU_X86_64, 3, other), (0x100000C, 0, macho_object(rebases={DATA: TEXT})), is_64=is_64)
    found = mapped(content)
    assert words(found, DATA) == [found.bias + BASE + TEXT]
    assert MachoFile(content, "file").content()[:4] == b"\xcf\xfa\xed\xfe"


def changed(offset: int, *values: int) -> bytes:
    """Return a good object with some 32-bit words replaced."""
    return macho_object(rebases={DATA: TEXT}, replace={offset: struct.pack(f"<{len(values)}I", *values)})


#: Offsets of segments' load commands, and of the chained fixups.
SEGMENT_TEXT = 32 + 72
SEGMENT_DATA = SEGMENT_TEXT + 72 + 3 * 80
SEGMENT_TABLES = SEGMENT_DATA + 72 + 4 * 80
CHAINS = SEGMENT_TABLES + 72


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (GOOD[:6], "its header is outside of the file"),
        (GOOD[:20], "shorter than a Mach-O header; the file may be truncated"),
        (GOOD[:200], "at offset 0x14: .* bytes of load commands"),
        (b"\xce\xfa\xed\xfe" + GOOD[4:], "not a 64-bit little-endian Mach-O header"),
        (macho_object(subtype=0x80000002), "for arm64e, which can't be emulated: its pointers are signed"),
        (b"\xce\xfa\xed\xfe\7" + bytes(27), "a Mach-O file for i386, which can't be emulated"),
        (b"\xfe\xed\xfa\xcf\1\0\0\x12" + bytes(24), "a Mach-O file for 64-bit PowerPC, which can't"),
        (macho_object(cpu=0x1000012), "for 64-bit PowerPC, which can't be emulated; supported for macOS: AArch64"),
        (macho_object(cpu=77), "for an unknown CPU .*0x4d"),
        (fat((7, 0, GOOD), (0x100000C, 2, GOOD)), "for i386 and arm64e, which can't be emulated"),
        (fat()[:8], "0 CPUs in one file"),
        (fat((CPU_ARM64, 0, macho_object(cpu=77))), "at offset 0x1000: the part for AArch64 has a header for an un"),
        (
            fat((CPU_ARM64, 0, macho_object(cpu=CPU_X86_64))),
            "the part for AArch64 has a header for x86-64; the file may",
        ),
        (fat((CPU_ARM64, 0, macho_object(subtype=2))), "the part for AArch64 has a header for arm64e"),
        (fat((0x100000C, 0, GOOD))[:-8000], "the part for AArch64 is outside"),
        (macho_object(file_type=1), "a relocatable object, not linked; give a QEMU"),
        (macho_object(file_type=4), "a core file"),
        (macho_object(file_type=10), "separate debug information"),
        (macho_object(file_type=99), "a Mach-O file of an unknown type"),
        (macho_object(commands=[struct.pack("<6I", 0x2C, 24, 0x1000, 0x1000, 1, 0)]), "its code is encrypted"),
        (GOOD[: TABLES + 8], "segment __LINKEDIT of .* bytes is outside of the file"),
        (changed(36, 4), "a load command of 4 bytes"),
        (changed(36, 80000), "a load command of 80000 bytes"),
        (changed(SEGMENT_TEXT + 64, 1000), "1000 sections in a segment's load command"),
        (changed(SEGMENT_TEXT + 40, 1, 0), "no segment begins with its header"),
        (changed(SEGMENT_DATA + 24, 0, 0), "its segments do not follow its header"),
        (changed(SEGMENT_DATA + 32, 0, 2), "its segments do not follow its header within 256 MiB"),
        (
            macho_object(
                replace={
                    SEGMENT_DATA + 32: struct.pack("<Q", 200 << 20),
                    SEGMENT_TABLES + 32: struct.pack("<Q", 200 << 20),
                }
            ),
            "its segments take 400 MiB together, more than any QEMU's",
        ),
        (changed(SEGMENT_DATA + 72 + 32, 0x9000_0000, 1), "a section is outside of the segments"),
        (changed(CHAINS + 8, 0x9000_0000), "its chained fixups are outside of the file"),
    ],
)
def test_refused(content: bytes, error: str, tmp_path: Path) -> None:
    """A file that can't be read is refused with the reason, and the place if it is damaged."""
    check_refused(content, error, tmp_path)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({0: b"\1"}, "chained fixups of an unknown version"),
        ({20: b"\4"}, "chained imports of an unknown format"),
        ({24: b"\1"}, "chained imports of an unknown format"),
        ({16: b"\xff\xff"}, "its imports are outside of the chained fixups"),
        ({12: b"\xff\xff"}, "the name of an import is outside"),
        ({4: b"\xff\xff"}, "the fixups of its segments are outside"),
        ({32: b"\xff\xff"}, "the fixups of its segments are outside"),
        ({44: b"\xff\xff"}, "segment 2: the fixups of a segment are outside"),
        ({32 + 24 + 6: b"\1"}, "segment 2: signed pointers of arm64e"),
        ({32 + 24 + 6: b"\4"}, "segment 2: chained fixups of 32 bits"),
        ({32 + 24 + 6: b"\x0b"}, "segment 2: chained fixups of an unknown format"),
        ({32 + 24 + 4: b"\0\0"}, "the fixups of a segment are outside"),
        ({32 + 24 + 20: b"\xff\xff"}, "the fixups of a segment are outside"),
        ({32 + 24 + 22: b"\0\x80"}, "a page with several chains"),
        ({32 + 24 + 8: b"\0\0\0\x10"}, "segment 2: a chain of fixups leaves its page"),
        ({32 + 24 + 8: b"\0\0"}, "segment 2: a fixup outside of the writable segments"),
    ],
)
def test_damaged_chains(changes: dict[int, bytes], error: str) -> None:
    """Chained fixups whose numbers are wrong are refused."""
    content = macho_object(
        rebases={DATA: TEXT}, imports=[Import(b"_strlen")],
        replace={TABLES + offset: value for offset, value in changes.items()},
    )  # fmt: skip
    with pytest.raises(SourceError, match=error):
        mapped(content)


@pytest.mark.parametrize(
    ("place", "word", "error"),
    [
        (DATA, 1 << 63 | 1, "bound to an import that does not exist"),
        (DATA, 0xFFF << 51, "a fixup outside of the writable segments"),
        (POINTERS, 0x7FFFFFFF, "a constructor is outside of the object"),
    ],
)
def test_damaged_pointers(place: int, word: int, error: str) -> None:
    """Pointers of a chain that lead outside are refused."""
    content = macho_object(
        rebases={} if place == POINTERS else {place: TEXT}, init_pointers=[TEXT] if place == POINTERS else [],
        imports=[Import(b"_strlen")], replace={place: struct.pack("<Q", word)},
    )  # fmt: skip
    with pytest.raises(SourceError, match=error):
        mapped(content)


@pytest.mark.parametrize(
    ("opcodes", "error"),
    [
        (b"\x13", "rebase opcode at 0x8000: a fixup of an unknown type"),
        (b"\x29\0", "malformed"),
        (b"\x22" + b"\xff" * 10, "malformed"),
        (b"\x22\0\x60" + b"\xff" * 9 + b"\1", "a fixup outside of the writable segments"),
        (b"\x22\0\x80" + b"\xff" * 9 + b"\1" + b"\xf8" + b"\xff" * 8 + b"\1", "more fixups than any QEMU has"),
        (b"\x21\0\x51", "a fixup outside of the writable segments"),
        (b"\x20\0\x51", "a fixup outside of the writable segments"),
        (b"\x90", "malformed"),
    ],
)
def test_damaged_opcodes(opcodes: bytes, error: str) -> None:
    """Opcodes that are unknown or lead outside are refused, with their place; endless ones end."""
    content = macho_object(fixups=OPCODES, rebases=dict.fromkeys(range(DATA, DATA + 64, 8), TEXT))
    at = content.index(b"\x11\x22")
    with pytest.raises(SourceError, match=error):
        mapped(content[:at] + opcodes + content[at + len(opcodes) :])


@pytest.mark.parametrize(
    ("opcodes", "error"),
    [
        (b"\x90", "bind opcode at .*: its fixup opcodes are malformed"),
        (b"\xd0", "signed pointers of arm64e"),
        (b"\x52", "a fixup of an unknown type"),
        (b"\x40" + b"a" * 4011, "malformed"),
        (b"\xe0", "malformed"),
    ],
)
def test_damaged_binds(opcodes: bytes, error: str) -> None:
    """Opcodes that bind nothing, or something unknown, are refused."""
    content = macho_object(fixups=OPCODES, imports=[Import(b"_" + b"x" * 4000)], binds=[Bind(DATA, 0)])
    at = content.index(b"\x51\x20")
    with pytest.raises(SourceError, match=error):
        mapped(content[:at] + opcodes + content[at + len(opcodes) :])


def test_thread_local_data_of_libraries() -> None:
    """Only the main binary may have thread-local variables, and they must be within their data."""
    with pytest.raises(SourceError, match="only the main binary may have any"):
        mapped(macho_object(variables=[0], thread_data=b"12345678"), is_main=False)
    with pytest.raises(SourceError, match="a thread-local variable is outside"):
        mapped(macho_object(variables=[64], thread_data=b"12345678"))
    size = SEGMENT_DATA + 72 + 2 * 80 + 40
    big = macho_object(variables=[0], thread_data=b"12345678", replace={size: struct.pack("<Q", TABLES - THREAD_DATA)})
    assert mapped(big)


@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_damaged_anywhere(data: st.DataObject) -> None:
    """A file with any bytes replaced is mapped or refused; nothing else happens."""
    content = bytearray(
        macho_object(
            rebases={DATA: TEXT}, imports=[Import(b"_strlen")], binds=[Bind(DATA + 8, 0)],
            symbols=[Symbol(b"_f", TEXT)], init_offsets=[TEXT], init_pointers=[TEXT], functions=[TEXT],
            variables=[0], thread_data=b"12345678",
            fixups=data.draw(st.sampled_from([CHAINED_64, CHAINED_64_OFFSET, OPCODES])),
        )
    )  # fmt: skip
    interesting = st.one_of(st.integers(0, CHAINS + 200), st.integers(TABLES, len(content) - 1))
    for at in data.draw(st.lists(interesting, min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    try:
        found = mapped(bytes(content))
    except (SourceError, MemoryError):
        return
    slots(found)
    found.symbol_at(found.bias + BASE + TEXT)
    assert isinstance(found.function_starts(), list)


def test_calls() -> None:
    """Variadic arguments of macOS are all on the stack, of both kinds, and a va_list is a pointer to them."""
    found = mapped(GOOD)
    guest = found.guest
    assert guest.arch == AARCH64
    buffer, arguments = guest.alloc(64), guest.alloc(64)
    guest.write(arguments, guest.pack("QdQ", 7, 1.5, guest.string("text")))
    guest.call(guest.host_function("vsnprintf"), buffer, 64, guest.string("%d %g %s"), arguments)
    assert guest.text(buffer) == "7 1.5 text"


def test_names_that_collide() -> None:
    """Of names with the same hash, so many are found that looking for them takes no time that matters."""
    names = [bytes(b"_" + b"".join(pair)) for pair in product((b"Ez", b"FY"), repeat=11)]
    found = mapped(macho_object(symbols=[Symbol(name, TEXT) for name in names]))
    assert sum(name[1:].decode() in found.symbols for name in names) == 256


def test_long_names() -> None:
    """Names of more than 4,095 bytes are no function's: they are not found, and not imported."""
    names = [b"_" + b"a" * 4095, b"_" + b"a" * 4096]
    found = mapped(macho_object(symbols=[Symbol(name, TEXT) for name in names]))
    assert [name[1:].decode() in found.symbols for name in names] == [True, False]

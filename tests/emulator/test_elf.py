"""ELF objects are mapped and relocated, or refused with the place in the file; including damaged ones."""

import ctypes
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.elf_builder import (
    AARCH64,
    DT_GNU_HASH,
    DT_HASH,
    DT_INIT_ARRAY,
    DT_RELA,
    DT_RELR,
    DT_STRSZ,
    DT_STRTAB,
    DT_SYMTAB,
    PHDR_DYNAMIC,
    PHDR_LOAD,
    PT_GNU_RELRO,
    PT_LOAD,
    PT_NOTE,
    RISCV64,
    S390X,
    STT_TLS,
    X86_64,
    Symbol,
    elf_object,
    with_segments,
)
from support.elf_builder import DATA as AT
from support.examples import EXAMPLES
from support.glib import load_glib
from support.refusals import check_refused
from support.requirements import require

from vmdump._core import ffi
from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.elf import ElfFile
from vmdump.emulator.objects.model import MappedObject, MappedSegment
from vmdump.emulator.objects.open import open_object
from vmdump.errors import SourceError

GOOD = elf_object()


def changed(offset: int, data: bytes) -> bytes:
    """Return a good object with some header bytes replaced."""
    return GOOD[:offset] + data + GOOD[offset + len(data) :]


#: More undefined symbols than the limit, with distinct names.
COUNT = 4200
NAMES = b"\0" + b"".join(b"%05d\0" % i for i in range(COUNT))
IMPORTS = struct.pack("<II", 1, COUNT) + b"".join(
    struct.pack("<IBBHQQ", 1 + 6 * i, 0x12, 0, 0, 0, 0) for i in range(COUNT)
)
MANY = {DT_HASH: AT, DT_SYMTAB: AT + 8, DT_STRTAB: AT + len(IMPORTS), DT_STRSZ: len(NAMES)}
IMPORTS += NAMES


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "not an ELF file"),
        (b"{}", "not an ELF file"),
        (GOOD[:40], "shorter than an ELF header"),
        (
            changed(4, b"\x01"),
            "a 32-bit ELF file for x86-64, which can't be emulated: structs have a different layout on 32-bit hosts; "
            "supported hosts are x86-64, AArch64, RISC-V and IBM Z .*, all 64-bit: write the dump on its own host",
        ),
        (changed(5, b"\x02"), "a 64-bit ELF file for an unknown CPU .*; supported hosts are"),
        (elf_object(machine=RISCV64)[:5] + b"\2" + GOOD[6:], "an unknown CPU .*, big-endian, which can't be emulated"),
        (changed(18, b"\x16\x00"), "IBM Z .*, which can't be emulated: this CPU's binaries have the other byte order"),
        (
            changed(18, b"\x15\x00"),
            "64-bit PowerPC, which can't be emulated: Unicorn has no vector instructions",
        ),
        (changed(18, b"\x02\x01"), "LoongArch, which can't be emulated: Unicorn does not emulate this CPU"),
        (
            changed(18, b"\xe7\x03"),
            r"an unknown CPU \(ELF machine 999\), which can't be emulated: the emulator has no table",
        ),
        (changed(16, b"\x01"), "a relocatable object, not linked; give a QEMU system emulator"),
        (changed(16, b"\x04"), "a core file, the memory of a process that crashed; give the QEMU binary itself"),
        (changed(8, b"AI\x02"), "an AppImage; unpack it"),
        (changed(200, b"UPX!"), r"compressed by UPX; decompress it \(upx -d\) and give the result"),
        (elf_object(is_qemu=False), "not a QEMU system emulator, but another program; give a qemu-system-"),
        (
            elf_object(is_qemu=False, data=b"\0qemu-img version 7.2.22\0"),
            "not a QEMU system emulator, but qemu-img, one of QEMU's tools",
        ),
        (
            elf_object(is_qemu=False, data=b"QEMU_LD_PREFIX\0qemu-x86_64 version 7.2.22\0", dynamic={DT_SYMTAB: None}),
            "not a QEMU system emulator, but qemu-x86_64, user-mode emulation, which has no devices",
        ),
        (changed(16, b"\x02"), "linked to addresses below 64 KiB, where Linux maps no binary either"),
        (changed(32, b"\xff" * 8), "program headers are outside of the file"),
        (changed(56, b"\xff\xff"), "program headers are outside of the file"),
        (changed(PHDR_LOAD + 32, b"\xff" * 8), "a segment of 18446744073709551615 bytes is outside of the file"),
        (changed(PHDR_LOAD + 16, b"\xff" * 8), "is outside of the file"),
        (GOOD[:-1], "is outside of the file"),
        (changed(PHDR_LOAD, b"\0\0\0\0"), "nothing to load"),
        (changed(PHDR_DYNAMIC, b"\0\0\0\0"), "no dynamic section"),
        (elf_object(dynamic={DT_STRTAB: None}), "no dynamic symbols"),
        (elf_object(dynamic={DT_SYMTAB: None}), "no dynamic symbols"),
        (changed(PHDR_DYNAMIC + 16, struct.pack("<Q", 200 << 20)), "no dynamic symbols"),
        (elf_object(dynamic={DT_HASH: None}), "no hash table of its dynamic symbols"),
        (elf_object(), "its constructors register no init functions; it may not be a QEMU system emulator"),
        (elf_object(dynamic={DT_SYMTAB: 1 << 40}), "outside of its memory"),
        (elf_object(dynamic={DT_HASH: 1 << 40}), "outside of its memory"),
        (elf_object(dynamic={DT_STRTAB: 1 << 40}), "its dynamic symbols are outside of its memory"),
        (elf_object(dynamic={DT_STRSZ: 1 << 40}), "its dynamic symbols are outside of its memory"),
        (elf_object(dynamic={DT_STRSZ: 100 << 20}), "more symbols than any QEMU has"),
        (elf_object(dynamic={DT_STRSZ: 1}, symbols=[(b"name", 1, AT)]), r"a symbol's name is outside of .dynstr"),
        (
            elf_object(data=struct.pack("<II", 1, 2**20 + 1), dynamic={DT_HASH: AT}),
            "more symbols than any QEMU",
        ),
        (elf_object(data=struct.pack("<II", 1, 2**32 - 1), dynamic={DT_HASH: AT}), "outside of its memory"),
        (elf_object(dynamic={DT_GNU_HASH: 1 << 40}), "the hash table of its dynamic symbols is outside of its memory"),
        # (buckets, first symbol, bloom words, shift): too many of each; a chain without an end.
        (
            elf_object(data=struct.pack("<4I", 2**32 - 1, 1, 0, 0), dynamic={DT_GNU_HASH: AT}),
            "the hash table of its dynamic symb",
        ),
        (
            elf_object(data=struct.pack("<4I", 1, 1, 2**32 - 1, 0), dynamic={DT_GNU_HASH: AT}),
            "the hash table of its dynamic symb",
        ),
        (
            elf_object(data=struct.pack("<5I", 1, 1, 0, 0, 2**32 - 1), dynamic={DT_GNU_HASH: AT}),
            "the hash table of its",
        ),
        (
            elf_object(data=struct.pack("<5I", 1, 1, 0, 0, 1), dynamic={DT_GNU_HASH: AT}),
            "hash table of its dynamic symbols",
        ),
        (elf_object(relr=[AT], dynamic={DT_RELR: 1 << 40}), "the relocations are outside of the file"),
        (elf_object(jmprel=[(1 << 40, 7, 0, 0)]), "relocation 0 at .*: a relocation is outside of the file"),
        (elf_object(rela=[(AT, 8, 0, 0), (AT, 6, 1, 0)]), "relocation 1 at .*: a relocation is outside of the file"),
        (elf_object(relr=[AT, 1 | 1 << 63, 1 << 40]), "relocation 2 at .*: a relocation is outside of the file"),
        (
            elf_object(symbols=[(b"f%d" % i, 0, 0) for i in range(4)], data=IMPORTS, dynamic=MANY),
            "imports more functions",
        ),
        (elf_object(tls=(8, 1 << 20, 16)), "1048576 bytes of thread-local data; only the main binary may have any"),
        (elf_object(tls=(8, 8, 1 << 60)), "8 bytes of thread-local data; only the main binary may have any"),
        (elf_object(tls=(16, 8, 1)), "a segment of 16 bytes is outside of the file"),
        (elf_object(rela=[(AT, 8, 0, 0)], dynamic={DT_RELA: 1 << 40}), "the relocations are outside of the file"),
        (elf_object(rela=[(1 << 40, 8, 0, 0)]), "a relocation is outside of the file"),
        (elf_object(rela=[(AT, 6, 9, 0)]), "a relocation is outside of the file"),
        (elf_object(rela=[(AT, 37, 0, 0)]), "relocation 0 at .*: unknown relocation type"),
        (elf_object(relr=[1 << 40]), "a relocation is outside of the file"),
        (elf_object(init_array=[1], dynamic={DT_INIT_ARRAY: 1 << 40}), "outside of its memory"),
        (with_segments(GOOD, *[(PT_NOTE, 4, 0, 0, 0)] * 1169), "at .*: 1171 program headers, more than Linux accepts"),
        (with_segments(GOOD, *[(PT_NOTE, 4, 0, 0, 0)] * 1168), "its constructors register no init functions"),
        *(
            (
                with_segments(GOOD, *[(kind, 4, 0, 0, 200 << 20)] * 2),
                "its segments take 400 MiB together, more than any QEMU's; the file may be truncated or corrupt",
            )
            for kind in (PT_LOAD, PT_GNU_RELRO)
        ),
    ],
)
def test_wrong_files(data: bytes, error: str, tmp_path: Path) -> None:
    """Files that are not a readable QEMU are refused by name."""
    check_refused(data, error, tmp_path)


@example([(80, b"\0\0\0\x11")])  # the dynamic section is below the loaded segments
@settings(max_examples=3 * EXAMPLES // 2)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 300), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4))
def test_damaged_files(changes: list[tuple[int, bytes]]) -> None:
    """An object with random bytes overwritten is mapped or refused with a SourceError."""
    data = GOOD
    for at, new in changes:
        data = data[:at] + new + data[at + len(new) :]
    try:
        elf = ElfFile(data, "x")
        elf.map(Guest("x", elf.arch), is_main=True)
    except SourceError as error:
        assert "\n" not in str(error)


#: Relocation types. Source: the System V ABI's supplements for x86-64 and AArch64.
TYPES = {
    X86_64: {
        "NONE": 0, "64": 1, "COPY": 5, "GLOB_DAT": 6, "JUMP_SLOT": 7, "RELATIVE": 8, "DTPMOD": 16, "DTPOFF": 17,
        "TPOFF": 18,
    },
    AARCH64: {
        "NONE": 0, "64": 257, "COPY": 1024, "GLOB_DAT": 1025, "JUMP_SLOT": 1026, "RELATIVE": 1027, "DTPMOD": 1028,
        "DTPOFF": 1029, "TPOFF": 1030,
    },
}  # fmt: skip

MACHINES = pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=["x86_64", "aarch64"])


def mapped(data: bytes, *scope: MappedObject, guest: Guest | None = None, is_main: bool = True) -> MappedObject:
    """Map an object into a guest, by default a new one."""
    elf = ElfFile(data, "x")
    return elf.map(guest or Guest("x", elf.arch), scope, is_main=is_main)


def words(guest: Guest, address: int, count: int) -> tuple[int, ...]:
    """Read 64-bit words of a guest."""
    return struct.unpack(f"<{count}Q", guest.read(address, 8 * count))


@MACHINES
def test_relocations(machine: int) -> None:
    """RELATIVE, 64, GLOB_DAT, JUMP_SLOT, NONE and RELR of both hosts are applied."""
    types = TYPES[machine]
    data = elf_object(
        machine=machine,
        data=b"".join(struct.pack("<Q", 0x100 * i) for i in range(80)),
        symbols=[(b"theirs", 0, 0), (b"mine", 1, AT + 64)],
        rela=[
            (AT, types["RELATIVE"], 0, 0x40),
            (AT + 8, types["64"], 2, 5),
            (AT + 16, types["GLOB_DAT"], 1, 0),
            (AT + 72, types["NONE"], 1, 7),
        ],
        jmprel=[(AT + 24, types["JUMP_SLOT"], 1, 0)],
        relr=[AT + 32, 1 | 1 << 1 | 1 << 3, 1 | 1 << 63],
    )
    guest = Guest("x", machine)
    object_ = mapped(data, guest=guest)
    bias, theirs = object_.bias, guest.host_function("theirs")
    assert words(guest, bias + AT, 4) == (bias + 0x40, bias + AT + 64 + 5, theirs, theirs)
    # RELR: the word at AT + 32 (the fifth); of the 63 after it the first and the third; of the next 63 the last.
    assert words(guest, bias + AT + 32, 6) == (bias + 0x400, bias + 0x500, 0x600, bias + 0x700, 0x800, 0x900)
    last = 5 + 63 + 62
    assert guest.pointer(bias + AT + 8 * 79) == 0x100 * 79
    assert object_.symbols == {"mine": bias + AT + 64}
    assert list(slots(object_)) == [bias + AT + 8 * i for i in (0, 1, 2, 4, 5, 7, last)]


def slots(object_: MappedObject) -> list[int]:
    """Return the places into which relocations wrote addresses."""
    addresses, count = object_.slots()
    return ffi.unpack(addresses, count) if count else []


@MACHINES
def test_thread_local_data(machine: int) -> None:
    """TPOFF, DTPMOD and DTPOFF, and __tls_get_addr, agree on the place of thread-local data."""
    types = TYPES[machine]
    data = elf_object(
        machine=machine,
        data=b"12345678" + bytes(64),
        tls=(8, 40, 16),
        symbols=[Symbol(b"local", 1, 24, STT_TLS)],
        rela=[(AT + 16, types["TPOFF"], 1, 3), (AT + 24, types["DTPMOD"], 1, 0), (AT + 32, types["DTPOFF"], 1, 4)],
    )
    guest = Guest("x", machine)
    object_ = mapped(data, guest=guest)
    offset, module, in_module = words(guest, object_.bias + AT + 16, 3)
    # The 40 bytes take 48. They end at the thread pointer on x86-64, and begin 16 bytes after it on AArch64.
    assert offset == (24 + 3 - 48) % 2**64 if machine == X86_64 else offset == 24 + 3 + 16
    assert (module, in_module) == (1, 24 + 4)
    start = guest.call(guest.host_function("__tls_get_addr"), object_.bias + AT + 24) - in_module
    assert guest.read(start, 40) == b"12345678" + bytes(32)
    with pytest.raises(SourceError, match="thread-local data; only the main binary may have any"):
        mapped(data, object_, guest=guest, is_main=False)


@MACHINES
def test_copied_variable(machine: int) -> None:
    """COPY: g_ascii_table, the only variable that QEMU copies, has GLib's contents; other variables are zero."""
    copy = TYPES[machine]["COPY"]
    symbols = [Symbol(b"g_ascii_table", 1, AT, 1, 8), Symbol(b"stdout", 1, AT + 8, 1, 8)]
    data = elf_object(machine=machine, symbols=symbols, rela=[(AT, copy, 1, 0), (AT + 8, copy, 2, 0)])
    guest = Guest("x", machine)
    bias = mapped(data, guest=guest).bias
    glib = load_glib()
    require(glib, "libglib-2.0.so.0")
    real = ctypes.POINTER(ctypes.c_uint16).in_dll(glib, "g_ascii_table")
    assert struct.unpack("<256H", guest.read(guest.pointer(bias + AT), 512)) == tuple(real[:256])
    assert guest.pointer(bias + AT + 8) == 0


@MACHINES
def test_scope(machine: int) -> None:
    """Undefined symbols resolve to the first object in scope that has them, else the host; QEMU's queue always to the
    host.
    """
    names = [b"both", b"second", b"strlen", b"register_dso_module_init"]
    guest = Guest("x", machine)
    first = mapped(elf_object(machine=machine, symbols=[(names[0], 1, AT), (names[3], 1, AT)]), guest=guest)
    second = mapped(elf_object(machine=machine, symbols=[(names[0], 1, AT), (names[1], 1, AT + 8)]), guest=guest)
    data = elf_object(
        machine=machine,
        symbols=[(name, 0, 0) for name in names],
        rela=[(AT + 8 * i, TYPES[machine]["GLOB_DAT"], 1 + i, 0) for i in range(4)],
    )
    third = mapped(data, first, second, guest=guest, is_main=False)
    assert words(guest, third.bias + AT, 4) == (
        first.symbols["both"],
        second.symbols["second"],
        guest.host_function("strlen"),
        guest.host_function("register_dso_module_init"),
    )


@pytest.mark.parametrize("has_gnu_hash", [False, True])
def test_symbols(has_gnu_hash: bool) -> None:
    """Defined symbols by name, and by address; both hash table formats give the number of symbols."""
    symbols = [
        Symbol(b"undefined"),
        Symbol(b"f", 1, AT + 16, size=16),
        Symbol(b"g", 1, AT + 48, size=8),
        Symbol(b"no_size", 1, AT + 64),
        Symbol(b"\xff", 1, AT + 72, size=1),
    ]
    object_ = mapped(elf_object(symbols=symbols, has_gnu_hash=has_gnu_hash))
    at = object_.bias + AT
    assert object_.symbols == {"f": at + 16, "g": at + 48, "no_size": at + 64, "\udcff": at + 72}
    assert len(object_.symbols) == 4
    assert "undefined" not in object_.symbols
    assert object_.symbols.get("nothing") is None
    named = {offset: object_.symbol_at(at + offset) for offset in (15, 16, 31, 32, 48, 55, 56, 64, 72)}
    assert named == {15: None, 16: "f", 31: "f", 32: None, 48: "g", 55: "g", 56: None, 64: None, 72: "\\xff"}


def note(name: bytes, kind: int, content: bytes, order: str = "<") -> bytes:
    """Return a note. Source: System V ABI, chapter 5, "Note Section"."""
    head = struct.pack(order + "III", len(name), len(content), kind)
    return head + name.ljust(-len(name) % 4 + len(name), b"\0") + content.ljust(-len(content) % 4 + len(content), b"\0")


ID = note(b"GNU\0", 3, b"\x12\x34\x56")


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([ID], "123456"),
        ([note(b"GNU\0", 1, bytes(16)) + note(b"Xen\0", 3, b"x") + note(b"", 3, b"") + ID], "123456"),
        ([note(b"GNU\0", 5, bytes(16)), ID], "123456"),
        ([note(b"GNU\0", 3, b"")], None),
        ([note(b"GNU\0", 1, b"x")], None),
        ([ID[:11]], None),
        ([], None),
        # Damaged: no notes have so many bytes.
        ([bytes(12) * 10_000 + ID], None),
        ([bytes(12) * 4000, bytes(12) * 4000, ID], "123456"),
        ([struct.pack("<III", 2**32 - 1, 2**32 - 1, 3) + ID], None),
    ],
)
def test_build_id(notes: list[bytes], expected: str | None) -> None:
    """The build ID is found behind other notes, and in further segments; damaged notes have none."""
    starts = [sum(map(len, notes[:n])) for n in range(len(notes))]
    segments = [(PT_NOTE, 4, start, len(each), len(each)) for start, each in zip(starts, notes, strict=True)]
    assert ElfFile(with_segments(GOOD, *segments, content=b"".join(notes)), "x").build_id() == expected


@pytest.mark.parametrize("machine", [X86_64, S390X])
def test_build_id_is_readelfs(machine: int, tmp_path: Path) -> None:
    """The build ID is the one that readelf prints."""
    order = ">" if machine == S390X else "<"
    content = note(b"GNU\0", 1, bytes(16), order) + note(b"GNU\0", 3, bytes(range(20)), order)
    path = tmp_path / "object"
    segment = (PT_NOTE, 4, 0, len(content), len(content))
    path.write_bytes(with_segments(elf_object(machine=machine), segment, content=content))
    printed = subprocess.run(["readelf", "-n", path], check=True, capture_output=True, text=True).stdout
    with open_object(str(path)) as file:
        assert f"Build ID: {file.build_id()}" in printed


def test_segments(tmp_path: Path) -> None:
    """The parts of an object, ranges searched for strings, and constructors without their markers."""
    data = elf_object(data=b"constants".ljust(256, b"\0"), init_array=[0, 0x1234, 2**64 - 1, 0x5678])
    whole = mapped(data)
    end = whole.bias + AT + 256
    assert whole.segments == [
        MappedSegment(whole.bias, end, executable=True, writable=True, loaded=AT + 256, has_addresses=True)
    ]
    assert whole.constants is None
    assert whole.constructors == [0x1234, 0x5678]
    # Read-only, and readable and executable.
    for flags in (4, 5):
        part = mapped(data[: PHDR_LOAD + 4] + bytes([flags]) + data[PHDR_LOAD + 5 :])
        assert part.segments == [
            MappedSegment(part.bias, end, executable=flags == 5, writable=False, loaded=AT + 256, has_addresses=False)
        ]
        assert part.read(part.constants).endswith(b"constants".ljust(256, b"\0"))


def test_file_becomes_shorter(tmp_path: Path) -> None:
    """A file truncated while it is read is an error."""
    path = tmp_path / "file"
    path.write_bytes(GOOD)
    with open_object(str(path)) as elf:
        path.write_bytes(GOOD[:0x1010])
        with pytest.raises(SourceError, match=f"^{path}: at 0x1010: the file was truncated while it was being read"):
            elf.map(Guest("x", X86_64), is_main=True)

"""PE objects are mapped and relocated, or refused with the place in the file; including damaged ones."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import EXAMPLES
from support.pe_builder import (
    AARCH64,
    BASE,
    CODE,
    DATA,
    EXPORTS,
    HEADER,
    IMPORTS,
    OPTIONAL,
    RELOCATIONS,
    SECTIONS,
    TABLES,
    THREAD_LOCAL,
    X86_64,
    pe_object,
)
from support.refusals import check_refused

from vmdump._core import ffi
from vmdump.emulator.guest import Guest
from vmdump.emulator.machine_code import Code
from vmdump.emulator.objects.model import MappedObject
from vmdump.emulator.objects.pe import PeFile
from vmdump.errors import SourceError

GOOD = pe_object(
    data=struct.pack("<4Q", 2**64 - 1, BASE + CODE, BASE + CODE, 0).ljust(256, b"\0"),
    relocations=[(10, DATA + 8), (10, DATA + 16)],
    imports={b"libglib-2.0-0.dll": [b"g_free", b"g_ascii_table"], b"WS2_32.dll": [115]},
    exports={b"qemu_plugin_a": CODE, b"qemu_plugin_b": CODE + 8},
    functions=[CODE],
    tls=(64, 16, 96),
)
MACHINES = pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
DIR64 = 10


def mapped(data: bytes) -> MappedObject:
    """Map an object into a new guest."""
    file = PeFile(data, "x")
    return file.map(Guest("x", file.arch, platform=file.platform), is_main=True)


def start_of(object_: MappedObject) -> int:
    """Return the address of the image in the guest."""
    return object_.bias + BASE


def changed(offset: int, data: bytes) -> bytes:
    """Return a good object with some bytes replaced."""
    return GOOD[:offset] + data + GOOD[offset + len(data) :]


@MACHINES
def test_relocations(machine: int) -> None:
    """DIR64 relocations move addresses to where the image is, and are the slots; padding is skipped."""
    data = struct.pack("<3Q", BASE + CODE, 0x1234, BASE + DATA)
    object_ = mapped(pe_object(machine=machine, data=data, relocations=[(DIR64, DATA), (0, DATA), (DIR64, DATA + 16)]))
    start = start_of(object_)
    assert object_.guest.words(start + DATA, 3) == (start + CODE, 0x1234, start + DATA)
    slots, count = object_.slots()
    assert ffi.unpack(slots, count) == [start + DATA, start + DATA + 16]
    assert [each.has_addresses for each in object_.segments] == [False, True, False]


def test_imports() -> None:
    """Slots are filled with functions by name and by number, and with the address of GLib's variable."""
    object_ = mapped(GOOD)
    guest, slots = object_.guest, start_of(object_) + TABLES
    assert guest.words(slots, 3) == (guest.host_function("g_free"), guest.host_function("g_ascii_table"), 0)
    # g_ascii_type of "0": digit, xdigit, alnum, graph, print. Source: GLib glib/gstrfuncs.c.
    table = guest.pointer(guest.pointer(slots + 8))
    assert guest.number(table + 2 * ord("0"), 2) == 0x459
    assert guest.words(slots + 24, 2) == (guest.host_function("WS2_32.dll #115"), 0)


def test_exports() -> None:
    """Exported functions are symbols."""
    object_ = mapped(GOOD)
    start = start_of(object_)
    assert object_.symbols == {"qemu_plugin_a": start + CODE, "qemu_plugin_b": start + CODE + 8}
    assert object_.symbol_at(start + CODE) == "qemu_plugin_a"


def test_constructors() -> None:
    """The longest list between ones and a zero is called from its end to its start; shorter ones are not."""
    first = struct.pack("<3Q", 2**64 - 1, BASE + CODE, 0)
    second = struct.pack("<5Q", 2**64 - 1, *(BASE + CODE + i for i in (1, 2, 3)), 0)
    no_code = struct.pack("<6Q", 2**64 - 1, *(BASE + DATA + i for i in range(4)), 0)
    data = first + second + no_code
    slots = [8, *range(24 + 8, 24 + 32, 8), *range(64 + 8, 64 + 40, 8)]
    object_ = mapped(pe_object(code=bytes(16), data=data, relocations=[(DIR64, DATA + at) for at in slots]))
    assert object_.constructors == [start_of(object_) + CODE + i for i in (3, 2, 1)]
    assert mapped(pe_object()).constructors == []


@MACHINES
def test_functions(machine: int) -> None:
    """Functions are those of the unwinding directory, whose entries differ in size."""
    starts = [CODE, CODE + 0x20, CODE + 0x80]
    object_ = mapped(pe_object(machine=machine, code=bytes(0x100), functions=starts))
    start = start_of(object_)
    assert object_.function_starts() == [start + each for each in starts]
    assert Code(object_).function(start + CODE + 0x30) == (start + CODE + 0x20, start + CODE + 0x80)


def test_functions_without_frame() -> None:
    """AArch64 functions without a stack frame, which the unwinding directory lacks, are found by calls to them."""
    code = bytes.fromhex("10000094").ljust(0x100, b"\0")  # bl CODE + 0x40
    object_ = mapped(pe_object(machine=AARCH64, code=code, functions=[CODE, CODE + 0x80]))
    start, found = start_of(object_) + CODE, Code(object_)
    assert found.function(start) == (start, start + 0x40)
    assert found.function(start + 0x50) == (start + 0x40, start + 0x80)
    assert list(found.calls((start, start + 0x40))) == [start + 0x40]
    assert found.callers(start + 0x40) == {(start, start + 0x40)}


#: Code that returns the first word of thread-local data, through the TEB's array: as GCC and clang compile it.
FIRST_WORD = {
    # mov rax, gs:[0x58]; mov rax, [rax]; mov rax, [rax]; ret
    X86_64: "65488b042558000000 488b00 488b00 c3",
    # ldr x0, [x18, #0x58]; ldr x0, [x0]; ldr x0, [x0]; ret
    AARCH64: "402e40f9 000040f9 000040f9 c0035fd6",
}


@MACHINES
def test_thread_local_data(machine: int) -> None:
    """Code finds its thread-local data in the block that its index names."""
    data = b"\xff" * 64 + b"template" + bytes(8) + b"\xff" * 64
    code = bytes.fromhex(FIRST_WORD[machine])
    object_ = mapped(pe_object(machine=machine, code=code, data=data, tls=(64, 16, 96)))
    start = start_of(object_)
    assert object_.guest.call(start + CODE).to_bytes(8, "little") == b"template"
    assert object_.guest.number(start + DATA + 96, 4) == 0


#: Code that returns its fifth argument: x86-64 has it above 32 bytes that the callee may use.
FIFTH = {X86_64: "488b442428 c3", AARCH64: "e00304aa c0035fd6"}


@MACHINES
def test_arguments(machine: int) -> None:
    """Arguments are where Windows' calling convention has them."""
    object_ = mapped(pe_object(machine=machine, code=bytes.fromhex(FIFTH[machine])))
    assert object_.guest.call(start_of(object_) + CODE, 1, 2, 3, 4, 0x12345) == 0x12345


@MACHINES
def test_printf(machine: int) -> None:
    """long has four bytes; doubles are passed as integers; a va_list points to the next argument."""
    guest = mapped(pe_object(machine=machine)).guest
    call, out = lambda name, *args: guest.call(guest.host_function(name), *args), guest.alloc(64)
    one = struct.unpack("<Q", struct.pack("<d", 1.5))[0]
    call("snprintf", out, 64, guest.string("%ld %g %I64d"), 2**32 + 5, one, 2**33)
    assert guest.text(out) == f"5 1.5 {2**33}"
    arguments = guest.alloc(32)
    guest.write(arguments, struct.pack("<3Q", 7, one, 2**64 - 1))
    call("_vsnprintf", out, 64, guest.string("%d %.2f %ld"), arguments)
    assert guest.text(out) == "7 1.50 -1"
    assert call("strtol", guest.string("9999999999"), 0, 10) == 2**31 - 1
    assert call("strtoul", guest.string("-1"), 0, 10) == 2**32 - 1


def test_waiting() -> None:
    """Events, semaphores and threads are waited for until they are signalled; else the wait times out."""
    # xor eax, eax; ret: a thread that ends
    object_ = mapped(pe_object(code=bytes.fromhex("31c0c3")))
    guest = object_.guest
    call = lambda name, *args: guest.call(guest.host_function(name), *args)  # noqa: E731
    event, semaphore = call("CreateEventA", 0, 0, 1, 0), call("CreateSemaphoreA", 0, 1, 9, 0)
    timeout = 0x102
    assert [call("WaitForSingleObject", event, 0) for _ in range(2)] == [0, timeout]
    assert [call("WaitForSingleObject", semaphore, 0) for _ in range(2)] == [0, timeout]
    call("SetEvent", event)
    call("ReleaseSemaphore", semaphore, 2, 0)
    assert [call("WaitForSingleObject", event, 0) for _ in range(2)] == [0, timeout]
    assert [call("WaitForSingleObject", semaphore, 0) for _ in range(3)] == [0, 0, timeout]
    thread = call("_beginthreadex", 0, 0, start_of(object_) + CODE, 0, 0, 0)
    assert call("WaitForSingleObject", thread, 0) == timeout
    assert call("WaitForSingleObject", thread, 0xFFFFFFFF) == 0


def test_thread_local_storage() -> None:
    """Values are stored by index; there are 64."""
    guest = mapped(GOOD).guest
    call = lambda name, *args: guest.call(guest.host_function(name), *args)  # noqa: E731
    indices = [call("TlsAlloc") for _ in range(65)]
    assert indices == [*range(64), 2**32 - 1]
    assert call("TlsSetValue", 63, 0x1234) == 1
    assert [call("TlsGetValue", index) for index in (62, 63, 64)] == [0, 0x1234, 0]


def test_build_id() -> None:
    """The build is identified by the GUID of its file of symbols."""
    guid = bytes(range(16))
    assert PeFile(pe_object(build_id=guid), "x").build_id() == guid.hex()
    assert PeFile(GOOD, "x").build_id() is None


#: Offsets in the optional header of the size of the image, and of the data directories.
IMAGE_SIZE, DIRECTORIES = OPTIONAL + 56, OPTIONAL + 112


def with_directory(number: int, address: int, size: int) -> bytes:
    """Return a good object with another data directory."""
    return changed(DIRECTORIES + 8 * number, struct.pack("<II", address, size))


def of_ones(number: int) -> bytes:
    """Return an object in which a data directory consists of ones."""
    return pe_object(data=b"\xff" * 256, directories={number: (DATA, 40)})


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"MZ", "a DOS or Windows program; write the dump where it runs"),
        (GOOD[:HEADER], "a DOS or Windows program"),
        (changed(0x3C, b"\xff\xff\xff\xff"), "a DOS or Windows program"),
        (changed(HEADER + 4, b"\x4c\x01"), r"a Windows program \(PE, i386\); write the dump where it runs"),
        (changed(HEADER + 4, b"\x41\xa6"), r"a Windows program \(PE, AArch64 \(ARM64EC\)\)"),
        (changed(OPTIONAL, b"\x0b\x01"), r"a Windows program \(PE, x86-64\)"),
        (changed(OPTIONAL, b"\x07\x01"), "optional header at 0x98: it is not that of a PE32"),
        (changed(HEADER + 20, b"\x10\0"), "optional header at 0x98: it is not that of a PE32"),
        (changed(HEADER + 6, b"\xff\xff"), "more sections than Windows allows"),
        (changed(HEADER + 22, b"\x23"), "without relocations, so that it can't be mapped"),
        (GOOD[: SECTIONS + 50], "section header at .*: the section is outside of the file; it may be truncated"),
        (GOOD[:-64], "the section is outside of the file; it may be truncated"),
        (changed(SECTIONS, b"UPX0\0"), "compressed by UPX"),
        (changed(SECTIONS + 12, b"\0\0\0\x10"), "its addresses are outside of the image, or of another section"),
        (changed(SECTIONS + 40 + 12, b"\0\x10\0\0"), "its addresses are outside of the image, or of another section"),
        (changed(IMAGE_SIZE, b"\0\0\0\x7f"), "an image of 2032 MiB, larger than any QEMU"),
        (with_directory(IMPORTS, 0xFFFFFFF0, 40), "import directory at 0xfffffff0: it has no end"),
        (of_ones(IMPORTS), "import directory at 0x2000: the name of a library is outside of the image"),
        (with_directory(EXPORTS, 0xFFFFFFF0, 40), "export directory at 0xfffffff0: it is outside"),
        (of_ones(EXPORTS), "export directory at 0x2000: it is outside of the image, or too large"),
        (with_directory(RELOCATIONS, DATA + 8, 64), "relocations at 0x2008: a block is outside of its directory"),
        (with_directory(RELOCATIONS, 0x7FFFFFF0, 64), "relocations at 0x7ffffff0: a block is outside"),
        (with_directory(THREAD_LOCAL, 0xFFFFFFF0, 40), "TLS directory at 0xfffffff0: it is outside"),
        (with_directory(THREAD_LOCAL, DATA, 40), "TLS directory at 0x2000: its data is outside"),
        (pe_object(relocations=[(3, DATA)]), "relocation at 0x.*: unknown relocation type"),
        (pe_object(relocations=[(DIR64, 0x7FFF0000)]), "relocation at 0x.*: it is outside of the image"),
        (pe_object(imports={b"a": [b"%d" % i for i in range(4200)]}), "imports more functions than any QEMU does"),
        (pe_object(is_qemu=False, data=b"qemu-img version 10.2\0"), "not a QEMU system emulator, but qemu-img"),
        (GOOD, "its constructors register no init functions; it may not be a QEMU system emulator"),
    ],
)
def test_wrong_files(data: bytes, error: str, tmp_path: Path) -> None:
    """Files that are not a readable QEMU are refused on one line that names them."""
    check_refused(data, error, tmp_path)


@settings(max_examples=3 * EXAMPLES // 2)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4))
def test_damaged_files(changes: list[tuple[int, bytes]]) -> None:
    """An object with random bytes overwritten is mapped or refused with a SourceError."""
    data = GOOD
    for at, new in changes:
        data = (data[:at] + new + data[at + len(new) :])[: len(GOOD)]
    try:
        object_ = mapped(data)
        object_.function_starts()
    except SourceError as error:
        assert "\n" not in str(error)


def test_library() -> None:
    """Imports are bound to a library's exports first; only the main binary may have thread-local data with content."""
    library = PeFile(pe_object(exports={b"fdt_create": CODE}, tls=(64, 16, 96)), "libfdt-1.dll")
    main = PeFile(pe_object(imports={b"libfdt-1.dll": [b"fdt_create", b"fdt_other"]}, tls=(64, 16, 96)), "x")
    guest = Guest("x", main.arch, platform=main.platform)
    first = library.map(guest, is_main=False)
    second = main.map(guest, [first], is_main=True)
    slots = guest.words(start_of(second) + TABLES, 2)
    assert slots == (first.symbols["fdt_create"], guest.host_function("fdt_other"))
    data = b"\xff".rjust(256, b"\1")
    with pytest.raises(SourceError, match=r"TLS directory at .*: only the main binary may have such data"):
        PeFile(pe_object(data=data, tls=(64, 16, 96)), "y").map(guest, is_main=False)


def test_imports_of_many_libraries() -> None:
    """The number of imports is limited for all libraries together, which may share one table of them."""
    content = pe_object(imports={b"%d" % number: [b"g_free"] * 100 for number in range(700)})
    with pytest.raises(SourceError, match="imports more functions than any QEMU does"):
        mapped(content)

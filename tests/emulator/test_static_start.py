"""Binaries that are not position-independent, or statically linked: small programs as GCC builds them."""

import errno
import platform
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.elf_builder import AARCH64, DATA, X86_64, elf_object
from support.examples import EXAMPLES

from vmdump.emulator.guest import Guest
from vmdump.emulator.machine_code import Code
from vmdump.emulator.objects import eh_frame
from vmdump.emulator.objects.elf import ElfFile
from vmdump.emulator.objects.model import MappedObject, MappedSegment, Program
from vmdump.emulator.static_start import start_program
from vmdump.errors import SourceError

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or not shutil.which("gcc") or not shutil.which("nm"),
    reason="no compiler for x86-64",
)

SOURCE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

__thread int local = 7;
int order, first, second;
char *text;
const char *const names[] = {"alpha", "beta"};
const char *const *pointer = &names[1];
long results[8];

__attribute__((constructor(101))) static void begin(void)
{
    first = ++order;
    text = malloc(1000);
    sprintf(text, "%s %d %zu", names[0], local, strlen(names[1]));
    free(malloc(1 << 20));
    printf("constructed\n");
    fflush(stdout);
    results[0] = syscall(SYS_mmap, 0, 1L << 60, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == -1 ? errno : 0;
    results[1] = syscall(SYS_mmap, 4096, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == -1 ? errno : 0;
    results[2] = syscall(SYS_write, 1, 1L << 40, 8) == -1 ? errno : 0;
    results[3] = syscall(SYS_writev, 1, results, 1L << 40) == -1 ? errno : 0;
    results[4] = syscall(SYS_open, "/etc/passwd", 0) == -1 ? errno : 0;
    results[5] = syscall(SYS_socket, 1, 1, 0) == -1 ? errno : 0;
    results[6] = syscall(SYS_mmap, 0, 4096, 1, MAP_PRIVATE, 1, 0) == -1 ? errno : 0;
    results[7] = syscall(9999) == -1 ? errno : 0;
}

/* Results as Linux gives them. */
static void use_memory_and_output(void)
{
    struct iovec parts[] = {{"given\n", 6}, {0, 0}, {(void *)-1, 8}};
    struct timespec now = {0, 0};
    struct timeval then = {0, 0};
    char *start = sbrk(1 << 16);

    memset(start, 1, 1 << 16);
    sbrk(-(1 << 16));
    sbrk(1 << 16);
    results[0] = start[0] | start[4095] | start[(1 << 16) - 1];
    results[1] = syscall(SYS_writev, 1, parts, 2);
    results[2] = syscall(SYS_writev, 1, parts, 3);
    results[3] = syscall(SYS_write, 1, 0, 0);
    results[4] = syscall(SYS_mmap, start, -1L, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == -1 ? errno : 0;
    results[5] = syscall(SYS_clock_gettime, CLOCK_REALTIME, &now) == 0 && now.tv_sec > 1600000000;
    results[6] = syscall(SYS_gettimeofday, &then, 0) == 0 && then.tv_sec >= now.tv_sec;
    results[7] = syscall(SYS_time, 0) >= 1600000000;
}

int again(void)
{
    use_memory_and_output();
    return 0;
}

__attribute__((constructor(102))) static void next(void)
{
    second = ++order;
}

int add(int a, int b)
{
    return a + b + local;
}

int call_add(void)
{
    return add(1, 2) + (pointer[0] == names[1]);
}

int stop(void)
{
    return order;
}

int main(int argc, char **argv)
{
    return stop() + argc;
}
"""

#: How the program is linked.
KINDS = {
    "no-pie": ["-no-pie", "-fno-pie", "-rdynamic"],
    "static": ["-static", "-no-pie", "-fno-pie"],
    "static-pie": ["-static-pie", "-fPIE"],
}


class Built:
    """A program in a guest, and the addresses of its symbols by nm."""

    def __init__(self, path: Path) -> None:
        with ElfFile(path.read_bytes(), "program") as file:
            self.guest = Guest("program", file.arch, place=file.place)
            self.main = file.map(self.guest, is_main=True)
        lines = subprocess.run(["nm", str(path)], check=True, capture_output=True, text=True).stdout.splitlines()
        fields = [line.split() for line in lines]
        self.symbols = {line[2]: self.main.bias + int(line[0], 16) for line in fields if len(line) == 3}

    def start(self) -> None:
        """Run the constructors."""
        if self.main.program:
            start_program(self.guest, self.main.program, self.symbols["main"])
        else:
            self.guest.call_all(self.main.constructors)

    def number(self, name: str) -> int:
        """The value of an int."""
        return self.guest.number(self.symbols[name], 4)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the programs, each of which is built once."""
    directory = tmp_path_factory.mktemp("programs")
    (directory / "source.c").write_text(SOURCE)
    for name, flags in KINDS.items():
        command = ["gcc", "-O1", "-w", *flags, "-o", str(directory / name), str(directory / "source.c")]
        subprocess.run(command, check=True, capture_output=True)
    return directory


@pytest.mark.parametrize("kind", KINDS)
def test_constructors(kind: str, program: Path) -> None:
    """Constructors run in order, with libc's own start-up; then functions can be called."""
    built = Built(program / kind)
    assert (built.main.program is not None) == (kind != "no-pie")
    assert (built.guest.place is not None) == (kind != "static-pie")
    built.start()
    assert (built.number("order"), built.number("first"), built.number("second")) == (2, 1, 2)
    assert built.guest.text(built.guest.pointer(built.symbols["text"])) == "alpha 7 4"
    assert built.guest.take_output() == "constructed\n"
    assert built.guest.call(built.symbols["add"], 20, 15) == 42
    assert built.guest.call(built.symbols["call_add"]) == 11
    assert built.guest.call(built.symbols["stop"]) == 2


def test_system_calls(program: Path) -> None:
    """System calls beyond the guest's memory, for files and unknown ones fail as on Linux; the emulator goes on."""
    built = Built(program / "static")
    built.start()
    enomem, efault, enoent, enosys, enodev = 12, 14, 2, 38, 19
    expected = (enomem, enomem, efault, efault, enoent, enosys, enodev, enosys)
    assert built.guest.words(built.symbols["results"], 8) == expected


@pytest.mark.parametrize("kind", ["static", "static-pie"])
def test_memory_output_and_time(kind: str, program: Path) -> None:
    """Memory that was given back is zero again, empty output is none, partial output is counted, and clocks are set."""
    built = Built(program / kind)
    built.start()
    built.guest.take_output()
    built.guest.call(built.symbols["again"])
    assert built.guest.words(built.symbols["results"], 8) == (0, 6, 6, 0, errno.ENOMEM, 1, 1, 1)
    assert built.guest.take_output() == "given\ngiven\n"


@pytest.mark.parametrize("kind", KINDS)
def test_functions(kind: str, program: Path) -> None:
    """The functions of the program are listed; an address that code of fixed addresses loads is found."""
    built = Built(program / kind)
    starts = built.main.function_starts()
    names = ("add", "call_add", "stop", "main", "begin", "next")
    assert {built.symbols[name] for name in names} <= set(starts)
    code = Code(built.main)
    begin = code.function(built.symbols["begin"])
    assert begin in code.functions_that_load(code.strings(b"%s %d %zu"))
    assert begin
    assert not code.strings(b"%s %d %zu").isdisjoint(code.loads(begin))


@pytest.mark.parametrize("kind", KINDS)
def test_symbols(kind: str, program: Path, tmp_path: Path) -> None:
    """Symbols for debuggers are used, local ones by address only; a stripped program has those that it exports."""
    built = Built(program / kind)
    symbols = built.main.symbols
    assert (symbols["add"], symbols["order"]) == (built.symbols["add"], built.symbols["order"])
    assert {"add", "order"} <= set(symbols)
    assert "begin" not in symbols
    assert built.main.symbol_at(built.symbols["begin"] + 1) == "begin"
    assert all(symbols[name] for name in symbols)
    subprocess.run(["strip", "-o", str(tmp_path / kind), str(program / kind)], check=True)
    file = ElfFile((tmp_path / kind).read_bytes(), "program")
    stripped = file.map(Guest("program", file.arch, place=file.place), is_main=True)
    assert stripped.symbols.get("add") == (symbols["add"] if kind == "no-pie" else None)
    assert stripped.symbol_at(built.symbols["begin"] + 1) is None


@pytest.mark.parametrize("kind", KINDS)
def test_slots(kind: str, program: Path) -> None:
    """Pointers in the data are slots, with or without relocations."""
    built = Built(program / kind)
    built.start()
    slots, count = built.main.slots()
    found = {int(slots[i]) for i in range(count)}
    assert {built.symbols["names"], built.symbols["names"] + 8, built.symbols["pointer"]} <= found
    assert list(found) != []
    assert sorted(found) == [int(slots[i]) for i in range(count)]


def test_end_during_start(program: Path) -> None:
    """A program that ends before the function is entered is reported by what it does."""
    built = Built(program / "static")
    assert built.main.program
    with pytest.raises(SourceError, match=r"it exits"):
        start_program(built.guest, built.main.program, built.symbols["begin"] + 1)


def test_other_host() -> None:
    """Static binaries of a host whose system calls are not served are refused."""
    guest = Guest("program", AARCH64)
    with pytest.raises(SourceError, match="statically linked, which is supported for x86-64 hosts only"):
        start_program(guest, Program(guest.base, guest.base, 1, 56), guest.base)


# Addresses --------------------------------------------------------------------------------------------------------

EXECUTABLE = 2


def fixed(vaddr: int, *, data: bytes = bytes(256)) -> bytes:
    """An object whose segments are at vaddr and that can't be moved."""
    image = bytearray(elf_object(data=data))
    struct.pack_into("<H", image, 16, EXECUTABLE)
    for at in (64, 64 + 56):
        (address,) = struct.unpack_from("<Q", image, at + 16)
        struct.pack_into("<Q", image, at + 16, address + vaddr)
    (dynamic,) = struct.unpack_from("<Q", image, 64 + 56 + 8)
    for at in range(dynamic, len(image) - 16, 16):
        tag, value = struct.unpack_from("<QQ", image, at)
        if not tag:
            break
        if tag in (4, 5, 6, 7, 23, 25, 36):
            struct.pack_into("<Q", image, at + 8, value + vaddr)
    return bytes(image)


@pytest.mark.parametrize("vaddr", [0x10000, 0x400000, 0x410000, 0x10000000, 0x555500000000, (1 << 47) - 0x10000])
def test_addresses(vaddr: int) -> None:
    """A binary that can't be moved is where it wants to be; memory is allocated behind it."""
    file = ElfFile(fixed(vaddr, data=b"contents".ljust(256, b"\0")), "x")
    guest = Guest("x", file.arch, place=file.place)
    mapped = file.map(guest, is_main=True)
    assert (mapped.bias, guest.base) == (0, vaddr)
    assert guest.read(vaddr + DATA, 8) == b"contents"
    assert guest.alloc(16) > vaddr + DATA + 256
    code = guest.alloc(16)
    guest.write(code, b"\x48\x8d\x04\x37\xc3")  # lea (%rdi,%rsi), %rax; ret
    assert guest.call(code, 40, 2) == 42


@pytest.mark.parametrize("vaddr", [0, 0x1000, 1 << 47, (1 << 64) - 0x10000])
def test_impossible_addresses(vaddr: int) -> None:
    """Addresses that Linux gives to no program are refused."""
    with pytest.raises(SourceError, match=r"below 64 KiB|outside of the file"):
        ElfFile(fixed(vaddr), "x")


def test_segments_far_apart() -> None:
    """A binary cannot take more memory than a guest has, and one in another guest is not mapped over it."""
    image = bytearray(fixed(0x400000))
    image[64 + 56 : 64 + 112] = image[64:120]
    struct.pack_into("<Q", image, 64 + 56 + 16, 1 << 40)
    with pytest.raises(SourceError, match="further apart than a QEMU's"):
        ElfFile(bytes(image), "x")
    with pytest.raises(SourceError, match="which only the main binary may be"):
        ElfFile(fixed(0x400000), "x").map(Guest("x", X86_64), is_main=False)


# .eh_frame --------------------------------------------------------------------------------------------------------


def frames(*starts: int, encoding: int = 0x1B, order: str = "<") -> bytes:
    """An .eh_frame at address 0 with a CIE and an entry for each function, 16 bytes long."""
    letters = b"zPLR\0"
    data = letters + bytes([1, 0x78, 16, 7, 0x1B, 0, 0, 0, 0, 0x1B, encoding])
    cie = b"\0\0\0\0\x01" + data
    section = struct.pack(order + "I", len(cie)) + cie
    for start in starts:
        at = len(section) + 8
        sized = "q" if encoding & 15 == 12 else "i"
        body = struct.pack(order + sized * 2, start - (at if encoding & 0x10 else 0), 16) + b"\0"
        section += struct.pack(order + "II", 4 + len(body), len(section) + 4) + body
    return section + bytes(4)


def listed(section: bytes, machine: int = X86_64) -> list[int]:
    """The functions that are found in a read-only segment with the section, relative to its start."""
    guest = Guest("x", machine)
    at = guest.alloc(len(section) + 16)
    guest.write(at, section)
    segment = MappedSegment(
        at, at + len(section), executable=False, writable=False, loaded=len(section), has_addresses=False
    )
    return [start - at for start in eh_frame.list_functions(guest, [segment])]


@pytest.mark.parametrize(("machine", "order"), [(X86_64, "<"), (22, ">")])
@pytest.mark.parametrize("encoding", [0x1B, 0x1C])
def test_frames(encoding: int, machine: int, order: str) -> None:
    """Functions of every encoding that compilers use are found, behind other data, in both byte orders."""
    starts = [0x100, 0x50, 0x12345]
    assert listed(frames(*starts, encoding=encoding, order=order), machine) == starts
    assert [
        start - 8 for start in listed(bytes(8) + frames(*starts, encoding=encoding, order=order), machine)
    ] == starts


def test_unknown_frames() -> None:
    """Entries of an unknown encoding are skipped; without a section nothing is found."""
    assert listed(frames(1, 2, encoding=0x50)) == []
    assert listed(frames(1, 2).replace(b"zPLR", b"zPLX")) == []
    assert listed(bytes(64)) == []
    assert listed(frames(8, 16)[:-30]) != [8, 16]


@settings(max_examples=EXAMPLES)
@given(st.lists(st.tuples(st.integers(0, 120), st.binary(min_size=1, max_size=5)), min_size=1, max_size=4))
def test_damaged_frames(changes: list[tuple[int, bytes]]) -> None:
    """Damaged sections give some list."""
    data = frames(*range(0, 64, 16))
    for at, new in changes:
        data = data[:at] + new + data[at + len(new) :]
    assert all(isinstance(start, int) for start in listed(data))


# Module entries -----------------------------------------------------------------------------------------------------


def entries(guest: Guest, heads: int, registered: list[tuple[int, int]]) -> list[int]:
    """Register functions as QEMU's register_module_init does; returns the addresses of the entries."""
    last: dict[int, int] = {}
    made = []
    for function, kind in registered:
        entry = guest.alloc(32)
        previous = last.get(kind, heads + 16 * kind)
        guest.write(entry, guest.pack("QQQII", function, 0, previous, kind, 0))
        guest.write_number(previous, entry)
        last[kind] = entry + 8
        made.append(entry)
    return made


@pytest.mark.parametrize("machine", [X86_64, 22])
def test_module_entries(machine: int) -> None:
    """Lists are found in the order of their links, whatever else is in memory; damaged ones are not."""
    guest = Guest("x", machine)
    heads = guest.alloc(16 * 8)
    code = guest.alloc(4096)
    begin = guest.base + guest.allocated()
    registered = [(code + 8 * i, kind) for i, kind in enumerate([3, 0, 3, 3, 5, 0])]
    made = entries(guest, heads, registered)

    def found() -> list[list[tuple[int, int]]]:
        return guest.module_entries(begin, guest.base + guest.allocated(), (code, code + 4096))

    expected = [[entry for entry in registered if entry[1] == kind] for kind in (3, 0, 5)]
    assert found() == expected
    guest.write(guest.alloc(256), struct.pack("<Q", code) * 32)
    assert found() == expected
    guest.write_number(made[3] + 24, 4, 4)  # another type within a list
    assert found() == expected[1:]
    guest.write_number(made[1] + 8, made[1])  # a list without an end
    assert found() == expected[2:]
    guest.write_number(made[4], 0)  # no function
    assert found() == []


def test_mapped_object_reads_nothing_else() -> None:
    """Slots are guessed only in binaries that are not relocated."""
    file = ElfFile(elf_object(data=struct.pack("<Q", DATA)), "x")
    mapped: MappedObject = file.map(Guest("x", file.arch), is_main=True)
    assert mapped.slots()[1] == 0

"""The host of a QEMU for macOS: calling convention, libSystem's numbers and structs, files.

Expected numbers are those of the macOS SDK's headers: sys/errno.h, sys/stat.h, sys/fcntl.h, unistd.h, _ctype.h.
"""

import struct
from pathlib import Path

import pytest
from support.elf_builder import AARCH64, X86_64
from support.guests import call

from vmdump.emulator.guest import Guest
from vmdump.emulator.guest_services import GuestServices
from vmdump.emulator.hosts.model import Platform
from vmdump.errors import SourceError

ENOENT, EAGAIN, ENOSYS = 2, 35, 78
FAILED = 2**64 - 1


@pytest.fixture
def guest() -> Guest:
    """A guest of macOS on AArch64 without services."""
    return Guest("guest", AARCH64, platform=Platform.MACOS)


@pytest.fixture
def services(guest: Guest, tmp_path: Path) -> GuestServices:
    """Files beside a binary, and in the directory next to that of the binary."""
    for name in ("bin/qemu-system-arm", "share/qemu/a.rom", "bin/share/qemu/b.rom", "bin/lib/libfdt.1.dylib", "secret"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"contents")
    (tmp_path / "share/qemu/link.rom").symlink_to("../../../secret")
    found = GuestServices(tmp_path / "bin/qemu-system-arm", None)
    found.attach(guest)
    return found


def errno(guest: Guest) -> int:
    """Return the guest's errno."""
    return guest.number(call(guest, "__error"), 4)


def test_variadic(guest: Guest) -> None:
    """Variadic arguments begin on the stack, whatever registers are free; a va_list is a pointer to them."""
    buffer, text, stub = guest.alloc(64), guest.string("text"), guest.alloc(64)
    # stp x29, x30, [sp, #-16]!; sub sp, sp, #16; stp x3, x4, [sp]; ldr x9, =snprintf; blr x9; add sp, sp, #16;
    # ldp x29, x30, [sp], #16; ret
    code = [0xA9BF7BFD, 0xD10043FF, 0xA90013E3, 0x580000A9, 0xD63F0120, 0x910043FF, 0xA8C17BFD, 0xD65F03C0]
    guest.write(stub, struct.pack("<8IQ", *code, guest.host_function("snprintf")))
    assert guest.call(stub, buffer, 64, guest.string("%d %s"), 7, text) == len("7 text")
    assert guest.text(buffer) == "7 text"
    arguments = guest.alloc(32)
    guest.write(arguments, guest.pack("QdQ", 7, 1.5, text))
    call(guest, "vsnprintf", buffer, 64, "%d %g %s", arguments)
    assert guest.text(buffer) == "7 1.5 text"


def test_errors(guest: Guest) -> None:
    """Functions set errno to macOS's numbers, which have the texts of these errors."""
    assert call(guest, "open", "/nothing", 0) == FAILED
    assert errno(guest) == ENOENT
    assert call(guest, "fork") == FAILED
    assert errno(guest) == ENOSYS
    assert guest.text(call(guest, "strerror", ENOSYS)) == "Function not implemented"
    assert guest.text(call(guest, "strerror", EAGAIN)) == "Resource temporarily unavailable"
    assert guest.text(call(guest, "strerror", 22)) == "Invalid argument"
    assert guest.text(call(guest, "strerror", 45)) == "Operation not supported"
    assert guest.text(call(guest, "strerror", 59)) == "Too many references: cannot splice"


@pytest.mark.parametrize(("machine", "page"), [(AARCH64, 16384), (X86_64, 4096)])
def test_system(machine: int, page: int) -> None:
    """Pages have the size of the CPU's machines; sysconf() has macOS's names."""
    guest = Guest("guest", machine, platform=Platform.MACOS)
    assert call(guest, "getpagesize") == call(guest, "sysconf", 29) == page
    assert guest.pointer(guest.host_function("vm_page_size")) == page
    assert call(guest, "sysconf", 58) == 2
    assert call(guest, "sysconf", 84) == FAILED


def test_stat(guest: Guest, services: GuestServices) -> None:
    """Mode and size are where struct stat has them; a directory is opened with macOS's O_DIRECTORY."""
    buffer = guest.alloc(256)
    assert call(guest, "stat", "/usr/share/qemu/a.rom", buffer) == 0
    assert guest.number(buffer + 4, 2) == 0o100644
    assert guest.number(buffer + 96, 8) == len(b"contents")
    services.add_directories(["/shared"])
    directory = call(guest, "open", "/shared", 0x100000)
    assert directory != FAILED
    assert call(guest, "fstat", directory, buffer) == 0
    assert guest.number(buffer + 4, 2) == 0o40755


def test_files(services: GuestServices, tmp_path: Path) -> None:
    """Files of the installation are found next to the binary's directory or in it, and none outside of it."""
    assert services.resolve("/usr/share/qemu/a.rom") == str(tmp_path / "share/qemu/a.rom")
    assert services.resolve("/usr/share/qemu/b.rom") == str(tmp_path / "bin/share/qemu/b.rom")
    assert services.resolve("/usr/lib/libfdt.1.dylib") == str(tmp_path / "bin/lib/libfdt.1.dylib")
    outside = ["/usr/share/../secret", "/usr/secret", "/secret", "/usr/bin/qemu-system-arm"]
    assert [services.resolve(path) for path in outside] == [None] * 4
    assert services.resolve("/usr/share/qemu/link.rom") == str(tmp_path / "secret")  # as after chroot(2)


def test_temporary_file(guest: Guest) -> None:
    """A temporary file, by which QEMU shares RAM, can be sized and mapped; nothing is created on the real host."""
    file = call(guest, "mkstemp", "/tmp/qemu-XXXXXX")
    assert file not in (0, FAILED)
    assert call(guest, "ftruncate", file, 0x4000) == 0
    assert guest.holds(call(guest, "mmap", 0, 0x4000, 3, 1, file, 0), 0x4000)


def test_characters(guest: Guest) -> None:
    """The classes of characters that code reads by itself are those that functions return."""
    table = guest.host_function("_DefaultRuneLocale") + 60
    digit, space, upper = 0x400, 0x4000, 0x8000
    classes = {"7": digit, " ": space, "Q": upper, "q": 0}
    for character, expected in classes.items():
        found = guest.number(table + 4 * ord(character), 4)
        assert found & (digit | space | upper) == expected
        assert call(guest, "__maskrune", ord(character), 0xFFFFFF00) == found & 0xFFFFFF00
    assert call(guest, "__toupper", ord("q")) == ord("Q")
    assert call(guest, "__tolower", ord("Q")) == ord("q")
    unchanged = (0xE9, 0x2FFF, 2**32 - 1)  # in the C locale; the last one is EOF
    assert [call(guest, "__toupper", each) % 2**32 for each in unchanged] == list(unchanged)
    assert guest.number(table + 1024 + 4 * ord("Q"), 4) == ord("q")


def test_threads(guest: Guest) -> None:
    """A pthread_t is the address of a struct, whose second word code writes to."""
    thread = call(guest, "pthread_self")
    guest.write_number(thread + 8, 1)
    assert call(guest, "pthread_equal", thread, call(guest, "pthread_self")) == 1
    created = guest.alloc(8)
    assert call(guest, "pthread_create", created, 0, guest.host_function("getpid"), 0) == 0
    assert guest.holds(guest.pointer(created), 16)
    assert guest.pointer(created) != thread


def test_once(guest: Guest) -> None:
    """pthread_once calls a function once; PTHREAD_ONCE_INIT begins with a signature. Source: pthread_impl.h."""
    once, count, function = guest.alloc(16), guest.alloc(8), guest.alloc(32)
    # ldr x1, =count; ldr x2, [x1]; add x2, x2, 1; str x2, [x1]; ret
    guest.write(function, struct.pack("<6IQ", 0x580000C1, 0xF9400022, 0x91000442, 0xF9000022, 0xD65F03C0, 0, count))
    guest.write(once, struct.pack("<QQ", 0x30B1BCBA, 0))
    assert [call(guest, "pthread_once", once, function) for _ in range(3)] == [0, 0, 0]
    assert guest.pointer(count) == 1


def test_memory(guest: Guest) -> None:
    """Memory is cleared by bzero, and filled with a pattern."""
    memory = guest.alloc(32)
    guest.write(memory, b"x" * 32)
    call(guest, "bzero", memory, 8)
    call(guest, "memset_pattern16", memory + 12, "0123456789abcdef", 18)
    assert guest.read(memory, 32) == bytes(8) + b"xxxx0123456789abcdef01xx"


def test_signals(guest: Guest) -> None:
    """A handler runs when its signal is waited for, on the alternate stack; others are not run."""
    stack, seen, handler = guest.alloc(4096), guest.alloc(16), guest.alloc(32)
    # mov x1, sp; ldr x2, =seen; stp x1, x0, [x2]; ret
    guest.write(handler, struct.pack("<4IQ", 0x910003E1, 0x58000062, 0xA9000041, 0xD65F03C0, seen))
    action, wanted = guest.alloc(16), guest.alloc(4)
    guest.write_number(action, handler)
    guest.write_number(wanted, ~(1 << 30) & 0xFFFFFFFF, 4)
    call(guest, "sigaction", 31, action, 0)
    alternate = guest.alloc(32)
    guest.write(alternate, guest.pack("QQI", stack, 4096, 0))
    assert call(guest, "sigaltstack", alternate, 0) == 0
    call(guest, "pthread_kill", call(guest, "pthread_self"), 30)
    call(guest, "pthread_kill", call(guest, "pthread_self"), 31)
    assert guest.pointer(seen) == 0
    assert call(guest, "sigsuspend", wanted) == FAILED
    assert stack < guest.pointer(seen) <= stack + 4096
    assert guest.pointer(seen + 8) == 31
    with pytest.raises(SourceError, match="it waits for a signal that nobody sends"):
        call(guest, "sigsuspend", wanted)

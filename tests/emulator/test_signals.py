"""Signals that a process sends itself, on Linux; sets of signals as this system's C library has them."""

import ctypes
import signal
import struct

import pytest
from support.guests import call

from vmdump.emulator.guest import Guest
from vmdump.emulator.hosts.model import Platform
from vmdump.errors import SourceError
from vmdump.files.elf_header import HostArch

LIBC = ctypes.CDLL(None)
FAILED, EINTR, EAGAIN, EINVAL = 2**64 - 1, 4, 11, 22
SS_DISABLE = 2
#: Code of a handler (signal) that stores its stack pointer and the signal at the address that follows the code.
HANDLERS = {
    # movabs rdx, seen; mov [rdx], rsp; mov [rdx+8], rdi; ret
    HostArch.X86_64: ("48ba", "488922 48897a08 c3"),
    # ldr x2, =seen; b over it; seen; mov x1, sp; stp x1, x0, [x2]; ret
    HostArch.AARCH64: ("42000058 03000014", "e1030091 410000a9 c0035fd6"),
}


@pytest.fixture(params=list(HANDLERS), ids=lambda each: each.name)
def guest(request: pytest.FixtureRequest) -> Guest:
    """A guest of Linux."""
    return Guest("guest", request.param)


def errno(guest: Guest) -> int:
    """Return the guest's errno."""
    return guest.number(call(guest, "__errno_location"), 4)


def handler(guest: Guest, seen: int) -> int:
    """Return a handler that stores its stack pointer and the signal."""
    before, after = HANDLERS[guest.arch]
    at = guest.alloc(64)
    guest.write(at, bytes.fromhex(before) + struct.pack("<Q", seen) + bytes.fromhex(after))
    return at


def stack(guest: Guest, address: int, flags: int, size: int) -> int:
    """Return the address of a stack_t. Source: asm-generic/signal.h struct sigaltstack."""
    at = guest.alloc(24)
    guest.write(at, struct.pack("<QiiQ", address, flags, 0, size))
    return at


def test_sets(guest: Guest) -> None:
    """Sets have the bits that those of this system have; signals that do not exist are refused."""
    ours, theirs = guest.alloc(128), ctypes.create_string_buffer(128)
    for name, *arguments in (("sigemptyset",), ("sigaddset", 1), ("sigaddset", 31), ("sigaddset", 64),
                             ("sigdelset", 31), ("sigaddset", 12), ("sigdelset", 7)):  # fmt: skip
        assert call(guest, name, ours, *arguments) == 0 == getattr(LIBC, name)(theirs, *arguments)
        assert guest.read(ours, 8) == theirs.raw[:8], (name, arguments)
    for number in (1, 2, 12, 31, 63, 64):
        assert call(guest, "sigismember", ours, number) == LIBC.sigismember(theirs, number)
    assert call(guest, "sigfillset", ours) == 0
    assert call(guest, "sigismember", ours, 12) == 1
    for name in ("sigaddset", "sigdelset", "sigismember"):
        for number in (0, 65):
            assert call(guest, name, ours, number) == FAILED
            assert errno(guest) == EINVAL


def test_mask(guest: Guest) -> None:
    """The old mask is that which was set before, in each way to set it."""
    new, old = guest.alloc(128), guest.alloc(128)
    masks = []
    for how, mask in ((2, 0b1100), (0, 0b0011), (1, 0b0110), (2, 0)):  # SIG_SETMASK, SIG_BLOCK, SIG_UNBLOCK
        guest.write_number(new, mask)
        assert call(guest, "pthread_sigmask", how, new, old) == 0
        masks.append(guest.pointer(old))
    assert masks == [0, 0b1100, 0b1111, 0b1001]
    assert call(guest, "sigprocmask", 0, 0, old) == 0
    assert guest.pointer(old) == 0


@pytest.mark.parametrize("number", [signal.SIGUSR2, 40])
def test_handler_on_another_stack(guest: Guest, number: int) -> None:
    """A handler runs on the alternate stack when its signal is waited for, as QEMU's util/coroutine-sigaltstack.c."""
    memory, seen, action, old = guest.alloc(8192), guest.alloc(16), guest.alloc(152), guest.alloc(24)
    guest.write_number(action, handler(guest, seen))
    assert call(guest, "sigaltstack", 0, old) == 0
    assert guest.number(old + 8, 4) == SS_DISABLE
    assert call(guest, "sigaltstack", stack(guest, memory, 0, 8192), 0) == 0
    assert call(guest, "sigaltstack", 0, old) == 0
    assert guest.read(old, 24) == struct.pack("<QiiQ", memory, 0, 0, 8192)
    blocked = guest.alloc(128)
    call(guest, "sigfillset", blocked)
    call(guest, "sigdelset", blocked, number)
    assert call(guest, "sigaction", number, action, 0) == 0
    assert call(guest, "pthread_kill", call(guest, "pthread_self"), number) == 0
    assert guest.pointer(seen) == 0
    assert call(guest, "sigsuspend", blocked) == FAILED
    assert errno(guest) == EINTR
    assert memory < guest.pointer(seen) <= memory + 8192
    assert guest.pointer(seen + 8) == number
    with pytest.raises(SourceError, match="it waits for a signal that nobody sends"):
        call(guest, "sigsuspend", blocked)
    assert call(guest, "sigaltstack", stack(guest, 0, SS_DISABLE, 0), 0) == 0
    assert call(guest, "sigaltstack", 0, old) == 0
    assert guest.number(old + 8, 4) == SS_DISABLE


def test_pending(guest: Guest) -> None:
    """Signals with a handler are pending until they are taken; sigaction and signal return the old handler."""
    wanted, pending, old, action = guest.alloc(128), guest.alloc(128), guest.alloc(152), guest.alloc(152)
    guest.write_number(wanted, 0b110)
    guest.write_number(action, 0x1234)
    assert call(guest, "sigtimedwait", wanted, 0, 0) == FAILED
    assert errno(guest) == EAGAIN
    assert call(guest, "signal", 2, 0x4321) == 0
    assert call(guest, "sigaction", 2, action, old) == 0
    assert guest.pointer(old) == 0x4321
    assert call(guest, "sigaction", 0, action, 0) == FAILED
    assert errno(guest) == EINVAL
    call(guest, "raise", 2)
    call(guest, "raise", 3)  # has no handler
    call(guest, "sigpending", pending)
    assert guest.pointer(pending) == 0b010
    assert call(guest, "sigtimedwait", wanted, old, 0) == guest.number(old, 4) == 2
    call(guest, "sigpending", pending)
    assert guest.pointer(pending) == 0


def test_macos() -> None:
    """On macOS a set is a word of 32 bits, and the ways to set a mask have other numbers. Source: sys/signal.h."""
    guest = Guest("guest", HostArch.AARCH64, platform=Platform.MACOS)
    set_, old = guest.alloc(16), guest.alloc(16)
    guest.write(set_, b"\x55" * 16)
    assert call(guest, "sigemptyset", set_) == call(guest, "sigaddset", set_, 31) == 0
    assert guest.read(set_, 16) == struct.pack("<I", 1 << 30) + b"\x55" * 12
    assert call(guest, "sigaddset", set_, 40) == FAILED
    assert call(guest, "pthread_sigmask", 1, set_, 0) == 0  # SIG_BLOCK
    guest.write(old, b"\x55" * 16)
    assert call(guest, "pthread_sigmask", 2, set_, old) == 0  # SIG_UNBLOCK
    assert guest.read(old, 16) == struct.pack("<I", 1 << 30) + b"\x55" * 12
    assert call(guest, "pthread_sigmask", 3, 0, old) == 0
    assert guest.number(old, 4) == 0

"""Windows' own functions: threads, waits, errors, and the registers that calls preserve.

Expected values are those of Microsoft's documentation and of winerror.h.
"""

import errno
import os
import struct
from collections.abc import Iterator

import pytest
from support.guests import call

from vmdump.emulator.guest import Guest
from vmdump.emulator.hosts.model import Platform
from vmdump.errors import SourceError
from vmdump.files.elf_header import HostArch

WAIT_TIMEOUT, WAIT_FAILED, INFINITE = 0x102, 2**32 - 1, 2**32 - 1
ERROR_INVALID_HANDLE, ERROR_NOT_ENOUGH_MEMORY, ERROR_INVALID_PARAMETER = 6, 8, 87
CURRENT_PROCESS = 2**64 - 1
#: Code that ends a thread: xor eax, eax; ret.
ENDS = bytes.fromhex("31c0c3")


@pytest.fixture
def guest() -> Guest:
    """A guest of Windows on x86-64."""
    return Guest("guest", HostArch.X86_64, platform=Platform.WINDOWS)


def code(guest: Guest, data: bytes) -> int:
    """Return the address of new code."""
    at = guest.alloc(len(data))
    guest.write(at, data)
    return at


def thread(guest: Guest, function: int, argument: int = 0) -> tuple[int, int]:
    """Create a thread; return its handle and its identifier."""
    identifier = guest.alloc(8)
    return call(guest, "CreateThread", 0, 0, function, argument, 0, identifier), guest.number(identifier, 4)


def last_error(guest: Guest) -> int:
    """Return the last error."""
    return call(guest, "GetLastError")


def handles(guest: Guest, *each: int) -> int:
    """Return the address of an array of handles."""
    return code(guest, struct.pack(f"<{len(each)}Q", *each))


# XMM6 to XMM15 are callee-saved, whole. Source: Microsoft's x64 ABI conventions, register volatility.

#: movdqu xmm6, [rcx] ... movdqu xmm15, [rcx+144]; movdqu [rbx], xmm6 ... movdqu [rbx+144], xmm15
LOAD = ("f30f6f31 f30f6f7910 f3440f6f4120 f3440f6f4930 f3440f6f5140 f3440f6f5950 f3440f6f6160 f3440f6f6970 "
        "f3440f6fb180000000 f3440f6fb990000000")  # fmt: skip
STORE = ("f30f7f33 f30f7f7b10 f3440f7f4320 f3440f7f4b30 f3440f7f5340 f3440f7f5b50 f3440f7f6360 f3440f7f6b70 "
         "f3440f7fb380000000 f3440f7fbb90000000")  # fmt: skip
#: push rbx; push rsi; push rdi; sub rsp, 32; mov rbx, rdx; mov rsi, r9, and the reverse; ret
BEGIN, END = "53 56 57 4883ec20 4889d3 4c89ce", "4883c420 5f 5e 5b c3"
#: f(in, out, function, argument): loads the registers, calls function(argument, -1), stores the registers.
AROUND_CALL = bytes.fromhex(BEGIN + LOAD + "4c89c9 baffffffff 41ffd0" + STORE + END)
#: f(in, out, setjmp, &{longjmp, buffer}): loads the registers, calls setjmp(buffer), clears them, jumps, stores them.
AROUND_JUMP = bytes.fromhex(
    BEGIN + LOAD + "488b4e08 41ffd0 85c0 753b"  # mov rcx, [rsi+8]; call r8; test eax, eax; jnz to the stores
    "660feff6 660fefff 66450fefc0 66450fefc9 66450fefd2 66450fefdb 66450fefe4 66450fefed 66450feff6 66450fefff"
    "488b4e08 ba01000000 ff16" + STORE + END  # mov rcx, [rsi+8]; mov edx, 1; call [rsi]
)


class Vectors:
    """Contents of the registers, and where a function stores those that it finds."""

    def __init__(self, guest: Guest, seed: int) -> None:
        self.data = bytes((seed + i) % 256 for i in range(160))
        self.guest, self.input, self.output = guest, code(guest, self.data), guest.alloc(160)

    def are_preserved(self) -> bool:
        """Whether the function has stored what it has loaded."""
        return self.guest.read(self.output, 160) == self.data

    def function(self, called: str, argument: int) -> int:
        """Return a function without arguments that calls AROUND_CALL with these registers."""
        arguments = self.input, self.output, self.guest.host_function(called), argument, code(self.guest, AROUND_CALL)
        # movabs rcx, ...; movabs rdx, ...; movabs r8, ...; movabs r9, ...; movabs rax, ...; jmp rax
        opcodes = (b"\x48\xb9", b"\x48\xba", b"\x49\xb8", b"\x49\xb9", b"\x48\xb8")
        moves = (opcode + struct.pack("<Q", each) for opcode, each in zip(opcodes, arguments, strict=True))
        return code(self.guest, b"".join(moves) + b"\xff\xe0")


@pytest.mark.parametrize("name", ["_setjmp", "_setjmpex", "__intrinsic_setjmpex"])
def test_vectors_over_jumps(guest: Guest, name: str) -> None:
    """A jump restores the vector registers, within the 256 bytes of a jmp_buf."""
    vectors, buffer = Vectors(guest, 1), guest.alloc(256 + 64)
    guest.write(buffer + 256, b"\x55" * 64)
    functions = handles(guest, guest.host_function("longjmp"), buffer)
    guest.call(code(guest, AROUND_JUMP), vectors.input, vectors.output, guest.host_function(name), functions)
    assert vectors.are_preserved()
    assert guest.read(buffer + 256, 64) == b"\x55" * 64


def test_vectors_over_fibers(guest: Guest) -> None:
    """Each fiber has vector registers of its own."""
    of_main, of_fiber, later = (Vectors(guest, seed) for seed in (1, 50, 99))
    main = call(guest, "ConvertThreadToFiber", 0)
    fiber = call(guest, "CreateFiber", 0, of_fiber.function("SwitchToFiber", main), 0)
    guest.call(of_main.function("SwitchToFiber", fiber))
    assert of_main.are_preserved()
    guest.call(later.function("SwitchToFiber", fiber))
    assert of_fiber.are_preserved()


def test_vectors_over_threads(guest: Guest) -> None:
    """Each thread has vector registers of its own."""
    of_main, of_thread = Vectors(guest, 1), Vectors(guest, 50)
    event = call(guest, "CreateEventA", 0, 0, 0, 0)
    waits, _ = thread(guest, of_thread.function("WaitForSingleObject", event))
    thread(guest, guest.host_function("SetEvent"), event)
    guest.call(of_main.function("WaitForSingleObject", waits))
    assert of_main.are_preserved()
    assert of_thread.are_preserved()


# Threads


def test_open_thread(guest: Guest) -> None:
    """A thread is opened by its identifier until it has ended."""
    first, identifier = thread(guest, code(guest, ENDS))
    opened = call(guest, "OpenThread", 0x100000, 0, identifier)
    assert opened not in (0, first)
    assert call(guest, "WaitForSingleObject", opened, 0) == WAIT_TIMEOUT
    assert call(guest, "WaitForSingleObject", opened, INFINITE) == 0
    for ended in (identifier, 0, 12345):
        assert call(guest, "OpenThread", 0x100000, 0, ended) == 0
        assert last_error(guest) == ERROR_INVALID_PARAMETER
    main = call(guest, "OpenThread", 0x100000, 0, call(guest, "GetCurrentThreadId"))
    assert call(guest, "WaitForSingleObject", main, 0) == WAIT_TIMEOUT


def test_thread_that_has_ended(guest: Guest) -> None:
    """Neither the handle nor the identifier of a thread that has ended stands for a later one."""
    function = code(guest, ENDS)
    first, identifier = thread(guest, function)
    call(guest, "WaitForSingleObject", first, INFINITE)
    second, other = thread(guest, function)
    assert other != identifier
    assert call(guest, "WaitForSingleObject", first, 0) == 0
    assert call(guest, "WaitForSingleObject", second, 0) == WAIT_TIMEOUT
    assert call(guest, "OpenThread", 0x100000, 0, identifier) == 0
    assert call(guest, "OpenThread", 0x100000, 0, other) != 0


def test_identifier_of_the_running_thread(guest: Guest) -> None:
    """A thread's own identifier is that which its creator got, also if its number is used again."""
    seen = guest.alloc(8)
    # sub rsp, 40; movabs rax, GetCurrentThreadId; call rax; movabs rcx, seen; mov [rcx], eax; add rsp, 40; ret
    store = code(
        guest,
        bytes.fromhex("4883ec28 48b8") + struct.pack("<Q", guest.host_function("GetCurrentThreadId"))
        + bytes.fromhex("ffd0 48b9") + struct.pack("<Q", seen) + bytes.fromhex("8901 4883c428 c3"),
    )  # fmt: skip
    for _ in range(3):
        handle, identifier = thread(guest, store)
        assert call(guest, "WaitForSingleObject", handle, INFINITE) == 0
        assert guest.number(seen, 4) == identifier


# Waits for several objects


def test_wait_for_several(guest: Guest) -> None:
    """The first signalled object ends a wait and is taken; a wait for all takes all of them or none."""
    events = [call(guest, "CreateEventA", 0, 0, 0, 0) for _ in range(3)]
    array = handles(guest, *events)
    wait = lambda is_for_all: call(guest, "WaitForMultipleObjects", 3, array, is_for_all, 0)  # noqa: E731
    assert wait(0) == WAIT_TIMEOUT
    call(guest, "SetEvent", events[2])
    call(guest, "SetEvent", events[1])
    assert wait(1) == WAIT_TIMEOUT
    assert [wait(0) for _ in range(3)] == [1, 2, WAIT_TIMEOUT]
    for event in events:
        call(guest, "SetEvent", event)
    assert [wait(1) for _ in range(2)] == [0, WAIT_TIMEOUT]
    for n in (0, 65):
        assert call(guest, "WaitForMultipleObjects", n, array, 0, 0) == WAIT_FAILED
        assert last_error(guest) == ERROR_INVALID_PARAMETER


@pytest.mark.parametrize("milliseconds", [INFINITE, 100])
def test_other_threads_run_during_a_wait(guest: Guest, milliseconds: int) -> None:
    """A wait for several objects lets other threads run, one of which signals the second object."""
    events = [call(guest, "CreateEventA", 0, 0, 0, 0) for _ in range(2)]
    thread(guest, guest.host_function("SetEvent"), events[1])
    assert call(guest, "WaitForMultipleObjects", 2, handles(guest, *events), 0, milliseconds) == 1


def test_wait_within_a_thread(guest: Guest) -> None:
    """A thread waits for several objects, with all four arguments, until another thread signals one of them."""
    events = [call(guest, "CreateEventA", 0, 0, 0, 0) for _ in range(2)]
    values = 2, handles(guest, *events), 0, INFINITE, guest.host_function("WaitForMultipleObjects"), guest.alloc(8)
    # push rbx; sub rsp, 32; movabs rcx, rdx, r8, r9, rax, rbx; call rax; mov [rbx], rax; add rsp, 32; pop rbx; ret
    opcodes = (b"\x48\xb9", b"\x48\xba", b"\x49\xb8", b"\x49\xb9", b"\x48\xb8", b"\x48\xbb")
    moves = b"".join(opcode + struct.pack("<Q", each) for opcode, each in zip(opcodes, values, strict=True))
    guest.write_number(values[-1], 0x5555)
    waits, _ = thread(
        guest, code(guest, bytes.fromhex("53 4883ec20") + moves + bytes.fromhex("ffd0 488903 4883c420 5b c3"))
    )
    thread(guest, guest.host_function("SetEvent"), events[1])
    assert call(guest, "WaitForSingleObject", waits, INFINITE) == 0
    assert guest.pointer(values[-1]) == 1


def test_wait_without_end(guest: Guest) -> None:
    """A wait that nothing can end is an error of the call."""
    event = call(guest, "CreateEventA", 0, 0, 0, 0)
    with pytest.raises(SourceError, match="it waits for something that never happens"):
        call(guest, "WaitForMultipleObjects", 1, handles(guest, event), 0, INFINITE)


# Processes and memory


def test_terminate_process(guest: Guest) -> None:
    """A process ends itself with the code that is the second argument, and ends no other one."""
    assert call(guest, "TerminateProcess", 0x1234, 7) == 0
    assert last_error(guest) == ERROR_INVALID_HANDLE
    with pytest.raises(SourceError, match=r"it exits \(at 0x7\)"):
        call(guest, "TerminateProcess", CURRENT_PROCESS, 7)


def large_sizes() -> Iterator[int]:
    """Sizes that no guest has."""
    yield from (1 << 40, (1 << 63) + 1, 2**64 - 1)


def test_memory_that_is_too_large(guest: Guest) -> None:
    """Memory that there is not is refused with an error, as QEMU expects for RAM; smaller memory is there."""
    for size in large_sizes():
        assert call(guest, "VirtualAlloc", 0, size, 0x3000, 4) == 0
        assert last_error(guest) == ERROR_NOT_ENOUGH_MEMORY
        mapping = call(guest, "CreateFileMappingA", 2**64 - 1, 0, 4, size >> 32, size & 0xFFFFFFFF, 0)
        assert (mapping, last_error(guest)) == (0, ERROR_NOT_ENOUGH_MEMORY)
    assert guest.holds(call(guest, "VirtualAlloc", 0, 0x20000, 0x3000, 4), 0x20000)


# Numbers of errors. Source: errno.h of the Universal CRT (Windows SDK 10.0).

ERRNOS = {
    "EPERM": 1, "ENOENT": 2, "EINTR": 4, "EIO": 5, "EBADF": 9, "EAGAIN": 11, "ENOMEM": 12, "EACCES": 13, "EEXIST": 17,
    "ENODEV": 19, "EINVAL": 22, "ENOSPC": 28, "EPIPE": 32, "EDOM": 33, "ERANGE": 34, "EDEADLK": 36, "ENAMETOOLONG": 38,
    "ENOLCK": 39, "ENOSYS": 40, "ENOTEMPTY": 41, "EILSEQ": 42, "EADDRINUSE": 100, "EADDRNOTAVAIL": 101,
    "EAFNOSUPPORT": 102, "EALREADY": 103, "EBADMSG": 104, "ECANCELED": 105, "ECONNABORTED": 106, "ECONNREFUSED": 107,
    "ECONNRESET": 108, "EDESTADDRREQ": 109, "EHOSTUNREACH": 110, "EIDRM": 111, "EINPROGRESS": 112, "EISCONN": 113,
    "ELOOP": 114, "EMSGSIZE": 115, "ENETDOWN": 116, "ENETRESET": 117, "ENETUNREACH": 118, "ENOBUFS": 119,
    "ENODATA": 120, "ENOLINK": 121, "ENOMSG": 122, "ENOPROTOOPT": 123, "ENOSR": 124, "ENOSTR": 125, "ENOTCONN": 126,
    "ENOTRECOVERABLE": 127, "ENOTSOCK": 128, "ENOTSUP": 129, "EOVERFLOW": 132, "EOWNERDEAD": 133, "EPROTO": 134,
    "EPROTONOSUPPORT": 135, "EPROTOTYPE": 136, "ETIME": 137, "ETIMEDOUT": 138, "ETXTBSY": 139,
}  # fmt: skip


def test_errors(guest: Guest) -> None:
    """The C runtime's functions set errno to Windows' numbers; each has the text of its error."""
    for name, number in ERRNOS.items():
        assert guest.text(call(guest, "strerror", number)) == os.strerror(getattr(errno, name)), name
    for unknown in (35, 44, 99, 200):
        assert guest.text(call(guest, "strerror", unknown)) == os.strerror(-1)
    at = call(guest, "_errno")
    assert call(guest, "fork") == 2**64 - 1
    assert guest.number(at, 4) == ERRNOS["ENOSYS"]
    assert call(guest, "_open", "/nothing", 0) == 2**64 - 1
    assert guest.number(at, 4) == ERRNOS["ENOENT"]


def test_clocks(guest: Guest) -> None:
    """All functions read the same two clocks, one of which has begun in 1601. Source: Microsoft, "File Times"."""
    counter, frequency, file_time = (guest.alloc(8) for _ in range(3))
    call(guest, "QueryPerformanceFrequency", frequency)
    call(guest, "QueryPerformanceCounter", counter)
    call(guest, "GetSystemTimeAsFileTime", file_time)
    seconds = guest.pointer(counter) / guest.pointer(frequency)
    assert call(guest, "GetTickCount64") / 1000 == pytest.approx(seconds, abs=0.01)
    assert call(guest, "g_get_monotonic_time") / 10**6 == pytest.approx(seconds, abs=0.01)
    since_1970 = guest.pointer(file_time) / 10**7 - 11644473600
    assert call(guest, "_time64", 0) == int(since_1970)


def test_other_names(guest: Guest) -> None:
    """Functions that other systems have by other names do the same."""
    assert call(guest, "GetCurrentProcessId") == call(guest, "_getpid") == call(guest, "getpid")
    assert call(guest, "_errno") == call(guest, "__errno_location")
    with pytest.raises(SourceError, match=r"it exits \(at 0x5\)"):
        call(guest, "ExitProcess", 5)


def test_double_and_integer(guest: Guest) -> None:
    """An integer after a double is in the second register. Source: Microsoft, "x64 calling convention"."""
    # movabs rax, 1.5; movq xmm0, rax; mov ecx, 7; mov edx, 3; sub rsp, 40; movabs rax, ldexp; call rax;
    # movq rax, xmm0; add rsp, 40; ret
    parts = bytes.fromhex("48b8"), bytes.fromhex("66480f6ec0 b907000000 ba03000000 4883ec28 48b8")
    end = bytes.fromhex("ffd0 66480f7ec0 4883c428 c3")
    ldexp = struct.pack("<Q", guest.host_function("ldexp"))
    result = guest.call(code(guest, parts[0] + struct.pack("<d", 1.5) + parts[1] + ldexp + end))
    assert struct.unpack("<d", struct.pack("<Q", result)) == (12.0,)


def test_wide_characters(guest: Guest) -> None:
    """A wide character has two bytes."""
    text, copy, at = "QEMU \u00e9\u20ac".encode("utf-16-le") + b"\0\0", guest.alloc(32), guest.alloc(8)
    assert call(guest, "wcslen", code(guest, text)) == 7
    guest.write_number(at, guest.string("abc"))
    assert call(guest, "mbsrtowcs", copy, at, 16, 0) == call(guest, "wcslen", copy) == 3
    assert guest.read(copy, 8) == "abc\0".encode("utf-16-le")


def test_many_waits(guest: Guest) -> None:
    """Any number of waits may be over, one after the other, because another thread has signalled an object."""
    ping, pong = (call(guest, "CreateEventA", 0, 0, 0, 0) for _ in range(2))
    functions = [guest.host_function(name) for name in ("SetEvent", "WaitForSingleObject")]

    def calls(*each: tuple[int, int]) -> bytes:
        # movabs rcx, handle; mov edx, -1; movabs rax, function; call rax
        return b"".join(
            b"\x48\xb9" + struct.pack("<Q", handle) + b"\xba\xff\xff\xff\xff\x48\xb8" + struct.pack("<Q", function)
            + b"\xff\xd0" for function, handle in each
        )  # fmt: skip

    set_event, wait = functions
    body = calls((wait, ping), (set_event, pong))
    # sub rsp, 40; the loop; jmp to its start
    thread(guest, code(guest, bytes.fromhex("4883ec28") + body + b"\xeb" + struct.pack("b", -len(body) - 2)))
    body = calls((set_event, ping), (wait, pong))
    # push rbx; sub rsp, 32; mov ebx, 1000; the loop; dec ebx; jnz; add rsp, 32; pop rbx; ret
    guest.call(
        code(guest, bytes.fromhex("53 4883ec20 bbe8030000") + body + b"\xff\xcb\x75" + struct.pack("b", -len(body) - 4)
             + bytes.fromhex("4883c420 5b c3"))
    )  # fmt: skip
    assert call(guest, "WaitForSingleObject", pong, 0) == WAIT_TIMEOUT

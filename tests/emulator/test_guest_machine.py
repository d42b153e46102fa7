"""Host functions that whole machines need, their limits, and snapshots."""

import base64
import socket
import struct
import zlib

import pytest
from support.elf_builder import HOSTS, X86_64
from support.guests import call

from vmdump.emulator.guest import Guest
from vmdump.emulator.kvm_profile import provide_kvm
from vmdump.errors import SourceError


@pytest.fixture(params=HOSTS, ids=HOSTS.values())
def guest(request: pytest.FixtureRequest) -> Guest:
    """An empty guest of each architecture."""
    return Guest("guest", request.param)


def test_limits_of_machines(guest: Guest) -> None:
    """Each thing that a guest may have many of is bounded: threads, open files, keys; and a call its memory."""
    out = guest.alloc(16)
    with pytest.raises(SourceError, match="uses more than"):
        for _ in range(1000):
            call(guest, "pthread_create", out, 0, 0, 0)
    descriptors = [call(guest, "eventfd", 0, 0) for _ in range(300)]
    assert descriptors[-1] == 2**64 - 1
    assert len(set(descriptors)) == 257
    assert call(guest, "pthread_key_create", out, 0) == 0
    small = Guest("guest", guest.arch, resident=1 << 20)
    block = small.alloc(4 << 20)
    with pytest.raises(SourceError, match="uses more than"):
        call(small, "memset", block, 1, 4 << 20)
    assert call(small, "memset", block, 1, 1 << 20) == block


def test_event_counters(guest: Guest) -> None:
    """An eventfd adds what is written, and returns the sum once; poll returns those that are not 0."""
    first, second, word = call(guest, "eventfd", 0, 0), call(guest, "eventfd", 3, 0), guest.alloc(8)
    polled = guest.alloc(16)

    def ready() -> list[int]:
        guest.write(polled, guest.pack("iHHiHH", first, 1, 9, second, 1, 9))
        number = call(guest, "ppoll", polled, 2, 0, 0)
        found = list(struct.unpack(guest.order + "6xH6xH", guest.read(polled, 16)))
        assert number == sum(found)
        return found

    assert ready() == [0, 1]
    for _ in range(2):
        guest.write(word, guest.pack("Q", 5))
        assert call(guest, "write", first, word, 8) == 8
    assert ready() == [1, 1]
    assert call(guest, "read", first, word, 512) == 8
    assert struct.unpack(guest.order + "Q", guest.read(word, 8)) == (10,)
    assert call(guest, "read", second, word, 8) == 8
    assert ready() == [0, 0]
    assert call(guest, "read", first, word, 8) == 2**64 - 1
    assert call(guest, "write", first, word, 4) == 2**64 - 1
    guest.write(word, guest.pack("Q", 2**64 - 1))
    assert call(guest, "write", first, word, 8) == 2**64 - 1


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_base64(guest: Guest, data: bytes) -> None:
    """Text and data convert as in Python."""
    text = base64.b64encode(data).decode()
    address = guest.alloc(len(data) + 1)
    guest.write(address, data)
    assert guest.text(call(guest, "g_base64_encode", address, len(data))) == text
    for function in ("g_base64_decode", "g_base64_decode_inplace"):
        size = guest.alloc(8)
        decoded = guest.call(guest.host_function(function), guest.string(f"{text[:2]}\n {text[2:]}"), size)
        assert guest.read(decoded, guest.pointer(size)) == data


def test_output_is_bounded(guest: Guest) -> None:
    """Output beyond one MiB is dropped."""
    line = guest.string("x" * 99999)
    for _ in range(20):
        call(guest, "puts", line)
    assert len(guest.take_output()) == 1 << 20


def test_kvm_state_is_bounded() -> None:
    """KVM, of x86-64 hosts only, returns the registers that were set; their total number is bounded."""
    guest = Guest("guest", X86_64)
    kept = provide_kvm(guest)
    descriptor = call(guest, "open", "/dev/kvm", 2)
    regs, got = guest.alloc(144), guest.alloc(144)
    guest.write(regs, bytes(range(144)))
    assert call(guest, "ioctl", descriptor, 0x4090AE82, regs) == 0  # KVM_SET_REGS
    assert call(guest, "ioctl", descriptor, 0x8090AE81, got) == 0  # KVM_GET_REGS
    assert guest.read(got, 144) == bytes(range(144))
    entries = b"".join(guest.pack("IIQ", index, 0, index) for index in range(100000))
    msrs = guest.alloc(8 + len(entries))
    guest.write(msrs, guest.pack("II", 2, 0) + entries)
    assert call(guest, "ioctl", descriptor, 0x4008AE89, msrs) == 2  # KVM_SET_MSRS
    guest.write(msrs + 16, bytes(8))
    assert call(guest, "ioctl", descriptor, 0xC008AE88, msrs) == 2  # KVM_GET_MSRS
    assert guest.read(msrs, 8 + 32) == guest.pack("II", 2, 0) + entries[:32]
    guest.write(msrs, guest.pack("I", 100000))
    with pytest.raises(SourceError, match="uses more than"):
        call(guest, "ioctl", descriptor, 0x4008AE89, msrs)
    assert kept


def test_threads(guest: Guest) -> None:
    """A thread runs while the main thread waits, up to where it waits itself, and continues later."""
    semaphore, out = guest.alloc(32), guest.alloc(8)
    call(guest, "sem_init", semaphore, 0, 0)
    call(guest, "pthread_create", out, 0, guest.host_function("sem_wait"), semaphore)
    assert guest.pointer(out) != call(guest, "pthread_self")
    for _ in range(2):
        call(guest, "pthread_cond_wait", 0, 0)
        call(guest, "sem_post", semaphore)
    assert guest.number(semaphore, 4) == 1
    call(guest, "pthread_cond_wait", 0, 0)
    assert guest.number(semaphore, 4) == 1


def test_waits_are_bounded(guest: Guest) -> None:
    """A call that only waits ends in an error."""
    items = 0
    for _ in range(300):
        items = call(guest, "g_slist_prepend", items, 1)
    with pytest.raises(SourceError, match="waits for something that never happens"):
        call(guest, "g_slist_foreach", items, guest.host_function("pthread_cond_wait"), 0)
    with pytest.raises(SourceError, match="waits for something that never happens"):
        call(guest, "sem_wait", guest.alloc(32))


def test_checksums(guest: Guest) -> None:
    """zlib's checksums."""
    data = bytes(range(256)) * 70
    address = guest.alloc(len(data))
    guest.write(address, data)
    assert call(guest, "adler32", 1, address, len(data)) == zlib.adler32(data)
    assert call(guest, "crc32", 0, address, len(data)) == zlib.crc32(data)
    assert call(guest, "adler32", 0, 0, 0) == 1
    assert call(guest, "crc32", 0, 0, 0) == 0


def test_addresses(guest: Guest) -> None:
    """Internet addresses are converted as libc does."""
    out = guest.alloc(64)
    for family, text in ((socket.AF_INET, "10.0.2.15"), (socket.AF_INET6, "fec0::1")):
        assert call(guest, "inet_pton", family, text, out) == 1
        size = 4 if family == socket.AF_INET else 16
        assert guest.read(out, size) == socket.inet_pton(family, text)
        assert guest.text(call(guest, "inet_ntop", family, out, out + 16, 46)) == text
        assert call(guest, "inet_ntop", family, out, out + 16, 3) == 0
    assert call(guest, "inet_pton", socket.AF_INET, "10.0.2", out) == 0
    assert call(guest, "inet_pton", 999, "10.0.2.15", out) == 2**64 - 1
    assert call(guest, "inet_aton", "10.0.2.2", out) == 1
    assert guest.text(call(guest, "inet_ntoa", guest.number(out, 4))) == "10.0.2.2"


def test_output_and_missed_functions(guest: Guest) -> None:
    """What a guest prints is kept, up to a bound; functions that the host does not serve are named."""
    assert call(guest, "no_such_function", 1, 2) == 0
    assert guest.missed_functions() == ["no_such_function"]
    assert call(guest, "fputs", "one\n", 0) == 1
    assert call(guest, "__printf_chk", 1, "%d-%s\n", 2, "three") == 8
    assert guest.take_output() == "one\n2-three\n"
    assert guest.take_output() == ""


def test_exit(guest: Guest) -> None:
    """exit ends a call even where faults are tolerated, and says so."""
    table = call(guest, "g_hash_table_new", 0, 0)
    call(guest, "g_hash_table_insert", table, 3, 3)
    with pytest.raises(SourceError, match="it exits"):
        call(guest, "g_hash_table_foreach", table, guest.host_function("exit"), 0)


@pytest.mark.parametrize("machine", HOSTS)
def test_snapshots(machine: int) -> None:
    """A rewound guest has the memory, the tables and the descriptors that it had."""
    guest = Guest("guest", machine, rewindable=True)
    table, word = call(guest, "g_hash_table_new", 0, 0), guest.alloc(8)
    call(guest, "g_hash_table_insert", table, 1, 2)
    guest.write(word, b"12345678")
    guest.snapshot()
    with pytest.raises(ValueError, match="snapshot"):
        guest.snapshot()
    for _ in range(3):
        call(guest, "g_hash_table_insert", table, 3, 4)
        call(guest, "g_hash_table_remove", table, 1)
        descriptor = call(guest, "eventfd", 0, 0)
        guest.write(word, bytes(8))
        with pytest.raises(SourceError):
            call(guest, "strlen", 1)
        guest.rewind()
        assert guest.read(word, 8) == b"12345678"
        assert call(guest, "g_hash_table_lookup", table, 1) == 2
        assert call(guest, "g_hash_table_size", table) == 1
        assert call(guest, "eventfd", 0, 0) == descriptor
        guest.rewind()
    with pytest.raises(ValueError, match="snapshot"):
        Guest("guest", machine).rewind()


def test_paused_call_of_a_snapshot() -> None:
    """Rewinding restores the call that was paused at the snapshot, although another one was paused after it."""
    guest = Guest("guest", X86_64, rewindable=True)
    block = guest.alloc(256)
    pauses, functions = (block, block + 16), (block + 64, block + 128)
    for number, (pause, function) in enumerate(zip(pauses, functions, strict=True), 1):
        guest.write(pause, b"\xc3")  # ret
        relative = (pause - (function + 9)) & 0xFFFFFFFF
        code = b"\x48\x83\xec\x08\xe8" + struct.pack("<I", relative) + b"\x48\x83\xc4\x08\xb8"
        guest.write(function, code + struct.pack("<I", number) + b"\xc3")
    assert guest.call_until(functions[0], pause_at=pauses[0])
    guest.snapshot()
    for _ in range(2):
        guest.abandon()
        assert guest.call_until(functions[1], pause_at=pauses[1])
        guest.rewind()
        assert guest.resume() == 1
        guest.rewind()

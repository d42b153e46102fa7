"""Guests: the emulated functions of libc and GLib, and limits for runaway code."""

import ctypes
import os
import re
import signal
import struct
import subprocess
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
from support.elf_builder import AARCH64, HOSTS, RISCV64, S390X, X86_64
from support.guests import call
from support.paths import ROOT

from vmdump._core import ffi, lib
from vmdump.emulator import guest as guest_module
from vmdump.emulator import unicorn_library
from vmdump.emulator.guest import Guest
from vmdump.emulator.unicorn_library import libunicorn
from vmdump.errors import SourceError


@pytest.fixture(params=HOSTS, ids=HOSTS.values())
def guest(request: pytest.FixtureRequest) -> Guest:
    """An empty guest of each architecture."""
    return Guest("guest", request.param)


def test_strings(guest: Guest) -> None:
    """String functions of libc and GLib."""
    assert call(guest, "strlen", "virtio") == 6
    assert call(guest, "strcmp", "a", "a") == 0
    assert call(guest, "strcmp", "a", "b") >> 63 == 1
    assert call(guest, "strncmp", "virtio-net", "virtio-blk", 7) == 0
    assert call(guest, "g_strcmp0", 0, 0) == 0
    assert call(guest, "g_str_equal", "x", "x") == 1
    assert call(guest, "g_str_has_prefix", "pc-q35", "pc-") == 1
    assert call(guest, "g_str_has_suffix", "pc-machine", "-machine") == 1
    assert call(guest, "strspn", "abc1", "abc") == 3
    text = guest.string("one.two")
    assert call(guest, "strchr", text, ord(".")) == text + 3
    assert call(guest, "strrchr", text, ord("z")) == 0
    assert guest.text(call(guest, "g_strdup", "copy")) == "copy"
    assert call(guest, "g_strdup", 0) == 0
    assert guest.text(call(guest, "g_strconcat", "a", "b", "c", 0)) == "abc"
    assert (
        guest.text(call(guest, "g_strdup_printf", "%s-%d %#x %5u|%c%%", "q35", 7, 255, 42, 0x21))
        == "q35-7 0xff    42|!%"
    )
    assert guest.text(call(guest, "g_strdup_printf", "%-4s|%s|%p", "ab", 0, 16)) == "ab  |(null)|0x10"
    assert guest.text(call(guest, "g_strdup_printf", "%lx %*d", 2**40, 4, 2**32 - 1)) == "10000000000   -1"


def test_strings_of_other_encodings(guest: Guest) -> None:
    """Bytes that are not UTF-8, as of a command line, reach the guest as they are; other surrogates are refused."""
    at = guest.string(os.fsdecode(b"caf\xe9"))
    assert guest.read(at, 5) == b"caf\xe9\0"
    assert guest.text(at) == r"caf\xe9"
    assert guest.host_function(os.fsdecode(b"\xe9"))
    for refused in (guest.string, guest.host_function):
        with pytest.raises(SourceError, match=r"^guest: 'a\\ud800' can't be encoded: surrogates not allowed"):
            refused("a\ud800")


def test_ranges_of_memory(guest: Guest) -> None:
    """A range is within the memory or refused, also one behind its end with a negative size."""
    end = guest.base + guest.size
    assert guest.read(end, 0) == b""
    for address, size in ((end, 1), (guest.base - 1, 1), (end + 100, -100), (end, -1), (guest.base, -1)):
        with pytest.raises(SourceError, match="is outside of its memory"):
            guest.read(address, size)


def test_memory(guest: Guest) -> None:
    """malloc(0) is not NULL, g_malloc(0) is; memory is zeroed, realloc keeps the contents."""
    assert call(guest, "malloc", 0) != 0
    assert call(guest, "g_malloc", 0) == 0
    block = call(guest, "g_malloc0", 8)
    guest.write(block, b"12345678")
    assert guest.memory[block - guest.base : block - guest.base + 8] == b"12345678"
    assert guest.memory.readonly
    assert guest.read(call(guest, "g_realloc", block, 16), 16) == b"12345678" + bytes(8)
    for name, *args in (("malloc", 1 << 60), ("calloc", 1 << 40, 1 << 40), ("g_malloc", 1 << 31)):
        with pytest.raises(SourceError, match=r"guest: it uses more than \d+ MiB of memory; it may not be a QEMU"):
            call(guest, name, *args)


def test_hash_table(guest: Guest) -> None:
    """A GHashTable of strings iterates in GLib's order."""
    table = call(guest, "g_hash_table_new", guest.host_function("g_str_hash"), guest.host_function("g_str_equal"))
    names = [f"type-{i}" for i in range(100)]
    keys = {guest.string(name): name for name in names}
    for number, key in enumerate(keys):
        assert call(guest, "g_hash_table_insert", table, key, number) == 1
    assert call(guest, "g_hash_table_insert", table, "type-3", 777) == 0
    assert call(guest, "g_hash_table_lookup", table, "type-3") == 777
    assert call(guest, "g_hash_table_size", table) == 100
    assert call(guest, "g_hash_table_contains", table, "no") == 0
    iterator, key = guest.alloc(64), guest.alloc(8)
    call(guest, "g_hash_table_iter_init", iterator, table)
    seen = []
    while call(guest, "g_hash_table_iter_next", iterator, key, 0):
        seen.append(guest.text(guest.pointer(key)))
    order = ffi.new("uint32_t[]", 100)
    lib.vmd_ghash_order(("\0".join(names) + "\0").encode(), 100, order)
    assert seen == [names[i] for i in order]
    assert call(guest, "g_hash_table_remove", table, "type-3") == 1
    assert call(guest, "g_hash_table_size", table) == 99


@pytest.mark.parametrize("size", [2**64 - 1, 2**64 - 2, 1 << 63, 1 << 40])
def test_sizes_beyond_the_memory(guest: Guest, size: int) -> None:
    """A string, or memory, that is larger than the guest's is an error, also if its size and one more overflow."""
    for name, args in (("malloc", (size,)), ("g_malloc0", (size,)), ("g_strnfill", (size, ord("x")))):
        with pytest.raises(SourceError, match="it uses more than 256 MiB"):
            call(guest, name, *args)
    assert guest.text(call(guest, "g_strnfill", 3, ord("x"))) == "xxx"


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("strlen", (8,)), ("strcmp", (0, 0)), ("memcpy", (8, 8, 1 << 40)), ("memset", (1 << 63, 0, 8)),
        ("g_hash_table_lookup", (8, 0)), ("g_slist_append", (8, 0)), ("g_strdup_printf", ("%s", 8)),
        ("g_strdup_printf", ("%q",)), ("abort", ()), ("__assert_fail", ("x > 0",)),
        ("g_build_filenamev", (0,)),
    ],
)  # fmt: skip
def test_wild_calls(guest: Guest, name: str, args: tuple[Any, ...]) -> None:
    """Invalid pointers and a guest that aborts are errors."""
    with pytest.raises(SourceError, match="guest: function at"):
        call(guest, name, *args)


@pytest.mark.parametrize(
    ("name", "args", "line"),
    [
        ("__assert_fail", ("x > 0", "a.c", 7, "f"), "a.c:7: f: Assertion `x > 0' failed.\n"),
        ("g_assertion_message_expr", (0, "a.c", 7, "f", "x"), "ERROR:a.c:7:f: assertion failed: (x)\n"),
        ("g_assertion_message_expr", (0, "a.c", 7, "f", 0), "ERROR:a.c:7:f: assertion failed: (code should not be "
         "reached)\n"),
    ],
)  # fmt: skip
def test_assertions(guest: Guest, name: str, args: tuple[Any, ...], line: str) -> None:
    """A failed assertion prints the line of libc or GLib, and ends the call."""
    with pytest.raises(SourceError, match="an assertion of its own fails"):
        call(guest, name, *args)
    assert guest.take_output() == line


CODE = {
    "loop": {X86_64: "ebfe", AARCH64: "00000014", RISCV64: "01a0", S390X: "a7f40000"},
    "read from 0": {
        X86_64: "4831c0 488b00 c3",
        AARCH64: "000080d2 000040f9",
        RISCV64: "0145 0861",
        S390X: "a7190000 e32010000004",
    },
    "invalid": {X86_64: "0f0b", AARCH64: "00000000", RISCV64: "0000", S390X: "0000"},
    # f(g, n): calls g(0) n times.
    "call": {
        X86_64: "53554883ec084889fb4889f531ffffd348ffcd75f74883c4085d5bc3",
        AARCH64: "fd7bbea9f35301a9f30300aaf40301aa000080d260023fd6940600f1a1ffff54f35341a9fd7bc2a8c0035fd6",
        RISCV64: "011106ec22e826e499c52e84aa847d14014582946dfce2604264a26405618280",
        S390X: "ebcff0600024a7fbff60ec38000c007cb90400d3b90400c2a72900000deca7d7fffdebcff100000407fe",
    },
    "halt": {X86_64: "f4", AARCH64: "7f2003d5", RISCV64: "73005010", S390X: "8000f000"},
    "jump to 0": {X86_64: "4831c0 ffe0", AARCH64: "000080d2 00001fd6", RISCV64: "0145 0285", S390X: "a7190000 07f1"},
}


@pytest.mark.parametrize("machine", HOSTS)
@pytest.mark.parametrize("what", ["loop", "read from 0", "invalid", "halt", "jump to 0"])
def test_wild_code(what: str, machine: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless or invalid code ends in an error in bounded time."""
    monkeypatch.setattr(guest_module, "SECONDS", 0.2)
    machine_ = Guest("guest", machine)
    code = machine_.alloc(64)
    machine_.write(code, bytes.fromhex(CODE[what][machine]))
    with pytest.raises(SourceError, match="guest: function at"):
        machine_.call(code)


@pytest.mark.parametrize("machine", HOSTS)
def test_wild_callbacks(machine: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Host functions that call back into endless or endlessly recursive guest code end in an error."""
    monkeypatch.setattr(guest_module, "SECONDS", 0.3)
    looping = Guest("guest", machine)
    table = call(looping, "g_hash_table_new", 0, 0)
    call(looping, "g_hash_table_insert", table, 1, 1)
    code = looping.alloc(64)
    looping.write(code, bytes.fromhex(CODE["loop"][machine]))
    with pytest.raises(SourceError, match="does not come to an end"):
        call(looping, "g_hash_table_foreach", table, code, 0)
    nested = Guest("guest", machine)
    table = call(nested, "g_hash_table_new", 0, 0)
    # foreach(key, value, user_data) where each key is the table itself, and the callback foreach: it calls itself.
    foreach = nested.host_function("g_hash_table_foreach")
    call(nested, "g_hash_table_insert", table, table, foreach)
    with pytest.raises(SourceError, match="call each other too deeply"):
        call(nested, "g_hash_table_foreach", table, foreach, 0)


@pytest.mark.parametrize("machine", HOSTS)
@pytest.mark.parametrize("nested", [False, True])
def test_slices(machine: int, nested: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a guest is interrupted, each host call is served once and the result is right."""
    monkeypatch.setattr(guest_module, "SLICE", 0.001)
    machine_ = Guest("guest", machine)
    code, count = machine_.alloc(64), 500_000
    machine_.write(code, bytes.fromhex(CODE["call"][machine]))
    malloc = machine_.host_function("malloc")
    table = call(machine_, "g_hash_table_new", 0, 0)
    call(machine_, "g_hash_table_insert", table, malloc, count)
    before = call(machine_, "malloc", 0)
    if nested:
        call(machine_, "g_hash_table_foreach", table, code, 0)
    else:
        machine_.call(code, malloc, count)
    # An empty block takes 16 bytes, and 16 before it.
    assert call(machine_, "malloc", 0) - before == 32 * (count + 1)


class Alarm(Exception):
    """An exception raised by a signal handler."""


@pytest.mark.parametrize("machine", HOSTS)
@pytest.mark.parametrize("nested", [False, True])
def test_signals(machine: int, nested: bool) -> None:
    """A signal handler runs during guest code; its exception ends the call, and the guest stays usable."""
    guest = Guest("guest", machine)
    code = guest.alloc(64)
    guest.write(code, bytes.fromhex(CODE["loop"][machine]))
    table = call(guest, "g_hash_table_new", 0, 0)
    call(guest, "g_hash_table_insert", table, 1, 1)

    def ring(*_: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Alarm):
            call(guest, "g_hash_table_foreach", table, code, 0) if nested else guest.call(code)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert call(guest, "strlen", "later") == 5


def test_limit_is_for_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit covers all calls together; after it no call begins; an idle guest uses no time."""
    monkeypatch.setattr(guest_module, "SECONDS", 0.2)
    guest = Guest("guest", X86_64)
    code = guest.alloc(64)
    guest.write(code, bytes.fromhex(CODE["loop"][X86_64]))
    time.sleep(0.3)
    assert call(guest, "strlen", "later") == 5
    with pytest.raises(SourceError, match="does not come to an end; the limit for all of its start-up is"):
        guest.call(code)
    with pytest.raises(SourceError, match="does not come to an end"):
        call(guest, "strlen", "later")


def test_limit_after_fork() -> None:
    """The limit also holds in a forked process."""
    script = f"""
import ctypes
import os
from vmdump.errors import SourceError
from vmdump.emulator import guest
guest.SECONDS = 0.3
forked = guest.Guest("guest", {X86_64})
code = forked.alloc(64)
forked.write(code, {bytes.fromhex(CODE["loop"][X86_64])!r})
forked.call(forked.host_function("abs"))
pid = os.fork()
try:
    forked.call(code)
except SourceError:
    if not pid:
        del forked
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_calls_in_a_row(guest: Guest) -> None:
    """Functions are called in order up to the first that fails, which the error names."""
    abort, register = guest.host_function("abort"), guest.host_function("register_dso_module_init")
    guest.call_all([register, register])
    assert len(guest.take_typed_inits()) == 2
    with pytest.raises(SourceError, match=f"guest: function at {abort - guest.bias:#x}: it aborts itself"):
        guest.call_all([register, abort, register])
    assert len(guest.take_typed_inits()) == 1
    guest.call_all([])


#: store(address, word), and a function that returns a number.
STORE = {X86_64: b"\x89\x37\xc3", AARCH64: struct.pack("<2I", 0xB9000001, 0xD65F03C0)}
RETURN_0 = {X86_64: b"\xb8\0\0\0\0\xc3", AARCH64: struct.pack("<2I", 0x52800000, 0xD65F03C0)}


@pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
def test_code_that_changes(machine: int) -> None:
    """Code that the guest writes is executed as last written, on a page of data as well."""
    guest = Guest("guest", machine)
    store, page = guest.alloc(16, 4096), guest.alloc(8192, 4096)
    guest.write(store, STORE[machine])
    guest.write(page, RETURN_0[machine])
    for offset in (64, 128, 4096):
        guest.call(store, page + offset, 1)  # data
    assert guest.call(page) == 0
    for number in (1, 2, 3):
        if machine == X86_64:
            guest.call(store, page + 1, number)
        else:
            guest.call(store, page, 0x52800000 | number << 5)
        guest.call(store, page + 64, number)
        assert guest.call(page) == number


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_callback_that_faults(machine: int) -> None:
    """A callback that faults for one key of a table is ended there and reported, and called for the others."""
    guest = Guest("guest", machine)
    table, data = call(guest, "g_hash_table_new", 0, 0), guest.alloc(64)
    for key, value in ((data + 8, 1), (16, 2), (data + 24, 3)):
        call(guest, "g_hash_table_insert", table, key, value)
    code = guest.alloc(64)
    # *key = value
    guest.write(code, {X86_64: b"\x48\x89\x37\xc3", AARCH64: b"\x01\x00\x00\xf9\xc0\x03\x5f\xd6"}[machine])
    call(guest, "g_hash_table_foreach", table, code, 0)
    assert [guest.pointer(data + 8 * index) for index in range(4)] == [0, 1, 0, 3]
    assert guest.faults() == [(16, 16, "an access outside of its memory")]


def aarch64(*words: int) -> bytes:
    """Encode AArch64 instructions."""
    return struct.pack(f"<{len(words)}I", *words)


#: f(foreach, table, callback): fills the callee-saved registers with 1, 2, 3, ..., calls foreach(table, callback), and
#: returns the sum of the registers; and a callback that sets them to 0 and reads from NULL.
KEPT = {
    X86_64: (
        # push rbp, rbx, r12-r15; sub $8,%rsp; mov %rdi,%rax; mov %rsi,%rdi; mov %rdx,%rsi; mov $1..6; call *%rax;
        bytes.fromhex("5553415441554156415748 83ec08 4889f8 4889f7 4889d6")
        + bytes.fromhex("bb01000000 bd02000000 41bc03000000 41bd04000000 41be05000000 41bf06000000 ffd0")
        # lea (%rbx,%rbp),%rax; add r12-r15; add $8,%rsp; pops; ret
        + bytes.fromhex("488d042b 4c01e0 4c01e8 4c01f0 4c01f8 4883c408 415f415e415d415c5b5dc3"),
        bytes.fromhex("31db 31ed 4531e4 4531ed 4531f6 4531ff 31c0 488b00 c3"),
        sum(range(1, 7)),
    ),
    AARCH64: (
        aarch64(
            0xA9BF7BFD,  # stp x29, x30, [sp, #-16]!
            0xAA0003F0, 0xAA0103E0, 0xAA0203E1,  # mov x16, x0; mov x0, x1; mov x1, x2
            *(0xD2800000 | n + 1 << 5 | 19 + n for n in range(11)),  # mov x19.., #1..
            *(0x9E670000 | 19 + n << 5 | 8 + n for n in range(8)),  # fmov d8.., x19..
            0xD63F0200,  # blr x16
            0xD2800000,  # mov x0, #0
            *(0x8B000000 | 19 + n << 16 for n in range(11)),  # add x0, x0, x19..
            *(word for n in range(8) for word in (0x9E660001 | 8 + n << 5, 0x8B010000)),  # fmov x1, d8..; add
            0xA8C17BFD, 0xD65F03C0,  # ldp x29, x30, [sp], #16; ret
        ),
        aarch64(
            *(0xD2800000 | 19 + n for n in range(11)),  # mov x19.., #0
            *(0x9E6703E0 | 8 + n for n in range(8)),  # fmov d8.., xzr
            0xF94003E0 & ~0x3E0 | 19 << 5,  # ldr x0, [x19]
        ),
        sum(range(1, 12)) + sum(range(1, 9)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_registers_after_a_callback_that_faults(machine: int) -> None:
    """After a callback that faults, the caller's callee-saved registers are restored."""
    guest = Guest("guest", machine)
    table = call(guest, "g_hash_table_new", 0, 0)
    call(guest, "g_hash_table_insert", table, 1, 1)
    outer_code, callback_code, expected = KEPT[machine]
    outer, callback = guest.alloc(256), guest.alloc(128)
    guest.write(outer, outer_code)
    guest.write(callback, callback_code)
    assert guest.call(outer, guest.host_function("g_hash_table_foreach"), table, callback) == expected
    assert guest.faults() == [(1, 0, "an access outside of its memory")]


def test_aarch64_beyond_armv8_0() -> None:
    """Instructions of ARMv8.1 to 8.3, as distributions may use, are executed: ldadd, ldapr, pacia, retaa."""
    guest = Guest("guest", AARCH64)
    number, code = guest.alloc(8), guest.alloc(64)
    guest.write(number, guest.pack("Q", 40))
    guest.write(
        code,
        aarch64(0xF8210002, 0xF8BFC000, 0xD65F03C0),  # ldadd x1, x2, [x0]; ldapr x0, [x0]; ret
    )
    assert guest.call(code, number, 2) == 42
    guest.write(code + 32, aarch64(0xDAC1008A, 0xD2800540, 0xD65F0BFF))  # pacia x10, x4; mov x0, #42; retaa
    assert guest.call(code + 32) == 42


def test_functions_that_the_host_lacks(guest: Guest) -> None:
    """A function that the host lacks returns 0 and is reported once, if it was called."""
    guest.host_function("never_called")
    assert call(guest, "shm_open", "x") == 0
    assert call(guest, "shm_open", "y") == 0
    assert call(guest, "dlsym", 0, "z") == 0
    assert call(guest, "pthread_mutex_lock", 8) == 0
    assert guest.missed_functions() == ["dlsym", "shm_open"]


def test_digests(guest: Guest) -> None:
    """gnutls_digest_list has the digests that QEMU's devices look up (SHA-256 is 6), and ends with 0."""
    digests = struct.unpack(guest.order + "8I", guest.read(call(guest, "gnutls_digest_list"), 32))
    assert digests[-1] == 0
    assert {2, 3, 4, 6, 7, 8, 9} == set(digests[:-1])


def test_pointer_array(guest: Guest) -> None:
    """A GPtrArray grows, with its pointers in order after {pdata, len}."""
    array = call(guest, "g_ptr_array_new")
    for number in range(100):
        call(guest, "g_ptr_array_add", array, 1000 + number)
    pdata, length = struct.unpack(guest.order + "QI", guest.read(array, 12))
    assert length == 100
    assert struct.unpack(guest.order + "100Q", guest.read(pdata, 800)) == tuple(range(1000, 1100))
    with pytest.raises(SourceError, match="outside of its memory"):
        call(guest, "g_ptr_array_add", 8, 1)
    guest.write(array, guest.pack("QII", 8, 5, 100))
    with pytest.raises(SourceError, match="no GArray"):
        call(guest, "g_ptr_array_add", array, 1)


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_qsort(machine: int) -> None:
    """qsort sorts with the guest's comparison function, and is stable."""
    guest = Guest("guest", machine)
    compare = guest.alloc(32)  # *(int *)a - *(int *)b
    code = {X86_64: bytes.fromhex("8b072b06c3"), AARCH64: aarch64(0xB9400000, 0xB9400021, 0x4B010000, 0xD65F03C0)}
    guest.write(compare, code[machine])
    pairs = [(number * 7919 % 13 - 6, number) for number in range(100)]
    array = guest.alloc(800)
    guest.write(array, b"".join(guest.pack("ii", *pair) for pair in pairs))
    call(guest, "qsort", array, 100, 8, compare)
    assert list(struct.iter_unpack(guest.order + "ii", guest.read(array, 800))) == sorted(pairs)
    for n, size in ((1 << 40, 1 << 40), (1 << 40, 1)):
        with pytest.raises(SourceError, match="outside of its memory"):
            call(guest, "qsort", array, n, size, compare)
    call(guest, "qsort", 8, 0, 8, compare)


def test_sscanf(guest: Guest) -> None:
    """Integers of every size are converted; a mismatch ends the scan; an unsupported conversion is reported."""
    to = guest.alloc(64)
    assert call(guest, "sscanf", "1f2E-7:x", "%02hhx%2hx-%d:%d", to, to + 8, to + 16, to + 24) == 3
    assert struct.unpack(guest.order + "B7xH6xi", guest.read(to, 20)) == (0x1F, 0x2E, 7)
    assert call(guest, "sscanf", " -5 12345678901", "%d%ld", to, to + 8) == 2
    assert struct.unpack(guest.order + "i4xq", guest.read(to, 16)) == (-5, 12345678901)
    assert call(guest, "sscanf", "", "%d", to) == 2**64 - 1
    assert guest.missed_functions() == []
    assert call(guest, "sscanf", "a", "%y", to) == 0
    assert guest.missed_functions() == ["sscanf"]
    with pytest.raises(SourceError, match="outside of its memory"):
        call(guest, "sscanf", "1", "%d", 8)


def test_strings_with_a_limit(guest: Guest) -> None:
    """g_strlcpy terminates truncated strings and returns the full length."""
    to = guest.alloc(16)
    assert call(guest, "g_strlcpy", to, "main", 16) == 4
    assert guest.text(to) == "main"
    assert call(guest, "g_strlcpy", to, "mainframe", 5) == 9
    assert guest.text(to) == "main"
    assert call(guest, "g_strlcpy", to, "x", 0) == 1
    assert guest.text(to) == "main"


def test_system_calls_fail(guest: Guest) -> None:
    """System calls return -1 and set errno (ENOSYS 38, ENOENT 2)."""
    errno = call(guest, "__errno_location")
    for name, number in (("syscall", 38), ("open", 2)):
        assert call(guest, name, "/dev/null") == 2**64 - 1
        assert guest.number(errno, 4) == number
    assert guest.text(call(guest, "strerror", 2)) == "No such file or directory"


@pytest.mark.parametrize("number", [-1, -(2**31), 2**31 - 1, 0])
def test_errors_without_a_text(guest: Guest, number: int) -> None:
    """Numbers that are no error's have the text that the C library gives them, in %m and perror, too."""
    guest.write_number(call(guest, "__errno_location"), number % 2**32, 4)
    call(guest, "perror", "it")
    for text in (
        guest.text(call(guest, "strerror", number % 2**32)),
        guest.text(call(guest, "g_strerror", number % 2**64)),
        guest.text(call(guest, "g_strdup_printf", "%m")),
        guest.take_output().removeprefix("it: ").rstrip(),
    ):
        assert text == os.strerror(number)


def test_lists_that_never_end(guest: Guest) -> None:
    """Circular lists, and more tables than memory allows, are errors."""
    link = guest.alloc(24)
    guest.write(link, guest.pack("QQ", 1, link))
    for name in ("g_slist_append", "g_slist_length"):
        with pytest.raises(SourceError, match="a list that goes in a circle"):
            call(guest, name, link, 0)
    with pytest.raises(SourceError, match="a GSList is cyclic"):
        list(guest.slist(link))
    code = guest.alloc(64)
    guest.write(code, bytes.fromhex(CODE["call"][guest.arch]))
    with pytest.raises(SourceError, match="it uses more than"):
        guest.call(code, guest.host_function("g_hash_table_new"), (1 << 16) + 1)


def test_queue_of_init_functions(guest: Guest) -> None:
    """Init functions are taken from the queue in order, each once."""
    register = guest.host_function("register_dso_module_init")
    for number in range(3000):
        guest.call(register, number, number % 5)
    assert guest.take_typed_inits() == [(number, number % 5) for number in range(3000)]
    assert guest.take_typed_inits() == []


def test_without_unicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Unicorn the error says what to install."""
    monkeypatch.setattr(unicorn_library.PathFinder, "find_spec", lambda name: None)
    monkeypatch.setattr(unicorn_library, "DIRECTORIES", ())
    with pytest.raises(SourceError, match=r"pip install 'vmdump\[elf\]', or .*libunicorn2t64"):
        Guest("x", X86_64)


@pytest.mark.parametrize("has_package", [False, True])
def test_unicorn_of_the_system(has_package: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel, the system's library is loaded: alone, or with Debian's package for Python, which has none."""
    library = tmp_path / "libunicorn.so.2"
    library.symlink_to(os.fsdecode(libunicorn()))
    spec = ModuleSpec("unicorn", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "unicorn")]
    monkeypatch.setattr(unicorn_library.PathFinder, "find_spec", lambda name: spec if has_package else None)
    monkeypatch.setattr(unicorn_library, "DIRECTORIES", (str(tmp_path / "none"), str(tmp_path)))
    assert libunicorn() == os.fsencode(library)
    guest = Guest("x", X86_64)
    code = guest.alloc(6)
    guest.write(code, b"\xb8\7\0\0\0\xc3")  # mov eax, 7; ret
    assert guest.call(code) == 7


def test_unicorn_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unicorn 2.0, which Debian 12 has, is refused, with what to install."""
    names = re.findall(r"SYMBOL\((\w+)\)", (ROOT / "csrc/guest/cpu/engine.c").read_text())
    functions = "".join(f"int uc_{name}(void) {{ return 0; }}\n" for name in names if name not in ("member", "version"))
    source = tmp_path / "old.c"
    source.write_text(f"{functions}unsigned uc_version(unsigned *a, unsigned *b) {{ *a = 2; *b = 0; return 512; }}\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "libunicorn.so.2", source], check=True)
    monkeypatch.setattr(unicorn_library.PathFinder, "find_spec", lambda name: None)
    monkeypatch.setattr(unicorn_library, "DIRECTORIES", (str(tmp_path),))
    with pytest.raises(SourceError, match=r"libunicorn is older than 2\.1: pip install 'vmdump\[elf\]'$"):
        Guest("x", X86_64)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(("name", "entry"), [("b", 2), ("tolower", 4), ("toupper", 4)])
def test_character_tables(name: str, entry: int, host: int) -> None:
    """The tables behind isalpha and toupper are glibc's, in the guest's byte order; bits of classes are bytes."""
    try:
        function = getattr(ctypes.CDLL(None), f"__ctype_{name}_loc")
    except AttributeError:
        pytest.skip("the C library of this Python is not glibc")
    function.restype = ctypes.POINTER(ctypes.c_void_p)
    real = ctypes.string_at(function()[0] - 128 * entry, 384 * entry)
    guest = Guest("x", host)
    table = guest.pointer(guest.call(guest.host_function(f"__ctype_{name}_loc")))
    found = guest.read(table - 128 * entry, 384 * entry)
    if entry == 4 and guest.byte_order == "big":
        found = b"".join(found[at : at + 4][::-1] for at in range(0, len(found), 4))
    assert found == real

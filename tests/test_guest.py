"""Guests: the functions of libc and GLib that they see, and what ends one that runs wild."""

import signal
import struct
import subprocess
import sys
import time
from typing import Any

import pytest
from elf_builder import AARCH64, X86_64

from vmdump._core import ffi, lib
from vmdump.emulator import guest as guest_module
from vmdump.emulator.guest import Guest
from vmdump.errors import SourceError


@pytest.fixture(params=[X86_64, AARCH64], ids=["x86_64", "aarch64"])
def guest(request: pytest.FixtureRequest) -> Guest:
    """An empty guest of each host."""
    return Guest("guest", request.param)


def call(guest: Guest, name: str, *args: int | str) -> int:
    """Calls a function of the host as the guest would."""
    return guest.call(
        guest.host_function(name), *(guest.string(each) if isinstance(each, str) else each for each in args)
    )


def test_strings(guest: Guest) -> None:
    """libc's and GLib's functions on strings."""
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


def test_memory(guest: Guest) -> None:
    """malloc(0) is not NULL, g_malloc(0) is; memory is zeroed, realloc keeps what was there."""
    assert call(guest, "malloc", 0) != 0
    assert call(guest, "g_malloc", 0) == 0
    block = call(guest, "g_malloc0", 8)
    guest.write(block, b"12345678")
    assert guest.memory[block - guest.base : block - guest.base + 8] == b"12345678"
    assert guest.memory.readonly
    assert guest.read(call(guest, "g_realloc", block, 16), 16) == b"12345678" + bytes(8)
    for name, *args in (("malloc", 1 << 60), ("calloc", 1 << 40, 1 << 40), ("g_malloc", 1 << 31)):
        with pytest.raises(SourceError, match=r"guest: its start-up uses more than \d+ MiB; is it a QEMU\?"):
            call(guest, name, *args)


def test_hash_table(guest: Guest) -> None:
    """A GHashTable of strings, in GLib's order."""
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


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("strlen", (8,)), ("strcmp", (0, 0)), ("memcpy", (8, 8, 1 << 40)), ("memset", (1 << 63, 0, 8)),
        ("g_hash_table_lookup", (8, 0)), ("g_slist_append", (8, 0)), ("g_strdup_printf", ("%s", 8)),
        ("g_strdup_printf", ("%q",)), ("abort", ()), ("__assert_fail", ("x > 0",)),
    ],
)  # fmt: skip
def test_wild_calls(guest: Guest, name: str, args: tuple[Any, ...]) -> None:
    """Pointers to nowhere, and a guest that gives up, are errors."""
    with pytest.raises(SourceError, match="guest: function at"):
        call(guest, name, *args)


CODE = {
    "loop": {X86_64: b"\xeb\xfe", AARCH64: b"\x00\x00\x00\x14"},
    "read from 0": {X86_64: b"\x48\x31\xc0\x48\x8b\x00\xc3", AARCH64: b"\x00\x00\x80\xd2\x00\x00\x40\xf9"},
    "invalid": {X86_64: b"\x0f\x0b", AARCH64: b"\x00\x00\x00\x00"},
    # f(g, n): calls g(0) n times.
    "call": {
        X86_64: bytes.fromhex("53554883ec084889fb4889f531ffffd348ffcd75f74883c4085d5bc3"),
        AARCH64: bytes.fromhex(
            "fd7bbea9f35301a9f30300aaf40301aa000080d260023fd6940600f1a1ffff54f35341a9fd7bc2a8c0035fd6"
        ),
    },
    "halt": {X86_64: b"\xf4", AARCH64: b"\x7f\x20\x03\xd5"},
    "jump to 0": {X86_64: b"\x48\x31\xc0\xff\xe0", AARCH64: b"\x00\x00\x80\xd2\x00\x00\x1f\xd6"},
}


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
@pytest.mark.parametrize("what", ["loop", "read from 0", "invalid", "halt", "jump to 0"])
def test_wild_code(what: str, machine: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that never ends, or runs wild, ends in an error in bounded time."""
    monkeypatch.setattr(guest_module, "SECONDS", 0.2)
    machine_ = Guest("guest", machine)
    code = machine_.alloc(64)
    machine_.write(code, CODE[what][machine])
    with pytest.raises(SourceError, match="guest: function at"):
        machine_.call(code)


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_wild_callbacks(machine: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions of the host that call the guest: one that never returns, and one that calls the host for ever."""
    monkeypatch.setattr(guest_module, "SECONDS", 0.3)
    looping = Guest("guest", machine)
    table = call(looping, "g_hash_table_new", 0, 0)
    call(looping, "g_hash_table_insert", table, 1, 1)
    code = looping.alloc(64)
    looping.write(code, CODE["loop"][machine])
    with pytest.raises(SourceError, match="does not come to an end"):
        call(looping, "g_hash_table_foreach", table, code, 0)
    nested = Guest("guest", machine)
    table = call(nested, "g_hash_table_new", 0, 0)
    # foreach(key, value, user_data) where each key is the table itself, and the callback foreach: it calls itself.
    foreach = nested.host_function("g_hash_table_foreach")
    call(nested, "g_hash_table_insert", table, table, foreach)
    with pytest.raises(SourceError, match="call each other too deeply"):
        call(nested, "g_hash_table_foreach", table, foreach, 0)


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
@pytest.mark.parametrize("nested", [False, True])
def test_slices(machine: int, nested: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a guest is interrupted, each of its calls of the host is served once, and its result is right."""
    monkeypatch.setattr(guest_module, "SLICE", 0.001)
    machine_ = Guest("guest", machine)
    code, count = machine_.alloc(64), 500_000
    machine_.write(code, CODE["call"][machine])
    malloc = machine_.host_function("malloc")
    table = call(machine_, "g_hash_table_new", 0, 0)
    call(machine_, "g_hash_table_insert", table, malloc, count)
    before = call(machine_, "malloc", 0)
    if nested:
        call(machine_, "g_hash_table_foreach", table, code, 0)
    else:
        machine_.call(code, malloc, count)
    # A block of no bytes takes 16, and 16 before it.
    assert call(machine_, "malloc", 0) - before == 32 * (count + 1)


class Alarm(Exception):
    """What a signal handler raises."""


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
@pytest.mark.parametrize("nested", [False, True])
def test_signals(machine: int, nested: bool) -> None:
    """A signal handler runs while a guest does, and what it raises, as Ctrl-C does, ends the call and not the guest."""
    guest = Guest("guest", machine)
    code = guest.alloc(64)
    guest.write(code, CODE["loop"][machine])
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
    """Time adds up over calls; when it is used up no call begins; a guest that is only kept uses none."""
    monkeypatch.setattr(guest_module, "SECONDS", 0.2)
    guest = Guest("guest", X86_64)
    code = guest.alloc(64)
    guest.write(code, CODE["loop"][X86_64])
    time.sleep(0.3)
    assert call(guest, "strlen", "later") == 5
    with pytest.raises(SourceError, match="does not come to an end, as all of its start-up must within"):
        guest.call(code)
    with pytest.raises(SourceError, match="does not come to an end"):
        call(guest, "strlen", "later")


def test_limit_after_fork() -> None:
    """A process that is forked off with a guest in it keeps to the limit, too."""
    script = f"""
import os
from vmdump.errors import SourceError
from vmdump.emulator import guest
guest.SECONDS = 0.3
forked = guest.Guest("guest", {X86_64})
code = forked.alloc(64)
forked.write(code, {CODE["loop"][X86_64]!r})
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


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_callback_that_faults(machine: int) -> None:
    """A function that goes wrong at one of a table's keys is ended there, told, and called with the rest."""
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


def test_lists_that_never_end(guest: Guest) -> None:
    """A list in a circle, and more tables than memory is meant for."""
    link = guest.alloc(24)
    guest.write(link, struct.pack("<QQ", 1, link))
    for name in ("g_slist_append", "g_slist_length"):
        with pytest.raises(SourceError, match="a list that goes in a circle"):
            call(guest, name, link, 0)
    with pytest.raises(SourceError, match="its start-up uses more than"):
        for _ in range((1 << 16) + 1):
            call(guest, "g_hash_table_new", 0, 0)


def test_queue_of_init_functions(guest: Guest) -> None:
    """Init functions come out of the queue in order, all of them, once."""
    register = guest.host_function("register_dso_module_init")
    for number in range(3000):
        guest.call(register, number, number % 5)
    assert guest.take_typed_inits() == [(number, number % 5) for number in range(3000)]
    assert guest.take_typed_inits() == []


def test_without_unicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Unicorn the error says what to install."""
    monkeypatch.setattr(guest_module.PathFinder, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"pip install 'vmdump\[elf\]'"):
        Guest("x", X86_64)


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
    small = Guest("guest", guest.e_machine, resident=1 << 20)
    block = small.alloc(4 << 20)
    with pytest.raises(SourceError, match="uses more than"):
        call(small, "memset", block, 1, 4 << 20)
    assert call(small, "memset", block, 1, 1 << 20) == block


def test_output_and_unserved(guest: Guest) -> None:
    """What a guest prints is kept, up to a bound; functions that the host does not serve are named."""
    assert call(guest, "no_such_function", 1, 2) == 0
    assert guest.unserved() == ["no_such_function"]
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


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
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

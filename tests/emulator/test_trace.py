"""Traces of functions that are called through pointers, with small functions of both architectures."""

import struct

import pytest
from support.elf_builder import AARCH64, X86_64

from vmdump.emulator.guest import Guest
from vmdump.emulator.trace import Tracer, collect
from vmdump.errors import SourceError

#: Machine code by architecture. "read" returns the word at its first argument, "count" increments it and returns its
#: lowest bit, "jump" continues at the address that follows the code, "fault" reads address 0.
CODE = {
    "read": {X86_64: "48 8b 07 c3", AARCH64: "00 00 40 f9 c0 03 5f d6"},
    "count": {
        X86_64: "48 ff 07 48 8b 07 83 e0 01 c3",
        AARCH64: "01 00 40 f9 21 04 00 91 01 00 00 f9 20 00 40 92 c0 03 5f d6",
    },
    "jump": {X86_64: "48 b8", AARCH64: "50 00 00 58 00 02 1f d6"},
    "fault": {X86_64: "48 31 c0 48 8b 00 c3", AARCH64: "00 00 80 d2 00 00 40 f9 c0 03 5f d6"},
}


@pytest.fixture(params=[X86_64, AARCH64], ids=["x86_64", "aarch64"])
def guest(request: pytest.FixtureRequest) -> Guest:
    """An empty guest of each architecture."""
    return Guest("guest", request.param)


def slot_of(guest: Guest, name: str, more: bytes = b"") -> int:
    """Return the address of a pointer to a function."""
    code = bytes.fromhex(CODE[name][guest.arch]) + more
    function, slot = guest.alloc(len(code)), guest.alloc(8)
    guest.write(function, code)
    guest.write(slot, struct.pack("<Q", function))
    return slot


def word(guest: Guest, value: int) -> int:
    """Return the address of a word."""
    address = guest.alloc(8)
    guest.write(address, struct.pack("<Q", value))
    return address


def test_reads(guest: Guest) -> None:
    """A call has its arguments, its result and its reads; afterwards the pointer is as before."""
    slot, opaque = slot_of(guest, "read"), word(guest, 3)
    function = guest.pointer(slot)
    with Tracer(guest, [slot]) as tracer:
        assert guest.pointer(slot) != function
        assert guest.call(guest.pointer(slot), opaque, 7) == 3
        (call,) = tracer.take()
        assert tracer.take() == []
        guest.call(function, opaque)
        assert tracer.take() == []
    assert (call.slot, call.opaque, call.argument, call.result) == (slot, opaque, 7, True)
    assert (call.reads, call.obstacle) == (((opaque, 8),), None)
    assert guest.pointer(slot) == function


def test_false_is_the_lowest_byte(guest: Guest) -> None:
    """A bool is the lowest byte of the result register; the rest may be anything."""
    slot = slot_of(guest, "read")
    with Tracer(guest, [slot]) as tracer:
        guest.call(guest.pointer(slot), word(guest, 0x100))
        assert [call.result for call in tracer.take()] == [False]


def test_host_function(guest: Guest) -> None:
    """What a host function reads is not traced, so the call has an obstacle; functions without effect are none."""
    for name, obstacle in (("strlen", "it calls strlen"), ("pthread_mutex_lock", None)):
        address = struct.pack("<Q", guest.host_function(name))
        slot = slot_of(guest, "jump", address + (b"\xff\xe0" if guest.arch == X86_64 else b""))
        with Tracer(guest, [slot]) as tracer:
            guest.call(guest.pointer(slot), guest.string("text"))
            assert [call.obstacle for call in tracer.take()] == [obstacle]


def test_constant_table(guest: Guest) -> None:
    """Lookups in one hash table are no obstacle; in others they are."""
    tables = [guest.call(guest.host_function("g_hash_table_new"), 0, 0) for _ in range(2)]
    address = struct.pack("<Q", guest.host_function("g_hash_table_lookup"))
    slot = slot_of(guest, "jump", address + (b"\xff\xe0" if guest.arch == X86_64 else b""))
    with Tracer(guest, [slot]) as tracer:
        guest.call(guest.pointer(slot), tables[0], 1)
        (call,) = tracer.take()
        assert (call.obstacle, call.called_with) == ("it calls g_hash_table_lookup", tables[0])
        tracer.set_constant_table(tables[0])
        for table in tables:
            guest.call(guest.pointer(slot), table, 1)
        assert [call.obstacle for call in tracer.take()] == [None, "it calls g_hash_table_lookup"]


def test_unsteady(guest: Guest) -> None:
    """A function whose result changes from call to call has an obstacle."""
    slot = slot_of(guest, "count")
    with Tracer(guest, [slot]) as tracer:
        guest.call(guest.pointer(slot), word(guest, 0))
        assert [call.obstacle for call in tracer.take()] == ["two calls returned different results"]


def test_fault(guest: Guest) -> None:
    """A fault ends the call; tracing goes on, and the pointers are restored."""
    bad, good, opaque = slot_of(guest, "fault"), slot_of(guest, "read"), word(guest, 1)
    functions = guest.pointer(bad), guest.pointer(good)
    with Tracer(guest, [bad, good]) as tracer:
        with pytest.raises(SourceError, match="outside of its memory"):
            guest.call(guest.pointer(bad), opaque)
        tracer.take()
        guest.call(guest.pointer(good), opaque)
        assert [call.reads for call in tracer.take()] == [((opaque, 8),)]
    assert (guest.pointer(bad), guest.pointer(good)) == functions


def test_nested_traces_and_wild_slots(guest: Guest) -> None:
    """A guest is traced once at a time; addresses outside of its memory are not probed."""
    slot = slot_of(guest, "read")
    with Tracer(guest, [8, slot]), pytest.raises(SourceError, match="can't be traced"), Tracer(guest, [slot]):
        pass
    with Tracer(guest, [slot]) as tracer:
        guest.call(guest.pointer(slot), word(guest, 1))
        assert len(tracer.take()) == 1


def test_limits(guest: Guest) -> None:
    """Probes are limited in number; calls beyond the limits are not recorded."""
    slots = [slot_of(guest, "read") for _ in range(1100)]
    opaque = word(guest, 1)
    with Tracer(guest, slots) as tracer:
        guest.call_all([])
        for slot in (slots[0], slots[-1]):
            guest.call(guest.pointer(slot), opaque)
        assert [call.slot for call in tracer.take()] == slots[:1]


def test_too_many_calls(guest: Guest) -> None:
    """If there are more calls than are recorded, none is relied upon."""
    slot = slot_of(guest, "read")
    opaque = word(guest, 1)
    with Tracer(guest, [slot]) as tracer:
        callback = guest.pointer(slot)
        table = guest.call(guest.host_function("g_hash_table_new"), 0, 0)
        for index in range(1000):
            guest.call(guest.host_function("g_hash_table_insert"), table, opaque + 8 * index, 1)
        guest.write(guest.alloc(8 * 1000), bytes(8 * 1000))
        for _ in range(17):
            guest.call(guest.host_function("g_hash_table_foreach"), table, callback, 0)
        calls = tracer.take()
    assert len(calls) == 1 << 14
    assert {call.obstacle for call in calls} == {"it reads more memory than is traced"}


def test_collect(guest: Guest) -> None:
    """collect returns the first arguments with which a function calls its callback."""
    table = guest.call(guest.host_function("g_hash_table_new"), 0, 0)
    for key in (3, 4, 5):
        guest.call(guest.host_function("g_hash_table_insert"), table, key, 1)
    assert sorted(collect(guest, guest.host_function("g_hash_table_foreach"), table)) == [3, 4, 5]
    assert collect(guest, guest.host_function("g_hash_table_foreach"), 8) == []

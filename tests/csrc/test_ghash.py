"""csrc/base/ghash.c compared with GLib: equal keys and history give equal iteration order."""

import ctypes
import os
import random
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import EXAMPLES
from support.glib import GLibTable, glib_order, load_glib
from support.paths import ROOT
from support.requirements import require

from vmdump import _core

ffi, lib = _core.ffi, _core.lib
CSRC = ROOT / "csrc"
UINT32 = ctypes.c_uint32

#: csrc/base/ghash.c with a heap-allocated table and an allocator that fails on request.
SHIM = """
#include <stdlib.h>
long allocations_left = -1;
static void *counted_calloc(size_t n, size_t size)
{
    if (allocations_left == 0) {
        return NULL;
    }
    allocations_left -= allocations_left > 0;
    return calloc(n, size);
}
#define calloc counted_calloc
#include "base/ghash.c"
struct vmd_ghash *table_create(void)
{
    struct vmd_ghash *table = malloc(sizeof(*table));
    if (vmd_ghash_init(table, NULL, NULL) != VMD_OK) {
        vmd_ghash_deinit(table);
        free(table);
        return NULL;
    }
    return table;
}
void table_destroy(struct vmd_ghash *table) { vmd_ghash_deinit(table); free(table); }
uint32_t table_nnodes(const struct vmd_ghash *table) { return table->nnodes; }
uint64_t table_value(const struct vmd_ghash *table, uint32_t slot) { return table->values[slot]; }
void table_items(const struct vmd_ghash *table, uint64_t *out)
{
    for (uint32_t slot = 0; vmd_ghash_next(table, &slot); slot++) {
        *out++ = table->keys[slot];
        *out++ = table->values[slot];
    }
}
"""


def vmd_order(names: list[bytes]) -> list[int]:
    order = ffi.new("uint32_t[]", len(names))
    assert lib.vmd_ghash_order(b"".join(name + b"\0" for name in names), len(names), order) == lib.VMD_OK
    return ffi.unpack(order, len(names))


@pytest.fixture(scope="session")
def core(tmp_path_factory) -> ctypes.CDLL:
    """Compile the C table and the shim with exported symbols."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    require(compiler, "a C compiler")
    folder = tmp_path_factory.mktemp("ghash")
    (folder / "shim.c").write_text(SHIM)
    command = [compiler, "-std=gnu11", "-O1", "-shared", "-fPIC", f"-I{CSRC}", "shim.c", "-o", "shim.so"]
    subprocess.run(command, cwd=folder, check=True)
    core = ctypes.CDLL(str(folder / "shim.so"))
    core.table_create.restype = ctypes.c_void_p
    core.table_value.restype = ctypes.c_uint64
    core.table_value.argtypes = [ctypes.c_void_p, UINT32]
    core.table_nnodes.restype = UINT32
    core.vmd_str_hash.restype = UINT32
    core.vmd_ghash_remove.restype = core.vmd_ghash_lookup.restype = ctypes.c_bool
    for name in "table_destroy", "table_nnodes":
        getattr(core, name).argtypes = [ctypes.c_void_p]
    core.table_items.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    core.vmd_ghash_insert.argtypes = [ctypes.c_void_p, UINT32, ctypes.c_uint64, ctypes.c_uint64]
    core.vmd_ghash_remove.argtypes = [ctypes.c_void_p, UINT32, ctypes.c_uint64]
    core.vmd_ghash_lookup.argtypes = [ctypes.c_void_p, UINT32, ctypes.c_uint64, ctypes.POINTER(UINT32)]
    return core


class CoreTable:
    """The table under test, with the interface of GLibTable; hashes maps keys to hash values."""

    def __init__(self, core: ctypes.CDLL, hashes) -> None:
        self.core, self.hashes = core, hashes
        self.table = core.table_create()
        assert self.table

    def __enter__(self):
        return self

    def __exit__(self, *exc) -> None:
        self.core.table_destroy(self.table)

    def insert(self, key: int, value: int) -> int:
        return self.core.vmd_ghash_insert(self.table, self.hashes[key], key, value)

    def remove(self, key: int) -> bool:
        return self.core.vmd_ghash_remove(self.table, self.hashes[key], key)

    def get(self, key: int) -> int | None:
        slot = UINT32()
        if not self.core.vmd_ghash_lookup(self.table, self.hashes[key], key, ctypes.byref(slot)):
            return None
        return self.core.table_value(self.table, slot)

    def items(self) -> list[tuple[int, int]]:
        out = (ctypes.c_uint64 * (2 * self.core.table_nnodes(self.table)))()
        self.core.table_items(self.table, out)
        return list(zip(out[::2], out[1::2], strict=True))


def replay(core: ctypes.CDLL, hashes: dict[int, int], operations: list[int]) -> None:
    """Apply operations to both tables and compare after each: n inserts key n, -n removes it."""
    require(load_glib(), "libglib-2.0.so.0")
    hash_func = ctypes.CFUNCTYPE(UINT32, ctypes.c_void_p)(lambda key: hashes[key])
    with GLibTable(hash_func) as expected, CoreTable(core, hashes) as actual:
        for value, operation in enumerate(operations):
            if operation > 0:
                expected.insert(operation, value)
                assert actual.insert(operation, value) == lib.VMD_OK
            else:
                assert actual.remove(-operation) == expected.remove(-operation)
            assert actual.items() == expected.items()


NAMES = st.binary(min_size=0, max_size=12).filter(lambda name: b"\0" not in name)


@given(st.lists(NAMES, unique=True, max_size=200))
def test_order_of_any_bytes(names):
    """Iteration order is GLib's for any byte strings; g_str_hash treats bytes above 0x7f as negative."""
    assert vmd_order(names) == glib_order(names)


def test_order_of_names_like_types():
    """Iteration order is GLib's for a thousand sets of names like QEMU's types, of all sizes up to the largest
    target's.
    """
    random_ = random.Random(2)
    words = [
        "virtio",
        "pci",
        "usb",
        "isa",
        "arm",
        "cpu",
        "net",
        "blk",
        "base",
        "device",
        "machine",
        "8.2",
        "x86_64",
        "é",
    ]
    for _ in range(1000):
        size = random_.choice((3, 10, 30, 60, 130))
        names = {"-".join(random_.choices(words, k=random_.randint(1, 4))).encode() for _ in range(size)}
        names = random_.sample(sorted(names), len(names))
        assert vmd_order(names) == glib_order(names)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 4096, 100_000])
def test_order_of_many(n):
    """Iteration order is GLib's for tables that grew many times, and at the boundaries of the smallest."""
    names = [f"type-{index * 7919 % 1_000_003}".encode() for index in range(n)]
    assert vmd_order(names) == glib_order(names)


def test_order_depends_on_insertion():
    """Names with equal hashes keep their insertion order."""
    assert 33 * ord("a") + ord("b") == 33 * ord("b") + ord("A")
    assert vmd_order([b"ab", b"bA"]) == glib_order([b"ab", b"bA"])
    assert vmd_order([b"bA", b"ab"]) == glib_order([b"bA", b"ab"])
    assert vmd_order([b"ab", b"bA"]) == vmd_order([b"bA", b"ab"])  # indices: so the names are swapped


def test_order_of_equal_names():
    """Like g_hash_table_insert(), a repeated name replaces the value and keeps the order."""
    order = ffi.new("uint32_t[]", [77, 77, 77])
    assert lib.vmd_ghash_order(b"a\0b\0a\0", 3, order) == lib.VMD_OK
    assert list(order) == [*glib_order([b"a", b"b", b"a"]), 77]


@given(st.binary(max_size=40).filter(lambda name: b"\0" not in name))
def test_string_hash(core, name):
    """The string hash equals g_str_hash() for any bytes."""
    require(load_glib(), "libglib-2.0.so.0")
    assert core.vmd_str_hash(name) == load_glib().g_str_hash(name)


#: Few hash values, including the slot markers, so that keys collide and land on tombstones.
HASHES = st.one_of(st.sampled_from([0, 1, 2, 3, 8, 15, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))


@settings(max_examples=3 * EXAMPLES)
@given(st.data())
def test_any_history(core, data):
    """Any sequence of insertions, replacements and removals gives GLib's table after every step."""
    n_keys = data.draw(st.integers(1, 60))
    hashes = dict(enumerate(data.draw(st.lists(HASHES, min_size=n_keys, max_size=n_keys)), 1))
    keys = st.integers(1, n_keys)
    replay(core, hashes, data.draw(st.lists(st.one_of(keys, keys, keys.map(lambda key: -key)), max_size=150)))


def test_grow_and_shrink(core):
    """Growing to 300 keys and shrinking to none, twice, with tombstones at every size, gives GLib's table."""
    random_ = random.Random(3)
    hashes = {key: random_.getrandbits(32) for key in range(1, 301)}
    keys = list(hashes)
    up_and_down = []
    for _ in range(2):
        random_.shuffle(keys)
        for position, key in enumerate(keys):
            up_and_down += [key, -random_.choice(keys[: position + 1]), key]
        random_.shuffle(keys)
        up_and_down += [-key for key in keys]
    replay(core, hashes, up_and_down)


def test_lookup(core):
    """Lookup returns a key's latest value, also after tombstones, and nothing for a removed key."""
    with CoreTable(core, {1: 5, 2: 5, 3: 5}) as table:
        for key in 1, 2:
            table.insert(key, key * 10)
        table.insert(2, 99)
        table.remove(1)
        assert [table.get(key) for key in (1, 2, 3)] == [None, 99, None]


def test_memory_runs_out(core):
    """An insertion that cannot allocate changes nothing, and succeeds once memory is available."""
    hashes = {key: key * 2654435761 % 2**32 for key in range(1, 300)}
    allocations_left = ctypes.c_long.in_dll(core, "allocations_left")
    failures = 0
    with CoreTable(core, hashes) as table:
        for key in hashes:
            before = table.items()
            allocations_left.value = 0
            status = table.insert(key, key)
            allocations_left.value = -1
            if status != lib.VMD_OK:
                failures += 1
                assert (status, table.items(), table.get(key)) == (lib.VMD_NO_MEMORY, before, None)
                assert table.insert(key, key) == lib.VMD_OK
        assert sorted(table.items()) == [(key, key) for key in hashes]
    assert failures == 6  # from 8 slots to 512
    replay(core, hashes, list(hashes))


def test_memory_runs_out_at_the_start(core):
    """Table creation and the one-shot order function report failed allocations and leave the order untouched."""
    allocations_left = ctypes.c_long.in_dll(core, "allocations_left")
    order = (UINT32 * 20)(*[77] * 20)
    names = b"".join(b"%d\0" % index for index in range(20))
    try:
        allocations_left.value = 0
        assert not core.table_create()
        for allowed in 0, 1, 2:
            allocations_left.value = allowed
            assert core.vmd_ghash_order(names, ctypes.c_size_t(20), order) == lib.VMD_NO_MEMORY
            assert list(order) == [77] * 20
    finally:
        allocations_left.value = -1
    assert core.vmd_ghash_order(names, ctypes.c_size_t(20), order) == lib.VMD_OK

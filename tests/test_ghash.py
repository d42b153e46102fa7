"""csrc/ghash.c against the real GLib: same keys, same history, same order of iteration."""

import ctypes
import functools
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmdump import _core

ffi, lib = _core.ffi, _core.lib
CSRC = Path(__file__).resolve().parent.parent / "csrc"
UINT32 = ctypes.c_uint32

#: csrc/ghash.c with a table on the heap and an allocator that can be told to fail.
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


def require(available: object, what: str) -> None:
    """Skips where something is not installed; in CI that is a failure."""
    if not available:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {what}")


@functools.cache
def load_glib() -> ctypes.CDLL | None:
    try:
        glib = ctypes.CDLL("libglib-2.0.so.0")
    except OSError:
        return None
    glib.g_hash_table_new.restype = ctypes.c_void_p
    for name in "g_hash_table_insert", "g_hash_table_remove", "g_hash_table_lookup", "g_hash_table_destroy":
        getattr(glib, name).argtypes = [ctypes.c_void_p] * {"insert": 3, "destroy": 1}.get(name[13:], 2)
    glib.g_hash_table_lookup.restype = ctypes.c_void_p
    glib.g_hash_table_iter_init.argtypes = [ctypes.c_void_p] * 2
    glib.g_hash_table_iter_next.argtypes = [ctypes.c_void_p] * 3
    glib.g_str_hash.argtypes = [ctypes.c_char_p]
    glib.g_str_hash.restype = UINT32
    return glib


class GLibTable:
    """A real GHashTable. Keys and values are numbers; hash_func and equal_func are C functions."""

    def __init__(self, hash_func, equal_func=None) -> None:
        self.glib = load_glib()
        require(self.glib, "libglib-2.0.so.0")
        self.table = self.glib.g_hash_table_new(hash_func, equal_func)

    def __enter__(self):
        return self

    def __exit__(self, *exc) -> None:
        self.glib.g_hash_table_destroy(self.table)

    def insert(self, key: int, value: int) -> None:
        self.glib.g_hash_table_insert(self.table, key, value)

    def remove(self, key: int) -> bool:
        return bool(self.glib.g_hash_table_remove(self.table, key))

    def items(self) -> list[tuple[int, int]]:
        iterator = ctypes.create_string_buffer(128)  # a GHashTableIter has 40 bytes
        key, value = ctypes.c_void_p(), ctypes.c_void_p()
        self.glib.g_hash_table_iter_init(iterator, self.table)
        items = []
        while self.glib.g_hash_table_iter_next(iterator, ctypes.byref(key), ctypes.byref(value)):
            items.append((key.value or 0, value.value or 0))
        return items


def glib_order(names: list[bytes]) -> list[int]:
    """The indices of names in the order in which a real GHashTable with these keys iterates."""
    require(load_glib(), "libglib-2.0.so.0")
    keys = [ctypes.create_string_buffer(name) for name in names]
    with GLibTable(load_glib().g_str_hash, load_glib().g_str_equal) as table:
        for index, key in enumerate(keys):
            table.insert(ctypes.addressof(key), index)
        return [value for _, value in table.items()]


def vmd_order(names: list[bytes]) -> list[int]:
    order = ffi.new("uint32_t[]", len(names))
    assert lib.vmd_ghash_order(b"".join(name + b"\0" for name in names), len(names), order) == lib.VMD_OK
    return ffi.unpack(order, len(names))


@pytest.fixture(scope="session")
def core(tmp_path_factory) -> ctypes.CDLL:
    """The C table with the shim around it, compiled as it is in the package but for its visibility."""
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
    """The table under test, with the interface of GLibTable; hashes maps keys to their hashes."""

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
    """Does the same to both tables and compares them after each step: n inserts key n, -n removes it."""
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
    """Any bytes as names, above 0x7f too, which GLib hashes as negative numbers."""
    assert vmd_order(names) == glib_order(names)


def test_order_of_names_like_types():
    """Thousands of sets of names that look like QEMU's, of all sizes up to those of a big target."""
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
    for _ in range(3000):
        size = random_.choice((3, 10, 30, 60, 130))
        names = {"-".join(random_.choices(words, k=random_.randint(1, 4))).encode() for _ in range(size)}
        names = random_.sample(sorted(names), len(names))
        assert vmd_order(names) == glib_order(names)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 4096, 100_000])
def test_order_of_many(n):
    """Tables that grew many times, and the edges of the smallest one."""
    names = [f"type-{index * 7919 % 1_000_003}".encode() for index in range(n)]
    assert vmd_order(names) == glib_order(names)


def test_order_depends_on_insertion():
    """Names with the same hash stand in the order in which they came: there is more to it than sorting by hash."""
    assert 33 * ord("a") + ord("b") == 33 * ord("b") + ord("A")
    assert vmd_order([b"ab", b"bA"]) == glib_order([b"ab", b"bA"])
    assert vmd_order([b"bA", b"ab"]) == glib_order([b"bA", b"ab"])
    assert vmd_order([b"ab", b"bA"]) == vmd_order([b"bA", b"ab"])  # indices: so the names are swapped


def test_order_of_equal_names():
    """As g_hash_table_insert() does, the last of equal names replaces the value; the rest of order stays as it was."""
    order = ffi.new("uint32_t[]", [77, 77, 77])
    assert lib.vmd_ghash_order(b"a\0b\0a\0", 3, order) == lib.VMD_OK
    assert list(order) == [*glib_order([b"a", b"b", b"a"]), 77]


@given(st.binary(max_size=40).filter(lambda name: b"\0" not in name))
def test_string_hash(core, name):
    """g_str_hash() of any bytes."""
    require(load_glib(), "libglib-2.0.so.0")
    assert core.vmd_str_hash(name) == load_glib().g_str_hash(name)


#: Few hashes, among them those that mark slots, so that keys collide, displace each other and land on tombstones.
HASHES = st.one_of(st.sampled_from([0, 1, 2, 3, 8, 15, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))


@settings(max_examples=300)
@given(st.data())
def test_any_history(core, data):
    """Any sequence of insertions, replacements and removals, compared after every step."""
    n_keys = data.draw(st.integers(1, 60))
    hashes = dict(enumerate(data.draw(st.lists(HASHES, min_size=n_keys, max_size=n_keys)), 1))
    keys = st.integers(1, n_keys)
    replay(core, hashes, data.draw(st.lists(st.one_of(keys, keys, keys.map(lambda key: -key)), max_size=150)))


def test_grow_and_shrink(core):
    """Up to 500 keys and down to none, twice, with churn that leaves tombstones at every size."""
    random_ = random.Random(3)
    hashes = {key: random_.getrandbits(32) for key in range(1, 501)}
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
    """A key is found with its latest value, also behind a tombstone on its way; a removed one is not."""
    with CoreTable(core, {1: 5, 2: 5, 3: 5}) as table:
        for key in 1, 2:
            table.insert(key, key * 10)
        table.insert(2, 99)
        table.remove(1)
        assert [table.get(key) for key in (1, 2, 3)] == [None, 99, None]


def test_memory_runs_out(core):
    """An insertion that finds no memory to grow changes nothing, and succeeds when there is memory again."""
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
    """Neither making a table nor the one-shot order fails otherwise than by saying so; order is untouched."""
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

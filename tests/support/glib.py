"""GLib's GHashTable, called through ctypes."""

import ctypes
import functools

from support.requirements import require


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
    glib.g_str_hash.restype = ctypes.c_uint32
    return glib


class GLibTable:
    """A GHashTable with integers as keys and values; hash_func and equal_func are C functions."""

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
    """Return the indices of names in the iteration order of a GHashTable with these keys."""
    require(load_glib(), "libglib-2.0.so.0")
    keys = [ctypes.create_string_buffer(name) for name in names]
    with GLibTable(load_glib().g_str_hash, load_glib().g_str_equal) as table:
        for index, key in enumerate(keys):
            table.insert(ctypes.addressof(key), index)
        return [value for _, value in table.items()]

"""Trees that no cache holds: the engine where memory is what takes time. Run by compare.py.

Read it as: how many times memcpy's time does a dump of as many bytes take, and how many times the fast engine's the
reference's? Every device has a description of its own.
"""

import ctypes
import os
from collections.abc import Iterator

from compare_engine import MEMCPY
from inputs import make_tree
from measure import Comparison, Goal, Row, cpu_timed

from vmdump._core import ffi, lib
from vmdump.dump.engine import Engine
from vmdump.vmstate import VMSTATE_UINT64, VMStateDescription

N_DEVICES = 10**5
#: So many that a device takes 8.7 kB.
N_FIELDS = 62

#: Devices of 20 fields, for 21 MB and 214 MB.
MEMORY_DEVICES = (7_500, 75_000)

#: Source: the issue on speed.
FAST_VS_STDIO, VS_MEMCPY = Goal(at_least=20), Goal(at_most=1.5)


def compare_large(quick: bool) -> Iterator[Comparison]:
    """870 MB to /dev/null, 21 and 214 MB to memory; --quick: a hundredth of it."""
    scale = 100 if quick else 1
    for n_devices in MEMORY_DEVICES:
        yield _to_memory(n_devices // scale)
    yield _to_null(N_DEVICES // scale)


def _to_memory(n_devices: int) -> Comparison:
    tree = make_tree(n_devices)
    dump = tree.dump_bytes()
    memory = ctypes.create_string_buffer(len(dump))
    into, error = ffi.cast("char *", ctypes.addressof(memory)), ffi.new("struct vmd_error *")

    def render() -> None:
        if lib.vmd_dump_memory(tree.native, lib.VMD_ENGINE_FAST, into, len(dump), ffi.NULL, ffi.NULL, error):
            raise MemoryError

    size = f"{len(dump) / 1e6:.0f} MB"
    return Comparison(
        f"dump of {size} into warm memory",
        [cpu_timed("fast", render), cpu_timed(MEMCPY, lambda: ctypes.memmove(memory, dump, len(dump)))],
        [Row("fast", MEMCPY, VS_MEMCPY, promise=f"in-memory dump vs warm memcpy, {size}"), Row(MEMCPY)],
    )


def _to_null(n_devices: int) -> Comparison:
    fields = [VMSTATE_UINT64(f"register_{i}", None) for i in range(N_FIELDS)]
    tree = make_tree(n_devices, VMStateDescription("chip", fields=fields))
    null = os.open(os.devnull, os.O_WRONLY)
    return Comparison(
        f"dump of {n_devices:,} devices, none shared, {tree.size / 1e6:.0f} MB, to /dev/null",
        [cpu_timed(which.value, lambda which=which: tree.dump_fd(null, which)) for which in Engine],
        [
            Row("fast"),
            Row("stdio", "fast", FAST_VS_STDIO, promise=f"stdio vs fast engine, to /dev/null, {n_devices:,} devices"),
        ],
        max_rounds=15,
    )

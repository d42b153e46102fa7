"""The C core on the real aarch64 dump: engine against engine, memcpy, JSON libraries. Run by compare.py.

Read it as: how many times vmdump's time does the other take? A ratio above 1 is in vmdump's favour. As in all real
dumps, descriptions come again in it, two thirds of its bytes; in compare_large.py and compare_growth.py none do.
"""

import ctypes
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from inputs import read_aarch64
from measure import Comparison, Goal, Row, cpu_timed

from vmdump._core import ffi, lib
from vmdump.dump import tree as engine
from vmdump.dump.engine import Engine
from vmdump.dump.tree import Tree

TREE = "aarch64 of QEMU 7.2"
MEMCPY, WRITE = "memcpy of the finished dump", "write(2) of the finished dump"

#: A file system in memory, where there is one.
TMPFS = Path("/dev/shm")

#: Source: the issue on speed; so are all goals here. It is of the engine, so it is set where the sink costs little.
FAST_VS_STDIO = Goal(at_least=40)

#: Goal, unit and promise of an encoder's row.
GOALS = {
    "json.dumps, indent=2": (Goal(at_least=250), "s", "json.dumps(indent=2) vs dump, equal objects"),
    "orjson.dumps, OPT_INDENT_2": (Goal(at_least=8), "s", "orjson (indent 2) vs dump, equal objects"),
}


def compare_engine(quick: bool) -> Iterator[Comparison]:
    """Everything about one tree."""
    dump = read_aarch64()
    tree = engine.parse(dump)
    for which in Engine:
        if tree.dump_bytes(which) != dump:
            raise SystemExit(f"the {which.value} engine does not write what QEMU wrote: nothing to compare")
    with open(os.devnull, "wb", buffering=0) as null:
        yield _to_null(tree, null.fileno())
    yield _to_memory(tree, dump)
    yield _to_bytes(tree, dump)
    with tempfile.TemporaryDirectory(prefix="vmdump-bench-", dir=TMPFS if TMPFS.is_dir() else None) as directory:
        yield _to_file(tree, dump, Path(directory) / "dump.json")
    yield _json_encoders(tree, dump)
    yield _json_parsers(dump)


def _to_null(tree: Tree, fd: int) -> Comparison:
    return Comparison(
        f"dump {TREE} to /dev/null",
        [cpu_timed(which.value, lambda which=which: tree.dump_fd(fd, which)) for which in Engine],
        [
            Row("fast"),
            Row("stdio", "fast", FAST_VS_STDIO, promise="stdio vs fast engine, to /dev/null, real aarch64 tree"),
        ],
    )


def _to_memory(tree: Tree, dump: bytes) -> Comparison:
    """Into memory that has its pages; vmdump has no such function in Python, so this asks the core itself."""
    memory = ctypes.create_string_buffer(len(dump))
    into, error = ffi.cast("char *", ctypes.addressof(memory)), ffi.new("struct vmd_error *")

    def render(which: int) -> None:
        if lib.vmd_dump_memory(tree.native, which, into, len(dump), ffi.NULL, ffi.NULL, error):
            raise MemoryError

    return Comparison(
        f"dump {TREE} into warm memory",
        [
            cpu_timed("fast", lambda: render(lib.VMD_ENGINE_FAST)),
            cpu_timed("stdio", lambda: render(lib.VMD_ENGINE_STDIO)),
            cpu_timed(MEMCPY, lambda: ctypes.memmove(memory, dump, len(dump))),
        ],
        [
            Row("fast", MEMCPY, Goal(at_most=3), promise="in-memory dump vs warm memcpy, 2 MB"),
            Row("stdio", "fast"),
            Row(MEMCPY),
        ],
    )


def _to_bytes(tree: Tree, dump: bytes) -> Comparison:
    view = memoryview(dump)
    return Comparison(
        f"dump {TREE} to a new bytes object",
        [
            *(cpu_timed(which.value, lambda which=which: tree.dump_bytes(which)) for which in Engine),
            cpu_timed("copy of the finished dump", lambda: bytes(view)),
        ],
        [Row("fast"), Row("stdio", "fast"), Row("copy of the finished dump", "fast")],
    )


def _to_file(tree: Tree, dump: bytes, path: Path) -> Comparison:
    def written(write: Callable[[int], object]) -> Callable[[], None]:
        def write_file() -> None:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            write(fd)
            os.close(fd)

        return write_file

    return Comparison(
        f"dump {TREE} to a file in {path.parent.parent}",
        [
            cpu_timed("fast", written(lambda fd: tree.dump_fd(fd, Engine.FAST))),
            cpu_timed("stdio", written(lambda fd: tree.dump_fd(fd, Engine.STDIO))),
            cpu_timed(WRITE, written(lambda fd: os.write(fd, dump))),
        ],
        [
            Row("fast", WRITE, Goal(at_most=1.15), promise="dump to a file on tmpfs vs write(2) of the ready buffer"),
            Row("stdio", "fast"),
            Row(WRITE),
        ],
    )


def _json_encoders(tree: Tree, dump: bytes) -> Comparison:
    """Equal objects, which these libraries have as dicts and lists and vmdump as its tree."""
    objects = json.loads(dump)
    encoders: dict[str, Callable[[], object]] = {
        "json.dumps, indent=2": lambda: json.dumps(objects, indent=2),
        "json.dumps": lambda: json.dumps(objects),
    }
    notes = []
    try:
        import orjson

        encoders["orjson.dumps, OPT_INDENT_2"] = lambda: orjson.dumps(objects, option=orjson.OPT_INDENT_2)
        encoders["orjson.dumps"] = lambda: orjson.dumps(objects)
    except ImportError:
        notes.append("orjson: skipped, not installed")
    import msgspec

    encoders["msgspec, encode and format"] = lambda: msgspec.json.format(msgspec.json.encode(objects), indent=2)
    encoders["msgspec, encode"] = lambda: msgspec.json.encode(objects)
    for name, encode in encoders.items():
        if json.loads(encode()) != objects:
            raise SystemExit(f"{name}: not the same objects: nothing to compare")
    return Comparison(
        f"{TREE} to indented JSON in a new object; without indentation where the row names none",
        [
            cpu_timed("vmdump, dump_bytes", tree.dump_bytes),
            *(cpu_timed(name, encode) for name, encode in encoders.items()),
        ],
        [Row("vmdump, dump_bytes"), *(Row(name, "vmdump, dump_bytes", *GOALS.get(name, ())) for name in encoders)],
        notes=notes,
    )


def _json_parsers(dump: bytes) -> Comparison:
    """From bytes to a vmdump.dump.tree.Tree, or to dicts and lists."""
    import msgspec

    parsers: dict[str, Callable[[], object]] = {
        "json.loads": lambda: json.loads(dump),
        "msgspec.json.decode": lambda: msgspec.json.decode(dump),
    }
    notes = []
    try:
        import orjson

        parsers["orjson.loads"] = lambda: orjson.loads(dump)
    except ImportError:
        notes.append("orjson: skipped, not installed")
    return Comparison(
        f"{TREE} from JSON",
        [
            cpu_timed("vmdump, parse", lambda: engine.parse(dump)),
            *(cpu_timed(name, parse) for name, parse in parsers.items()),
        ],
        [Row("vmdump, parse"), *(Row(name, "vmdump, parse") for name in parsers)],
        notes=notes,
    )

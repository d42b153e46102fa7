"""The dump engines: QEMU's output byte for byte, limits, every kind of sink, threads."""

import errno
import json
import lzma
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dumps import REAL_DUMPS
from support.reference import DESCRIPTIONS, NAMES, dump

from vmdump._core import ffi, lib
from vmdump.dump import tree as engine
from vmdump.dump.engine import Engine
from vmdump.dump.lowering import lower
from vmdump.dump.raising import description_of
from vmdump.errors import OutputError, VMStateError
from vmdump.vmstate import VMStateDescription, VMStateField, VMStateFlags


def written(tree: engine.Tree, code: int, size: int) -> bytes | int:
    """Return what an engine writes into a buffer of that size, or its error status; check that it writes no further."""
    memory, error = ffi.new("char[]", b"#" * (size + 64)), ffi.new("struct vmd_error *")
    status = lib.vmd_dump_memory(tree.native, code, lib.VMD_FORM_QEMU, memory, size, ffi.NULL, ffi.NULL, error)
    assert ffi.buffer(memory, size + 64)[size:] == b"#" * 64
    return ffi.buffer(memory, size)[:] if status == lib.VMD_OK else int(status)


ENGINES = pytest.mark.parametrize("which", list(Engine), ids=lambda which: which.value)


def nested(depth: int, leaf: str = "leaf") -> VMStateDescription:
    """A description nested to depth levels."""
    vmsd = VMStateDescription(leaf, fields=[VMStateField("x", size=1)])
    for level in range(depth - 1):
        vmsd = VMStateDescription(f"d{level}", fields=[VMStateField("inner", size=8, vmsd=vmsd)])
    return vmsd


def doubling(levels: int) -> VMStateDescription:
    """A description that expands to 2^levels leaves, from levels + 1 descriptions."""
    vmsd = VMStateDescription("leaf", fields=[VMStateField("x", size=1)])
    for level in range(levels):
        vmsd = VMStateDescription(f"d{level}", fields=[VMStateField(side, vmsd=vmsd) for side in ("left", "right")])
    return vmsd


@pytest.mark.parametrize("code", [lib.VMD_ENGINE_FAST, lib.VMD_ENGINE_FAST_BASELINE, lib.VMD_ENGINE_STDIO])
@pytest.mark.parametrize("n_devices", [0, 1, 20, 60, 400])
def test_memory_of_any_size(code: int, n_devices: int) -> None:
    """Nothing is written beyond the buffer, whether it has the dump's size or is too small by a byte or more."""
    tree = lower("none", [(f"d{i}", nested(70 if i == 1 else 2, "leaf" * i)) for i in range(n_devices)])
    size = tree.size
    whole = tree.dump_bytes(Engine.STDIO)
    assert written(tree, code, size) == whole
    for less in {1, 7, 4095, 4096, 4097, 262144, size} & set(range(1, size + 1)):
        assert written(tree, code, size - less) == lib.VMD_TOO_LARGE


def test_all_real_dumps_are_there() -> None:
    """33 of QEMU 7.2.22, 30 of 10.0.13, one of 8.2.2, and one of 11.0-rc1 for Windows."""
    assert len(REAL_DUMPS) == 65


@pytest.mark.parametrize("path", REAL_DUMPS, ids=lambda path: f"{path.parent.name}-{path.name.partition('.')[0]}")
def test_real_dump(path: Path) -> None:
    """File -> tree -> both engines, and file -> tree -> model -> tree -> both engines, give the same bytes."""
    data = lzma.decompress(path.read_bytes())
    tree = engine.parse(data)
    again = lower(
        tree.machine, [(n, description_of(tree.native.devices[i].vmsd)) for i, n in enumerate(tree.device_names())]
    )
    for each in (tree, again):
        assert each.size == len(data)
        assert [each.dump_bytes(which) == data for which in Engine] == [True, True]
    assert written(tree, lib.VMD_ENGINE_FAST_BASELINE, len(data)) == data
    assert tree.n_fields == data.count(b'"field":')


@given(NAMES, st.dictionaries(NAMES, DESCRIPTIONS, max_size=4), st.booleans())
def test_random_trees(machine: str, devices: dict[str, VMStateDescription], print_num: bool) -> None:
    """Both engines write what the grammar says, the computed size is right, and JSON readers agree."""
    pairs = list(devices.items())
    expected = dump(machine, pairs, print_num).encode()
    tree = lower(machine, pairs, print_num=print_num)
    assert tree.size == len(expected)
    assert tree.dump_bytes(Engine.STDIO) == expected
    assert tree.dump_bytes(Engine.FAST) == expected
    assert written(tree, lib.VMD_ENGINE_FAST_BASELINE, len(expected)) == expected
    assert json.loads(expected)["vmschkmachine"] == {"Name": machine} or "vmschkmachine" in devices


@given(DESCRIPTIONS)
def test_model_survives(vmsd: VMStateDescription) -> None:
    """Model -> tree -> model keeps all printed attributes."""
    tree = lower("none", [("d", vmsd)])
    again = description_of(tree.native.devices[0].vmsd)
    assert lower("none", [("d", again)]).dump_bytes() == tree.dump_bytes()


def test_empty_dump() -> None:
    """A dump without devices is valid JSON; QEMU would print a trailing comma after the machine."""
    tree = lower("none", [])
    expected = b'{\n  "vmschkmachine": {\n    "Name": "none"\n  }\n}\n'
    assert [tree.dump_bytes(which) for which in Engine] == [expected, expected]
    assert tree.size == len(expected)


@ENGINES
@pytest.mark.parametrize("depth", [1, 2, 20, 21, 22, 100, 1000])
def test_depth(which: Engine, depth: int) -> None:
    """Up to 1,000 levels, past the last indentation with templates, both engines agree with the reference."""
    vmsd = nested(depth)
    tree = lower("none", [("d", vmsd)])
    data = tree.dump_bytes(which)
    assert len(data) == tree.size
    assert data == tree.dump_bytes(Engine.STDIO)
    if depth <= 100:
        assert data.decode() == dump("none", [("d", vmsd)])
    assert data.count(b'"field"') == depth


@ENGINES
def test_deep_subsections(which: Engine) -> None:
    """Subsections indent by 4 and nested fields by 6, beyond the templates too."""
    vmsd = VMStateDescription("s", fields=[], subsections=[])
    for level in range(60):
        fields = [
            VMStateField("a", size=level, vmsd=vmsd if level % 2 else None, num=3, flags=VMStateFlags.ARRAY),
            VMStateField("b" * 600, version_id=level, field_exists=True),
        ]
        vmsd = VMStateDescription(f"s{level}", fields=fields, subsections=None if level % 2 else [vmsd])
    tree = lower("none", [("d", vmsd)])
    assert tree.dump_bytes(which).decode() == dump("none", [("d", vmsd)])


def test_too_deep() -> None:
    """1,001 levels are refused with the description's name."""
    with pytest.raises(
        VMStateError, match=r"description 'd999' nests descriptions deeper than 1000 levels; flatten it"
    ):
        lower("none", [("d", nested(1001))])
    with pytest.raises(VMStateError, match="deeper than 1000"):
        lower("none", [("d", nested(50_000))])


def test_exponential_tree_is_refused_early() -> None:
    """40 descriptions that expand to 2^40 leaves are refused by size, at once, without writing a byte."""
    read, write = os.pipe()
    try:
        for levels, size in ((40, r"\d+ bytes"), (200, r"more than 2\^64 bytes")):
            tree = lower("none", [("d", doubling(levels))])
            with pytest.raises(VMStateError, match=rf"the dump would have {size}; the limit is"):
                tree.dump_fd(write)
            with pytest.raises(VMStateError, match="the limit is"):
                tree.dump_bytes()
        os.set_blocking(read, False)
        with pytest.raises(BlockingIOError):
            os.read(read, 1)
    finally:
        os.close(read)
        os.close(write)


def test_shared_descriptions_are_lowered_once() -> None:
    """A description shared by many devices becomes one native description, across dumps as well."""
    vmsd = nested(3)
    first = lower("none", [(f"d{i}", vmsd) for i in range(100)])
    native = vmsd.__dict__["_lowered"]
    second = lower("q35", [("e", VMStateDescription("outer", subsections=[vmsd]))])
    assert vmsd.__dict__["_lowered"] is native
    assert vmsd.__dict__["_owner"] in first.owners
    del first
    assert second.dump_bytes().decode().count('"field"') == 3


@pytest.mark.parametrize("print_num", [False, True])
def test_shared_descriptions_are_written_alike(print_num: bool, tmp_path: Path) -> None:
    """Repeated descriptions of any size are written alike, at equal or different indentation, within and across
    windows.
    """
    chance = random.Random(7)
    leaves = [
        VMStateDescription(
            f"leaf{n}", fields=[VMStateField(f"f{i}", size=i, num=n, flags=4 * (i & 1)) for i in range(n)]
        )
        for n in (0, 1, 2, 5, 30, 400, 3000)
    ]
    pool = [*leaves, nested(30), nested(70)]
    for level in range(12):
        fields = [VMStateField(f"part{i}", size=8, vmsd=chance.choice(pool)) for i in range(chance.randrange(3))]
        pool.append(VMStateDescription(f"mixed{level}", fields=fields, subsections=chance.choices(pool[:9], k=2)))
    tree = lower("none", [(f"d{i}", chance.choice(pool)) for i in range(60)], print_num=print_num)
    expected = tree.dump_bytes(Engine.STDIO)
    assert len(expected) > 10 * 262144
    for code in (lib.VMD_ENGINE_FAST, lib.VMD_ENGINE_FAST_BASELINE):
        assert written(tree, code, tree.size) == expected
    with open(tmp_path / "dump", "wb") as file:
        tree.dump_fd(file.fileno())
    assert (tmp_path / "dump").read_bytes() == expected


BAD_NAMES = ['a"b', "a\\b", "a\nb", "a\0b", "\x1f", "\ud800"]


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_bad_names(bad: str) -> None:
    """A name that QEMU would print as broken JSON is refused, with its place."""
    good = VMStateDescription("good", fields=[VMStateField("ok", size=1)])
    cases = [
        ("the machine", bad, [("d", good)]),
        ("device ", "none", [("ok", good), (bad, good)]),
        ("field 1 of description 'outer'", "none", [("d", VMStateDescription("outer", fields=[
            VMStateField("ok", size=1, vmsd=good), VMStateField(bad, size=1)]))]),
        ("a description", "none", [("d", VMStateDescription(bad))]),
    ]  # fmt: skip
    for where, machine, devices in cases:
        with pytest.raises(VMStateError, match=where) as caught:
            lower(machine, devices)
        assert repr(bad) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_first_error_is_reported() -> None:
    """Of several invalid descriptions the first is always reported, regardless of addresses."""
    good, *wrong = (VMStateDescription(f"d{n}", version_id=2**31 if n else 1) for n in range(20))
    for order in (wrong, wrong[::-1]):
        with pytest.raises(VMStateError, match=f"description '{order[0].name}'"):
            lower("none", [("good", good), *((vmsd.name, vmsd) for vmsd in order)])


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ({"size": -1}, "size -1"),
        ({"size": 2**64}, "size 18446744073709551616"),
        ({"num": 2**31}, "num 2147483648"),
        ({"version_id": -(2**31) - 1}, "version_id -2147483649"),
        ({"flags": -1}, "flags -1"),
        ({"size": 1.5}, "size 1.5"),
        ({"size": None}, "size None"),
    ],
)
def test_numbers_that_do_not_fit(field: dict[str, int], what: str) -> None:
    """A number outside its C type is refused with description, field and range."""
    vmsd = VMStateDescription("d", fields=[VMStateField("ok"), VMStateField("wide", **field)])
    with pytest.raises(VMStateError, match=f"description 'd': field 'wide': {what} does not fit its C type"):
        lower("none", [("d", vmsd)])


def test_versions_that_do_not_fit() -> None:
    """The same holds for a description's versions."""
    with pytest.raises(VMStateError, match="version_id 2147483648"):
        lower("none", [("d", VMStateDescription("d", version_id=2**31))])


# Sinks


@pytest.fixture(scope="module")
def large_tree() -> engine.Tree:
    """A tree with a dump of 3 MB, larger than a pipe buffer and several windows."""
    return lower("none", [("d", doubling(12))])


@ENGINES
def test_file_sinks(which: Engine, large_tree: engine.Tree, tmp_path: object) -> None:
    """A descriptor and a FILE* get the same bytes as memory."""
    expected = large_tree.dump_bytes(which)
    path = f"{tmp_path}/dump"
    with open(path, "wb") as file:
        large_tree.dump_fd(file.fileno(), which)
    with open(path, "rb") as file:
        assert file.read() == expected
    error = ffi.new("struct vmd_error *")
    with open(path, "wb") as file:
        assert (
            lib.vmd_dump_file(large_tree.native, which.code, lib.VMD_FORM_QEMU, file, ffi.NULL, ffi.NULL, error)
            == lib.VMD_OK
        )
    with open(path, "rb") as file:
        assert file.read() == expected


def test_memory_that_is_too_small(large_tree: engine.Tree) -> None:
    """A buffer one byte too small is an error, and nothing is written beyond it."""
    memory = bytearray(b"\xaa" * (large_tree.size + 64))
    error = ffi.new("struct vmd_error *")
    for size in (large_tree.size - 1, 0, 7):
        status = lib.vmd_dump_memory(
            large_tree.native,
            lib.VMD_ENGINE_FAST,
            lib.VMD_FORM_QEMU,
            ffi.cast("char *", ffi.from_buffer(memory)),
            size,
            ffi.NULL,
            ffi.NULL,
            error,
        )
        assert status == lib.VMD_TOO_LARGE
        assert set(memory[size:][-64:]) == {0xAA}


@ENGINES
def test_full_disk(which: Engine, large_tree: engine.Tree) -> None:
    """ENOSPC is returned with errno and message."""
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OutputError, match="No space left") as caught:
        large_tree.dump_fd(full.fileno(), which)
    assert caught.value.errno == errno.ENOSPC


@ENGINES
def test_closed_pipe(which: Engine, large_tree: engine.Tree) -> None:
    """EPIPE is returned if there is no reader."""
    read, write = os.pipe()
    os.close(read)
    try:
        with pytest.raises(OutputError, match="Broken pipe") as caught:
            large_tree.dump_fd(write, which)
    finally:
        os.close(write)
    assert caught.value.errno == errno.EPIPE


def test_bad_descriptor(large_tree: engine.Tree) -> None:
    """EBADF is returned for a bad descriptor."""
    with pytest.raises(OutputError, match="Bad file descriptor"):
        large_tree.dump_fd(-1)


def read_slowly(fd: int, into: list[bytes], signal_main: bool) -> None:
    """Read to the end in small pieces, and interrupt the writer while it waits."""
    while piece := os.read(fd, 30_000):
        into.append(piece)
        if signal_main:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)  # type: ignore[arg-type]
    os.close(fd)


@ENGINES
@pytest.mark.parametrize("blocking", [True, False])
def test_short_writes_and_signals(which: Engine, blocking: bool, large_tree: engine.Tree) -> None:
    """Short writes, EINTR and EAGAIN neither lose nor repeat bytes. The reader is a thread, so the GIL is released
    meanwhile.
    """
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    read, write = os.pipe()
    os.set_blocking(write, blocking)
    pieces: list[bytes] = []
    reader = threading.Thread(target=read_slowly, args=(read, pieces, True))
    reader.start()
    try:
        large_tree.dump_fd(write, which)
    finally:
        os.close(write)
        reader.join()
        signal.signal(signal.SIGUSR1, before)
    assert b"".join(pieces) == large_tree.dump_bytes()
    assert seen


@ENGINES
@pytest.mark.parametrize("target", ["memory", "/dev/null", "pipe"])
def test_interruption(which: Engine, target: str) -> None:
    """SIGINT ends a long dump, both while rendering and while waiting for a reader."""
    tree = lower("none", [("d", doubling(17 if target == "memory" else 23))])
    read, write = os.pipe()
    null = os.open(os.devnull, os.O_WRONLY)
    calls: dict[str, Callable[[], object]] = {
        "memory": lambda: tree.dump_bytes(which),
        "/dev/null": lambda: tree.dump_fd(null, which),
        "pipe": lambda: tree.dump_fd(write, which),
    }
    lower("none", []).dump_bytes(which)  # import lazily loaded modules before the signal
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            calls[target]()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        for fd in (read, write, null):
            os.close(fd)
    assert time.monotonic() - start < 20, "the whole dump was written first"


def test_a_handler_that_does_not_raise_ends_nothing(large_tree: engine.Tree) -> None:
    """If the signal handler does not raise, the dump is complete."""
    seen: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        while not seen:
            data = large_tree.dump_bytes()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(data) == large_tree.size


def test_threads() -> None:
    """Threads that lower the same new descriptions and dump at once each get the right bytes."""
    vmsds = [nested(20, leaf=f"leaf{i}") for i in range(20)]
    results: list[bytes] = []

    def work() -> None:
        tree = lower("none", [(f"d{i}", vmsd) for i, vmsd in enumerate(vmsds)])
        results.extend(tree.dump_bytes(which) for which in Engine)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 16
    assert set(results) == {dump("none", [(f"d{i}", vmsd) for i, vmsd in enumerate(vmsds)]).encode()}

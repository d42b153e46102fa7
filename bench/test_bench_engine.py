"""Micro-benchmarks of the C core's entry points: pytest -n 0 bench/ --benchmark-only -k engine

Compare medians of one run only; --benchmark-group-by=group shows alternatives together.
"""

import os
from collections.abc import Iterator

import pytest
from inputs import FIELDS_A_DEVICE, make_descriptions, read_aarch64

from vmdump._core import ffi, lib
from vmdump.dump import tree as engine
from vmdump.dump.engine import Engine
from vmdump.dump.lowering import lower
from vmdump.dump.raising import description_of
from vmdump.dump.tree import Tree

ENGINES = pytest.mark.parametrize("which", list(Engine), ids=lambda which: which.value)


@pytest.fixture(scope="module")
def tree() -> Tree:
    """The real aarch64 dump."""
    return engine.parse(read_aarch64())


@pytest.fixture
def null() -> Iterator[int]:
    """A descriptor of /dev/null."""
    with open(os.devnull, "wb", buffering=0) as file:
        yield file.fileno()


@ENGINES
@pytest.mark.benchmark(group="dump to /dev/null")
def test_dump_fd(benchmark, tree, null, which):
    """10,217 fields."""
    benchmark(tree.dump_fd, null, which)


@ENGINES
@pytest.mark.benchmark(group="dump to bytes")
def test_dump_bytes(benchmark, tree, which):
    """1.9 MB, pages included."""
    assert benchmark(tree.dump_bytes, which) == read_aarch64()


@ENGINES
@pytest.mark.benchmark(group="smallest dump")
def test_dump_of_nothing(benchmark, null, which):
    """The fixed cost of a dump without fields."""
    benchmark(lower("none", []).dump_fd, null, which)


@pytest.mark.benchmark(group="size")
def test_size(benchmark, tree):
    """The dump's size without rendering it."""
    assert benchmark(lambda: tree.size) == len(read_aarch64())


@pytest.mark.benchmark(group="parse")
def test_parse(benchmark):
    """JSON to tree."""
    assert benchmark(engine.parse, read_aarch64()).n_fields == 10217


@pytest.mark.benchmark(group="lower 10,000 fields")
def test_lower_new(benchmark):
    """Lower descriptions for the first time."""
    n_fields = 10_000

    def setup():
        return ("none", [(vmsd.name, vmsd) for vmsd in make_descriptions(n_fields)]), {}

    assert benchmark.pedantic(lower, setup=setup, rounds=15, warmup_rounds=1).n_fields == n_fields


@pytest.mark.benchmark(group="lower 10,000 fields")
def test_lower_again(benchmark):
    """Lower descriptions that have been lowered before."""
    n_fields = 10_000
    devices = [(vmsd.name, vmsd) for vmsd in make_descriptions(n_fields)]
    kept = lower("none", devices)
    assert benchmark(lower, "none", devices).n_fields == kept.n_fields == n_fields


@pytest.mark.benchmark(group="model of a native description")
def test_description(benchmark):
    """Raise one device's native description to a VMStateDescription."""
    (vmsd,) = make_descriptions(FIELDS_A_DEVICE)
    tree = lower("none", [(vmsd.name, vmsd)])
    assert len(benchmark(description_of, tree.native.devices[0].vmsd).fields) == FIELDS_A_DEVICE


@pytest.mark.benchmark(group="ghash order")
@pytest.mark.parametrize("n_names", [100, 1_000, 10_000, 100_000])
def test_ghash_order(benchmark, n_names):
    """GLib's order of that many type names."""
    names = "".join(f"type-{i}\0" for i in range(n_names)).encode()
    order = ffi.new("uint32_t[]", n_names)
    assert benchmark(lib.vmd_ghash_order, names, n_names, order) == lib.VMD_OK
    assert sorted(order) == list(range(n_names))

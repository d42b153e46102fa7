"""Micro-benchmarks of the type table and the session: pytest -n 0 bench/ --benchmark-only -k registry

Compare medians of one run only.
"""

import pytest
from inputs import FIELDS_A_DEVICE, make_descriptions, make_session, register_types

from vmdump import Session

N_TYPES = 1_000


def make_registered() -> Session:
    """Register N_TYPES device types without initialising a class."""
    session = make_session()
    register_types(session, make_descriptions(N_TYPES * FIELDS_A_DEVICE))
    return session


def list_devices(session: Session) -> int:
    """Return the number of listed device classes."""
    return len(session.types.object_class_get_list("device", include_abstract=True))


@pytest.mark.benchmark(group="1,000 types")
def test_register(benchmark):
    """TypeInfo and type_register."""
    descriptions = make_descriptions(N_TYPES * FIELDS_A_DEVICE)
    benchmark.pedantic(register_types, setup=lambda: ((make_session(), descriptions), {}), rounds=15, warmup_rounds=1)


@pytest.mark.benchmark(group="1,000 types")
def test_first_list(benchmark):
    """object_class_get_list, which initialises all classes."""
    listed = benchmark.pedantic(list_devices, setup=lambda: ((make_registered(),), {}), rounds=15, warmup_rounds=1)
    assert listed == N_TYPES + 1


@pytest.mark.benchmark(group="1,000 types")
def test_list(benchmark):
    """object_class_get_list with initialised classes."""
    session = make_registered()
    assert list_devices(session) == benchmark(list_devices, session) == N_TYPES + 1


@pytest.mark.benchmark(group="1,000 types")
def test_second_dump(benchmark):
    """Session.dump after everything has been lowered: listing, and a new tree."""
    session = make_registered()
    kept = session.dump("none")
    assert len(benchmark(session.dump, "none")) == len(kept) == N_TYPES


@pytest.mark.benchmark(group="sessions")
@pytest.mark.parametrize("builtin", [False, True], ids=["empty", "built-in devices"])
def test_session(benchmark, builtin):
    """A new session, including the module search but not the devices' import."""
    Session(builtin=builtin, entry_points=False)
    benchmark(Session, builtin=builtin, entry_points=False)


@pytest.mark.benchmark(group="sessions")
def test_dump_of_built_in_devices(benchmark):
    """A second Session.dump, of some thirty devices."""
    session = Session(entry_points=False)
    session.dump()
    benchmark(session.dump)

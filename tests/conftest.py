"""What several tests need: the real dumps, real QEMUs, and descriptions made at random."""

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.dumps import read_real_dump

# Processes of the tests are interrupted; what nohup and a shell's background make deaf to that would wait forever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

_COUNT = itertools.count()

# In CI each run tries the same examples, so that a change is what makes it fail; elsewhere each tries others.
settings.register_profile(
    "vmdump",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("vmdump")


@pytest.fixture(autouse=True, scope="session")
def no_user_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's own cache is neither read nor written: not by tests, nor by the processes that they start."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache-home")))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state-home")))
        yield


@pytest.fixture(autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test reads images anew: it begins without a cache."""
    path = tmp_path_factory.getbasetemp() / f"cache-home-{next(_COUNT)}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    monkeypatch.setenv("XDG_STATE_HOME", f"{path}-state")
    return path


@pytest.fixture(scope="session")
def aarch64_dump() -> bytes:
    """The largest real dump of QEMU 7.2."""
    return read_real_dump("7.2.22", "aarch64")

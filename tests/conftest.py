"""Settings and fixtures of all tests: signals, hypothesis profile, private cache directories, internal errors."""

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.dumps import read_real_dump

from vmdump.cli.environment import Environment

# Tests interrupt their child processes. nohup and background shells ignore SIGINT and SIGHUP, and children inherit
# that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Tests run scripts that import from their own directory. Users may have set this; vmdump bulk sets it for its workers.
os.environ.pop("PYTHONSAFEPATH", None)

_COUNT = itertools.count()

# In CI examples are the same in each run, so that only a change of the code can make a run fail. The profile thorough
# (pytest --hypothesis-profile=thorough) has as many examples as Hypothesis by default.
for _name, _examples in (("vmdump", 25), ("thorough", 100)):
    settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
settings.load_profile("vmdump")


@pytest.fixture(autouse=True, scope="session")
def no_user_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's cache and state directories untouched, by tests and by their child processes."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache-home")))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state-home")))
        yield


@pytest.fixture(autouse=True)
def no_safe_path() -> Iterator[None]:
    """Reset what a test that runs vmdump bulk has set for its process."""
    yield
    os.environ.pop("PYTHONSAFEPATH", None)


@pytest.fixture(autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test an empty cache directory."""
    path = tmp_path_factory.getbasetemp() / f"cache-home-{next(_COUNT)}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    monkeypatch.setenv("XDG_STATE_HOME", f"{path}-state")
    return path


@pytest.fixture(autouse=True)
def no_internal_errors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test whose commands report an internal error, unless it is marked internal_error."""
    real = Environment.error

    def error(self: Environment, message: object) -> None:
        assert "internal error: " not in str(message)
        real(self, message)

    if request.node.get_closest_marker("internal_error") is None:
        monkeypatch.setattr(Environment, "error", error)


@pytest.fixture(scope="session")
def aarch64_dump() -> bytes:
    """The largest real dump of QEMU 7.2, uncompressed."""
    return read_real_dump("7.2.22", "aarch64")

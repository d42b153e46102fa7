"""What several tests need: the real dumps, real QEMUs, and descriptions made at random."""

import itertools
import lzma
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

DATA = Path(__file__).parent / "data"

# Processes of the tests are interrupted; what nohup and a shell's background make deaf to that would wait forever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

#: Dumps that real QEMUs wrote: qemu-VERSION/TARGET.json.xz.
REAL_DUMPS = sorted((DATA / "dumps").glob("*/*.json.xz"))

_COUNT = itertools.count()

# In CI each run tries the same examples, so that a change is what makes it fail; elsewhere each tries others.
settings.register_profile(
    "vmdump",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("vmdump")


def read_real_dump(version: str, target: str) -> bytes:
    """The bytes that QEMU wrote."""
    return lzma.decompress((DATA / "dumps" / f"qemu-{version}" / f"{target}.json.xz").read_bytes())


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


def find_qemu(target: str) -> str:
    """A real qemu-system binary. Where CI promises one, its absence is a failure, elsewhere a skip."""
    path = shutil.which(f"qemu-system-{target}")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI installs qemu-system-{target}, but it is not there")
        pytest.skip(f"no qemu-system-{target} here; Debian has it")
    return path

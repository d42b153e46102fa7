"""What several tests need: the real dumps, real QEMUs, and descriptions made at random."""

import lzma
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

DATA = Path(__file__).parent / "data"

#: Dumps that real QEMUs wrote: qemu-VERSION/TARGET.json.xz.
REAL_DUMPS = sorted((DATA / "dumps").glob("*/*.json.xz"))

settings.register_profile(
    "vmdump", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
settings.load_profile("vmdump")


def read_real_dump(version: str, target: str) -> bytes:
    """The bytes that QEMU wrote."""
    return lzma.decompress((DATA / "dumps" / f"qemu-{version}" / f"{target}.json.xz").read_bytes())


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

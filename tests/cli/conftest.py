"""Fixtures of the tests of commands: a real dump, a Python module."""

from pathlib import Path

import pytest
from support.dumps import read_real_dump
from support.sample_module import MODULE


@pytest.fixture(scope="session")
def x86_64() -> bytes:
    """A real dump of QEMU 8.2."""
    return read_real_dump("8.2.2", "x86_64")


@pytest.fixture(scope="session")
def dump_file(x86_64: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dump of x86_64 as a file."""
    path = tmp_path_factory.mktemp("dump") / "x86_64.json"
    path.write_bytes(x86_64)
    return path


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MODULE as a file in a directory of its own."""
    path = tmp_path_factory.mktemp("modules") / "my-device.py"
    path.write_text(MODULE)
    return path

"""QEMU binaries installed on this machine."""

import shutil
from pathlib import Path

import pytest

from support.requirements import require


def find_qemu(target: str) -> str:
    """Return the path of qemu-system-TARGET. Without one, fail in CI and skip elsewhere."""
    path = shutil.which(f"qemu-system-{target}")
    require(path, f"qemu-system-{target}, which Debian has")
    return str(path)


def find_module(name: str, host: str = "*") -> Path:
    """Return the path of a module of the installed QEMU, for hosts that match a pattern; skip without one."""
    for path in Path("/usr/lib").glob(f"{host}/qemu/{name}.so"):
        if path.exists():
            return path
    pytest.skip(f"this QEMU comes without the module {name}")

"""QEMU binaries installed on this machine."""

import os
import shutil

import pytest


def find_qemu(target: str) -> str:
    """Return the path of qemu-system-TARGET. Without one, fail in CI and skip elsewhere."""
    path = shutil.which(f"qemu-system-{target}")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI installs qemu-system-{target}, but it is not there")
        pytest.skip(f"no qemu-system-{target} here; Debian has it")
    return path

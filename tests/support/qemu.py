"""Real QEMUs installed on this machine."""

import os
import shutil

import pytest


def find_qemu(target: str) -> str:
    """A real qemu-system binary. Where CI promises one, its absence is a failure, elsewhere a skip."""
    path = shutil.which(f"qemu-system-{target}")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI installs qemu-system-{target}, but it is not there")
        pytest.skip(f"no qemu-system-{target} here; Debian has it")
    return path

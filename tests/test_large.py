"""Bounded memory: many devices through the registry in one command, and a binary with full metadata."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from support.qemu import find_qemu

MODULE = """
VMDUMP_STAMP = 1
module_info = {"objs": ["device-0"]}
from vmdump.qom import TypeInfo
from vmdump.vmstate import *
vmsd = VMStateDescription("many", version_id=1, minimum_version_id=1, fields=[VMStateField("x", size=4)])
def class_init(klass, data): klass.vmsd = vmsd
def vmdump_module_init(types):
    for number in range(N_DEVICES):
        types.type_register(TypeInfo(f"device-{number}", parent="device", class_init=class_init))
"""


def run_limited(limit: int, *argv: str | Path) -> None:
    """Run vmdump with a limited address space (bytes)."""
    command = [sys.executable, "-m", "vmdump", *argv]
    limits = (limit, limit)
    subprocess.run(
        command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limits), check=True, capture_output=True
    )


@pytest.mark.parametrize("n_devices", [50_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_many_devices(n_devices: int, tmp_path: Path) -> None:
    """Each device is in the dump once, in an address space of a kilobyte for each device and 100 MiB."""
    (tmp_path / "many.py").write_text(MODULE.replace("N_DEVICES", str(n_devices)))
    out = tmp_path / "many.json"
    run_limited((n_devices << 10) + (100 << 20), "dump", "--module", tmp_path / "many.py", "-o", out)
    with out.open() as lines:
        found = {match[1] for line in lines if (match := re.match(r'  "device-(\d+)": {', line))}
    assert found == {str(number) for number in range(n_devices)}
    out.unlink()


@pytest.mark.qemu
def test_a_binary_with_all_descriptions(tmp_path: Path) -> None:
    """Candidates that are not field lists use no memory or address space. Half of the limit is the emulator's."""
    run_limited(2 << 30, "dump", find_qemu("x86_64"), "--no-cache", "--all", "-o", tmp_path / "x86_64.json")

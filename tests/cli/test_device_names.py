"""Device types on command lines, with the types of a real QEMU."""

import re
import subprocess

import pytest
from support.paths import DATA
from support.qemu import find_qemu

import vmdump
from vmdump.cli.device_names import device_patterns


@pytest.mark.qemu
@pytest.mark.parametrize("name", ["virtio-gpu", "0000:00:03.0/virtio-net", "virtio-input", "vhost-user-fs"])
def test_proxies_of_virtio_devices(name: str) -> None:
    """The name of a virtio device's state stands for the devices of PCI that have it, not for others on its own bus."""
    listed = subprocess.run([find_qemu("x86_64"), "-device", "help"], stdout=subprocess.PIPE, text=True, check=True)
    buses = dict(re.findall(r'^name "([^"]+)", bus ([\w-]+)', listed.stdout, re.MULTILINE))
    known = re.findall(r'^name "([^"]+)"', listed.stdout, re.MULTILINE)
    dump = vmdump.open(DATA / "extended" / "qemu-7.2.22-x86_64.json.xz")
    found = device_patterns([name], known, lambda: [dump])
    assert found
    assert {buses[each] for each in found} == {"PCI"}

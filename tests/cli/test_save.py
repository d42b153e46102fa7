"""vmdump save: what a real QEMU of the same version loads."""

import time
from pathlib import Path

import pytest
from support.commands import run, run_failing
from support.qemu import find_qemu
from support.releases import pair, root_words
from support.streams import small_stream, write

from vmdump.stream.walk import read_saved_vm

#: Version, target and arguments of machines; the first of each target is tried without -m slow.
MACHINES = [
    ("installed", "x86_64", "-M q35 -m 16 -device e1000e -device virtio-rng-pci"),
    ("installed", "aarch64", "-M virt -m 16 -cpu cortex-a57 -device virtio-net-pci"),
    ("installed", "x86_64", "-M pc-i440fx-5.2 -m 16 -device VGA -netdev user,id=n -device e1000,netdev=n"),
    ("installed", "x86_64", "-M microvm -m 16 -smp 2"),
    ("installed", "x86_64", "-M isapc,accel=tcg -m 16 -device ne2k_isa"),
    ("installed", "x86_64", "-M pc -m 16 -smp 4 -device ahci"),
    ("installed", "aarch64", "-M virt-6.0,gic-version=3 -m 16 -smp 2"),
    ("installed", "aarch64", "-M raspi3b"),
    ("installed", "arm", "-M mps2-an385"),
    ("installed", "arm", "-M vexpress-a9 -m 16"),
    ("installed", "arm", "-M xilinx-zynq-a9 -m 16"),
    ("installed", "arm", "-M versatilepb -m 16"),
    ("10.0", "x86_64", "-M q35 -m 16 -device e1000e -device virtio-rng-pci"),
    ("10.0", "x86_64", "-M pc-q35-7.2 -m 16 -smp 4 -device nec-usb-xhci -device usb-tablet"),
    ("10.0", "x86_64", "-M pc-i440fx-5.2 -m 16 -device VGA -netdev user,id=n -device e1000,netdev=n"),
    ("10.0", "x86_64", "-M microvm -m 16 -smp 2"),
    ("10.0", "x86_64", "-M pc -m 16 -device virtio-scsi-pci -device virtio-balloon-pci -device ich9-ahci"),
    ("10.0", "x86_64", "-M pc-i440fx-10.0,accel=tcg -m 16 -device virtio-serial-pci -device intel-hda"),
]  # fmt: skip


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("version", "target", "args"),
    [pytest.param(*each, marks=() if at < 2 else pytest.mark.slow) for at, each in enumerate(MACHINES)],
)
def test_a_real_qemu_loads_it(version: str, target: str, args: str, tmp_path: Path) -> None:
    """A real QEMU of the same version loads a saved machine."""
    qemu, path = pair(version, target), tmp_path / "vm.save"
    result = run("save", qemu.binary, *root_words(qemu), "-o", path, "--", "-nodefaults", *args.split())
    assert (result.code, result.stdout, result.stderr) == (0, "", "")
    with qemu.native(*args.split(), "-incoming", "defer", seconds=60) as native:
        native.qmp("migrate-incoming", uri=f"exec:cat {path}")
        while (status := native.qmp("query-status")["status"]) == "inmigrate":
            time.sleep(0.02)
        assert status in ("paused", "prelaunch")
        assert native.qmp("query-migrate")["status"] == "completed"
        if target == "x86_64":  # which has firmware to run
            native.qmp("cont")
            assert native.qmp("query-status")["status"] == "running"


@pytest.mark.qemu
def test_stream(tmp_path: Path) -> None:
    """The stream has devices, and RAM blocks without pages."""
    path = tmp_path / "vm.save"
    assert run("save", find_qemu("x86_64"), "-o", path, "--", "-nodefaults", "-m", "16").code == 0
    vm = read_saved_vm(path)
    assert vm.machine == "pc-i440fx-7.2"
    assert vm.blocks[0][:2] == ("pc.ram", 16 << 20)
    assert all(each.pages == each.zero_pages == 0 for each in vm.blocks)
    assert "0000:00:01.3/piix4_pm" in [each.name for each in vm.sections]


@pytest.mark.qemu
def test_refusals(tmp_path: Path) -> None:
    """What QEMU refuses is an error of one line, and no file is written."""
    qemu, path = find_qemu("x86_64"), tmp_path / "vm.save"
    assert "unsupported machine type" in run_failing(3, "save", qemu, "-o", path, "--", "-M", "nosuch")
    blocked = run_failing(3, "save", qemu, "-o", path, "--", "-M", "q35", "-device", "ivshmem-doorbell")
    assert "chardev" in blocked
    nvme = ("-drive", "if=none,id=d,file=a", "-device", "nvme,serial=1,drive=d")
    assert "non-migratable device" in run_failing(3, "save", qemu, "-o", path, "--", "-nodefaults", *nvme)
    assert "No such file" in run_failing(3, "save", qemu, "-o", tmp_path / "no" / "vm", "--", "-M", "none")
    assert not path.exists()


def test_usage(tmp_path: Path) -> None:
    """An image is needed, and a file to write."""
    stream = write(tmp_path / "vm.save", small_stream())
    assert "--output" in run_failing(2, "save", stream)
    assert "not a QEMU binary" in run_failing(2, "save", stream, "-o", tmp_path / "x")

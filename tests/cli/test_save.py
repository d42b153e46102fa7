"""vmdump save: what a real QEMU of the same version loads."""

import time
from pathlib import Path

import pytest
from support.commands import run, run_failing
from support.native_qemu import NativeQemu
from support.qemu import find_qemu
from support.streams import small_stream, write

from vmdump.stream.walk import read_saved_vm


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("target", "args"),
    [
        ("x86_64", "-M q35 -m 16 -device e1000e -device virtio-rng-pci"),
        pytest.param("x86_64", "-M pc-i440fx-5.2 -m 16 -device VGA -netdev user,id=n -device e1000,netdev=n",
                     marks=pytest.mark.slow),
        pytest.param("x86_64", "-M microvm -m 16 -smp 2", marks=pytest.mark.slow),
        pytest.param("x86_64", "-M isapc,accel=tcg -m 16 -device ne2k_isa", marks=pytest.mark.slow),
        pytest.param("x86_64", "-M pc -m 16 -smp 4 -device ahci", marks=pytest.mark.slow),
        ("aarch64", "-M virt -m 16 -cpu cortex-a57 -device virtio-net-pci"),
        pytest.param("aarch64", "-M virt-6.0,gic-version=3 -m 16 -smp 2", marks=pytest.mark.slow),
        pytest.param("aarch64", "-M raspi3b", marks=pytest.mark.slow),
        pytest.param("arm", "-M mps2-an385", marks=pytest.mark.slow),
        pytest.param("arm", "-M vexpress-a9 -m 16", marks=pytest.mark.slow),
        pytest.param("arm", "-M xilinx-zynq-a9 -m 16", marks=pytest.mark.slow),
        pytest.param("arm", "-M versatilepb -m 16", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_real_qemu_loads_it(target: str, args: str, tmp_path: Path) -> None:
    """A real QEMU of the same version loads a saved machine."""
    qemu, path = find_qemu(target), tmp_path / "vm.save"
    result = run("save", qemu, "-o", path, "--", "-nodefaults", *args.split())
    assert (result.code, result.stdout, result.stderr) == (0, "", "")
    with NativeQemu(qemu, *args.split(), "-incoming", "defer", seconds=60) as native:
        native.qmp("migrate-incoming", uri=f"exec:cat {path}")
        while (status := native.qmp("query-status")["status"]) == "inmigrate":
            time.sleep(0.02)
        assert status in ("paused", "prelaunch")
        assert native.qmp("query-migrate")["status"] == "completed"


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

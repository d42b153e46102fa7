"""Machine types of several QEMU versions and hosts, emulated and run natively: streams are equal byte for byte.

tests/support/all_machines.py compares all types of all targets.
"""

import os
from pathlib import Path

import pytest
from support.machine_pair import compare_answers, compare_machine
from support.native_qemu import NativeQemu, ram_blocks, vmdescription
from support.qemu import find_qemu
from support.releases import pair

from vmdump.emulator.machine import QmpError, boot
from vmdump.emulator.migration import load_stream, save_stream
from vmdump.errors import SourceError

pytestmark = pytest.mark.qemu


INSTALLED = {
    "x86_64": ["pc", "pc-i440fx-2.4", "pc-q35-2.12", "pc-q35-6.2", "q35", "microvm"],
    "aarch64": ["virt", "virt-6.2", "raspi3b", "sbsa-ref", "xlnx-versal-virt", "smdkc210"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("target", "name"), [(target, name) for target, names in INSTALLED.items() for name in names])
def test_installed(target: str, name: str) -> None:
    """A dozen machine types of the installed QEMU."""
    result = compare_machine(pair("installed", target), "-M", name)
    assert (result.outcome, result.detail) == ("equal", "")


#: Version, target, machine type and arguments. Hosts for AArch64 run natively under qemu-user.
IMAGES_MACHINES = [
    ("5.2", "x86_64", "q35", ""),
    ("5.2", "x86_64", "pc-i440fx-2.1", "-device e1000"),
    ("5.2", "aarch64", "virt", ""),
    ("5.2", "avr", "arduino-uno", ""),  # its RAM blocks are smaller than 64 KiB
    ("7.2", "x86_64", "q35", "-netdev user,id=n -device virtio-net-pci,netdev=n"),
    ("7.2", "x86_64", "q35", "-device qxl-vga"),  # a module that depends on another one
    ("11.1", "avr", "arduino-uno", ""),
    ("10.0", "x86_64", "pc", "-smp 2 -m 256 -device virtio-net-pci -global virtio-net-pci.rx_queue_size=512"),
    (
        "11.1",
        "x86_64",
        "q35",
        "-blockdev null-co,node-name=d -device nvme,serial=1,drive=d -object memory-backend-ram,id=m,size=128M "
        "-machine memory-backend=m",
    ),
    ("11.1", "aarch64", "virt", "-cpu max -netdev hubport,hubid=0,id=n -device virtio-net-pci,netdev=n"),
    ("7.2-arm64", "x86_64", "q35", ""),
    ("10.0-arm64", "aarch64", "virt", "-chardev null,id=c -device pci-serial,chardev=c"),
]


@pytest.mark.slow
def test_directory(tmp_path: Path) -> None:
    """A directory of the host is served to virtio-9p."""
    shared = ("-fsdev", f"local,id=fs0,path={tmp_path},security_model=none")
    device = ("-device", "virtio-9p-pci,fsdev=fs0,mount_tag=tag")
    result = compare_machine(pair("installed", "x86_64"), "-M", "q35", *shared, *device)
    assert (result.outcome, result.detail) == ("equal", "")


@pytest.mark.slow
@pytest.mark.parametrize(("version", "target", "name", "arguments"), IMAGES_MACHINES)
def test_versions_and_hosts(version: str, target: str, name: str, arguments: str) -> None:
    """Machines of QEMU 5.2 to 11.1, of x86-64 and AArch64 hosts, with options of the command line."""
    result = compare_machine(pair(version, target), "-M", name, *arguments.split())
    assert (result.outcome, result.detail) == ("equal", "")


@pytest.mark.slow
@pytest.mark.parametrize(("version", "target"), [("installed", "aarch64"), ("10.0-arm64", "x86_64")])
def test_answers(version: str, target: str) -> None:
    """query-machines, qom-list-types and device-list-properties of all types."""
    results = list(compare_answers(pair(version, target)))
    assert len(results) > 200
    assert [each for each in results if each.outcome != "equal"] == []


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="needs /dev/kvm")
def test_kvm() -> None:
    """With KVM, the stream has the description that a real one has."""
    result = compare_machine(pair("installed", "x86_64"), "-M", "q35", "-accel", "kvm", "-cpu", "qemu64")
    assert not result.detail.startswith("description")


@pytest.mark.slow
def test_refusal() -> None:
    """QEMU 5.2 without symbols boots, and is not saved: its functions that do so send RAM pages, too."""
    machine = boot(pair("5.2", "x86_64-microvm").binary, ["-M", "microvm", "-accel", "qtest"])
    assert machine.qmp("query-version")["qemu"]["major"] == 5
    assert not machine.functions.can_save
    with pytest.raises(SourceError, match="its machines can be booted, asked over QMP, but not saved and loaded"):
        save_stream(machine)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["7.2", "10.0", "11.1"])
@pytest.mark.parametrize("name", ["microvm", "microvm,suppress-vmdesc=on"])
def test_versions_without_exports(version: str, name: str, tmp_path: Path) -> None:
    """Machines are saved, with an end that is the real one, and load, also without a vmdescription."""
    arguments, qemu = ["-M", name, "-accel", "qtest"], pair(version, "x86_64-microvm")
    machine = boot(qemu.binary, arguments)
    assert not machine.functions.exported
    with qemu.native(*arguments) as native:
        expected = native.save(tmp_path / "stream")
    stream = save_stream(machine)
    assert vmdescription(stream) == vmdescription(expected)
    assert ram_blocks(stream) == ram_blocks(expected)
    assert stream[-6:] == expected[-6:]
    assert load_stream(boot(qemu.binary, [*arguments, "-incoming", "defer"]), stream) == 0


def test_binary_without_exports(tmp_path: Path) -> None:
    """QMP, saving and loading work in a binary that exports no functions: Debian's microvm build."""
    binary = find_qemu("x86_64-microvm")
    machine = boot(binary, ["-M", "microvm", "-accel", "qtest"])
    assert not machine.functions.exported
    assert machine.qmp("query-version")["qemu"]["major"] >= 7
    assert "microvm" in [each["name"] for each in machine.qmp("query-machines")]
    names = [each["name"] for each in machine.qmp("device-list-properties", typename="virtio-blk-device")]
    assert "num-queues" in names
    assert {each["name"] for each in machine.qmp("qom-list", path="/machine")} >= {"peripheral", "unattached"}
    with pytest.raises(QmpError, match="Device 'nosuch' not found"):
        machine.qmp("device-list-properties", typename="nosuch")
    with pytest.raises(KeyError):
        machine.qmp("no-such-command")
    with NativeQemu(binary, "-M", "microvm", "-accel", "qtest") as native:
        expected = native.save(tmp_path / "stream")
    stream = save_stream(machine)
    assert vmdescription(stream) == vmdescription(expected)
    assert ram_blocks(stream) == ram_blocks(expected)
    loaded = boot(binary, ["-M", "microvm", "-accel", "qtest", "-incoming", "defer"])
    assert load_stream(loaded, stream) == 0

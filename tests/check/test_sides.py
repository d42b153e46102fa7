"""Sides of a check: their target and machine type, and the machine type under which binaries are compared."""

import os
from pathlib import Path

import pytest
from support.check_command import Result
from support.descriptions import desc, dump, field
from support.paths import DATA

import vmdump
from vmdump.check.sides import Side, common_machine, different_binaries, different_targets, series_of
from vmdump.emulator.machine_types import MachineType
from vmdump.machines.model import MachineInfo
from vmdump.qemu.machine_targets import MACHINES
from vmdump.sources.qemu_image.image import QemuImage


def of_machine(path: Path, machine: str) -> Path:
    """Write a dump file with one device and this machine type."""
    content = dump(e=desc("e", field("a"))).to_bytes()
    before = content.split(b'"Name": "', 2)
    path.write_bytes(b'"Name": "'.join([before[0], machine.encode() + before[1][before[1].index(b'"') :], before[2]]))
    return path


def side(path: Path) -> Side:
    """The file as a side of a check."""
    return Side(path.name, vmdump.open(path), str(path))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a.json", "pc-q35-7.2"), ("b.json", "virt-10.0")),  # no target has both machine types
        (("a.json", "pc-q35-rhel9.6.0"), ("b.json", "s390-ccw-virtio-rhel9.6.0")),
        (("x86_64.json", "none"), ("aarch64.json", "none")),
        (("mips.json", "malta"), ("mipsel.json", "malta")),
        (("qemu-system-x86_64.json", "none"), ("qemu-system-ppc64.json.xz", "none")),
        (("a.json", "malta"), ("arm.json", "none")),  # the machine type of one, the name of the other
    ],
)
def test_other_targets(first: tuple[str, str], second: tuple[str, str], tmp_path: Path) -> None:
    """Dumps of different targets are refused with exit code 2, unless --any-target is given."""
    files = [of_machine(tmp_path / name.removesuffix(".xz"), machine) for name, machine in (first, second)]
    result = Result("check", *files)
    assert (result.code, result.out) == (2, "")
    assert "a VM cannot migrate between targets; --any-target compares them anyway" in result.err
    assert all(path.name in result.err for path in files)
    assert Result("check", *files, "--any-target").code == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a.json", "virt-7.2"), ("b.json", "virt-10.0")),
        (("a.json", "pc-q35-7.2"), ("b.json", "pc-i440fx-10.0")),
        (("a.json", "none"), ("b.json", "virt-10.0")),
        (("a.json", "our-own-board"), ("b.json", "virt-10.0")),
    ],
)
def test_other_machine_types(first: tuple[str, str], second: tuple[str, str], tmp_path: Path) -> None:
    """Different machine types of possibly one target are compared with a warning that names both."""
    files = [of_machine(tmp_path / name, machine) for name, machine in (first, second)]
    result = Result("check", *files)
    assert result.code == 0
    assert result.err.startswith("vmdump: warning: different machine types: ")
    assert f"a.json has {first[1]}, b.json has {second[1]}" in result.err
    of_machine(files[1], first[1])
    assert Result("check", *files).err == ""


def test_directories_of_a_bulk_folder(tmp_path: Path) -> None:
    """A directory's name gives the target only if nothing better is known, as it may be the host's."""
    (tmp_path / "x86_64").mkdir()
    (tmp_path / "aarch64").mkdir()
    paths = [tmp_path / "x86_64" / "none.json", tmp_path / "aarch64" / "none.json"]
    assert different_targets([side(of_machine(path, "none")) for path in paths]) is not None
    assert different_targets([side(of_machine(path, "pc-q35-7.2")) for path in paths]) is None


@pytest.mark.parametrize(("other", "is_unlike"), [("7.2.22-m68k", False), ("10.0.13-x86_64", True)])
def test_cpu_types(other: str, is_unlike: bool, tmp_path: Path) -> None:
    """Dumps with CPU types are compared by these, regardless of file names."""
    paths = [tmp_path / "a.json.xz", tmp_path / "b.json.xz"]
    for path, name in zip(paths, ("10.0.13-m68k", other), strict=True):
        path.symlink_to(DATA / "extended" / f"qemu-{name}.json.xz")
    assert (different_targets(list(map(side, paths))) is not None) == is_unlike


def test_saved_vm_of_another_target() -> None:
    """A saved VM, of which only the machine type is known, is refused for a QEMU of another target."""
    stream, dumps = DATA / "streams" / "malta-7.2.xz", DATA / "dumps" / "qemu-10.0.13"
    result = Result("check", stream, dumps / "arm.json.xz")
    assert (result.code, result.out) == (2, "")
    assert "malta-7.2.xz is for a target with machine type malta, arm.json.xz for target arm" in result.err
    assert Result("check", stream, dumps / "arm.json.xz", "--any-target").code == 0
    assert Result("check", stream, dumps / "mips.json.xz").code == 0


def test_binaries_of_other_targets() -> None:
    """Binaries are told apart by their names, renamed ones by the CPUs of their machine types."""
    x86, arm = (
        [MachineInfo(name, None, False, False, cpu) for name, cpu in (("none", None), ("board", cpu))]
        for cpu in ("qemu64-x86_64-cpu", "cortex-a15-arm-cpu")
    )
    names = [f"/usr/bin/qemu-system-{target}" for target in ("arm", "aarch64")]
    assert different_binaries(zip(names, (arm, arm), strict=True)) == (
        (names[0], "target arm"), (names[1], "target aarch64")
    )  # fmt: skip
    assert different_binaries([("/usr/libexec/qemu-kvm", x86), ("/usr/bin/qemu-system-arm", arm)]) == (
        ("/usr/libexec/qemu-kvm", "a target with x86_64 CPUs"), ("/usr/bin/qemu-system-arm", "a target with arm CPUs")
    )  # fmt: skip
    assert different_binaries([("/usr/libexec/qemu-kvm", x86), ("/usr/bin/qemu-system-x86_64", x86)]) is None
    windows = "C:/qemu/qemu-system-x86_64w.exe"
    assert different_binaries([(windows, x86), ("/usr/bin/qemu-system-x86_64", x86)]) is None
    assert different_binaries([(windows, ()), ("/usr/bin/qemu-system-arm", ())]) == (
        (windows, "target x86_64"), ("/usr/bin/qemu-system-arm", "target arm")
    )  # fmt: skip


def test_any_two_of_several_sides(tmp_path: Path) -> None:
    """Of several sides, also two of which neither is unlike the first are told apart."""
    names = [f"/usr/bin/qemu-system-{target}" for target in ("arm", "aarch64")]
    assert different_binaries([("/opt/qemu", ()), *((name, ()) for name in names)]) == (
        (names[0], "target arm"), (names[1], "target aarch64")
    )  # fmt: skip
    malta, mips, fuloong = (
        side(of_machine(tmp_path / name, machine))
        for name, machine in (("a.json", "malta"), ("mips.json", "none"), ("b.json", "fuloong2e"))
    )
    assert different_targets([malta, mips]) is None
    assert different_targets([malta, fuloong]) is None
    found = different_targets([malta, mips, fuloong])
    assert found is not None
    assert [each.label for each, _ in found] == ["mips.json", "b.json"]


def test_real_dumps_of_one_target() -> None:
    """No two real dumps of one target are refused."""
    for path in (DATA / "dumps" / "qemu-7.2.22").glob("*.json.xz"):
        newer = DATA / "dumps" / "qemu-10.0.13" / path.name
        if newer.exists():
            assert different_targets([side(path), side(newer)]) is None


def machine(name: str, alias: str | None = None, *, is_default: bool = False) -> MachineType:
    """A machine type with a name only."""
    return MachineType(name, alias, None, None, None, is_default)


PC_52 = [machine("pc-i440fx-5.2", "pc", is_default=True), machine("pc-q35-5.2", "q35"), machine("pc-i440fx-2.12")]
PC_72 = [machine("pc-i440fx-7.2", "pc", is_default=True), *(each._replace(is_default=False) for each in PC_52)]
PC_110 = [machine("pc-i440fx-11.0", "pc", is_default=True), machine("pc-i440fx-2.12"), machine("pc-i440fx-2.9")]
VIRT_72 = [machine("virt-7.2", "virt"), machine("virt-2.12"), machine("virt-6.2"), machine("raspi2b", "raspi2")]
VIRT_100 = [machine("virt-10.0", "virt"), machine("virt-7.2"), machine("virt-6.2"), machine("raspi2b", "raspi2")]


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([PC_52, PC_72], "pc-i440fx-5.2"),
        ([PC_72, PC_52], "pc-i440fx-5.2"),
        ([PC_72, PC_72], "pc-i440fx-7.2"),
        ([PC_72, PC_110], "pc-i440fx-2.12"),  # neither's default, but the same series
        ([PC_52, PC_72, PC_110], "pc-i440fx-2.12"),
        ([VIRT_72, VIRT_100], "virt-7.2"),  # no default: by the alias
        ([PC_72, VIRT_72], None),
        ([[machine("none")], [machine("none")]], None),
    ],
)
def test_common_machine(sides: list[list[MachineType]], expected: str | None) -> None:
    """The newest machine type that all binaries have is chosen; versions are compared as numbers."""
    assert common_machine(sides) == expected


def images() -> list[Path]:
    """The binaries below $VMDUMP_IMAGES."""
    top = os.environ.get("VMDUMP_IMAGES")
    if top is None:
        pytest.skip("no images: $VMDUMP_IMAGES says where they are")
    found = [*Path(top).glob("*/usr/bin/qemu-system-*"), *Path(top).glob("roots/*-amd64/usr/bin/qemu-system-*")]
    return sorted(path for path in found if not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF")


@pytest.mark.qemu
@pytest.mark.slow
def test_machines_of_real_qemus() -> None:
    """The table has all machine types of the available QEMUs, with their targets."""
    for path in images():
        target = path.name.removeprefix("qemu-system-").removesuffix("-microvm")
        root = path.parents[2]
        for each in QemuImage(path, root=root, details=False).machines:
            if each.name != "none":
                assert {series_of(each.name), each.alias or series_of(each.name)} <= MACHINES[target], path


@pytest.mark.qemu
@pytest.mark.slow
def test_binaries_are_compared_under_one_machine() -> None:
    """Without -M two binaries are compared under the newest common machine type, which is reported."""
    found = {path.parents[2].name: str(path) for path in images() if path.name == "qemu-system-x86_64"}
    old, new = found["7.2.22"], found["10.0.13"]
    result = Result("check", old, new, "--type", "e1000", "--format", "json")
    assert "vmdump: using machine type pc-i440fx-7.2, the newest that all sources have; -M" in result.err
    assert result.out.count('"machine": "pc-i440fx-7.2"') == 2
    chosen = Result("check", old, new, "--type", "e1000", "--format", "json", "-M", "pc-q35-7.2")
    assert chosen.err == ""
    assert chosen.out.count('"machine": "pc-q35-7.2"') == 2

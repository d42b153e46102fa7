"""vmdump migrate: command line, reports and exit codes; outcomes of real QEMUs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.commands import run, run_failing
from support.elf_builder import elf_object
from support.machine_trees import PARTS, tree_of
from support.qemu import find_module, find_qemu

from vmdump.cli.binary_trees import pairs_of_trees
from vmdump.errors import SourceError
from vmdump.migrate.pair import Side

IMAGES = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))
images = pytest.mark.skipif(not IMAGES.is_dir(), reason="needs the QEMUs of .ci/images below $VMDUMP_IMAGES")


def cases(*argv: str, code: int) -> list[dict[str, Any]]:
    """The JSON of migrations of the installed QEMU to itself."""
    qemu = find_qemu("x86_64")
    result = run("migrate", qemu, qemu, "--format", "json", *argv)
    assert result.code == code, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


@pytest.mark.qemu
def test_machine_and_devices() -> None:
    """The bare machine and each device are cases; what the source refuses to migrate is reported."""
    found = cases(
        "-M", "microvm", "--device", "virtio-rng-device", "--device", "virtio-input-host-device", "--jobs", "1", code=0
    )
    outcomes = {each["case"]: (each["outcome"], each["side"]) for each in found}
    assert outcomes["microvm"] == outcomes["microvm virtio-rng-device"] == ("loads", None)
    assert outcomes["microvm virtio-input-host-device"] == ("does-not-start", "source")
    assert all(each["compared"] for each in found if each["outcome"] == "loads")


@pytest.mark.qemu
@pytest.mark.slow
def test_memory_devices() -> None:
    """Memory devices are added to a machine with room for them."""
    found = cases("-M", "pc-q35-7.2", "--device", "pc-dimm", "--device", "virtio-mem-pci", "--jobs", "1", code=0)
    assert [(each["device"], each["outcome"]) for each in found] == [
        (None, "loads"), ("pc-dimm", "loads"), ("virtio-mem-pci", "loads")
    ]  # fmt: skip


@pytest.mark.qemu
def test_a_binary_that_exports_no_functions() -> None:
    """Devices are added to a QEMU that exports no functions, too, on both sides."""
    qemu = find_qemu("x86_64-microvm")
    command = ("-M", "microvm", "--device", "virtio-rng-device", "--jobs", "1", "--format", "json")
    result = run("migrate", qemu, qemu, *command)
    assert (result.code, result.stderr) == (0, "")
    assert [(each["device"], each["outcome"], each["compared"]) for each in json.loads(result.stdout)] == [
        (None, "loads", True), ("virtio-rng-device", "loads", True)
    ]  # fmt: skip


@pytest.mark.qemu
def test_machine_none() -> None:
    """The machine type none is migrated, as QEMU does, if it is named; patterns leave it out."""
    found = cases("-M", "none", "--device", "nvme-subsys", code=0)
    assert {each["case"]: each["outcome"] for each in found} == {"none": "loads", "none nvme-subsys": "loads"}
    qemu = find_qemu("x86_64")
    assert "no machine type matches 'non*'; did you mean none?" in run_failing(2, "migrate", qemu, qemu, "-M", "non*")


@pytest.mark.qemu
def test_devices_that_cannot_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """If devices can't be added to a QEMU one at a time, each is undecided, with the reason."""
    monkeypatch.setattr(Side, "template", lambda side: None)
    board, device = cases("-M", "microvm", "--device", "virtio-rng-device", "--jobs", "1", code=3)
    assert (board["outcome"], device["outcome"]) == ("loads", "undecided")
    assert "devices can't be added one at a time to this QEMU" in device["reason"]


@pytest.mark.qemu
def test_own_machine() -> None:
    """With arguments of QEMU there is one case, that machine."""
    (found,) = cases("--", "-nodefaults", "-M", "microvm", "-m", "16", "-device", "virtio-balloon-device", code=0)
    assert (found["machine"], found["device"], found["outcome"]) == ("microvm", None, "loads")


@pytest.mark.qemu
def test_failing_script(tmp_path: Path) -> None:
    """A command that QEMU refuses is named with its line, and makes the case undecided."""
    script = tmp_path / "script"
    script.write_text("# a comment\noutb 0x70 0x0f\nfrobnicate 1\n")
    (found,) = cases("--qtest", str(script), "--", "-nodefaults", "-M", "microvm", "-m", "16", code=3)
    assert found["outcome"] == "undecided"
    assert found["reason"].startswith(f"{script}:3: frobnicate 1: QEMU refuses it: ")
    assert str(script) in run_failing(3, "migrate", find_qemu("x86_64"), find_qemu("x86_64"), "--qtest", f"{script}x")


def make_tree(path: Path, *targets: str) -> str:
    """A directory with files that are QEMU binaries by name and magic number."""
    folder = path / "usr/bin"
    folder.mkdir(parents=True)
    for target in targets:
        (folder / f"qemu-system-{target}").write_bytes(elf_object())
    return str(path)


def test_trees(tmp_path: Path) -> None:
    """Of directories, the targets that all have are tried; scripts and links to others are none."""
    old, new = make_tree(tmp_path / "old", "arm", "ppc", "sh4"), make_tree(tmp_path / "new", "sh4", "arm")
    (tmp_path / "old/bin").symlink_to("usr/bin")
    (tmp_path / "new/usr/bin/qemu-system-ppc").write_text("#!/bin/sh\n")
    (tmp_path / "new/usr/bin/qemu-system-armeb").symlink_to("qemu-system-arm")
    notices: list[str] = []
    pairs, is_whole = pairs_of_trees([old, new], notices.append)
    assert not is_whole
    assert pairs == {
        target: [f"{tree}/usr/bin/qemu-system-{target}" for tree in (old, new)] for target in ("arm", "sh4")
    }
    assert notices == [
        f"{new}/usr/bin/qemu-system-ppc: a script, not a QEMU binary; skipped",
        f"ppc: not tried, as only {old} has it",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("directions", "is_lost", "is_gained"),
    [([(0, 1)], True, False), ([(1, 0)], False, True), ([(0, 1), (1, 0)], True, True)],
)
def test_targets_of_one_tree(directions: list[tuple[int, int]], is_lost: bool, is_gained: bool, tmp_path: Path) -> None:
    """A target is not tried if only the source of a migration has it; one that only the destination has is skipped."""
    old, new = make_tree(tmp_path / "old", "arm", "cris"), make_tree(tmp_path / "new", "arm", "loongarch64")
    for pattern, is_missing, line in [
        ("*[ms]", is_lost, f"cris: {'not tried' if is_lost else 'skipped'}, as only {old} has it"),
        ("[al]*", is_gained, f"loongarch64: {'not tried' if is_gained else 'skipped'}, as only {new} has it"),
        ("arm", False, None),
    ]:
        notices: list[str] = []
        found = pairs_of_trees([old, new], notices.append, directions=directions, pattern=pattern)
        assert (list(found.pairs), found.is_whole) == (["arm"], not is_missing)
        assert notices == ([] if line is None else [line])


def test_binaries_before_links(tmp_path: Path) -> None:
    """A binary in libexec has precedence over a link of its name to another file; a link to nothing else is read."""
    tree = make_tree(tmp_path / "old", "arm")
    (tmp_path / "old/usr/libexec").mkdir()
    binary = tmp_path / "old/usr/libexec/qemu-system-i386"
    binary.write_bytes(elf_object())
    (tmp_path / "old/opt").mkdir()
    (tmp_path / "old/opt/wrapper").write_bytes(elf_object())
    for name in ("i386", "ppc"):
        (tmp_path / f"old/usr/bin/qemu-system-{name}").symlink_to("../../opt/wrapper")
    pairs = pairs_of_trees([tree], lambda text: None).pairs
    assert pairs["i386"] == [str(binary)]
    assert pairs["ppc"] == [f"{tree}/usr/bin/qemu-system-ppc"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file, not a QEMU binary"),
        (b"\0" * 64, "not an executable; the file may be corrupt"),
        (None, "dangling link to missing"),
    ],
)
def test_unreadable_files_of_trees(content: bytes | None, reason: str, tmp_path: Path) -> None:
    """A file that is named like a QEMU and can't be read is named; not all has been tried then."""
    old, new = make_tree(tmp_path / "old", "arm", "ppc"), make_tree(tmp_path / "new", "arm")
    path = tmp_path / "new/usr/bin/qemu-system-ppc"
    if content is None:
        path.symlink_to("missing")
    else:
        path.write_bytes(content)
    notices: list[str] = []
    pairs, is_whole = pairs_of_trees([old, new], notices.append)
    assert (list(pairs), is_whole) == (["arm"], False)
    assert notices[0].startswith(f"{path}: {reason}")
    assert notices[1:] == [f"ppc: not tried, as only {old} has it"]


def test_renamed_binaries_of_trees(tmp_path: Path) -> None:
    """qemu-kvm in libexec, as in RHEL, is a binary, and so is a link to a file of another name."""
    trees = [tmp_path / "old", tmp_path / "new"]
    for tree in trees:
        (tree / "usr/libexec").mkdir(parents=True)
        (tree / "usr/libexec/qemu-kvm").write_bytes(elf_object())
        (tree / "usr/bin").mkdir()
        (tree / "opt").mkdir()
        (tree / "opt/qemu-10").write_bytes(elf_object())
        (tree / "usr/bin/qemu-system-ppc").symlink_to("/opt/qemu-10")
    pairs, is_whole = pairs_of_trees([str(tree) for tree in trees], lambda text: None)
    assert is_whole
    assert pairs == {
        "ppc": [f"{tree}/usr/bin/qemu-system-ppc" for tree in trees],
        "qemu-kvm": [f"{tree}/usr/libexec/qemu-kvm" for tree in trees],
    }


@pytest.mark.qemu
def test_a_target_that_cannot_be_read(tmp_path: Path) -> None:
    """A truncated binary is an error of its target; the others are tried, and the exit code is 3."""
    trees = [tmp_path / "old", tmp_path / "new"]
    for tree in trees:
        (tree / "usr/bin").mkdir(parents=True)
        for target in ("x86_64-microvm", "arm"):
            shutil.copy(find_qemu(target), tree / "usr/bin" / f"qemu-system-{target}")
    broken = tmp_path / "new/usr/bin/qemu-system-arm"
    broken.write_bytes(broken.read_bytes()[:100_000])
    result = run("migrate", *trees, "-M", "none", "--device", "virtio-rng-device", "--target", "*")
    assert "none: 1 loads, 1 does-not-start" in result.stdout
    assert f"vmdump: arm: not tried: {broken}: " in result.stderr
    assert result.code == 3


def x86_64_trees(folder: Path) -> list[Path]:
    """Two directories with what isapc needs."""
    trees = [folder / "old", folder / "new"]
    for tree in trees:
        for path in (find_module("accel-tcg-x86_64").parent, Path("/usr/share/seabios")):
            shutil.copytree(path, tree / path.relative_to("/"))
        (tree / "usr/bin").mkdir(parents=True)
        shutil.copy(find_qemu("x86_64"), tree / "usr/bin/qemu-system-x86_64")
    return trees


@pytest.mark.qemu
def test_a_target_that_the_destination_lacks(tmp_path: Path) -> None:
    """If all that was tried loads, a target that only OLD has makes the exit code 3; one that only NEW has does not."""
    old, new = x86_64_trees(tmp_path)
    (old / "usr/bin/qemu-system-cris").write_bytes(elf_object())
    command = ("-M", "isapc", "--device", "isa-debugcon", "--jobs", "1")
    result = run("migrate", old, new, *command)
    assert (result.code, result.stderr) == (3, f"vmdump: cris: not tried, as only {old} has it\n")
    result = run("migrate", new, old, *command)
    assert (result.code, result.stderr) == (0, f"vmdump: cris: skipped, as only {old} has it\n")
    assert run("migrate", new, old, *command, "--both").code == 3


@pytest.mark.qemu
def test_findings_have_precedence_over_what_was_not_tried() -> None:
    """If something has the --fail-on verdict, the exit code is 1, though something else could not be tried."""
    qemu = find_qemu("x86_64")
    devices = ("--device", "virtio-input-host-device", "--device", "q35-pcihost")
    command = ("migrate", qemu, qemu, "-M", "microvm", "--jobs", "1", *devices)
    assert run(*command, "--fail-on", "unknown").code == 1
    assert run(*command).code == 3


@pytest.mark.qemu
def test_a_target_without_the_machine_type(tmp_path: Path) -> None:
    """A target without the machine type of the arguments is not tried; the others are."""
    trees = x86_64_trees(tmp_path)
    for tree in trees:
        shutil.copy(find_qemu("arm"), tree / "usr/bin")
    result = run("migrate", *trees, "--jobs", "1", "--", "-nodefaults", "-M", "isapc", "-m", "16")
    assert result.stderr.startswith("vmdump: arm: not tried: ")
    assert "no machine type matches 'isapc'" in result.stderr
    assert "isapc: 1 loads" in result.stdout
    assert result.code == 3


@pytest.mark.qemu
def test_names_of_error_lines() -> None:
    """--device accepts names of sections, for virtio of the proxies; what names nothing or can't be added fails."""
    qemu = find_qemu("x86_64")
    command = ("migrate", qemu, qemu, "-M", "microvm", "--jobs", "1")
    found = json.loads(run(*command, "--device", "'0000:00:03.0/virtio-rng'", "--format", "json").stdout)
    assert {each["device"] for each in found} >= {"virtio-rng-pci"}
    assert "did you mean PCIDevice?" in run_failing(2, *command, "--device", "PCIDvice")
    result = run(*command, "--device", "ioapic", "--device", "q35-pcihost")
    assert result.code == 3
    assert result.stderr == (
        "vmdump: --device q35-pcihost: not tried, as -device can't add it to a machine of the source\n"
    )


@pytest.mark.qemu
def test_other_targets() -> None:
    """Binaries of different targets are refused."""
    x86, arm = find_qemu("x86_64"), find_qemu("arm")
    assert f"{x86} is for target x86_64, {arm} for target arm" in run_failing(2, "migrate", x86, arm)
    assert run("migrate", x86, arm, "--any-target", "-M", "none", "--device", "nvme-subsys").code == 0


def test_wrong_trees(tmp_path: Path) -> None:
    """A directory without binaries, a binary beside a directory, and trees of unlike targets are errors."""
    old, new, empty = make_tree(tmp_path / "old", "arm"), make_tree(tmp_path / "new", "ppc"), tmp_path / "empty"
    empty.mkdir()
    assert f"{empty}: no qemu-system-* in it" in run_failing(3, "migrate", old, empty)
    assert "give directories on all sides" in run_failing(2, "migrate", old, f"{new}/usr/bin/qemu-system-ppc")
    with pytest.raises(SourceError, match="no target is in all of them"):
        pairs_of_trees([old, new], lambda text: None)
    assert "no target matches 'x*'" in run_failing(2, "migrate", old, old, "--target", "x*")


@pytest.mark.qemu
@pytest.mark.slow
def test_targets_of_trees(tmp_path: Path) -> None:
    """Each target has a direction of its own; a pattern of machine types that one target lacks is a notice."""
    trees = [tmp_path / "old", tmp_path / "new"]
    modules = find_module("accel-tcg-x86_64").parent
    for tree in trees:
        for path in (modules, Path("/usr/share/seabios")):
            shutil.copytree(path, tree / path.relative_to("/"))
        (tree / "usr/bin").mkdir()
        for target in ("x86_64", "arm"):
            shutil.copy(find_qemu(target), tree / f"usr/bin/qemu-system-{target}")
    result = run("migrate", *trees, "-M", "isapc", "-M", "microbit", "--device", "none*", "--format", "json")
    assert (result.code, "no device type matches 'none*'" in result.stderr) == (2, True)
    command = ["migrate", *trees, "--device", "isa-debugcon", "--format", "json"]
    result = run(*command, "-M", "isapc", "-M", "microbit")
    found = {(each["direction"].partition(":")[0], each["case"]): each["outcome"] for each in json.loads(result.stdout)}
    assert found == {
        ("x86_64", "isapc"): "loads", ("x86_64", "isapc isa-debugcon"): "loads", ("arm", "microbit"): "loads",
    }  # fmt: skip
    assert (result.code, result.stderr) == (0, "")
    result = run(*command, "-M", "isapc")
    assert (result.code, result.stderr) == (0, "vmdump: arm: skipped, as no machine type matches isapc\n")
    assert {each["machine"] for each in json.loads(result.stdout)} == {"isapc"}
    assert run(*command, "-M", "nothing").code == 2


@pytest.mark.qemu
def test_usage() -> None:
    """Wrong command lines are usage errors that say what to do."""
    qemu = find_qemu("x86_64")
    for argv, words in [
        ([qemu], "1 QEMU(s) given; give two binaries, OLD and NEW, or --matrix and several"),
        ([qemu, qemu, "--device", "e1000x"], "--device: no device type matches 'e1000x'; did you mean e1000"),
        ([qemu, qemu, "-M", "pc-q36"], "no machine type matches 'pc-q36'"),
        ([qemu, qemu, "-M", "q35", "--", "-M", "pc"], "-M and QEMU's argument -M pc exclude each other"),
    ]:
        assert words in run_failing(2, "migrate", *argv)


@images
@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "target", "argv", "section", "line"),
    [
        (
            "10.0", "11.1", "x86_64", ["-M", "pc-q35-10.0", "-device", "virtio-net-pci,romfile="],
            "0000:00:01.0/virtio-net", "VQ 0 vring.num 1024 exceeds allocated max 256",
        ),
        (
            "10.0", "11.1", "x86_64", ["-M", "pc-q35-10.0", "-device", "virtio-rng-pci"],
            "0000:00:01.0/virtio-rng", "VQ 0 vring.num 1024 exceeds allocated max 8",
        ),
        (
            "11.1", "10.0", "x86_64", ["-M", "pc-q35-10.0", "-device", "am53c974,romfile="],
            "0000:00:01.0/pciespscsi", "Missing section footer for 0000:00:01.0/pciespscsi",
        ),
        (
            "11.1", "10.0", "x86_64",
            ["-M", "pc-q35-10.0", "-blockdev", "driver=null-co,node-name=d0", "-device", "nvme,drive=d0,serial=1"],
            None, "State blocked by non-migratable device '0000:00:01.0/nvme'",
        ),
        ("7.2", "7.2", "ppc", ["-M", "bamboo"], "cpu", "Missing section footer for cpu"),
        (
            "5.2", "10.0", "riscv64", ["-M", "virt", "-bios", "none"],
            "riscv_sifive_plic", "Missing section footer for riscv_sifive_plic",
        ),
    ],
)  # fmt: skip
def test_reported_failures(
    old: str, new: str, target: str, argv: list[str], section: str | None, line: str, tmp_path: Path
) -> None:
    """Failures that were reported to QEMU and its distributors, each with the line of the report."""
    if not all((IMAGES / part).exists() for version in (old, new) for part in PARTS[version] if part):
        pytest.skip(f"needs QEMU {old} and {new} in $VMDUMP_IMAGES: .ci/images DIRECTORY --all")
    trees = [tree_of(version, IMAGES, tmp_path) for version in (old, new)]
    paths = [str(tree / f"usr/bin/qemu-system-{target}") for tree in trees]
    if not all(map(os.path.exists, paths)):
        pytest.skip(f"needs qemu-system-{target} of QEMU {old} and {new} in $VMDUMP_IMAGES: .ci/images DIRECTORY --all")
    roots = [word for tree in dict.fromkeys(trees) for word in ("--root", str(tree))]
    result = run("migrate", *paths, *roots, "--format", "json", "--", "-nodefaults", *argv)
    (found,) = json.loads(result.stdout)
    assert (result.code, found["outcome"]) == (1, "fails")
    lines = {each["section"]: each["lines"] for each in found["failures"]}
    assert line in lines[section]


@pytest.mark.qemu
@pytest.mark.slow
def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends the processes, and nothing is left behind; the exit code is 130."""
    qemu = find_qemu("x86_64")
    command = [sys.executable, "-m", "vmdump", "migrate", qemu, qemu, "-M", "pc-q35-7.2", "--jobs", "2"]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as process:
        time.sleep(5)
        assert list(tmp_path.iterdir())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "vmdump: interrupted\n"
    assert list(tmp_path.iterdir()) == []

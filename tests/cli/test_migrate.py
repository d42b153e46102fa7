"""vmdump migrate: command line, reports and exit codes; outcomes of real QEMUs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.commands import run, run_failing
from support.machine_trees import PARTS, tree_of
from support.qemu import find_qemu

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
    """The bare machine and each device are cases; what the source refuses to migrate is said."""
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
def test_interrupted() -> None:
    """Ctrl-C ends the processes; the exit code is 130."""
    qemu = find_qemu("x86_64")
    command = [sys.executable, "-m", "vmdump", "migrate", qemu, qemu, "-M", "pc-q35-7.2", "--jobs", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        time.sleep(5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "vmdump: interrupted\n"

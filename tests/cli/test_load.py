"""vmdump load, compared with real QEMUs that load the same streams."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import run, run_failing
from support.native_qemu import NativeQemu
from support.qemu import find_qemu
from support.streams import real_stream, small_stream, write

from vmdump.cli import main
from vmdump.errors import SourceError

ARGS = ["-M", "pc", "-m", "16", "-accel", "tcg", "-device", "e1000,romfile=", "-device", "virtio-rng-pci"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stream of a real QEMU."""
    path = tmp_path_factory.mktemp("saved") / "vm.save"
    with NativeQemu(find_qemu("x86_64"), *ARGS) as native:
        native.save(path)
    return path


def load(path: Path | str, *argv: str, target: str = "x86_64", code: int):
    """The JSON of a load."""
    result = run("load", path, find_qemu(target), "--json", "--", "-nodefaults", *argv)
    assert (result.code, result.stderr) == (code, "")
    return json.loads(result.stdout)


def real_lines(path: Path, *argv: str) -> list[str]:
    """What a real QEMU prints that refuses a stream."""
    command = [find_qemu("x86_64"), "-nodefaults", "-display", "none", "-S", *argv]
    ended = subprocess.run([*command, "-incoming", f"exec:cat {path}"], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    lines = [line.removeprefix("qemu-system-x86_64: ") for line in ended.stderr.splitlines()]
    return [line for line in lines if not line.startswith("warning: ")]


@pytest.mark.qemu
def test_loads(saved: Path) -> None:
    """A stream of the same command line loads; nothing but clocks and the run state changes."""
    found = load(saved, *ARGS, code=0)
    assert found["outcome"] == "loads"
    assert found["failures"] == found["guessed"] == []
    assert {each["section"] for each in found["changed"]} <= {"mc146818rtc", "globalstate"}
    assert found["compared"] is True


@pytest.mark.qemu
def test_loads_without_a_comparison(
    saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A load whose fields could not be compared is reported as such, and has the exit code of what is not complete."""

    def fail(machine: object, feed: object) -> None:
        raise SourceError("it ends while saving")

    monkeypatch.setattr("vmdump.migrate.trial.compare", fail)
    assert main(["load", str(saved), find_qemu("x86_64"), "--json", "--", "-nodefaults", *ARGS]) == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["outcome"], found["compared"]) == ("loads", False)
    assert "fields were not compared: it ends while saving" in found["reason"]


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("old", "new", "section"),
    [
        (b"0000:00:02.0/e1000", b"0000:00:02.0/e100z", "0000:00:02.0/e100z"),
        (b"0000:00:02.0/e1000\0\0\0\0\0\0\0\2", b"0000:00:02.0/e1000\0\0\0\0\0\0\0\7", "0000:00:02.0/e1000"),
        (b"pc.bios", b"pc.bioz", "ram"),
    ],
)
@pytest.mark.slow
def test_lines_of_real_qemu(saved: Path, tmp_path: Path, old: bytes, new: bytes, section: str) -> None:
    """The lines of the first failure are those of a real QEMU that loads a changed stream."""
    data = saved.read_bytes()
    assert old in data
    changed = tmp_path / "changed"
    changed.write_bytes(data.replace(old, new))
    found = load(changed, *ARGS, code=1)
    assert found["outcome"] == "fails"
    assert found["failures"][0]["section"] == section
    assert found["failures"][0]["lines"] == real_lines(changed, *ARGS)


@pytest.mark.qemu
def test_another_machine(saved: Path) -> None:
    """The machine type, and each section that the other machine lacks, is a failure of its own."""
    argv = ["-M", "q35", "-m", "16", "-accel", "tcg"]
    found = load(saved, *argv, code=1)
    assert found["failures"][0]["lines"] == real_lines(saved, *argv)
    sections = [each["section"] for each in found["failures"]]
    assert sections[0] is None
    assert "0000:00:02.0/e1000" in sections


@pytest.mark.qemu
def test_stream_of_a_newer_qemu(tmp_path: Path) -> None:
    """A real QEMU 7.2 printed these first lines when it refused this stream of 10.0."""
    path = write(tmp_path / "vm.save", real_stream("mps2-an385-10.0"))
    found = load(path, "-M", "mps2-an385", "-m", "16", target="arm", code=1)
    assert found["failures"][0]["lines"] == [
        "MIG_CMD 0xb unknown (len 0x0)",
        "load of migration failed: Invalid argument",
    ]
    assert [each["section"] for each in found["failures"][1:]] == ["lan9118-phy", "lan9118"]
    rules = [each["finding"] and each["finding"]["rule"] for each in found["failures"]]
    assert rules == [None, "section-missing", "section-version-too-new"]
    assert all(each["meaning"] and each["remedy"] for each in found["failures"])
    text = run("load", path, find_qemu("arm"), "--", "-nodefaults", "-M", "mps2-an385", "-m", "16").stdout
    assert "check: breaks: the destination refuses version 3 of the section" in text
    assert text.count("meaning: ") == text.count("remedy: ") == 3


@pytest.mark.qemu
def test_standard_input(saved: Path) -> None:
    """A saved VM on standard input is loaded as one in a file; errors name it."""
    words = ("load", "-", find_qemu("x86_64"), "--", "-nodefaults", *ARGS)
    result = run(*words, stdin=saved.read_bytes())
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith("<stdin> -> ")
    assert "<stdin>: empty; give a saved VM" in run_failing(3, *words)
    assert "vmdump: <stdin>: the stream ends at byte 100" in run_failing(3, *words, stdin=saved.read_bytes()[:100])


@pytest.mark.qemu
def test_standard_input_of_a_file(saved: Path) -> None:
    """A file on standard input is read in place, a pipe is copied."""
    words = [sys.executable, "-m", "vmdump", "load", "-", find_qemu("arm"), "--", "-M", "none"]
    with saved.open("rb") as file:
        ended = subprocess.run(words, stdin=file, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.startswith("<stdin> -> ")


@pytest.mark.qemu
def test_host(tmp_path: Path) -> None:
    """The parts of the emulated host that an outcome depends on are reported, such as the features of a TAP."""
    path, qemu = tmp_path / "vm.save", find_qemu("x86_64")
    tap = ["-netdev", "tap,id=n,vhost=on", "-device", "virtio-net-pci,netdev=n,romfile="]
    args = ["-M", "q35", "-m", "16", "-accel", "kvm", *tap]
    assert run("save", qemu, "-o", path, "--", "-nodefaults", *args).code == 0
    found = load(path, *args, code=0)
    assert [each.partition(":")[0] for each in found["host"]] == ["KVM", "netdev n"]
    hub = load(path, *args[:6], "-netdev", "hubport,hubid=0,id=n", *args[8:], code=1)
    assert "virtio-net: saved image requires vnet_hdr=on" in hub["failures"][0]["lines"]


@pytest.mark.qemu
@pytest.mark.slow
def test_host_without_kvm(saved: Path) -> None:
    """With --host kvm=off QEMU does not start with KVM, as on such a host."""
    result = run("load", saved, find_qemu("x86_64"), "--host", "kvm=off", "--", "-M", "pc,accel=kvm")
    assert (result.code, result.stderr) == (1, "")
    assert "does-not-start\n  failed to initialize kvm: No such file or directory" in result.stdout


@pytest.mark.qemu
def test_blocked(saved: Path) -> None:
    """A device that cannot be migrated blocks a VM with -only-migratable."""
    nvme = ["-blockdev", "null-co,node-name=d", "-device", "nvme,serial=1,drive=d"]
    found = load(saved, "-M", "pc", "-only-migratable", *nvme, code=1)
    assert found["outcome"] == "blocked"
    assert "not migratable" in found["reason"]


@pytest.mark.qemu
def test_timeout(saved: Path, tmp_path: Path) -> None:
    """A load that takes longer than --timeout is undecided; a save is an error."""
    limit = "did not finish within the time limit; allow more with --timeout"
    words = (find_qemu("x86_64"), "--timeout", "0.05")
    result = run("load", saved, *words, "--", "-nodefaults", *ARGS)
    assert (result.code, result.stderr) == (3, "")
    assert "undecided" in result.stdout
    assert limit in result.stdout
    assert limit in run_failing(3, "save", *words, "-o", tmp_path / "x", "--", "-nodefaults", *ARGS)


@pytest.mark.qemu
def test_other_outcomes(saved: Path) -> None:
    """A missing device is absent; a wrong option does not start."""
    absent = load(saved, "-M", "pc", "-device", "nosuch", code=1)
    assert absent["outcome"] == "absent"
    assert "'nosuch' is not a valid device model name" in absent["reason"]
    refused = load(saved, "-M", "pc", "-m", "nonsense", code=1)
    assert refused["outcome"] == "does-not-start"


@pytest.mark.qemu
@pytest.mark.slow
def test_guess(saved: Path, tmp_path: Path) -> None:
    """Without a command line, machine type, RAM and devices are guessed, and reported."""
    result = run("load", saved, find_qemu("x86_64"))
    assert (result.code, result.stderr) == (0, "")
    assert "guessed: -M pc-i440fx-7.2 from the stream" in result.stdout
    assert ",addr=02.0 from section 0000:00:02.0/e1000" in result.stdout
    log = tmp_path / "vm.log"
    log.write_text("LC_ALL=C \\\n/usr/bin/qemu-system-x86_64 \\\n-nodefaults \\\n" + " \\\n".join(ARGS) + "\n")
    result = run("load", saved, find_qemu("x86_64"), "--command-line", log)
    assert (result.code, result.stderr) == (0, "")
    assert "guessed" not in result.stdout


#: Devices behind root ports, on USB and on SCSI, and on the ISA bus.
TREE = (
    "-nodefaults", "-M", "pc-q35-7.2", "-m", "64", "-smp", "2", "-vga", "std",
    "-device", "pcie-root-port,id=r1,chassis=1,multifunction=on,addr=2",
    "-device", "pcie-root-port,id=r2,chassis=2,addr=2.1",
    "-netdev", "hubport,hubid=0,id=n", "-device", "virtio-net-pci,bus=r1,netdev=n,romfile=",
    "-device", "qemu-xhci,id=usb,bus=r2", "-device", "usb-tablet,bus=usb.0,port=2",
    "-device", "virtio-scsi-pci,id=s,addr=3", "-blockdev", "null-co,node-name=d",
    "-device", "scsi-hd,drive=d,bus=s.0,scsi-id=1", "-chardev", "null,id=c", "-device", "isa-serial,chardev=c",
)  # fmt: skip


@pytest.mark.qemu
@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "guessed"),
    [
        (TREE, ["driver=pcie-root-port,", "driver=virtio-net-pci,", "driver=usb-tablet,", "scsi-id=1", "isa-serial"]),
        (("-M", "pc-i440fx-7.2", "-m", "64"), ["default devices, without -nodefaults, from sections "]),
    ],
)
def test_guessed_tree(tmp_path: Path, argv: tuple[str, ...], guessed: list[str]) -> None:
    """A real QEMU's machine with devices behind bridges and controllers, or with its default ones, is guessed."""
    qemu = find_qemu("x86_64")
    with NativeQemu(str(qemu), *argv, nodefaults=False) as native:
        native.save(tmp_path / "vm.save")
    result = run("load", tmp_path / "vm.save", qemu)
    assert (result.code, result.stderr) == (0, ""), result.stdout
    for each in guessed:
        assert each in result.stdout


@pytest.mark.qemu
@pytest.mark.slow
def test_guess_of_a_network(tmp_path: Path) -> None:
    """A guessed network device has a TAP, without which the offloads of a VM that had one are refused."""
    path, qemu = tmp_path / "vm.save", find_qemu("x86_64")
    tap = ["-netdev", "tap,id=n", "-device", "virtio-net-pci,netdev=n,romfile="]
    assert run("save", qemu, "-o", path, "--", "-nodefaults", "-M", "pc", "-m", "16", *tap).code == 0
    result = run("load", path, qemu)
    assert (result.code, result.stderr) == (0, "")
    assert "host: netdev vmdump-net-0: a TAP" in result.stdout
    assert result.stdout.count("host:") == 1


def test_usage(tmp_path: Path) -> None:
    """What is no QEMU, and two command lines, are usage errors."""
    stream = write(tmp_path / "vm.save", small_stream())
    assert "not a QEMU binary" in run_failing(2, "load", stream, stream)
    true = shutil.which("true")
    assert "exclude each other" in run_failing(2, "load", stream, true, "--domain", "x", "--command-line", "y")
    assert "no command line of QEMU" in run_failing(3, "load", stream, true, "--command-line", stream)

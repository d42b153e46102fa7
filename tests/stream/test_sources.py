"""Saved VMs as sources of show and check, and their differences."""

import lzma
from pathlib import Path

import pytest
from support import streams
from support.commands import run, run_failing
from support.qemu import find_qemu
from support.streams import PAGE, be, described, real_stream, section, write

import vmdump
from vmdump.stream.diff import differences
from vmdump.stream.walk import read_saved_vm


def test_show(tmp_path: Path) -> None:
    """show prints the description of a section; also of a compressed stream."""
    for data in (real_stream("malta-7.2"), lzma.compress(real_stream("malta-7.2"))):
        path = write(tmp_path / "vm.save", data)
        result = run("show", path, "i8254")
        assert (result.code, result.stderr) == (0, "")
        assert "channels" in result.stdout


@pytest.mark.qemu
def test_check_of_a_loadable_stream(tmp_path: Path) -> None:
    """A stream of QEMU 7.2 loads in the same version: nothing breaks, and nothing is conditional."""
    path = write(tmp_path / "vm.save", real_stream("mps2-an385-7.2"))
    result = run("check", path, find_qemu("arm"), "--no-cache")
    assert result.code == 0
    assert "breaks" not in result.stdout
    assert "conditional" not in result.stdout


@pytest.mark.qemu
def test_check_of_a_stream_that_fails(tmp_path: Path) -> None:
    """A real QEMU 7.2 refuses this stream of 10.0 because of lan9118, whose description changed."""
    path = write(tmp_path / "vm.save", real_stream("mps2-an385-10.0"))
    result = vmdump.check(path, find_qemu("arm"))
    assert list(result.results) == ["vm.save -> " + next(iter(result.results)).partition(" -> ")[2]]
    broken = {each.type for each in next(iter(result.results.values())) if each.verdict == "breaks"}
    assert "lan9118" in broken


def test_check_refuses_other_uses(tmp_path: Path) -> None:
    """A saved VM can only be loaded, so it is the first of two sources."""
    path = write(tmp_path / "vm.save", real_stream("malta-7.2"))
    assert "can only be the first of two sources" in run_failing(3, "check", path, path)
    assert "can only be loaded" in run_failing(2, "check", path, path, "--direction", "backward")
    path = write(tmp_path / "no", streams.small_stream(description=False))
    assert "a stream without vmdescription" in run_failing(3, "show", path, "timer")


def vm(folder: Path, name: str, *, ticks: int = 1, ram: int = PAGE, more: bytes = b"", version: int = 2):
    """A small saved VM."""
    devices = [described("timer", [("ticks", "uint64", 8), ("name", "buffer", 32)])]
    body = be(8, ticks) + b"x" * 32
    stream = (
        streams.HEADER + streams.configuration("pc") + streams.ram_setup({"pc.ram": ram})
        + section(4, "timer", body, version=version) + more + streams.EOF + streams.vmdescription(devices)
    )  # fmt: skip
    return read_saved_vm(write(folder / name, stream))


def test_differences(tmp_path: Path) -> None:
    """What two saved VMs differ in: RAM, sections, versions, fields; nothing if they are equal."""
    old = vm(tmp_path, "old")
    assert list(differences(old, vm(tmp_path, "same"))) == []
    new = vm(tmp_path, "new", ticks=0x20, ram=2 * PAGE, more=section(9, "nic", bytes(2)), version=3)
    assert [tuple(each) for each in differences(old, new)] == [
        ("ram block", "pc.ram", None, "", "4096 bytes", "8192 bytes"),
        ("version", "timer", 0, "", "2", "3"),
        ("field", "timer", 0, "ticks", "0x1", "0x20"),
        ("section", "nic", 0, "", None, "2 bytes"),
    ]
    assert [each.kind for each in differences(old, new, only="nic")] == ["section"]

"""Command lines that are guessed from a saved VM."""

from pathlib import Path

import pytest
from support import streams
from support.streams import be, write

from vmdump.errors import SourceError
from vmdump.migrate.guess import _board, _parse
from vmdump.stream.walk import read_saved_vm

XML = "<domain type='kvm'><os><type machine='pc-q35-7.2'>hvm</type></os><cpu><model>EPYC</model></cpu></domain>"


def saved(tmp_path: Path, *names: str, configuration: bytes = streams.configuration("pc-test")):
    """A saved VM with these sections."""
    sections = b"".join(
        streams.section(9 + at, name, be(8, 1), instance=names[:at].count(name)) for at, name in enumerate(names)
    )
    setup = streams.ram_setup({"pc.ram": 16 << 20, "vga": 4096})
    return read_saved_vm(write(tmp_path / "vm", streams.HEADER + configuration + setup + sections + streams.EOF))


def test_board(tmp_path: Path) -> None:
    """Machine type, accelerator, RAM and vCPUs come from the stream."""
    argv, notes = _board(saved(tmp_path, "cpu_common", "cpu_common", "kvmclock"), None)
    assert argv == ["-M", "pc-test", "-accel", "kvm", "-m", "16M", "-smp", "2"]
    assert notes[0] == "-M pc-test from the stream"
    assert len(notes) == 4


def test_domain(tmp_path: Path) -> None:
    """The CPU model comes from libvirt's XML, and the machine type of a stream without configuration."""
    argv, _ = _board(saved(tmp_path, "cpu_common", configuration=b""), _parse(f"<x>{XML}</x>"))
    assert argv == ["-M", "pc-q35-7.2", "-accel", "kvm", "-m", "16M", "-cpu", "EPYC"]
    with pytest.raises(SourceError, match="names no machine type"):
        _board(saved(tmp_path, "cpu_common", configuration=b""), None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("<domain", "malformed"), ("<a/>", "no domain"), ("<!DOCTYPE a [<!ENTITY b 'c'>]><domain/>", "document type")],
)
def test_malformed_xml(text: str, problem: str) -> None:
    """Hostile XML is an error of one line."""
    with pytest.raises(SourceError, match=problem):
        _parse(text)

"""Dump files as a source: plain and compressed, whole and broken."""

import gzip
import json
import lzma
import os
import threading
from pathlib import Path

import pytest
import zstandard
from conftest import read_real_dump

import vmdump
from vmdump.errors import SourceError, VmdumpError
from vmdump.sources import dump_file

COMPRESS = {
    "plain": bytes,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
    "two gz members": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "two xz streams": lambda data: lzma.compress(data[:1000]) + lzma.compress(data[1000:]),
    "two zst frames": lambda data: zstandard.compress(data[:1000]) + zstandard.compress(data[1000:]),
}


@pytest.fixture(scope="module")
def avr() -> bytes:
    """A small real dump."""
    return read_real_dump("10.0.13", "avr")


@pytest.mark.parametrize("kind", COMPRESS)
def test_compressed(kind: str, avr: bytes, tmp_path: Path) -> None:
    """A dump reads the same however it is compressed, whatever the file is called."""
    path = tmp_path / "dump"
    path.write_bytes(COMPRESS[kind](avr))
    dump = vmdump.open(path)
    assert dump.to_bytes() == avr
    assert dump.producer == vmdump.Producer(kind="file", path=str(path))
    assert dump.machine == "none"


def test_mapping(avr: bytes, tmp_path: Path) -> None:
    """A dump is a mapping of its devices, in their order; what the file does not tell is None."""
    (tmp_path / "avr.json").write_bytes(avr)
    dump = vmdump.open(tmp_path / "avr.json")
    assert list(dump) == [name for name in json.loads(avr) if name != "vmschkmachine"]
    assert len(dump) == len(list(dump))
    device = dump["avr5-avr-cpu"]
    written = json.loads(avr)["avr5-avr-cpu"]
    assert (device.version_id, device.minimum_version_id) == (written["version_id"], written["minimum_version_id"])
    assert device.vmsd.name == written["Description"]["name"]
    assert device.n_fields == json.dumps(written).count('"field"')
    assert (device.parents, device.abstract, device.module, device.desc) == (None, None, None, None)
    assert dump["avr5-avr-cpu"] is device
    assert device.vmsd is device.vmsd
    assert "e1000" not in dump
    with pytest.raises(KeyError):
        dump["e1000"]


@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "header only"])
def test_damaged(kind: str, damage: str, avr: bytes, tmp_path: Path) -> None:
    """A compressed file that is not whole is refused, with its name."""
    data = bytearray(
        zstandard.ZstdCompressor(write_checksum=True).compress(avr) if kind == "zst" else COMPRESS[kind](avr)
    )
    if damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    else:
        del data[len(data) // 2 if damage == "truncated" else 6 :]
    path = tmp_path / f"dump.{kind}"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=rf"^{path}(: not a whole |:\d+:\d+: at )"):
        vmdump.open(path)


def test_bomb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file that grows without end when decompressed is given up."""
    monkeypatch.setattr(dump_file, "MAX_FILE_BYTES", 10 << 20)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b" " * (20 << 20)))
    with pytest.raises(SourceError, match=r"more than 10 MiB: not read; is it a dump\?"):
        vmdump.open(tmp_path / "bomb.gz")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("{tmp}/missing.json", "{tmp}/missing.json: No such file or directory"),
        ("{tmp}", "{tmp}: Is a directory"),
        ("{tmp}/empty/x", "{tmp}/empty/x: Not a directory"),
        ("{tmp}/empty", "{tmp}/empty:1:1: at $: the file ends too early"),
        ("a\0b", "a\0b: embedded null byte"),
    ],
)
def test_unreadable(path: str, error: str, tmp_path: Path) -> None:
    """Paths that can't be read say so, with their name."""
    (tmp_path / "empty").touch()
    with pytest.raises(SourceError) as caught:
        vmdump.open(path.format(tmp=tmp_path))
    assert str(caught.value) == error.format(tmp=tmp_path)


def test_binary_in_a_pipe() -> None:
    """A binary is read from a file: its modules are looked for beside it."""
    read, write = os.pipe()
    os.write(write, b"\x7fELF" + bytes(100))
    os.close(write)
    with pytest.raises(SourceError, match="a binary, which can be read from a file only; give its path"):
        vmdump.open(f"/dev/fd/{read}")
    os.close(read)


def test_script(tmp_path: Path) -> None:
    """Distributions start some QEMUs by a script."""
    (tmp_path / "qemu-system-i386").write_text('#!/bin/sh\nexec qemu-real "$@"\n')
    with pytest.raises(SourceError, match=r"qemu-system-i386: a script, not a dump; .*name that binary, or run it"):
        vmdump.open(tmp_path / "qemu-system-i386")


def test_machine_of_a_file(tmp_path: Path, avr: bytes) -> None:
    """A dump file is of the machine that it was made with."""
    (tmp_path / "avr.json").write_bytes(avr)
    with pytest.raises(VmdumpError, match="a dump file is of one machine"):
        vmdump.open(tmp_path / "avr.json", machine="q35")


def test_pipe(avr: bytes) -> None:
    """A source that cannot seek, such as <(zstd -dc ...), compressed or not."""
    for data in (avr, lzma.compress(avr)):
        read, write = os.pipe()

        def feed(fd: int = write, content: bytes = data) -> None:
            with os.fdopen(fd, "wb") as file:
                file.write(content)

        feeder = threading.Thread(target=feed)
        feeder.start()
        assert vmdump.open(f"/dev/fd/{read}").to_bytes() == avr
        feeder.join()
        os.close(read)

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
from vmdump.dump import tree as engine
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


@pytest.mark.parametrize("kind", COMPRESS)
def test_from_where_it_stands(kind: str, avr: bytes, tmp_path: Path) -> None:
    """A file is read from where it stands."""
    path = tmp_path / "dump"
    path.write_bytes(b"behind this" + COMPRESS[kind](avr))
    with open(path, "rb") as file:
        file.read(11)
        assert dump_file.read_dump_file(file, "x").to_bytes() == avr


def padded(name: str, size: int) -> bytes:
    """A device with a description of about so many bytes."""
    fields = [{"field": "f", "version_id": 0, "field_exists": False, "size": n} for n in range(size // 80)]
    desc = {"name": name, "version_id": 1, "minimum_version_id": 1, "Fields": fields}
    device = {"Name": name, "version_id": 1, "minimum_version_id": 1, "Description": desc}
    return json.dumps({name: device}, indent=1)[1:-2].encode()


@pytest.mark.parametrize("space", [1, 300_000])
def test_parts(space: int, tmp_path: Path) -> None:
    """A file is read in parts, whose ends may fall anywhere: into devices of any size, the machine, or white space."""
    machine = b'"vmschkmachine": {"Name": "' + b"m" * 200_000 + b'"}'
    sizes = (100, 260_000, 90, 1_500_000, 5000, 240_000, 100)
    members = [padded("first", 700_000), machine, *(padded(f"d{i}", size) for i, size in enumerate(sizes))]
    text = b" " * space + b"{" + (b"," + b" " * space).join(members) + b" " * space + b"}" + b"\n" * space
    path = tmp_path / "dump"
    path.write_bytes(text)
    assert vmdump.open(path).to_bytes() == engine.parse(text).dump_bytes()
    with open(path, "rb") as file:
        assert engine.parse_file(file.fileno(), 0) is not None


def test_every_end_of_a_part(tmp_path: Path) -> None:
    """The first part's end is put on each byte of a device in turn."""
    part, device = 256 << 10, padded("t", 200)
    path = tmp_path / "dump"
    for shift in range(len(device) + 8):
        text = b'{"vmschkmachine": {"Name": "none"}'.ljust(part - shift) + b"," + device + b"}"
        path.write_bytes(text)
        with open(path, "rb") as file:
            tree = engine.parse_file(file.fileno(), 0)
        assert tree is not None
        assert tree.n_fields == 2


@pytest.mark.parametrize("cut", [3, 100, 500_000])
def test_error_in_parts(cut: int, tmp_path: Path) -> None:
    """Errors of a large file have their line and column, too."""
    dump = read_real_dump("10.0.13", "aarch64")[:-cut]
    path = tmp_path / "dump"
    path.write_bytes(dump)
    with pytest.raises(SourceError) as caught:
        vmdump.open(path)
    lines = dump.splitlines()
    assert str(caught.value).startswith(f"{path}:{len(lines)}:{len(lines[-1]) + 1}: at $")


def test_truncated_while_it_is_read(avr: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is truncated after its size was asked for is an error as any."""
    path = tmp_path / "dump"
    path.write_bytes(avr[:1000])
    monkeypatch.setattr(dump_file, "_size", lambda file: len(avr))
    with pytest.raises(SourceError, match=rf"{path}:\d+:\d+: at .*: the file ends too early"):
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

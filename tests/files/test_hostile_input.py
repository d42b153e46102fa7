"""Hostile input: decompression bombs, endless streams, FIFOs, sockets, names with terminal escapes."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from support.dumps import read_real_dump

import vmdump
from vmdump.cli import main
from vmdump.cli.environment import Environment
from vmdump.errors import SourceError
from vmdump.files import decompress, input_file

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "Zstandard": zstandard.compress,
}

#: The commands that read a dump; {} stands for its path.
READERS = (
    "dump {}", "devices {}", "show {} avr5-avr-cpu", "lint {}", "check {} {}", "check --matrix {} {}",
    "classic -s {} -d {}", "bulk {} -o {}.out --executor threads",
)  # fmt: skip


@pytest.fixture
def avr() -> bytes:
    """A small real dump."""
    return read_real_dump("10.0.13", "avr")


def run(command: str, *paths: object) -> int:
    """Run a command line in which {} stands for the first path, and return the exit code."""
    return main([word.replace("{}", str(paths[0])) for word in command.split()])


# Decompression ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("kind", ["gzip", "Zstandard"])
def test_ratio(
    kind: str,
    command: str,
    avr: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every command refuses a file with an excessive compression ratio; --max-size overrides this."""
    monkeypatch.setattr(decompress, "FREE_BYTES", 1 << 20)
    path = tmp_path / "bomb"
    path.write_bytes(COMPRESS[kind](avr + b" " * (12 << 20)))
    assert run(command, path) == 3
    error = capsys.readouterr().err
    assert f"{path}: {kind} data that decompresses to more than 1 MiB and 200 times its size" in error
    assert "; allow it with --max-size SIZE" in error
    assert error.count("\n") == 1
    assert run(f"{command} --max-size 20M", path) in (0, 1)
    assert run(f"{command.replace('.out', '.out2')} --max-size 5M", path) == 3
    assert (
        f"{kind} data that decompresses to more than 5 MiB, the limit; raise it with --max-size SIZE"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("kind", COMPRESS)
def test_formats(kind: str, avr: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each format is read, and has both limits."""
    monkeypatch.setattr("vmdump.files.decompress.FREE_BYTES", 4 << 20)
    path = tmp_path / "dump"
    path.write_bytes(COMPRESS[kind](avr))
    assert vmdump.open(path).to_bytes() == avr
    path.write_bytes(COMPRESS[kind](avr + b" " * (5 << 20)))
    with pytest.raises(SourceError, match="more than 4 MiB and 200 times its size"):
        vmdump.open(path)
    with pytest.raises(SourceError, match="more than 1000 bytes, the limit"):
        vmdump.open(path, max_size=1000)


def test_plain_size(avr: bytes, tmp_path: Path) -> None:
    """The limit also holds for uncompressed files, before they are read."""
    path = tmp_path / "dump"
    path.write_bytes(avr)
    assert vmdump.open(path, max_size=len(avr)).to_bytes() == avr
    with pytest.raises(SourceError, match=r"larger than .* KiB, the limit; raise it with --max-size SIZE"):
        vmdump.open(path, max_size=len(avr) - 1)
    with path.open("ab") as file:
        file.truncate(2 << 30)
    with pytest.raises(SourceError, match="larger than 1 GiB, the limit"):
        vmdump.open(path)


def test_memory_of_decompressors(tmp_path: Path) -> None:
    """Streams that need gigabytes for their window or dictionary are refused."""
    path = tmp_path / "dump"
    window = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=window).compressobj()
    path.write_bytes(compressor.compress(b"{") + compressor.flush())
    with pytest.raises(SourceError, match=r"not a whole Zstandard file: .*memory"):
        vmdump.open(path)
    # An lzma file's header: properties, the size of the dictionary (1.5 GiB), the size of the content (unknown).
    path.write_bytes(b"\x5d" + (3 << 29).to_bytes(4, "little") + b"\xff" * 8 + bytes(20))
    with pytest.raises(SourceError, match="not a whole lzma file: Memory usage limit exceeded"):
        vmdump.open(path)


def run_limited(*args: object, stdin: int | None = None, memory: int = 400 << 20) -> "subprocess.CompletedProcess[str]":
    """Run vmdump with a limited address space (bytes)."""
    return subprocess.run(
        [sys.executable, "-m", "vmdump", *map(str, args)],
        stdin=stdin,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_bomb_in_little_memory(tmp_path: Path) -> None:
    """300 KB that expand to 19 GB need no more than the limit in memory."""
    frame = zstandard.compress(b" " * (64 << 20), 19)
    path = tmp_path / "bomb.zst"
    path.write_bytes(zstandard.compress(b"{") + frame * 300)
    done = run_limited("devices", path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Zstandard data that decompresses to more than 64 MiB and 200 times its size" in done.stderr


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(b"") * 10_000,
        b"\x1f\x8b\x08\x08" + b"n" * 300_000,
        lzma.compress(b"") + bytes(300_000),
        b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00" + (b"\x50\x2a\x4d\x18" + bytes(4)) * 40_000,
    ],
    ids=["empty members", "file name", "padding", "skippable frames"],
)
def test_compressed_data_without_output(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compressed data without output is refused, as it may be endless."""
    monkeypatch.setattr(decompress, "_MAX_FRUITLESS", 100_000)
    path = tmp_path / "dump"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"compressed data that produces no output"):
        vmdump.open(path)


# Endless streams --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom"])
@pytest.mark.parametrize("command", ["dump {}", "classic -s {} -d {}", "check {} {}"])
def test_endless_device(command: str, path: str) -> None:
    """An endless device is refused by its first bytes; a random device may begin like any format, and is skipped."""
    done = run_limited(*command.replace("{}", path).split())
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"vmdump: {path}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("yes", "<stdin>:1:1: at $: expected an object"),
        ("yes ''", "<stdin>: not a dump: it begins with more than 1 MiB of white space"),
        ("printf '{'; yes ' '", "<stdin>: larger than 20 MiB, the limit; raise it with --max-size SIZE"),
        ("yes ' ' | gzip -1", "MiB of white space"),
    ],
)
def test_endless_pipe(script: str, expected: str) -> None:
    """An endless pipe is refused likewise; one that looks like JSON ends at the limit, with no more than that in
    memory.
    """
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer:
        assert writer.stdout is not None
        done = run_limited("dump", "-", "--max-size", "20M", stdin=writer.stdout.fileno(), memory=250 << 20)
        writer.stdout.close()
    assert (done.returncode, done.stdout) == (3, "")
    assert expected in done.stderr


def test_growing_file(avr: bytes, tmp_path: Path) -> None:
    """Of a file that grows while being read, only its initial size is read."""
    path = tmp_path / "dump"
    path.write_bytes(avr[:-3])
    with open(path, "rb") as file:
        size = len(avr) - 3
        with path.open("ab") as more:
            more.write(avr[-3:])
        assert vmdump.dump.tree.parse_file(file.fileno(), 0, size) is None
        assert vmdump.dump.tree.parse_file(file.fileno(), 0, len(avr)) is not None


# Special files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def fifo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A FIFO without a writer, with a short time limit for opening it."""
    monkeypatch.setattr(input_file, "PATIENCE", 0.2)
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


@pytest.mark.parametrize("command", [*READERS[:7], "check DUMP DUMP --config {}"])
def test_fifo(command: str, fifo: Path, avr: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A FIFO without a writer is an error after a time limit, as a dump and as a configuration."""
    (tmp_path / "avr.json").write_bytes(avr)
    assert run(command.replace("DUMP", str(tmp_path / "avr.json")), fifo) == 3
    assert capsys.readouterr().err.startswith(f"vmdump: {fifo}: a FIFO without a writer ")


def test_fifo_with_a_late_writer(avr: bytes, tmp_path: Path) -> None:
    """A FIFO with a writer within the limit is read to the end, however slow the writer."""
    path = tmp_path / "fifo"
    os.mkfifo(path)

    def write() -> None:
        time.sleep(0.3)
        with path.open("wb") as file:
            time.sleep(0.3)
            file.write(avr)

    writer = threading.Thread(target=write)
    writer.start()
    assert vmdump.open(path).to_bytes() == avr
    writer.join()


def test_fifos_in_directories(avr: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """FIFOs in a directory are skipped; named ones, and modules that are FIFOs, are errors."""
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "avr.json").write_bytes(avr)
    for name in ("x.json", "x.deb", "x.so", "y.py"):
        os.mkfifo(sources / name)
    assert run("bulk {} -o {}-out --executor threads", sources) == 0
    assert run("bulk {}/x.json {} -o {}-out2 --executor threads", sources) == 3
    assert "x.json: not a regular file; use vmdump dump for pipes and devices" in capsys.readouterr().err
    assert run("modules --module-dir {}", sources) == 0
    error = capsys.readouterr().err
    assert error.count("not a regular file") == 2


def test_manifest_that_is_a_fifo(avr: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest that is a FIFO is an error."""
    os.mkfifo(tmp_path / "manifest.json")
    (tmp_path / "avr.json").write_bytes(avr)
    assert run("bulk {}/avr.json -o {}", tmp_path) == 3
    assert "manifest.json: not a regular file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        {"producer": {}}, {"producer": {"label": 7}}, {"targets": [1]}, {"error": 3}, {"source": None}, {"files": [1]},
        {"files": [[1, 2, 3]]}, {"key": None}, {"machine_types": [["pc", [], None, True]]},
        {"producer": {"label": "9", "version": 9}},
        {"targets": ["../../x"]}, {"targets": ["avr", "/x"]}, {"targets": [".."]}, {"targets": ["a\0"]},
        {"targets": ["\ud800"]}, {"producer": {"label": "../x", "version": None}},
        {"outputs": ["../x.json"]}, {"outputs": ["/x.json"]}, {"outputs": [""]}, {"rows": ["a/../../x.parquet"]},
    ],
    ids=str,
)  # fmt: skip
def test_damaged_manifest(change: dict[str, object], avr: bytes, tmp_path: Path) -> None:
    """A manifest with values of wrong types, or with names that lead out of a directory, is reported as damaged."""
    (tmp_path / "avr.json").write_bytes(avr)
    out = tmp_path / "out"
    assert run("bulk {}/avr.json -o {}/out --executor threads", tmp_path) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["entries"][0].update(change)
    (out / "manifest.json").write_text(json.dumps(manifest))
    stderr = io.StringIO()
    assert main(["check", "--matrix", str(out)], Environment(stdout=io.StringIO(), stderr=stderr, environ={})) == 3
    assert f"{out}/manifest.json: not a manifest: " in stderr.getvalue()


@pytest.mark.parametrize("command", READERS)
def test_socket(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A socket is an error that names its kind."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert run(command, path) == 3
    error = capsys.readouterr().err
    assert f"{path}: a socket, not a file" in error or f"{path}: not a regular file" in error


@pytest.mark.parametrize("command", READERS)
def test_unreadable(command: str, avr: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """A file without read permission is an error."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        path, readable = Path(directory, "dump"), Path(directory, "readable")
        for each in (path, readable):
            each.write_bytes(avr)
        run(command, readable)  # so that Python's own modules, which root alone may be able to read, are imported
        capsys.readouterr()
        path.chmod(0)
        os.seteuid(65534)
        try:
            assert run(command, path) == 3
        finally:
            os.seteuid(0)
    error = capsys.readouterr().err
    assert f"{path}: Permission denied" in error
    assert "Errno" not in error
    assert "internal error" not in error


# User errors are not internal errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = " + "9" * 6000, "invalid TOML: "),
        ("x = [" + "[" * 5000, "nested too deeply"),
        ("[[accept]]\nexpires = 99999-01-01", "invalid TOML: "),
    ],
)
def test_toml(text: str, expected: str, avr: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Values that Python's TOML parser cannot convert, such as huge integers, are user errors."""
    (tmp_path / "vmdump.toml").write_text(text)
    (tmp_path / "avr.json").write_bytes(avr)
    assert run("check {}/avr.json {}/avr.json --config {}/vmdump.toml", tmp_path) == 3
    error = capsys.readouterr().err
    assert error.startswith(f"vmdump: {tmp_path}/vmdump.toml: ")
    assert expected in error


def nested(depth: int) -> bytes:
    """A dump of nested descriptions."""
    versions = b'"version_id":1,"minimum_version_id":1'
    begin = b'{"name":"d",' + versions + b',"Fields":[{"field":"f","version_id":0,"field_exists":false,'
    machine = b'{"vmschkmachine":{"Name":"none"},"dev":{"Name":"dev",' + versions + b',"Description":'
    inner = b'{"name":"x","version_id":1,"minimum_version_id":1}'
    return machine + (begin + b'"size":4,"Description":') * depth + inner + b"}]}" * depth + b"}}"


@pytest.mark.parametrize("depth", [330, 600, 999, 1000, 5000])
@pytest.mark.parametrize(
    "command", ["check {} {} --format html", "classic -s {} -d {}", "lint {}", "show {} dev", "check {} {}"]
)
def test_nested(depth: int, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dump nested too deeply for a command is an error of the dump."""
    path = tmp_path / "dump"
    path.write_bytes(nested(depth))
    status = run(command, path)
    error = capsys.readouterr().err
    assert (status == 3) == bool(error)
    assert "report this" not in error
    assert "internal" not in error
    assert not error or "deep" in error


# Terminals --------------------------------------------------------------------------------------------------------


class Terminal(io.TextIOWrapper):
    """A stream that claims to be a terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode()


#: The subset that names in dumps can have: not the control characters below 32.
IN_DUMPS = "\u202e\u2066\u200f\u061c\x9b\x7f\u200b\u2028\U000e0041\ufeff"

#: Right-to-left override, isolate and mark; CSI of one byte; DEL; escape; zero width; line separator; a language tag.
STEERING = "\u202e\u2066\u200f\u061c\x9b\x7f\x1b\u200b\u2028\U000e0041\ufeff"


def steering_dump() -> bytes:
    """A dump whose names have all of these."""
    field = {"field": f"f{IN_DUMPS}", "version_id": 9, "field_exists": False, "size": 4}
    vmsd = {"name": f"v{IN_DUMPS}", "version_id": 1, "minimum_version_id": 1, "Fields": [field]}
    device = {"Name": f"d{IN_DUMPS}", "version_id": 1, "minimum_version_id": 1, "Description": vmsd}
    dump = {"vmschkmachine": {"Name": "none"}, f"d{IN_DUMPS}": device}
    return json.dumps(dump, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "command",
    [
        "dump A", "dump A --extended", "devices A", "show A NAME", "lint A -v", "check A B -v", "check --matrix A B",
        "check A B --format github", "check A B --format json", "check A B --format html", "classic -s A -d B",
        "query SQL OUT", "query SQL OUT --format csv", "query SQL OUT --format json", "bulk A B -o NEW", "show A x",
        "dump NAME", "check A B --config NAME",
    ],
)  # fmt: skip
@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_terminal(command: str, term: str, tmp_path: Path) -> None:
    """No command lets a device's, field's or file's name send escape sequences to the terminal."""
    name = f"d{IN_DUMPS}"
    first, second = tmp_path / f"a{STEERING}", tmp_path / f"b{STEERING}"
    first.write_bytes(steering_dump())
    second.write_bytes(steering_dump().replace(b'"version_id": 9', b'"version_id": 0'))
    out = tmp_path / "out"
    words = {"A": str(first), "B": str(second), "NAME": name, "OUT": str(out), "NEW": str(tmp_path / f"n{STEERING}")}
    words["SQL"] = "SELECT type, name, path FROM fields"
    if "OUT" in command:
        assert main(["bulk", str(first), "-o", str(out), "--format", "parquet", "--executor", "threads"]) == 0
    stdout, stderr = Terminal(), Terminal()
    environment = Environment(stdout=stdout, stderr=stderr, environ={"TERM": term})
    main([words.get(word, word) for word in command.split()], environment)
    said = stdout.text() + stderr.text()
    assert said
    assert not set(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "" if term == "xterm" else "\x1b", said)) & set(STEERING)

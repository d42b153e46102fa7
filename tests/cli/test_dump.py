"""vmdump dump."""

import gzip
import json
import re
from pathlib import Path

import pytest
from support.commands import run, run_failing


@pytest.mark.parametrize("engine", ["fast", "stdio"])
@pytest.mark.parametrize("source", ["plain", "gzip", "stdin", "gzip on stdin"])
def test_dump_file(source: str, engine: str, x86_64: bytes, dump_file: Path, tmp_path: Path) -> None:
    """A dump file is written back unchanged, from file or stdin, by both engines."""
    compressed = tmp_path / "x86_64"
    compressed.write_bytes(gzip.compress(x86_64, 1))
    result = {
        "plain": lambda: run("dump", dump_file, "--engine", engine),
        "gzip": lambda: run("dump", "--engine", engine, compressed),
        "stdin": lambda: run("dump", "-", "--engine", engine, stdin=x86_64),
        "gzip on stdin": lambda: run("dump", "-", "--engine", engine, stdin=compressed.read_bytes()),
    }[source]()
    assert (result.code, result.stderr) == (0, "")
    assert result.bytes == x86_64


def test_dump_output(x86_64: bytes, dump_file: Path, tmp_path: Path) -> None:
    """-o writes to a file, which may be the source; - is stdout."""
    target = tmp_path / "copy.json"
    assert run("dump", dump_file, "-o", target).bytes == b""
    assert target.read_bytes() == x86_64
    assert run("dump", target, "--output", target).code == 0
    assert target.read_bytes() == x86_64
    assert run("dump", target, "-o", "-").bytes == x86_64


@pytest.mark.parametrize(
    "argv",
    [
        ["-dump-vmstate", "-", "-M", "q35"],
        ["--dump-vmstate", "-", "--machine", "q35"],
        ["-M", "q35", "-dump-vmstate", "-"],
        ["-machine", "q35", "-dump-vmstate", "-"],
        ["dump", "-M", "q35"],
    ],
)
def test_qemu_spelling(argv: list[str]) -> None:
    """QEMU's own option spelling equals vmdump dump. The alias q35 is resolved, as by QEMU."""
    result = run(*argv)
    assert (result.code, result.stderr) == (0, "")
    dump = json.loads(result.bytes)
    assert dump["vmschkmachine"] == {"Name": "pc-q35-10.0"}
    assert dump["e1000"]["Description"]["name"] == "e1000"


def test_default_machine() -> None:
    """Without -M the default machine is used, as by QEMU."""
    default = re.search(r"^(\S+).*\(default\)", run("dump", "-M", "help").stdout, re.MULTILINE)
    assert default is not None
    assert json.loads(run("dump").bytes)["vmschkmachine"] == {"Name": default[1]}


@pytest.mark.parametrize("argv", [["dump"], ["devices"], ["show", "e1000"], ["-dump-vmstate", "x"]])
@pytest.mark.parametrize("word", ["help", "?"])
def test_machine_help(argv: list[str], word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """-M help lists the machine types for any command, which is not run."""
    monkeypatch.chdir(tmp_path)
    result = run(*argv, "-M", word)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith("Supported machines are:\n")
    assert "\nnone                 empty machine\n" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["dump", "-M", "q36"], "unsupported machine type 'q36'; use -M help"),
        (["dump", "{tmp}/missing.json"], "{tmp}/missing.json: No such file or directory"),
        (["dump", ""], "No such file or directory"),
        (["dump", "{tmp}"], "{tmp}: Is a directory"),
        (["dump", "{tmp}/cut.json"], "{tmp}/cut.json:"),
        (["dump", "{tmp}/cut.json", "-o", "{tmp}/new.json"], "{tmp}/cut.json:"),
        (["dump", "-"], "<stdin>:1:1: "),
        (["dump", "-o", "{tmp}/no/such.json"], "{tmp}/no/such.json: No such file or directory"),
        (["dump", "-o", "{tmp}"], "{tmp}: Is a directory"),
        (["dump", "-o", ""], "No such file or directory"),
        (["dump", "-o", "/dev/full"], "/dev/full: No space left on device"),
        (["dump", "--module", "{tmp}/missing.py"], "{tmp}/missing.py: No such file or directory"),
        (["dump", "--run", "{tmp}/missing"], "{tmp}/missing: can't be run: No such file or directory"),
        (["devices", "{tmp}/missing.json"], "{tmp}/missing.json: No such file or directory"),
        (["show", "{tmp}/missing.json", "e1000"], "{tmp}/missing.json: No such file or directory"),
        (["show", "x\ny\x1b[31m"], "description is called 'x\\ny\\x1b[31m'"),
        (["dump", "x\ny\x1b[31m"], "vmdump: x y\\x1b[31m: No such file"),
    ],
)
def test_failure(argv: list[str], expected: str, x86_64: bytes, tmp_path: Path) -> None:
    """A failure gives exit code 3, one line with the place, nothing on stdout, and no file."""
    (tmp_path / "cut.json").write_bytes(x86_64[:5000])
    assert expected.format(tmp=tmp_path) in run_failing(3, *(arg.format(tmp=tmp_path) for arg in argv))
    assert [path.name for path in tmp_path.iterdir()] == ["cut.json"]

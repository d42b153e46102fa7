"""Standard streams that are full, closed or missing; errors and their exit codes."""

import errno
import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import run, run_failing
from support.qemu import find_qemu

from vmdump.cli import dump as dump_command
from vmdump.cli import main
from vmdump.cli.environment import Environment


@pytest.fixture
def null_device(tmp_path: Path) -> Path:
    """A device file like /dev/null."""
    path = tmp_path / "null"
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.close(os.open(path, os.O_WRONLY))
    except PermissionError:
        pytest.skip("needs root, and a file system with device files")
    return path


class Refusing(io.TextIOWrapper):
    """A stream whose write fails."""

    error = errno.ENOSPC

    def write(self, text: str) -> int:
        raise OSError(self.error, "it refuses")


class ClosedPipe(Refusing):
    """A pipe without a reader."""

    error = errno.EPIPE


def test_full_stdout(dump_file: Path) -> None:
    """A failing stdout is an error, for results and for help."""
    for argv in (["devices", dump_file], ["--help"], ["modules", "--json"], ["dump", "-M", "help"]):
        assert run_failing(3, *argv, stdout=Refusing) == "vmdump: <stdout>: it refuses\n"


@pytest.mark.parametrize(
    "command",
    [
        "dump FILE -o NULL",
        "-dump-vmstate NULL",
        "check FILE FILE -o NULL",
        "check FILE FILE --format html -o NULL",
        "check FILE FILE --write-baseline NULL",
        "gate FILE FILE --config NULL -o NULL",
        "bulk FILE -o NULL",
        pytest.param("save QEMU -o NULL", marks=pytest.mark.qemu),
        pytest.param("migrate QEMU QEMU -o NULL -- -M none", marks=pytest.mark.qemu),
    ],
)
def test_device_files(command: str, null_device: Path, dump_file: Path) -> None:
    """A device file is written to, or refused as a directory; it is never replaced."""
    words = {"FILE": lambda: dump_file, "NULL": lambda: null_device, "QEMU": lambda: find_qemu("x86_64")}
    result = run(*(words[word]() if word in words else word for word in command.split()))
    assert result.code == (3 if command.startswith(("gate", "bulk")) else 0)
    assert stat.S_ISCHR(null_device.lstat().st_mode)
    assert os.listdir(null_device.parent) == ["null"]


def test_closed_pipe(dump_file: Path) -> None:
    """If the reader closes the pipe, there is no message but exit code 3."""
    result = run("devices", dump_file, stdout=ClosedPipe)
    assert (result.code, result.stderr) == (3, "")


def test_no_streams(monkeypatch: pytest.MonkeyPatch, dump_file: Path, tmp_path: Path) -> None:
    """Without stdin, stdout and stderr, commands that need none of them work."""
    errors = io.StringIO()
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main(["dump", str(dump_file), "-o", str(tmp_path / "copy.json")], Environment()) == 0
    assert main(["dump", str(dump_file)], Environment(stderr=errors)) == 3
    assert main(["--help"], Environment(stderr=errors)) == 3
    assert main(["dump", "-", "-o", str(tmp_path / "x.json")], Environment(stderr=errors)) == 3
    assert main(["dump", "--frobnicate"], Environment()) == 2
    assert errors.getvalue().splitlines() == [
        "vmdump: stdout is closed; redirect it, or use -o FILE",
        "vmdump: stdout is closed; redirect it, or use -o FILE",
        "vmdump: stdin is closed; give the source as a file",
    ]


def test_full_stderr() -> None:
    """A failing stderr does not change the exit code."""
    environment = Environment(stderr=Refusing(io.BytesIO()), stdout=io.StringIO(), environ={"VMDUMP_DEBUG": "1"})
    assert main(["dump", "/nonexistent"], environment) == 3


@pytest.mark.internal_error
@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 3, "out of memory"),
        (RecursionError("deep"), 3, "the source nests too deeply for this command; vmdump dump and show have no limit"),
        (OSError(errno.EIO, "Input/output error"), 3, "Input/output error"),
        (OSError(errno.EPERM, "Operation not permitted", "x.json"), 3, "x.json: Operation not permitted"),
        (SystemExit(0), 3, "internal error: SystemExit: 0; please report this (VMDUMP_DEBUG=1 prints a traceback)"),
        (ValueError("two\nlines"), 3, "internal error: ValueError: two lines; please report this"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 3, "internal error: BrokenPipeError"),
    ],
)
@pytest.mark.parametrize("debug", ["", "1"])
def test_errors(
    error: BaseException, code: int, expected: str, debug: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Any exception ends in one line and an exit code; VMDUMP_DEBUG adds the traceback."""

    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(dump_command, "open_source", fail)
    result = run("dump", "-o", tmp_path / "x", VMDUMP_DEBUG=debug)
    *traceback, line = result.stderr.splitlines()
    assert result.code == code
    assert line.startswith(f"vmdump: {expected}")
    assert ("Traceback (most recent call last):" in traceback) == bool(debug)
    assert bool(traceback) == bool(debug)


def test_debug() -> None:
    """VMDUMP_DEBUG shows the traceback of vmdump's own errors, too."""
    result = run("dump", "/nonexistent", VMDUMP_DEBUG="1")
    assert result.code == 3
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert result.stderr.endswith("\nvmdump: /nonexistent: No such file or directory\n")


def test_module_errors_are_not_raised(tmp_path: Path) -> None:
    """A module whose class_init raises ends the command with one line, whatever the exception."""
    (tmp_path / "m.py").write_text(
        'VMDUMP_STAMP = 1\nmodule_info = {"objs": ["m"]}\nfrom vmdump.qom import TypeInfo\n'
        "def class_init(klass, data): raise SystemExit('no\\nway')\n"
        'def vmdump_module_init(types): types.type_register(TypeInfo("m", parent="device", class_init=class_init))\n'
    )
    assert "no way" in run_failing(3, "dump", "--module", tmp_path / "m.py")


@pytest.mark.parametrize("make", [lambda: Environment(environ={}), Environment])
def test_own_streams(
    make: Callable[[], Environment], capsys: pytest.CaptureFixture[str], dump_file: Path, x86_64: bytes
) -> None:
    """Without an Environment the process's own streams are used."""
    assert main(["show", str(dump_file), "e1001"], make()) == 3
    assert main(["show", str(dump_file), "isa-serial"], make()) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("isa-serial\n")
    assert captured.err.startswith("vmdump: no device type, section or description is called 'e1001'")


@pytest.mark.parametrize(
    "argv", [["dump"], ["devices"], ["show", "my-device"], ["modules", "--load"], ["dump", "-M", "help"]]
)
def test_modules_are_finished(argv: list[str], tmp_path: Path) -> None:
    """Every command that loads modules calls their finish entry points once."""
    mark = tmp_path / "finished"
    finish = f"\ndef vmdump_module_finish():\n    with open({str(mark)!r}, 'a') as file: file.write('x')\n"
    (tmp_path / "mine.py").write_text(
        "from vmdump import TypeInfo\nfrom vmdump.vmstate import VMStateDescription\nVMDUMP_STAMP = 1\n"
        'module_info = {"objs": ["my-device"]}\ndef class_init(klass, data): klass.vmsd = VMStateDescription("d")\n'
        "def vmdump_module_init(types):\n"
        '    types.type_register(TypeInfo("my-device", parent="device", class_init=class_init))\n' + finish
    )
    assert run(*argv, "--module", str(tmp_path / "mine.py")).code == 0
    assert mark.read_text() == "x"

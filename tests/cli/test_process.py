"""The command line as a process, ``python -m vmdump``: descriptors, signals, encodings, terminals, start-up."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.qemu import find_qemu

VMDUMP = (sys.executable, "-m", "vmdump")

#: Modules that a plain ``vmdump dump FILE -o FILE`` must not import.
NOT_NEEDED = {
    "argparse", "asyncio", "cffi", "ctypes", "dataclasses", "difflib", "enum", "gettext", "hashlib",
    "importlib.metadata", "inspect", "json", "locale", "logging", "msgspec", "pathlib", "re", "rich", "shutil",
    "signal", "subprocess", "tempfile", "threading", "traceback", "typing", "vmdump.cli.devices", "vmdump.cli.parser",
    "vmdump.cli.terminal.device_tree", "vmdump.cli.terminal.styled", "vmdump.cli.terminal.table", "vmdump.devices",
    "vmdump.dump.device", "vmdump.dump.engine", "vmdump.files.file_kind", "vmdump.modules", "vmdump.modules.loader",
    "vmdump.modules.model", "vmdump.modules.table", "vmdump.qom", "vmdump.qom.machines",
    "vmdump.sources.qemu_image", "vmdump.sources.qemu_process", "vmdump.sources.registry", "vmdump.sources.session",
    "vmdump.vmstate",
}  # fmt: skip

#: A module whose device's dump has five gigabytes: a description that nests another one twice, to a depth of twenty.
HUGE = """
VMDUMP_STAMP = 1
module_info = {"objs": ["huge"]}
from vmdump.qom import TypeInfo
from vmdump.vmstate import *
vmsd = VMStateDescription("leaf", fields=[VMStateField("x", size=1)])
for level in range(20):
    vmsd = VMStateDescription("d", fields=[VMStateField("f", flags=VMStateFlags.STRUCT, vmsd=vmsd)] * 2)
def class_init(klass, data): klass.vmsd = vmsd
def vmdump_module_init(types): types.type_register(TypeInfo("huge", parent="device", class_init=class_init))
"""


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A minimal environment, with a bytecode cache shared by the processes."""
    unset = ("PYTHON", "LC_", "LANG", "QEMU_", "VMDUMP_", "NO_COLOR", "TERM", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
        "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("pycache")),
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def huge(tmp_path: Path) -> Iterator[str]:
    """HUGE as a file."""
    path = tmp_path / "huge.py"
    path.write_text(HUGE)
    yield str(path)
    path.unlink()


def run(
    environ: dict[str, str], *argv: str | bytes, redirect: str = "", **more: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command line with shell redirections, and check that it prints no traceback."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirect}', "sh", *VMDUMP, *argv], env=environ | more, input=b"",
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
    return done


# Descriptors ------------------------------------------------------------------------------------------------------


def test_done(environ: dict[str, str], dump_file: Path, x86_64: bytes, tmp_path: Path) -> None:
    """A dump goes to stdout, or to a file with nothing on stdout."""
    done = run(environ, "dump", dump_file)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == x86_64
    done = run(environ, "-dump-vmstate", str(tmp_path / "none.json"), "-M", "none")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert json.loads((tmp_path / "none.json").read_bytes())["vmschkmachine"] == {"Name": "none"}


@pytest.mark.parametrize("argv", [["dump", "FILE"], ["devices", "FILE"], ["devices", "--json", "FILE"], ["--help"]])
def test_head(argv: list[str], environ: dict[str, str], dump_file: Path) -> None:
    """If the reader closes the pipe, as head -1 does, the exit code is 3 without a message."""
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [*VMDUMP, *(dump_file if arg == "FILE" else arg for arg in argv)], env=environ, stdout=write,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.close(write)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 3


def test_broken_output(environ: dict[str, str], dump_file: Path) -> None:
    """If an output given with -o loses its reader, that is reported."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*VMDUMP, "dump", dump_file, "-o", f"/dev/fd/{write}"], env=environ, pass_fds=[write], capture_output=True
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (3, f"vmdump: /dev/fd/{write}: Broken pipe\n".encode())


def test_head_in_the_middle(environ: dict[str, str], dump_file: Path) -> None:
    """The same holds if the reader closes the pipe in the middle of the dump."""
    with subprocess.Popen(
        [*VMDUMP, "dump", dump_file], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(2) == b"{\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 3


@pytest.mark.parametrize(
    ("argv", "redirect", "code", "expected"),
    [
        (["dump", "FILE"], ">/dev/full", 3, "<stdout>: No space left on device"),
        (["devices", "FILE"], ">/dev/full", 3, "<stdout>: No space left on device"),
        (["show", "FILE", "e1000"], ">/dev/full", 3, "<stdout>: No space left on device"),
        (["--help"], ">/dev/full", 3, "<stdout>: No space left on device"),
        (["--version"], ">/dev/full", 3, "<stdout>: No space left on device"),
        (["dump", "FILE", "-o", "/dev/full"], "", 3, "/dev/full: No space left on device"),
        (["dump", "FILE", "-o", "/dev/stdout"], ">/dev/full", 3, "/dev/stdout: No space left on device"),
        (["dump", "FILE"], ">&-", 3, "stdout is closed; redirect it, or use -o FILE"),
        (["devices", "FILE"], ">&-", 3, "stdout is closed; redirect it, or use -o FILE"),
        (["--help"], ">&-", 3, "stdout is closed; redirect it, or use -o FILE"),
        (["dump", "-"], "<&-", 3, "stdin is closed; give the source as a file"),
        (["dump", "-"], "", 3, "<stdin>:1:1: at $: unexpected end of file"),
        (["dump", "FILE", "-o", "/proc/vmdump.json"], "", 3, "/proc/vmdump.json: No such file or directory"),
    ],
)
def test_failing_streams(
    argv: list[str], redirect: str, code: int, expected: str, environ: dict[str, str], dump_file: Path
) -> None:
    """Closed, full or empty streams give an exit code and one line with the place."""
    done = run(environ, *(dump_file if arg == "FILE" else arg for arg in argv), redirect=redirect)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.decode() == f"vmdump: {expected}\n"


@pytest.mark.parametrize("redirect", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_streams_not_needed(
    redirect: str, environ: dict[str, str], dump_file: Path, x86_64: bytes, tmp_path: Path
) -> None:
    """A dump from file to file works without streams, and does not write to files that get their descriptors."""
    done = run(environ, "dump", dump_file, "-o", str(tmp_path / "copy.json"), redirect=redirect)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / "copy.json").read_bytes() == x86_64


@pytest.mark.parametrize("redirect", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(("argv", "code"), [(["dump", "/nonexistent"], 3), (["frobnicate"], 2)])
def test_without_stderr(argv: list[str], code: int, redirect: str, environ: dict[str, str]) -> None:
    """Without stderr the exit code is the same."""
    assert run(environ, *argv, redirect=redirect).returncode == code


def test_unwritable_directory(environ: dict[str, str], dump_file: Path, tmp_path: Path) -> None:
    """An unwritable directory is reported with the file's name."""
    tmp_path.chmod(0o555)
    directory = "/sys" if os.geteuid() == 0 else tmp_path  # root can write nearly everywhere
    done = run(environ, "dump", dump_file, "-o", f"{directory}/copy.json")
    assert done.returncode == 3
    assert done.stderr.decode() == f"vmdump: {directory}/copy.json: Permission denied\n"


def test_file_size_limit(environ: dict[str, str], dump_file: Path, tmp_path: Path) -> None:
    """A file size limit (ulimit -f) is an error like a full disk, and leaves no file."""
    target = tmp_path / "copy.json"
    target.write_text("old")
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *VMDUMP, "dump", dump_file, "-o", target],
        env=environ | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.decode() == f"vmdump: {target}: File too large\n"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("copy.json", "old")]


# Signals ----------------------------------------------------------------------------------------------------------


def interrupt(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal and check the exit code and output."""
    process.send_signal(number)
    assert process.stderr is not None
    assert process.stderr.read() == b"vmdump: interrupted\n"
    assert process.wait(10) == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_pipe(number: int, environ: dict[str, str], dump_file: Path) -> None:
    """SIGINT, SIGTERM and SIGHUP, while writing to a slow reader, give exit code 130 and one line."""
    with subprocess.Popen(
        [*VMDUMP, "dump", dump_file], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(2) == b"{\n"  # the pipe is full now: the command waits
        interrupt(process, number)


@pytest.mark.parametrize("engine", ["fast", "stdio"])
def test_interrupted_file(engine: str, environ: dict[str, str], huge: str, tmp_path: Path) -> None:
    """SIGINT during a long dump leaves the old file and no temporary one."""
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "dump.json"
    target.write_text("old")
    command = [*VMDUMP, "dump", "--module", huge, "--engine", engine, "-o", target]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE) as process:
        for _ in range(1000):
            if any(path.stat().st_size for path in target.parent.iterdir() if path != target):
                break
            time.sleep(0.01)
        interrupt(process, signal.SIGINT)
    assert [(path.name, path.read_text()) for path in target.parent.iterdir()] == [("dump.json", "old")]


def test_interrupted_stdin(environ: dict[str, str]) -> None:
    """SIGINT while waiting for stdin ends the command."""
    with subprocess.Popen(
        [*VMDUMP, "dump", "-"], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"{")
        process.stdin.flush()
        while fcntl.ioctl(process.stdin, termios.FIONREAD, b"\0\0\0\0") != b"\0\0\0\0":
            time.sleep(0.01)  # until it has been read
        time.sleep(0.05)
        interrupt(process, signal.SIGINT)


def test_hangup_ignored(environ: dict[str, str], dump_file: Path) -> None:
    """Under nohup a command continues after SIGHUP."""
    with subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *VMDUMP, "dump", dump_file], env=environ,
        stdout=subprocess.PIPE, bufsize=0,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.read(2) == b"{\n"
        process.send_signal(signal.SIGHUP)
        while process.stdout.read(1 << 20):
            pass
    assert process.returncode == 0


# Names, encodings, terminals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", [{"LC_ALL": "C.UTF-8"}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_file_names(locale: dict[str, str], environ: dict[str, str], x86_64: bytes, tmp_path: Path) -> None:
    """File names may be any bytes, for input and output, and are escaped in errors."""
    source, target = os.path.join(os.fsencode(tmp_path), b"caf\xe9"), os.path.join(os.fsencode(tmp_path), b"\xff\n")
    Path(os.fsdecode(source)).write_bytes(x86_64)
    assert run(environ, b"dump", source, b"-o", target, **locale).returncode == 0
    assert Path(os.fsdecode(target)).read_bytes() == x86_64
    done = run(environ, b"dump", source + b"\x1b", **locale)
    assert done.stderr.endswith(rb"caf\xe9\x1b: No such file or directory" + b"\n")


@pytest.mark.parametrize(
    ("locale", "branch"),
    [
        ({"LC_ALL": "C.UTF-8"}, "├─ ".encode()),
        ({"LC_ALL": "C"}, "├─ ".encode()),  # Python uses UTF-8 instead (PEP 538)
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, b"|- "),
        ({"PYTHONIOENCODING": "ascii"}, b"|- "),
        ({"PYTHONIOENCODING": "latin-1:strict"}, b"|- "),
        ({"PYTHONIOENCODING": "cp437"}, "├─ ".encode("cp437")),
    ],
)
def test_encodings(locale: dict[str, str], branch: bytes, environ: dict[str, str], dump_file: Path) -> None:
    """The tree's branches fit the encoding."""
    done = run(environ, "show", dump_file, "e1000", **locale)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines()[4].startswith(branch + b"parent_obj ")


def run_in_terminal(environ: dict[str, str], *argv: str, columns: int = 80) -> str:
    """Return a command line's output on a terminal."""
    terminal, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = b""
    with subprocess.Popen([*VMDUMP, *argv], env=environ, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        while True:
            try:
                shown += os.read(terminal, 1 << 16)
            except OSError:  # EIO: the other side is closed
                break
    os.close(terminal)
    assert process.returncode == 0
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("argv", [["show", "FILE", "e1000"], ["devices", "FILE"]])
@pytest.mark.parametrize("columns", [20, 200])
def test_terminal(argv: list[str], columns: int, environ: dict[str, str], dump_file: Path) -> None:
    """A terminal gets colours at any width, and otherwise the text that a pipe gets; NO_COLOR turns colours off."""
    argv = [dump_file if arg == "FILE" else arg for arg in argv]
    plain = run(environ, *argv).stdout.decode()
    drawn = run_in_terminal(environ | {"TERM": "xterm-256color"}, *argv, columns=columns)
    assert "\x1b[1m" in drawn
    assert re.sub(r"\x1b\[[0-9;]*m", "", drawn) == plain
    assert not re.search(r"\x1b\[\d+m *\x1b\[0m$", drawn, re.MULTILINE)  # spaces are not coloured
    assert run_in_terminal(environ | {"TERM": "dumb"}, *argv, columns=columns) == plain
    assert run_in_terminal(environ | {"TERM": "xterm", "NO_COLOR": "1"}, *argv, columns=columns) == plain


# Start-up ---------------------------------------------------------------------------------------------------------


def test_imports(environ: dict[str, str], dump_file: Path, tmp_path: Path) -> None:
    """A dump from file to file imports no module beyond those needed."""
    probe = "import sys; from vmdump.cli import main; code = main(sys.argv[1:]); print(*sys.modules); sys.exit(code)"
    argv = ["dump", dump_file, "-o", str(tmp_path / "copy.json")]
    done = subprocess.run([sys.executable, "-c", probe, *argv], env=environ, capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "vmdump.dump.tree" in imported
    assert imported & NOT_NEEDED == set()


@pytest.mark.parametrize("argv", [["check", "FILE", "FILE"], ["lint", "FILE"]])
def test_imports_of_dump_files(argv: list[str], environ: dict[str, str], dump_file: Path) -> None:
    """A check or lint of dump files imports nothing of the emulator."""
    probe = "import sys; from vmdump.cli import main; code = main(sys.argv[1:]); print(*sys.modules); sys.exit(code)"
    argv = [str(dump_file) if arg == "FILE" else arg for arg in argv]
    done = subprocess.run([sys.executable, "-c", probe, *argv], env=environ, capture_output=True, text=True, check=True)
    imported = set(done.stdout.splitlines()[-1].split())
    assert "vmdump.check" in imported
    assert {name for name in imported if name.startswith(("vmdump.emulator", "vmdump.machines"))} == set()


@pytest.mark.qemu
def test_imports_from_the_cache(environ: dict[str, str], tmp_path: Path) -> None:
    """A dump of a cached image imports no module that reads images, and hashes nothing."""
    probe = (
        "import sys; from vmdump.files import fingerprint; fingerprint.GRANULARITY = 0; from vmdump.cli import main; "
        "code = main(sys.argv[1:]); print(*sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-c", probe, "dump", find_qemu("x86_64"), "-o", str(tmp_path / "x.json")]
    more = environ | {"XDG_CACHE_HOME": str(tmp_path)}
    imported = [
        set(subprocess.run(command, env=more, capture_output=True, text=True, check=True).stdout.split())
        for _ in range(2)
    ]
    assert "vmdump.sources.qemu_image.image" in imported[0]
    assert imported[1] & (NOT_NEEDED - {"vmdump.files.file_kind"}) == set()
    assert {name for name in imported[1] if name.startswith("vmdump.emulator.")} == {"vmdump.emulator.machine_types"}


def test_end(environ: dict[str, str], dump_file: Path, tmp_path: Path) -> None:
    """A process without foreign code exits at once; otherwise exit handlers run."""
    mark = "import atexit; atexit.register(lambda: print('the end', flush=True)); "
    (tmp_path / "mine.py").write_text("VMDUMP_STAMP = 1\nmodule_info = {'objs': ['mine']}\n" + mark)
    probe = mark.replace("the end", "nothing") + "from vmdump.__main__ import main; main()"
    command = [sys.executable, "-c", probe, "dump", dump_file, "-o", tmp_path / "x.json"]
    done = subprocess.run(command, env=environ, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    done = run(environ, "dump", "--module", str(tmp_path / "mine.py"), "-o", str(tmp_path / "x.json"))
    assert done.stdout == b"the end\n"


def test_debug(environ: dict[str, str]) -> None:
    """VMDUMP_DEBUG shows the traceback and changes nothing else."""
    done = subprocess.run([*VMDUMP, "dump", "/nonexistent"], env=environ | {"VMDUMP_DEBUG": "1"}, capture_output=True)
    assert done.returncode == 3
    assert done.stderr.startswith(b"Traceback (most recent call last):\n")
    assert done.stderr.endswith(b"\nvmdump: /nonexistent: No such file or directory\n")

"""QEMU binaries that are run: real ones give their own dumps; scripts simulate failing ones."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.dumps import read_real_dump
from support.qemu import find_qemu

import vmdump
from vmdump.cli import main
from vmdump.errors import SourceError
from vmdump.sources import qemu_process
from vmdump.sources.qemu_process import list_machines, run_qemu

MakeQemu = Callable[[str], str]


@pytest.fixture
def make_qemu(tmp_path: Path) -> MakeQemu:
    """A function that writes a shell script to stand in for a QEMU. $DUMP in it is a real dump."""
    (tmp_path / "dump.json").write_bytes(read_real_dump("10.0.13", "avr"))

    def make(script: str) -> str:
        path = tmp_path / "qemu-system-fake"
        # Do not preload vmdump's sanitizer into the shell.
        path.write_text(f"#!/usr/bin/env -S -u LD_PRELOAD sh\nDUMP={tmp_path}/dump.json\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, ten seconds at most."""
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it does not happen")


def written(path: Path) -> bool:
    """Whether a script has written a whole line to a file."""
    return path.exists() and path.read_text().endswith("\n")


# Real QEMUs -------------------------------------------------------------------------------------------------------


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("target", "machine"),
    [
        ("x86_64", "pc"),
        ("x86_64", "q35"),
        ("x86_64", "microvm"),
        ("x86_64", "isapc"),
        ("x86_64", "none"),
        ("x86_64", "q35,smm=off"),
        ("aarch64", "virt"),
        ("aarch64", "raspi3b"),
        ("aarch64", "sbsa-ref"),
        ("aarch64", "none"),
    ],
)
def test_same_as_qemu(target: str, machine: str, tmp_path: Path) -> None:
    """vmdump dump --run writes what the QEMU writes to a file, byte for byte."""
    qemu = find_qemu(target)
    subprocess.run(
        [qemu, "-M", machine, "-display", "none", "-dump-vmstate", tmp_path / "qemu.json"],
        check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
    )  # fmt: skip
    assert main(["dump", "--run", qemu, "-M", machine, "-o", str(tmp_path / "ours.json")]) == 0
    assert (tmp_path / "ours.json").read_bytes() == (tmp_path / "qemu.json").read_bytes()


@pytest.mark.qemu
@pytest.mark.parametrize("target", ["x86_64", "aarch64"])
def test_default_machine(target: str) -> None:
    """Without -M the default machine is used, or none for a QEMU without one; the QEMU is looked up in PATH."""
    qemu = find_qemu(target)
    machines = subprocess.run([qemu, "-M", "help"], capture_output=True, text=True, check=True).stdout
    default = [line.split()[0] for line in machines.splitlines() if line.endswith("(default)")] or ["none"]
    dump = vmdump.open(f"qemu-system-{target}", run=True)
    assert [dump.machine] == default
    version = subprocess.run([qemu, "-version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    assert dump.producer == vmdump.Producer(kind="qemu", path=qemu, version=version)


@pytest.mark.qemu
def test_machine_help(capsys: pytest.CaptureFixture[str]) -> None:
    """-M help prints QEMU's answer."""
    qemu = find_qemu("x86_64")
    assert main(["dump", "--run", qemu, "-M", "help"]) == 0
    assert capsys.readouterr().out == subprocess.run([qemu, "-M", "help"], capture_output=True, text=True).stdout


@pytest.mark.qemu
def test_unknown_machine() -> None:
    """An unknown machine gives QEMU's own error."""
    qemu = find_qemu("aarch64")
    with pytest.raises(SourceError) as caught:
        run_qemu(qemu, machine="q35")
    assert str(caught.value).startswith(f"{qemu}: exit code 1. stderr: ")
    assert "unsupported machine type" in str(caught.value)


# Command line and environment -------------------------------------------------------------------------------------


def test_options(make_qemu: MakeQemu, tmp_path: Path) -> None:
    """QEMU is run without devices, configuration and display, with empty stdin, in a session of its own."""
    qemu = make_qemu(f"""
        [ "$1" = -version ] && exit 0
        echo "$@" > {tmp_path}/options
        read line && exit 9
        [ "$(cut -d " " -f 6 /proc/$$/stat)" = $$ ] || exit 8
        cat $DUMP""")
    dump = run_qemu(qemu, machine="virt,gic-version=3")
    assert dump.to_bytes() == read_real_dump("10.0.13", "avr")
    assert (tmp_path / "options").read_text().split() == [
        "-M", "virt,gic-version=3", "-nodefaults", "-no-user-config", "-display", "none",
        "-dump-vmstate", "/dev/stdout",
    ]  # fmt: skip


def test_module_dir(make_qemu: MakeQemu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--module-dir is passed as QEMU_MODULE_DIR, absolute; QEMU accepts one."""
    monkeypatch.setenv("QEMU_MODULE_DIR", "/elsewhere")
    monkeypatch.chdir(tmp_path)
    qemu = make_qemu(f'echo "$QEMU_MODULE_DIR" >> {tmp_path}/dirs; cat $DUMP')
    run_qemu(qemu, module_dirs=("mine",))
    run_qemu(qemu)
    assert (tmp_path / "dirs").read_text().split() == [f"{tmp_path}/mine"] * 2 + ["/elsewhere"] * 2
    with pytest.raises(SourceError, match="accepts one module directory, not 2"):
        run_qemu(qemu, module_dirs=("a", "b"))


def test_warnings(make_qemu: MakeQemu, capsys: pytest.CaptureFixture[str]) -> None:
    """stderr of a successful QEMU is passed on line by line, with control characters escaped."""
    qemu = make_qemu(r"printf 'qemu: warning: old\nfailed to open module: \033[31m\377\n' >&2; cat $DUMP")
    assert main(["devices", "--run", qemu]) == 0
    captured = capsys.readouterr()
    assert captured.err == "vmdump: qemu: warning: old\nvmdump: failed to open module: \\x1b[31m\\xff\n"
    assert captured.out.startswith("TYPE ")


def test_no_default_machine(make_qemu: MakeQemu) -> None:
    """A QEMU without a default machine is run again with none; other errors, even if they mention
    it, are not retried.
    """
    qemu = make_qemu("""
        [ "$1" = -M ] && exec cat $DUMP
        echo "qemu: No machine specified, and there is no default" >&2; exit 1""")
    assert run_qemu(qemu).machine == "none"
    assert run_qemu(make_qemu('echo No machine specified >&2; [ "$1" = -M ] && exit 1; cat $DUMP')).machine == "none"
    with pytest.raises(SourceError, match=r"exit code 1\. stderr: no memory"):
        run_qemu(make_qemu('[ "$1" = -M ] && exec cat $DUMP; echo no memory >&2; exit 1'))


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo QEMU emulator version 8.2.2; echo Copyright", "QEMU emulator version 8.2.2"),
        ("exit 0", None),
        ("echo no; exit 1", None),
        ("kill -SEGV $$", None),
        ("exec sleep 60", None),
    ],
)
def test_version(script: str, version: str | None, make_qemu: MakeQemu) -> None:
    """QEMU's version line is kept; a QEMU without one is dumped all the same."""
    qemu = make_qemu(f'if [ "$1" = -version ]; then {script}; exit; fi; cat $DUMP')
    assert run_qemu(qemu, timeout=1).producer.version == version


# Failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'no KVM' >&2; echo >&2; echo 'no TCG' >&2; exit 3", "exit code 3. stderr: no KVM | no TCG"),
        ("exit 1", "exit code 1. stderr is empty"),
        ("head -c 3000 $DUMP; kill -SEGV $$", "crashed with SIGSEGV (Segmentation fault). stderr is empty"),
        ("echo Assertion >&2; kill -ABRT $$", "crashed with SIGABRT (Aborted). stderr: Assertion"),
        ("kill -40 $$", "ended by signal 40. stderr is empty"),
        ("exit 0", "did not write a dump; it may not be a QEMU system emulator. stderr is empty"),
        ("echo usage; echo what? >&2", "did not write a dump; it may not be a QEMU system emulator. stderr: what?"),
        ("head -c 3000 $DUMP", " -dump-vmstate:"),
        ("sed s/version_id/version/ $DUMP", " -dump-vmstate:7:"),
        ("cat $DUMP; echo bye", " -dump-vmstate:"),
    ],
)
def test_failing_qemu(script: str, expected: str, make_qemu: MakeQemu) -> None:
    """A QEMU that fails, crashes, or writes something else is an error with its exit status and output."""
    qemu = make_qemu(script)
    with pytest.raises(SourceError) as caught:
        run_qemu(qemu)
    assert str(caught.value).startswith(qemu)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("script", ["exit 1", "kill -SEGV $$", "exec sleep 60"])
def test_failing_machine_help(script: str, make_qemu: MakeQemu) -> None:
    """So does -M help."""
    with pytest.raises(SourceError, match=r"exit code 1|SIGSEGV|did not finish within"):
        list_machines(make_qemu(script), timeout=0.2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("missing", "can't be run: No such file or directory"),
        ("missing/qemu", "can't be run: No such file or directory"),
        (".", "can't be run: Permission denied; to read a dump file, omit --run"),
        ("dump.json", "can't be run: Permission denied; to read a dump file, omit --run"),
        ("foreign", "can't be run: Exec format error"),
        ("nul\0", "can't be run: embedded null byte"),
    ],
)
def test_no_qemu(name: str, expected: str, make_qemu: MakeQemu, tmp_path: Path) -> None:
    """Files that cannot be run are errors."""
    make_qemu("")
    (tmp_path / "foreign").write_bytes(b"\x7fELF" + bytes(60))
    (tmp_path / "foreign").chmod(0o755)
    with pytest.raises(SourceError) as caught:
        run_qemu(tmp_path / name)
    assert str(caught.value) == f"{os.path.abspath(tmp_path / name)}: {expected}"


@pytest.mark.parametrize(
    "script",
    [
        "exec sleep 60",
        "sleep 60 & echo $! > PID; wait",  # a child that outlives the shell unless it is killed too
        "exec >&- 2>&-; sleep 60 & echo $! > PID; wait",  # closes its output, but does not end
        "trap '' TERM INT HUP; while :; do :; done",
        "exec yes >&2",
        "cat $DUMP; exec sleep 60",
    ],
)
@pytest.mark.slow
def test_timeout(script: str, make_qemu: MakeQemu, tmp_path: Path) -> None:
    """A QEMU that exceeds the time limit is killed with all of its children."""
    pid = tmp_path / "pid"
    qemu = make_qemu(f"echo $$ > {pid}; {script.replace('PID', str(tmp_path / 'helper'))}")
    with pytest.raises(SourceError, match=r": did not finish within 0.4 seconds, killed; allow more with --timeout$"):
        run_qemu(qemu, timeout=0.4)
    assert written(pid)
    for file in (pid, tmp_path / "helper"):
        if file.exists():
            wait_until(lambda file=file: not is_running(int(file.read_text())))  # type: ignore[misc]


def test_long_timeout(make_qemu: MakeQemu) -> None:
    """A time limit beyond the system's maximum means none."""
    assert len(run_qemu(make_qemu("cat $DUMP"), timeout=1e30)) == len(json.loads(read_real_dump("10.0.13", "avr"))) - 1


def test_huge_stderr(make_qemu: MakeQemu) -> None:
    """Of ten megabytes of error output the end is printed."""
    qemu = make_qemu("yes complaint | head -c 10000000 >&2; echo the end >&2; exit 1")
    with pytest.raises(SourceError) as caught:
        run_qemu(qemu)
    assert str(caught.value).endswith("the end")
    assert len(str(caught.value)) < 700
    lines: list[str] = []
    run_qemu(make_qemu("cat $DUMP; yes complaint | head -c 10000000 >&2"), report=lines.append)
    assert 1000 < len(lines) < 2000


def test_huge_dump(make_qemu: MakeQemu, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless dump is refused."""
    monkeypatch.setattr(qemu_process, "_MAX_DUMP", 1 << 20)
    with pytest.raises(SourceError, match=r": wrote more than 1 MiB, killed; it may not be a QEMU system emulator$"):
        run_qemu(make_qemu("exec yes '{'"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(number: int, make_qemu: MakeQemu, tmp_path: Path) -> None:
    """SIGINT while QEMU runs gives exit code 130 and one line, and leaves no QEMU and no file."""
    pid, temporary = tmp_path / "pid", tmp_path / "tmp"
    temporary.mkdir()
    qemu = make_qemu(f"sleep 60 & echo $! $$ > {pid}; wait")
    with subprocess.Popen(
        [sys.executable, "-m", "vmdump", "dump", "--run", qemu, "-o", temporary / "x"], stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary)},
    ) as process:  # fmt: skip
        wait_until(lambda: written(pid))
        process.send_signal(number)
        assert process.stderr is not None
        assert process.stderr.read() == b"vmdump: interrupted\n"
    assert process.returncode == 130
    wait_until(lambda: not any(is_running(int(each)) for each in pid.read_text().split()))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("in_thread", [False, True])
def test_interrupted_start(in_thread: bool, make_qemu: MakeQemu, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGINT between the start of QEMU and its registration leaves no process; a thread is unaffected."""
    pids = []

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            pids.append(self.pid)
            if not in_thread:
                signal.raise_signal(signal.SIGINT)

    handlers = [signal.getsignal(number) for number in range(1, 30)]
    monkeypatch.setattr(subprocess, "Popen", Popen)
    run = functools.partial(run_qemu, make_qemu("exec sleep 60"), timeout=0.2)
    with pytest.raises(SourceError if in_thread else KeyboardInterrupt), ThreadPoolExecutor(1) as pool:
        if in_thread:
            pool.submit(run).result()
        else:
            run()
    assert len(pids) == 1
    assert not is_running(pids[0])
    assert [signal.getsignal(number) for number in range(1, 30)] == handlers


def test_descriptors(make_qemu: MakeQemu) -> None:
    """No run leaves a descriptor open."""
    before = os.listdir("/proc/self/fd")
    run_qemu(make_qemu("cat $DUMP"))
    for script in ("exit 1", "exec sleep 60"):
        with pytest.raises(SourceError):
            run_qemu(make_qemu(script), timeout=0.2)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("redirect", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(redirect: str, make_qemu: MakeQemu, tmp_path: Path) -> None:
    """A process without streams can run a QEMU, whose pipes get their descriptors."""
    qemu = make_qemu("cat $DUMP")
    subprocess.run(
        ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-m", "vmdump", "dump", "--run", qemu, "-o",
         tmp_path / "x"], check=True,
    )  # fmt: skip
    assert (tmp_path / "x").read_bytes() == read_real_dump("10.0.13", "avr")

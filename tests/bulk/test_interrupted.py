"""vmdump bulk: signals, kills, a full disk, two runs at once; the next run completes the output."""

import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import packages
from support.bulk import VMDUMP, bulk, children, entries, tree
from support.dumps import read_real_dump
from support.paths import DATA

from vmdump.bulk.manifest import Manifest
from vmdump.bulk.run import run
from vmdump.bulk.tally import Tally
from vmdump.bulk.workers import make_workers


def is_alive(pid: int) -> bool:
    """Whether a process runs; zombies do not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(processes: list[int]) -> None:
    """Wait until the processes have ended."""
    deadline = time.monotonic() + 30
    while any(map(is_alive, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Enough dumps for a run of some seconds."""
    directory = tmp_path / "many"
    for number in range(12):
        (directory / str(number)).mkdir(parents=True)
        for target in ("aarch64", "x86_64", "ppc64"):
            shutil.copy(DATA / "dumps" / "qemu-7.2.22" / f"{target}.json.xz", directory / str(number))
    return directory


@pytest.fixture
def started(many: Path, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A run on these dumps in a child process that has already written output."""
    command = [*VMDUMP, "bulk", str(many), "-o", str(tmp_path / "out"), "--jobs", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        while len(list((tmp_path / "out").glob("*/*/none.json"))) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        yield process
        if process.poll() is None:
            process.kill()


def test_hangup_ignored(many: Path, tmp_path: Path) -> None:
    """Under nohup, workers also continue after SIGHUP to the process group."""
    out = tmp_path / "out"
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *VMDUMP, "bulk", many, "-o", out, "--jobs", "2"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        while len(list(out.glob("*/*/none.json"))) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        workers = [pid for pid in children(process.pid) if not children(pid)]
        status = [Path(f"/proc/{pid}/status").read_text() for pid in workers]
        ignored = [int(re.findall(r"^SigIgn:\s*(\w+)", each, re.MULTILINE)[0], 16) for each in status]
        assert len(ignored) >= 2
        assert all(mask & 1 << signal.SIGHUP - 1 for mask in ignored)
        os.killpg(process.pid, signal.SIGHUP)
        assert process.wait(60) == 0
    assert len(entries(out)) == 36


def check_complete(many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that a further run completes the output."""
    capsys.readouterr()
    assert bulk(many, "-o", tmp_path / "out") == 0
    bulk(many, "-o", tmp_path / "whole")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_killed(
    started: "subprocess.Popen[bytes]", many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After SIGKILL no worker survives, and the next run completes the output without leftovers."""
    workers = children(started.pid)
    assert len(workers) >= 2
    (tmp_path / "out" / ".none.json.1-0123456789abcdef.tmp").write_text("half")  # as if killed while writing a file
    (tmp_path / "out" / ".vmdump-unpack-abc" / "usr").mkdir(parents=True)
    started.kill()
    started.wait()
    wait_for_end(workers)
    check_complete(many, tmp_path, capsys)


def test_interrupted(
    started: "subprocess.Popen[bytes]", many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGINT keeps finished outputs, prints how to continue, and ends all processes."""
    workers = children(started.pid)
    started.send_signal(signal.SIGINT)
    assert started.stderr is not None
    errors = started.stderr.read().decode().splitlines()
    assert started.wait(30) == 130
    assert errors[-2].endswith(f" of 36 are in {tmp_path}/out; run the same command again to continue")
    assert errors[-1] == "vmdump: interrupted"
    wait_for_end(workers)
    finished = len([entry for entry in entries(tmp_path / "out") if entry["error"] is None])
    assert errors[-2].startswith(f"vmdump: {finished} of 36 ")
    assert 3 <= finished < 36
    check_complete(many, tmp_path, capsys)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", ["put", "write"])
def test_interrupted_count_agrees_with_the_manifest(
    place: str, when: str, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever SIGINT arrives, the printed count and the manifest agree."""
    do, calls = getattr(Manifest, place), 0

    def interrupted(self: Manifest, *args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3 and when == "before":
            signal.raise_signal(signal.SIGINT)
        do(self, *args)
        if calls == 3 and when == "after":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Manifest, place, interrupted)
    monkeypatch.setattr("vmdump.bulk.run._MANIFEST_INTERVAL", 0.0)
    tally = Tally()
    with pytest.raises(KeyboardInterrupt):
        run([str(sources)], str(tmp_path / "out"), make_workers("threads", 2), tally=tally)
    monkeypatch.undo()
    assert tally.finished == len(entries(tmp_path / "out")) >= 2


@pytest.mark.slow
def test_interrupted_at_any_time(tmp_path: Path) -> None:
    """SIGINT to the process group ends a run without output from workers, also during their start."""
    (tmp_path / "avr.json").write_bytes(read_real_dump("7.2.22", "avr"))
    command = [*VMDUMP, "bulk", tmp_path / "avr.json", "-o", tmp_path / "out", "--jobs", "2"]
    codes = set()
    for delay in range(8, 40, 6):
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            while len(children(process.pid)) < 1 and process.poll() is None:  # it has begun to start processes
                time.sleep(0.001)
            time.sleep(delay / 1000)
            os.killpg(process.pid, signal.SIGINT)
            errors = process.communicate(timeout=30)[1]
        codes.add(process.returncode)
        assert all(line.startswith("vmdump: ") for line in errors.splitlines()), errors
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert 130 in codes
    assert codes <= {0, 130}


def test_missing_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Outputs of a missing source are kept; when it is back, nothing has to be read."""
    path, out = tmp_path / "avr.json", tmp_path / "out"
    path.write_bytes(read_real_dump("7.2.22", "avr"))
    assert bulk(path, "-o", out) == 0
    before = tree(out)
    path.rename(tmp_path / "away")
    assert bulk(path, "-o", out) == 3
    assert capsys.readouterr().err.splitlines()[-1] == f"vmdump: {path}: No such file or directory"
    assert tree(out) == before
    (tmp_path / "away").rename(path)
    capsys.readouterr()
    assert bulk(path, "-o", out) == 0
    assert capsys.readouterr().out == f"{out}: 0 read, 1 unchanged\n"


def test_errors_name_the_source_as_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors name a relative path once, as given."""
    monkeypatch.chdir(tmp_path)
    Path("avr.json").write_bytes(read_real_dump("7.2.22", "avr")[:-100])
    assert bulk("avr.json", "-o", "out") == 3
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("vmdump: avr.json:")
    assert error.count("avr.json") == 1


def test_worker_killed(started: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    """If a worker is killed, its source is read again."""
    leaves = [pid for pid in children(started.pid) if not children(pid)]
    workers = [pid for pid in leaves if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(workers[0], signal.SIGKILL)
    assert started.wait(60) == 0
    assert len(entries(tmp_path / "out")) == 36


def test_full_disk(tmp_path: Path) -> None:
    """A full disk is reported, finished outputs are kept, and a later run completes."""
    sources = tmp_path / "sources" / "7.2.22"
    sources.mkdir(parents=True)
    for target in ("avr", "m68k", "x86_64", "xtensa"):
        (sources / f"{target}.json").write_bytes(read_real_dump("7.2.22", target))
    out = tmp_path / "out"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (512 << 10, 512 << 10))

    command = [*VMDUMP, "bulk", str(sources), "-o", str(out), "--jobs", "1"]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    *_, kept, error = done.stderr.splitlines()
    assert kept == f"vmdump: 2 of 4 are in {out}; run the same command again to continue"
    assert error == f"vmdump: {out}/7.2.22/x86_64/none.json: File too large"
    assert {path: content for path, content in tree(out).items() if path != "manifest.json"} == {
        f"7.2.22/{target}/none.json": read_real_dump("7.2.22", target) for target in ("avr", "m68k")
    }
    assert len(entries(out)) == 2
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == f"{out}: 2 read, 2 unchanged\n"
    assert len(list(out.rglob("none.json"))) == 4


def test_no_room_to_unpack(tmp_path: Path) -> None:
    """A full disk while unpacking is reported, and leaves no extracted files."""
    content = packages.QEMU + os.urandom(1 << 20)
    (tmp_path / "a.tar").write_bytes(packages.tar([packages.File("usr/bin/qemu-system-avr", content)]))
    out = tmp_path / "out"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (512 << 10, 512 << 10))

    command = [*VMDUMP, "bulk", str(tmp_path / "a.tar"), "-o", str(out)]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].endswith(": File too large")
    assert os.listdir(out) == ["manifest.json"]


def test_two_at_once(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs cannot write to one output directory at the same time."""
    from vmdump.bulk.manifest import locked

    with locked(str(tmp_path / "out")):
        assert bulk(sources, "-o", tmp_path / "out") == 3
    assert f"{tmp_path}/out: another vmdump bulk is writing here" in capsys.readouterr().err


def test_output_is_a_file(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An output directory that is a file is an error."""
    (tmp_path / "out").write_text("mine")
    assert bulk(sources, "-o", tmp_path / "out") == 3
    assert capsys.readouterr().err == f"vmdump: {tmp_path}/out: Not a directory\n"
    assert (tmp_path / "out").read_text() == "mine"

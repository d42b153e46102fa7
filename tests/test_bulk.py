"""vmdump bulk over dumps and hostile binaries: what it writes, what a second run does, and what ends it."""

import gzip
import io
import json
import lzma
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import packages
import pytest
import zstandard
from conftest import DATA, read_real_dump
from elf_builder import DATA as AT
from elf_builder import DT_INIT_ARRAY, elf_object

import vmdump
from vmdump.bulk.manifest import Manifest
from vmdump.bulk.query.database import producers
from vmdump.bulk.run import Options, Tally, run
from vmdump.bulk.workers import Workers, make_workers
from vmdump.cli import main
from vmdump.cli.environment import Environment
from vmdump.errors import VmdumpError

VMDUMP = (sys.executable, "-m", "vmdump")

#: Targets whose dumps are small.
TARGETS = ("avr", "m68k", "rx", "s390x", "sparc", "tricore")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A directory of dumps of two versions, some packed, among files that are none."""
    directory = tmp_path / "sources"
    for version in ("7.2.22", "10.0.13"):
        folder = directory / f"qemu-{version}"
        folder.mkdir(parents=True)
        for target in TARGETS:
            shutil.copy(DATA / "dumps" / f"qemu-{version}" / f"{target}.json.xz", folder / f"{target}.json.xz")
    (directory / "notes.txt").write_text("vmschkmachine")
    (directory / "other.json").write_text('{"a": 1}')
    (directory / "nothing").touch()
    return directory


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """What looks like a QEMU, and whose constructor never ends."""
    path = tmp_path / "qemu-system-endless"
    path.write_bytes(
        elf_object(
            data=b"\xeb\xfe".ljust(32, b"\0") + b"\0" * 32,  # jmp .
            symbols=[(b"register_module_init", 1, AT + 32)],
            rela=[(AT + 48, 8, 0, AT)],
            init_array=[0],
            dynamic={DT_INIT_ARRAY: AT + 48},
        )
        + b"vmschkmachine"
    )
    return path


def tree(directory: Path) -> dict[str, bytes]:
    """All files of a folder; of the manifest what does not depend on time."""
    files = {}
    for at, _, names in os.walk(directory):
        for name in names:
            path = Path(at, name)
            content = path.read_bytes()
            if name == "manifest.json":
                entries = json.loads(content)["entries"]
                content = json.dumps([{**entry, "seconds": 0, "files": []} for entry in entries]).encode()
            files[os.path.relpath(path, directory)] = content
    return files


def bulk(*args: object, executor: str = "threads") -> int:
    """The command, in this process, by default with threads: they start at once."""
    return main(["bulk", *map(str, args), "--executor", executor])


def entries(directory: Path) -> list[dict[str, Any]]:
    """The manifest's."""
    found: list[dict[str, Any]] = json.loads((directory / "manifest.json").read_text())["entries"]
    return found


# What it writes ---------------------------------------------------------------------------------------------------


def test_directory_of_dumps(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every dump, found by content, byte for byte, by version and target; and the manifest, which says so."""
    out = tmp_path / "out"
    assert bulk(sources, "-o", out) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out}: 12 read, 0 unchanged\n"
    assert captured.err.count("\n") == 12
    assert f"vmdump: [1/12] {sources}/qemu-10.0.13/avr.json.xz: 1 machine, " in captured.err
    for version in ("7.2.22", "10.0.13"):
        for target in TARGETS:
            assert (out / version / target / "none.json").read_bytes() == read_real_dump(version, target)
    assert sum(len(names) for _, _, names in os.walk(out)) == 13
    entry = next(each for each in entries(out) if each["source"].endswith("7.2.22/m68k.json.xz"))
    assert entry["targets"] == ["m68k"]
    assert entry["machines"] == ["none"]
    assert entry["outputs"] == ["7.2.22/m68k/none.json"]
    assert entry["producer"]["label"] == "7.2.22"
    assert entry["error"] is None
    packed = (sources / "qemu-7.2.22" / "m68k.json.xz").read_bytes()
    import hashlib

    assert entry["digest"] == hashlib.sha256(packed).hexdigest()


@pytest.mark.parametrize(("format", "suffix"), [("json.zst", ".json.zst"), ("extended", ".json"), ("json", ".json")])
def test_formats(format: str, suffix: str, tmp_path: Path) -> None:
    """Each form holds the dump of vmdump dump, compressed or not."""
    source = tmp_path / "sparc.json"
    source.write_bytes(read_real_dump("10.0.13", "sparc"))
    assert bulk(source, "-o", tmp_path / "out", "--format", format) == 0
    (path,) = [each for each in (tmp_path / "out").rglob("*") if each.name == f"none{suffix}"]
    content = path.read_bytes()
    if suffix.endswith(".zst"):
        content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content), read_across_frames=True).read()
    assert content == vmdump.open(source).to_bytes(extended=format == "extended")
    assert vmdump.open(path).to_bytes() == source.read_bytes()


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_any_number_of_jobs(executor: str, sources: Path, tmp_path: Path) -> None:
    """The folder does not depend on the executor, nor on the number of workers."""
    (sources / "qemu-7.2.22" / "broken.json").write_text('{\n  "vmschkmachine": {')
    assert bulk(sources, "-o", tmp_path / "one", "--jobs", 1) == 3
    assert bulk(sources, "-o", tmp_path / "four", "--jobs", 4, executor=executor) == 3
    assert tree(tmp_path / "one") == tree(tmp_path / "four")


def test_store(sources: Path, tmp_path: Path) -> None:
    """The producers of a target, by version, with dumps to open: what a matrix of checks is made of."""
    out = tmp_path / "out"
    assert bulk(sources, "-o", out) == 0
    found = producers(out, "s390x")
    assert [(each.label, each.target) for each in found] == [("7.2.22", "s390x"), ("10.0.13", "s390x")]
    assert [vmdump.open(each.path).to_bytes() for each in found] == [
        read_real_dump(version, "s390x") for version in ("7.2.22", "10.0.13")
    ]
    assert [each.target for each in producers(out)] == [target for target in sorted(TARGETS) for _ in range(2)]


def test_two_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Different dumps that would have one place get two; equal ones share it."""
    for folder, version in (("a", "7.2.22"), ("b", "10.0.13"), ("c", "7.2.22")):
        (tmp_path / folder / "mine").mkdir(parents=True)
        (tmp_path / folder / "mine" / "m68k.json").write_bytes(read_real_dump(version, "m68k"))
    out = tmp_path / "out"
    assert bulk(*(tmp_path / folder for folder in "abc"), "-o", out) == 0
    labels = [entry["producer"]["label"] for entry in entries(out)]
    assert labels == ["mine", f"mine-{entries(out)[1]['digest'][:8]}", "mine"]
    assert (out / labels[0] / "m68k" / "none.json").read_bytes() == read_real_dump("7.2.22", "m68k")
    assert (out / labels[1] / "m68k" / "none.json").read_bytes() == read_real_dump("10.0.13", "m68k")


def test_machine_with_any_name(tmp_path: Path) -> None:
    """Names in dumps lead nowhere: neither a machine's nor a directory's."""
    folder = tmp_path / ".. weird\n"
    folder.mkdir()
    dump = read_real_dump("7.2.22", "avr").replace(b'"Name": "none"', b'"Name": "../../../evil"', 1)
    (folder / "a b.json").write_bytes(dump)
    out = tmp_path / "deep" / "out"
    assert bulk(folder, "-o", out) == 0
    (output,) = entries(out)[0]["outputs"]
    assert (out / output).read_bytes() == dump
    assert ".." not in output.split("/")
    assert sorted(os.listdir(tmp_path)) == sorted([folder.name, "deep"])


def test_output_in_the_source(sources: Path) -> None:
    """The folder itself is no source."""
    assert bulk(sources, "-o", sources / "out") == 0
    assert bulk(sources, "-o", sources / "out") == 0
    assert len(entries(sources / "out")) == 12


# A second run -----------------------------------------------------------------------------------------------------


def test_second_run(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run reads what is missing or has changed, drops what a changed source had, and is complete again."""
    out = tmp_path / "out"
    assert bulk(sources, "-o", out) == 0
    before = {path: path.stat().st_ino for path in out.rglob("*.json")}
    capsys.readouterr()
    assert bulk(sources, "-o", out) == 0
    assert capsys.readouterr().out == f"{out}: 0 read, 12 unchanged\n"
    (out / "7.2.22" / "m68k" / "none.json").unlink()
    changed = sources / "qemu-7.2.22" / "rx.json.xz"
    changed.write_bytes(lzma.compress(read_real_dump("7.2.22", "rx").replace(b'"none"', b'"other"', 1)))
    assert bulk(sources, "-o", out) == 0
    assert capsys.readouterr().out == f"{out}: 2 read, 10 unchanged\n"
    assert (out / "7.2.22" / "m68k" / "none.json").read_bytes() == read_real_dump("7.2.22", "m68k")
    # The changed dump does not take the place of what others may know the old one by.
    (entry,) = [each for each in entries(out) if each["source"] == str(changed)]
    assert (out / entry["outputs"][0]).name == "other.json"
    assert not (out / "7.2.22" / "rx" / "none.json").exists()
    kept = [path for path in before if path.exists() and path.name != "manifest.json"]
    assert len(kept) == 11
    assert sum(path.stat().st_ino == before[path] for path in kept) >= 10


def test_other_options(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With another format all is read anew, and the old files go."""
    out = tmp_path / "out"
    assert bulk(sources, "-o", out) == 0
    capsys.readouterr()
    assert bulk(sources, "-o", out, "--format", "json.zst") == 0
    assert capsys.readouterr().out == f"{out}: 12 read, 0 unchanged\n"
    assert len(list(out.rglob("none.json.zst"))) == 12
    assert not list(out.rglob("none.json"))


def test_sources_add_up(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs over different sources add to one folder."""
    out = tmp_path / "out"
    assert bulk(sources / "qemu-7.2.22", "-o", out) == 0
    assert bulk(sources / "qemu-10.0.13", "-o", out) == 0
    assert len(entries(out)) == 12
    capsys.readouterr()
    assert bulk(sources, "-o", out) == 0
    assert capsys.readouterr().out == f"{out}: 0 read, 12 unchanged\n"


def test_damaged_manifest(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest that is none is told, and nothing is overwritten."""
    out = tmp_path / "out"
    out.mkdir()
    for content in ("{", "[]", '{"vmdump_manifest": 2}', '{"vmdump_manifest": 1, "entries": [{}]}'):
        (out / "manifest.json").write_text(content)
        assert bulk(sources, "-o", out) == 3
        error = capsys.readouterr().err
        assert error.startswith(f"vmdump: {out}/manifest.json: not a manifest: ")
        assert error.count("\n") == 1
        assert (out / "manifest.json").read_text() == content


# What goes wrong --------------------------------------------------------------------------------------------------


def test_errors(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each source that can't be read is one line, an entry with the error, and exit code 3; the rest is there."""
    (sources / "qemu-7.2.22" / "avr.json.xz").write_bytes(b"\xfd7zXZ\0 broken")
    whole = packages.deb([packages.File("usr/bin/qemu-system-x86_64", packages.QEMU)], ".gz", gzip.compress)
    (sources / "broken.deb").write_bytes(whole[:-50])
    (sources / "qemu-system-none").write_bytes(packages.QEMU)
    (sources / "firmware.deb").write_bytes(packages.deb([packages.File("usr/share/x", b"x")], Package="f", Source="f"))
    out = tmp_path / "out"
    assert bulk(sources, tmp_path / "missing", sources / "notes.txt", "-o", out) == 3
    captured = capsys.readouterr()
    assert captured.out == f"{out}: 11 read, 0 unchanged, 6 failed\n"
    failed = {entry["source"]: entry["error"] for entry in entries(out) if entry["error"] is not None}
    assert set(failed) == {
        str(sources / name)
        for name in ("broken.deb", "qemu-system-none", "firmware.deb", "notes.txt", "qemu-7.2.22/avr.json.xz")
    } | {str(tmp_path / "missing")}
    for source, error in failed.items():
        assert error.startswith(f"{source}:")
        assert f"vmdump: {error}\n" in captured.err
    assert failed[str(tmp_path / "missing")].endswith("No such file or directory")
    assert "is it whole?" in failed[str(sources / "broken.deb")]
    assert "no QEMU that dumps" in failed[str(sources / "firmware.deb")]
    assert len(list(out.rglob("none.json"))) == 11
    assert not [name for name in os.listdir(out) if name.startswith(".")]


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory without any source is told."""
    (tmp_path / "empty").mkdir()
    assert bulk(tmp_path / "empty", "-o", tmp_path / "out") == 3
    assert "no QEMU binary, dump or package in there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--executor", "cluster"], "none of processes, threads, dask://HOST:PORT"),
        (["--jobs", "0"], "not a number from 1 to 1024"),
        (["--format", "xml"], "invalid choice"),
        (["--timeout", "never"], "not a number of seconds"),
    ],
)
def test_usage(args: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no such option is told, with exit code 2."""
    assert main(["bulk", str(tmp_path), "-o", str(tmp_path / "out"), *args]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_time_out(endless: Path, sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that takes too long is that source's error; the rest is there."""
    out = tmp_path / "out"
    assert bulk(endless, sources, "-o", out, "--timeout", 1, "--jobs", 2, executor="processes") == 3
    (failed,) = [entry for entry in entries(out) if entry["error"] is not None]
    assert failed["error"] == f"{endless}: not read after 1 seconds, and given up; --timeout gives it more"
    assert len(list(out.rglob("none.json"))) == 12


def test_memory(sources: Path, tmp_path: Path) -> None:
    """A source that takes more memory than a worker may have is that source's error."""
    bomb = tmp_path / "bomb.json.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        file.write(b'{\n  "vmschkmachine": {')
        for _ in range(600):
            file.write(b" " * (1 << 20))
    tally = run(
        [str(bomb), str(sources)], str(tmp_path / "out"), make_workers("processes", 2, memory=400 << 20), Options()
    )
    assert tally.errors == [f"{bomb}: takes more memory than a worker may"]
    assert tally.read == 12


class Fragile(Executor):
    """An executor that a path in a task breaks, with all that is in it, as a crash does a pool of processes."""

    def __init__(self, path: str) -> None:
        self._path, self._threads, self._is_broken = path, ThreadPoolExecutor(3), threading.Event()

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._is_broken.is_set():
            raise BrokenProcessPool
        if args[0].path == self._path:
            self._is_broken.set()

        def work() -> Any:
            time.sleep(0.02)
            if self._is_broken.is_set():
                raise BrokenProcessPool
            return function(*args, **kwargs)

        return self._threads.submit(work)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)


def test_crash(sources: Path, tmp_path: Path) -> None:
    """A source on which a worker crashes is found among those that went down with it, and is the only error."""
    culprit = str(sources / "qemu-10.0.13" / "rx.json.xz")
    made = []

    def make() -> Executor:
        made.append(Fragile(culprit))
        return made[-1]

    tally = run([str(sources)], str(tmp_path / "out"), Workers(make, 3))
    (error,) = tally.errors
    assert error.startswith(f"{culprit}: the process that read it ended: a crash")
    assert tally.read == 11
    assert len(made) > 1


def children(pid: int) -> list[int]:
    """All processes that descend from one."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in map(int, task.read_text().split()):
                found += [child, *children(child)]
        except OSError:
            continue
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(processes: list[int]) -> None:
    """They end, if not at once."""
    deadline = time.monotonic() + 30
    while any(map(is_alive, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Enough dumps that a run takes a while."""
    directory = tmp_path / "many"
    for number in range(12):
        (directory / str(number)).mkdir(parents=True)
        for target in ("aarch64", "x86_64", "ppc64"):
            shutil.copy(DATA / "dumps" / "qemu-7.2.22" / f"{target}.json.xz", directory / str(number))
    return directory


@pytest.fixture
def started(many: Path, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A run over them, in a process of its own, once it has written something."""
    command = [*VMDUMP, "bulk", str(many), "-o", str(tmp_path / "out"), "--jobs", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        while len(list((tmp_path / "out").glob("*/*/none.json"))) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        yield process
        if process.poll() is None:
            process.kill()


def check_complete(many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A further run makes the folder what one that was not ended would have made."""
    capsys.readouterr()
    assert bulk(many, "-o", tmp_path / "out") == 0
    bulk(many, "-o", tmp_path / "whole")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_killed(
    started: "subprocess.Popen[bytes]", many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After kill -9 no process goes on, and the next run makes it complete, with nothing left over."""
    workers = children(started.pid)
    assert len(workers) >= 2
    (tmp_path / "out" / ".none.json.1-0123456789abcdef.tmp").write_text("half")  # as if in the middle of a file
    (tmp_path / "out" / ".vmdump-unpack-abc" / "usr").mkdir(parents=True)
    started.kill()
    started.wait()
    wait_for_end(workers)
    check_complete(many, tmp_path, capsys)


def test_interrupted(
    started: "subprocess.Popen[bytes]", many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C leaves what is finished, says how to go on, and ends all processes."""
    workers = children(started.pid)
    started.send_signal(signal.SIGINT)
    assert started.stderr is not None
    errors = started.stderr.read().decode().splitlines()
    assert started.wait(30) == 130
    assert errors[-2].endswith(f" of 36 are in {tmp_path}/out; the same command goes on from there")
    assert errors[-1] == "vmdump: interrupted"
    wait_for_end(workers)
    finished = len([entry for entry in entries(tmp_path / "out") if entry["error"] is None])
    assert errors[-2].startswith(f"vmdump: {finished} of 36 ")
    assert 3 <= finished < 36
    check_complete(many, tmp_path, capsys)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", ["put", "write"])
def test_what_an_interruption_leaves_is_counted(
    place: str, when: str, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever Ctrl-C comes, also between an entry of the manifest and its count, they say the same."""
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


def test_interrupted_at_any_time(tmp_path: Path) -> None:
    """Ctrl-C, which a terminal sends to all processes, ends it without a word of theirs, also while they start."""
    (tmp_path / "avr.json").write_bytes(read_real_dump("7.2.22", "avr"))
    command = [*VMDUMP, "bulk", tmp_path / "avr.json", "-o", tmp_path / "out", "--jobs", "2"]
    codes = set()
    for delay in range(8, 40, 2):
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


def test_source_that_is_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was read of a source stays when it can't be found; when it is back, there is nothing to do."""
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
    """A relative path is told once, and as it was given."""
    monkeypatch.chdir(tmp_path)
    Path("avr.json").write_bytes(read_real_dump("7.2.22", "avr")[:-100])
    assert bulk("avr.json", "-o", "out") == 3
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("vmdump: avr.json:")
    assert error.count("avr.json") == 1


def test_worker_killed(started: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    """A worker that is killed costs nothing: its source is read once more."""
    leaves = [pid for pid in children(started.pid) if not children(pid)]
    workers = [pid for pid in leaves if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(workers[0], signal.SIGKILL)
    assert started.wait(60) == 0
    assert len(entries(tmp_path / "out")) == 36


def test_full_disk(tmp_path: Path) -> None:
    """Where nothing more can be written that is told, what is finished stays, and a run with room is complete."""
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
    assert kept == f"vmdump: 2 of 4 are in {out}, and stay; once there is room, the same command goes on from there"
    assert error == f"vmdump: {out}/7.2.22/x86_64/none.json: File too large"
    assert {path: content for path, content in tree(out).items() if path != "manifest.json"} == {
        f"7.2.22/{target}/none.json": read_real_dump("7.2.22", target) for target in ("avr", "m68k")
    }
    assert len(entries(out)) == 2
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == f"{out}: 2 read, 2 unchanged\n"
    assert len(list(out.rglob("none.json"))) == 4


def test_no_room_to_unpack(tmp_path: Path) -> None:
    """Likewise where a package can't be unpacked: nothing of it is left."""
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
    """Two runs do not write to one folder at a time."""
    from vmdump.bulk.manifest import locked

    with locked(str(tmp_path / "out")):
        assert bulk(sources, "-o", tmp_path / "out") == 3
    assert f"{tmp_path}/out: another vmdump bulk is writing here" in capsys.readouterr().err


def test_output_is_a_file(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is a file is told."""
    (tmp_path / "out").write_text("mine")
    assert bulk(sources, "-o", tmp_path / "out") == 3
    assert capsys.readouterr().err == f"vmdump: {tmp_path}/out: Not a directory\n"
    assert (tmp_path / "out").read_text() == "mine"


# Progress ---------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_terminal(sources: Path, tmp_path: Path) -> None:
    """On a terminal there is a display, which is taken away at the end; errors stay above it."""
    (sources / "broken.json").write_text('{\n  "vmschkmachine": {')
    stdout, stderr = io.StringIO(), Terminal()
    environment = Environment(stdout=stdout, stderr=stderr, environ={"TERM": "xterm"})
    command = ["bulk", str(sources), "-o", str(tmp_path / "out"), "--executor", "threads"]
    assert main(command, environment) == 3
    shown = stderr.getvalue()
    assert "13/13" in shown
    assert f"vmdump: {sources}/broken.json:" in shown
    assert "[1/13]" not in shown
    assert stdout.getvalue() == f"{tmp_path}/out: 12 read, 0 unchanged, 1 failed\n"
    for plain in ({"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}):
        stderr = Terminal()
        assert main(command, Environment(stdout=stdout, stderr=stderr, environ=plain)) == 3
        assert "\x1b" not in stderr.getvalue()


def test_executor_that_is_none() -> None:
    """The library says it too."""
    with pytest.raises(VmdumpError, match="no executor 'cluster'"):
        make_workers("cluster", 1)

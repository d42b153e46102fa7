"""vmdump bulk: errors of sources and usage, limits of time and memory, crashes of workers."""

import gzip
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from support import packages
from support.bulk import bulk, entries
from support.elf_builder import DATA as AT
from support.elf_builder import DT_INIT_ARRAY, elf_object

from vmdump.bulk.query.database import producers
from vmdump.bulk.run import run
from vmdump.bulk.workers import Workers
from vmdump.cli import main


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that looks like a QEMU and whose constructor never returns."""
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


def test_errors(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each unreadable source is one line, a manifest entry with the error, and exit code 3; the others are written."""
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
    assert "the file may be truncated or corrupt" in failed[str(sources / "broken.deb")]
    assert "contains no QEMU binary that supports -dump-vmstate" in failed[str(sources / "firmware.deb")]
    assert len(list(out.rglob("none.json"))) == 11
    assert not [name for name in os.listdir(out) if name.startswith(".")]


#: Files named like a QEMU or dump that are neither, and a part of the error.
BROKEN = {
    "qemu-system-arm": (packages.QEMU[:64], "an ELF file without the code that dumps device state"),
    "bin/qemu-system-ppc": (b"", "an empty file"),
    "qemu-system-sparc.exe": (b"MZ\x90\0" + b"\0" * 60, "a PE file without the code that dumps"),
    "qemu-system-avr": (b"\xcf\xfa\xed\xfe" + b"\0" * 60, "a Mach-O file without the code that dumps"),
    "qemu-system-rx": (b"\0" * 64, "not an executable"),
    "a.deb": (b"", "not a package by its first bytes"),
    "b.deb": (b"<html>404</html>", "not a package by its first bytes"),
    "c.rpm": (b"", "not a package by its first bytes"),
    "d.whl": (b"PK\5\6" + b"\0" * 18, "not a package by its first bytes"),
    "e.tar": (b"", "not a package by its first bytes"),
    "bom.json": (b'\xef\xbb\xbf{ "vmschkmachine": { "Name": "pc" } }', "text with a byte order mark"),
    "utf16.json": ('{ "vmschkmachine": { "Name": "pc" } }'.encode("utf-16"), "text in UTF-16"),
    "utf16le.json": ('{ "vmschkmachine": { "Name": "pc" } }'.encode("utf-16-le"), "utf16le.json:1:"),
    "damaged.json.xz": (b"{ broken", "not a compressed dump by its first bytes"),
    "empty.json": (b"", "an empty file, not a dump"),
    "cut.json": (b'{\n  "vmschkmac', "cut.json:2:"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_unreadable_files_are_errors(
    name: str, sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unreadable file that is meant to be a QEMU, dump or package is an error with exit code 3; also for check."""
    path, out = sources / name, tmp_path / "out"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(BROKEN[name][0])
    assert bulk(sources, "-o", out) == 3
    captured = capsys.readouterr()
    assert captured.out == f"{out}: 12 read, 0 unchanged, 1 failed\n"
    (error,) = [line for line in captured.err.splitlines() if not line.startswith("vmdump: [")]
    assert error.startswith(f"vmdump: {path}")
    assert BROKEN[name][1] in error
    assert main(["check", "--matrix", str(out), "--target", "avr"]) == 3
    assert f"vmdump: not checked: {path}" in capsys.readouterr().err
    assert bulk(path, "-o", tmp_path / "alone") == 3


def test_dangling_links(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dangling link named like a QEMU or package is an error; other dangling links are ignored."""
    (sources / "qemu-system-arm").symlink_to("missing")
    (sources / "a.deb").symlink_to("missing")
    (sources / "notes").symlink_to("missing")
    assert bulk(sources, "-o", tmp_path / "out") == 3
    captured = capsys.readouterr()
    assert captured.out.endswith("12 read, 0 unchanged, 2 failed\n")
    assert f"vmdump: {sources}/qemu-system-arm: dangling link to missing\n" in captured.err


def test_special_files(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A FIFO named like a QEMU is an error."""
    os.mkfifo(sources / "qemu-system-arm")
    assert bulk(sources, "-o", tmp_path / "out") == 3
    assert f"vmdump: {sources}/qemu-system-arm: not a regular file\n" in capsys.readouterr().err


def test_files_with_a_misleading_name(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script named like a QEMU is skipped with a notice; documentation with such a name is ignored."""
    script = sources / "qemu-system-i386"
    script.write_text("#!/bin/sh\nexec qemu-system-x86_64\n")
    overrides = sources / "share" / "lintian" / "qemu-system-x86"
    overrides.parent.mkdir(parents=True)
    overrides.write_text("qemu-system-x86: no-manual-page\n")
    out = tmp_path / "out"
    for given in ([sources], [script, sources]):
        assert bulk(*given, "-o", out) == 0
        error = capsys.readouterr().err
        assert error.count(f"vmdump: {script}: a script, not a QEMU binary; skipped\n") == 1
        assert "lintian" not in error
    assert bulk(script, "-o", tmp_path / "alone") == 3
    assert "no QEMU binary, dump or package found" in capsys.readouterr().err


def test_members_of_packages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same rules apply to members of packages."""
    files = [
        packages.File("./usr/bin/qemu-system-arm", packages.QEMU[:64]),
        packages.File("./usr/bin/qemu-system-i386", b"#!/bin/sh\n"),
        packages.File("./usr/bin/qemu-system-avr", b""),
        packages.File("./usr/bin/qemu-system-sparc.exe", b"MZ"),
        packages.File("./usr/bin/qemu-system-ppc", target="/usr/libexec/qemu-kvm"),
        packages.File("./usr/bin/qemu-system-rx", target="qemu-system-i386"),
        packages.File("./usr/share/doc/qemu-system-x86", target="qemu-system-common"),
    ]
    for number, (kind, content) in enumerate(
        {"deb": packages.deb(files), "rpm": packages.rpm(files), "whl": packages.wheel(files)}.items()
    ):
        path, out = tmp_path / f"a.{kind}", tmp_path / f"out{number}"
        path.write_bytes(content)
        assert bulk(path, "-o", out) == 3
        lines = capsys.readouterr().err.splitlines()
        bin = f"vmdump: {path}: usr/bin"
        assert sorted(lines) == [
            f"{bin}/qemu-system-arm: an ELF file without the code that dumps device state; the file may be truncated",
            f"{bin}/qemu-system-avr: an empty file, not a QEMU binary; copy it again",
            f"{bin}/qemu-system-i386: a script, not a QEMU binary; skipped",
            f"{bin}/qemu-system-ppc: link to /usr/libexec/qemu-kvm, which is not a QEMU binary in the given packages",
            f"{bin}/qemu-system-sparc.exe: a PE file without the code that dumps device state; the file may be "
            "truncated",
        ]


def test_source_without_contents(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source without any dump or QEMU is an error, and then nothing is removed."""
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    assert bulk(sources / "qemu-7.2.22", "-o", out) == 0
    capsys.readouterr()
    assert bulk(sources / "qemu-10.0.13", tmp_path / "empty", "-o", out) == 3
    error = capsys.readouterr().err
    assert f"vmdump: {tmp_path}/empty: no QEMU binary, dump or package found\n" in error
    assert "dropped" not in error
    assert {each.label for each in producers(out)} == {"7.2.22", "10.0.13"}


def test_directory_without_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory without any source is reported."""
    (tmp_path / "empty").mkdir()
    assert bulk(tmp_path / "empty", "-o", tmp_path / "out") == 3
    assert "no QEMU binary, dump or package found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--executor", "cluster"], "choose processes, threads or dask://HOST:PORT"),
        (["--jobs", "0"], "not a number from 1 to 1024"),
        (["--format", "xml"], "invalid choice"),
        (["--timeout", "never"], "not a number of seconds"),
    ],
)
def test_usage(args: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Invalid options end with exit code 2 and a message."""
    assert main(["bulk", str(tmp_path), "-o", str(tmp_path / "out"), *args]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_time_out(endless: Path, sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that exceeds the time limit is an error of that source only."""
    out = tmp_path / "out"
    assert bulk(endless, sources, "-o", out, "--timeout", 1, "--jobs", 2, executor="processes") == 3
    (failed,) = [entry for entry in entries(out) if entry["error"] is not None]
    assert failed["error"] == f"{endless}: not finished after 1 seconds; raise --timeout to allow more"
    assert len(list(out.rglob("none.json"))) == 12


_IN_400_MIB = """
import sys
from vmdump.bulk.run import run
from vmdump.bulk.tasks import Options
from vmdump.bulk.workers import make_workers

*sources, out = sys.argv[1:]
tally = run(sources, out, make_workers("processes", 2, memory=400 << 20), Options(max_size=1 << 30))
print(*tally.errors, tally.read, sep="\\n")
"""


def test_memory(sources: Path, tmp_path: Path) -> None:
    """A source that needs more memory than a worker may use is an error of that source."""
    bomb = tmp_path / "bomb.json.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        file.write(b'{\n  "vmschkmachine": {')
        for _ in range(600):
            file.write(b" " * (1 << 20))
    # A Python of its own: a fork server that another test has started can have modules that leave less of the limit.
    command = [sys.executable, "-c", _IN_400_MIB, bomb, sources, tmp_path / "out"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert result.stdout.splitlines() == [f"{bomb}: needs more memory than the limit of a worker process", "12"]
    assert (result.stderr, result.returncode) == ("", 0)


class Fragile(Executor):
    """An executor that breaks, with all queued tasks, at a task with a given path, as a process pool does after a
    crash.
    """

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
    """The source that crashed a worker is identified among the tasks that were lost, and is the only error."""
    culprit = str(sources / "qemu-10.0.13" / "rx.json.xz")
    made = []

    def make() -> Executor:
        made.append(Fragile(culprit))
        return made[-1]

    tally = run([str(sources)], str(tmp_path / "out"), Workers(make, 3))
    (error,) = tally.errors
    assert error.startswith(f"{culprit}: the worker process crashed")
    assert tally.read == 11
    assert len(made) > 1

"""vmdump bulk on dumps and hostile binaries: its output, incremental runs, errors, and interruptions."""

import gzip
import io
import json
import lzma
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
import zstandard
from support import packages
from support.bulk import VMDUMP, bulk, children, entries, tree
from support.dumps import read_real_dump
from support.elf_builder import DATA as AT
from support.elf_builder import DT_INIT_ARRAY, elf_object
from support.paths import DATA

import vmdump
from vmdump.bulk.manifest import Manifest
from vmdump.bulk.query.database import producers
from vmdump.bulk.run import run
from vmdump.bulk.tally import Tally
from vmdump.bulk.tasks import Options
from vmdump.bulk.workers import Workers, make_workers
from vmdump.cli import main
from vmdump.cli.environment import Environment
from vmdump.errors import VmdumpError

#: Targets whose dumps are small.
TARGETS = ("avr", "m68k", "rx", "s390x", "sparc", "tricore")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A directory with dumps of two versions, some compressed, among other files."""
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


# Output -----------------------------------------------------------------------------------------------------------


def test_directory_of_dumps(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every dump is found by content and written byte for byte, by version and target, and listed in the manifest."""
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
    """Each output format, compressed or not, holds the dump of vmdump dump."""
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
    """The output does not depend on the executor or the number of workers."""
    (sources / "qemu-7.2.22" / "broken.json").write_text('{\n  "vmschkmachine": {')
    assert bulk(sources, "-o", tmp_path / "one", "--jobs", 1) == 3
    assert bulk(sources, "-o", tmp_path / "four", "--jobs", 4, executor=executor) == 3
    assert tree(tmp_path / "one") == tree(tmp_path / "four")


def test_store(sources: Path, tmp_path: Path) -> None:
    """producers() returns a target's producers by version, with dumps that can be opened."""
    out = tmp_path / "out"
    assert bulk(sources, "-o", out) == 0
    found = producers(out, "s390x")
    assert [(each.label, each.target) for each in found] == [("7.2.22", "s390x"), ("10.0.13", "s390x")]
    assert [vmdump.open(each.path).to_bytes() for each in found] == [
        read_real_dump(version, "s390x") for version in ("7.2.22", "10.0.13")
    ]
    assert [each.target for each in producers(out)] == [target for target in sorted(TARGETS) for _ in range(2)]


def test_two_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Different dumps with equal version and target get different paths; equal ones share a path."""
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
    """Names inside dumps cannot lead outside the output directory."""
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
    """An output directory inside a source is not read as a source."""
    assert bulk(sources, "-o", sources / "out") == 0
    assert bulk(sources, "-o", sources / "out") == 0
    assert len(entries(sources / "out")) == 12


# A second run -----------------------------------------------------------------------------------------------------


def test_second_run(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run reads missing and changed sources, removes their old outputs, and leaves complete output."""
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
    # A changed dump gets a path of its own, as the old path may be referred to.
    (entry,) = [each for each in entries(out) if each["source"] == str(changed)]
    assert (out / entry["outputs"][0]).name == "other.json"
    assert not (out / "7.2.22" / "rx" / "none.json").exists()
    kept = [path for path in before if path.exists() and path.name != "manifest.json"]
    assert len(kept) == 11
    assert sum(path.stat().st_ino == before[path] for path in kept) >= 10


def test_other_options(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With another format all sources are read again and the old files removed."""
    out = tmp_path / "out"
    assert bulk(sources, "-o", out) == 0
    capsys.readouterr()
    assert bulk(sources, "-o", out, "--format", "json.zst") == 0
    assert capsys.readouterr().out == f"{out}: 12 read, 0 unchanged\n"
    assert len(list(out.rglob("none.json.zst"))) == 12
    assert not list(out.rglob("none.json"))


def test_other_sources(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run on other sources removes and names the sources that are gone."""
    old, new, out = sources / "qemu-7.2.22", sources / "qemu-10.0.13", tmp_path / "out"
    assert bulk(old, "-o", out) == 0
    capsys.readouterr()
    assert bulk(new, "-o", out) == 0
    dropped = [line for line in capsys.readouterr().err.splitlines() if "dropped" in line]
    assert dropped == [
        f"vmdump: dropped {old}/{target}.json.xz: not among the given sources; --add keeps it" for target in TARGETS
    ]
    assert {each.label for each in producers(out)} == {"10.0.13"}
    assert not (out / "7.2.22").exists()


def test_sources_add_up(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --add, runs on different sources share one output directory, in their order; files gone from a source are
    removed.
    """
    old, new, out = sources / "qemu-7.2.22", sources / "qemu-10.0.13", tmp_path / "out"
    assert bulk(new, "-o", out) == 0
    assert bulk(old, "-o", out, "--add") == 0
    assert len(entries(out)) == 12
    assert [each.label for each in producers(out, "m68k")] == ["10.0.13", "7.2.22"]
    (old / "m68k.json.xz").unlink()
    capsys.readouterr()
    assert bulk(old, "-o", out, "--add") == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out}: 0 read, 5 unchanged\n"
    assert captured.err == f"vmdump: dropped {old}/m68k.json.xz: the file no longer exists\n"
    assert [each.label for each in producers(out, "m68k")] == ["10.0.13"]
    assert [each.label for each in producers(out, "avr")] == ["10.0.13", "7.2.22"]


def test_a_source_under_another_name(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that replaces a removed one is the only one judged, under the label it has alone."""
    folder, out = sources / "qemu-7.2.22", tmp_path / "out"
    assert bulk(folder, "-o", out) == 0
    (folder / "m68k.json.xz").unlink()
    (folder / "m68k.json").write_bytes(read_real_dump("10.0.13", "m68k"))
    capsys.readouterr()
    assert bulk(folder, "-o", out) == 0
    assert f"vmdump: dropped {folder}/m68k.json.xz: the file no longer exists\n" in capsys.readouterr().err
    (found,) = producers(out, "m68k")
    assert (found.label, vmdump.open(found.path).to_bytes()) == ("7.2.22", read_real_dump("10.0.13", "m68k"))


def test_a_source_that_has_changed_keeps_its_label(sources: Path, tmp_path: Path) -> None:
    """Labels do not depend on a source's earlier contents."""
    path = sources / "qemu-7.2.22" / "m68k.json.xz"
    assert bulk(sources, "-o", tmp_path / "kept") == 0
    shutil.copy(DATA / "dumps" / "qemu-10.0.13" / "m68k.json.xz", path)
    assert bulk(sources, "-o", tmp_path / "kept") == 0
    assert bulk(sources, "-o", tmp_path / "new") == 0
    assert tree(tmp_path / "kept") == tree(tmp_path / "new")


@pytest.mark.parametrize("names", [("old", "new"), ("z", "a"), ("10.0", "7.2")])
def test_order_of_the_sources(names: tuple[str, str], tmp_path: Path) -> None:
    """Producers are in the order of the sources on the command line, also in an existing output directory."""
    first, second = (tmp_path / name for name in names)
    for directory, version in ((first, "10.0.13"), (second, "7.2.22")):
        directory.mkdir()
        (directory / "m68k.json").write_bytes(read_real_dump(version, "m68k"))
    out = tmp_path / "out"
    for given in ((first, second), (second, first), (first, second)):
        assert bulk(*given, "-o", out) == 0
        assert [each.label for each in producers(out)] == [directory.name for directory in given]


def test_versions_of_one_source(tmp_path: Path) -> None:
    """Producers of one source are in the order of their versions."""
    for version in ("9.2.0", "10.0.13"):
        (tmp_path / "sources" / version).mkdir(parents=True)
        (tmp_path / "sources" / version / "avr.json").write_bytes(
            read_real_dump("10.0.13", "avr") + b" " * len(version)
        )
    assert bulk(tmp_path / "sources", "-o", tmp_path / "out") == 0
    assert [each.label for each in producers(tmp_path / "out")] == ["9.2.0", "10.0.13"]


def test_a_manifest_of_an_older_vmdump(sources: Path, tmp_path: Path) -> None:
    """A manifest without sources and arguments is read, with producers in the order of versions."""
    out = tmp_path / "out"
    assert bulk(sources, "-o", out) == 0
    content = json.loads((out / "manifest.json").read_text())
    unknown = ("arguments", "machine_types")
    older = [{key: value for key, value in entry.items() if key not in unknown} for entry in content["entries"]]
    old = {"vmdump_manifest": 1, "entries": older}
    (out / "manifest.json").write_text(json.dumps(old))
    assert [each.label for each in producers(out, "avr")] == ["7.2.22", "10.0.13"]
    assert bulk(sources, "-o", out) == 0
    assert json.loads((out / "manifest.json").read_text()) == content


def test_damaged_manifest(sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged manifest is reported, and nothing is overwritten."""
    out = tmp_path / "out"
    out.mkdir()
    known = '{"vmdump_manifest": 1, "entries": [], '
    for content in (
        "{", "[]", '{"vmdump_manifest": 2}', '{"vmdump_manifest": 1, "entries": [{}]}',
        f'{known} "sources": [1]}}', f'{known} "errors": []}}',
    ):  # fmt: skip
        (out / "manifest.json").write_text(content)
        assert bulk(sources, "-o", out) == 3
        error = capsys.readouterr().err
        assert error.startswith(f"vmdump: {out}/manifest.json: not a manifest: ")
        assert error.count("\n") == 1
        assert (out / "manifest.json").read_text() == content


# Errors ---------------------------------------------------------------------------------------------------------


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
    "qemu-system-sparc.exe": (b"MZ\x90\0" + b"\0" * 60, "a PE executable (Windows)"),
    "qemu-system-avr": (b"\xcf\xfa\xed\xfe" + b"\0" * 60, "a Mach-O executable (macOS)"),
    "qemu-system-rx": (b"\0" * 64, "not an ELF binary"),
    "a.deb": (b"", "not a package by its first bytes"),
    "b.deb": (b"<html>404</html>", "not a package by its first bytes"),
    "c.rpm": (b"", "not a package by its first bytes"),
    "d.whl": (b"PK\5\6" + b"\0" * 18, "not a package by its first bytes"),
    "e.tar": (b"", "not a package by its first bytes"),
    "bom.json": (b'\xef\xbb\xbf{ "vmschkmachine": { "Name": "pc" } }', "bom.json:1:1"),
    "utf16.json": ('{ "vmschkmachine": { "Name": "pc" } }'.encode("utf-16"), "utf16.json:1:1"),
    "utf16le.json": ('{ "vmschkmachine": { "Name": "pc" } }'.encode("utf-16-le"), "utf16le.json:1:"),
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
            f"{bin}/qemu-system-sparc.exe: a PE executable (Windows); only ELF binaries can be read",
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


def test_memory(sources: Path, tmp_path: Path) -> None:
    """A source that needs more memory than a worker may use is an error of that source."""
    bomb = tmp_path / "bomb.json.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        file.write(b'{\n  "vmschkmachine": {')
        for _ in range(600):
            file.write(b" " * (1 << 20))
    options = Options(max_size=1 << 30)
    workers = make_workers("processes", 2, memory=400 << 20)
    tally = run([str(bomb), str(sources)], str(tmp_path / "out"), workers, options)
    assert tally.errors == [f"{bomb}: needs more memory than the limit of a worker process"]
    assert tally.read == 12


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


# Progress ---------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def test_terminal(sources: Path, tmp_path: Path) -> None:
    """On a terminal a progress display is shown and removed at the end; errors stay above it."""
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


def test_unknown_executor() -> None:
    """The library function refuses unknown executors too."""
    with pytest.raises(VmdumpError, match="no executor 'cluster'"):
        make_workers("cluster", 1)

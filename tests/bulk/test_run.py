"""vmdump bulk: output, a second run into the same directory, progress."""

import io
import json
import lzma
import os
import shutil
from pathlib import Path

import pytest
import zstandard
from support.bulk import TARGETS, bulk, entries, tree
from support.dumps import read_real_dump
from support.paths import DATA

import vmdump
from vmdump import activity
from vmdump.bulk.query.database import producers
from vmdump.bulk.workers import make_workers
from vmdump.cli import main
from vmdump.cli.environment import Environment
from vmdump.errors import VmdumpError

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


# Progress ---------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def test_terminal(sources: Path, tmp_path: Path) -> None:
    """On a terminal, which shows the current step, there are lines for errors only."""
    (sources / "broken.json").write_text('{\n  "vmschkmachine": {')
    stdout, stderr = io.StringIO(), Terminal()
    environment = Environment(stdout=stdout, stderr=stderr, environ={"TERM": "xterm"})
    command = ["bulk", str(sources), "-o", str(tmp_path / "out"), "--executor", "threads"]
    assert main(command, environment) == 3
    assert f"vmdump: {sources}/broken.json:" in stderr.getvalue()
    assert stderr.getvalue().count("\n") == 1
    assert stdout.getvalue() == f"{tmp_path}/out: 12 read, 0 unchanged, 1 failed\n"


def test_progress_is_a_step(sources: Path, tmp_path: Path) -> None:
    """While sources are read, the step counts those that are done and says how many have failed."""
    (sources / "broken.json").write_text('{\n  "vmschkmachine": {')
    seen = []

    class Watching(Environment):
        def error(self, message: object) -> None:
            (step,) = activity.current()[:1]
            seen.append((step.what, step.done, step.total))

    assert main(["bulk", str(sources), "-o", str(tmp_path / "out"), "--executor", "threads"], Watching()) == 3
    assert ("reading sources (1 failed)", 13) in {(what, total) for what, _, total in seen}
    assert [done for _, done, _ in seen] == list(range(1, 14))


def test_unknown_executor() -> None:
    """The library function refuses unknown executors too."""
    with pytest.raises(VmdumpError, match="no executor 'cluster'"):
        make_workers("cluster", 1)

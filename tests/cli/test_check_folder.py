"""vmdump check --matrix DIR on an output directory of vmdump bulk: all pairs of each target, and the overview."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.commands import run, run_failing
from support.descriptions import desc, dump, field
from support.paths import DATA

from vmdump.bulk.query.database import producers, query
from vmdump.check.checker import Labelled, check
from vmdump.cli import main
from vmdump.report.html import overview
from vmdump.sources.open import open as open_source
from vmdump.vmstate import VMStateFlags


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two QEMUs for each of two targets."""
    top = tmp_path_factory.mktemp("folder")
    for version in ("7.2.22", "10.0.13"):
        for target in ("m68k", "x86_64"):
            (top / version).mkdir(exist_ok=True)
            shutil.copy(DATA / "extended" / f"qemu-{version}-{target}.json.xz", top / version / f"{target}.json.xz")
    assert main(["bulk", str(top), "-o", str(top / "out"), "--format", "parquet", "--executor", "threads"]) == 0
    return top / "out"


def test_a_table_a_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each target has a matrix, and any break fails the run."""
    assert main(["check", "--matrix", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert re.findall(r"^(\w+):$", printed, re.MULTILINE) == list(
        dict.fromkeys(each.target for each in producers(folder))
    )
    assert printed.count("from \\ to") == 2


def test_one_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--target selects one, which allows all formats; verdicts equal those of checking the two dumps alone."""
    found = [each for each in producers(folder) if each.target == "m68k"]
    assert len(found) == 2
    assert main(["check", "--matrix", str(folder), "--target", "m68k", "--format", "json"]) == 1
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    alone = check([Labelled(each.label, open_source(each.path)) for each in found])
    assert set(verdicts) == set(alone.results)
    for direction, types in alone.results.items():
        assert {each.type: str(each.verdict) for each in types}.items() <= verdicts[direction].items()


def test_one_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Formats for programs have all targets in one document, whose directions name the target."""
    assert main(["check", "--matrix", str(folder), "--format", "json"]) == 1
    whole = json.loads(capsys.readouterr().out)["verdicts"]
    for target in ("m68k", "x86_64"):
        assert main(["check", "--matrix", str(folder), "--target", target, "--format", "json"]) == 1
        alone = json.loads(capsys.readouterr().out)["verdicts"]
        assert {key: whole[f"{target}: {key}"] for key in alone} == alone
    assert len(whole) == 4


def test_verdicts_are_stored(folder: Path) -> None:
    """Verdicts are stored for vmdump query."""
    main(["check", "--matrix", str(folder), "--target", "x86_64"])
    answer = query(folder, "SELECT DISTINCT type FROM verdicts WHERE verdict = 'breaks' AND target = 'x86_64'")
    assert {"am53c974", "dc390"} <= {row[0] for row in answer.rows}


def test_pages(folder: Path, tmp_path: Path) -> None:
    """There is an overview, a page for each target and one of devices; links lead to existing pages and directions."""
    out = tmp_path / "pages"
    assert main(["check", "--matrix", str(folder), "--format", "html", "-o", str(out)]) == 1
    assert {path.name for path in out.iterdir()} == {"devices.html", "index.html", "m68k.html", "x86_64.html"}
    page = (out / "index.html").read_text()
    links = set(re.findall(r'<a [^>]*href="([^"#]+)(?:#([^"]+))?"', page))
    assert links
    for name, anchor in links:
        assert (out / unquote(name)).exists()
        assert not anchor or (
            unquote(anchor).startswith("device/") if name == "devices.html" else "%20-%3E%20" in anchor
        )
    assert "am53c974" in page
    assert "<script" not in page
    # One target is written as pages too, unless a file is named.
    for name, made in (("one", {"devices.html", "index.html", "m68k.html"}), ("one.html", set())):
        command = ["check", "--matrix", str(folder), "--target", "m68k", "--format", "html", "-o", str(tmp_path / name)]
        assert main(command) == 1
        assert (tmp_path / name).is_dir() == bool(made)
        assert {path.name for path in (tmp_path / name).glob("*")} == made


def test_folder_errors(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several targets in one page or baseline, a target with one QEMU, and an empty directory are errors."""
    for option in (["--format", "html", "-o", str(tmp_path / "page.html")], ["--write-baseline", str(tmp_path / "b")]):
        assert main(["check", "--matrix", str(folder), *option]) == 2
        assert "has 2 targets, m68k, x86_64; choose one" in capsys.readouterr().err
    assert main(["check", "--matrix", str(folder), "--target", "sparc"]) == 3
    assert "no target matching sparc has two QEMUs" in capsys.readouterr().err
    assert main(["check", "--matrix", str(tmp_path)]) == 3
    assert capsys.readouterr().err.startswith("vmdump: ")
    (tmp_path / "file").write_text("")
    assert main(["check", "--matrix", str(folder), "--format", "html", "-o", str(tmp_path / "file")]) == 3
    assert f"{tmp_path / 'file'}: " in capsys.readouterr().err


@pytest.mark.parametrize("target", ["devices", "index"])
def test_a_target_named_as_a_page(target: str, tmp_path: Path) -> None:
    """A target whose page would replace the overview or the page of devices is an error, before anything is written."""
    for version in ("1.0", "2.0"):
        (tmp_path / version).mkdir()
        dump(dev=desc("dev", field("a"))).write(tmp_path / version / f"{target}.json")
    sources = (tmp_path / "1.0", tmp_path / "2.0", "-o", tmp_path / "out")
    assert run("bulk", *sources, "--executor", "threads").code == 0
    command = ("check", "--matrix", tmp_path / "out", "--format", "html", "-o", tmp_path / "pages")
    assert f"a page for target {target} would replace another, {target}.html; give" in run_failing(3, *command)
    assert not (tmp_path / "pages").exists()


def test_several_tables_in_a_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-o writes to the file what stdout would get."""
    assert main(["check", "--matrix", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert main(["check", "--matrix", str(folder), "-o", str(tmp_path / "report")]) == 1
    assert capsys.readouterr().out == ""
    assert (tmp_path / "report").read_text() == printed


def test_verdicts_that_cannot_be_stored(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A read-only directory is checked, with a warning that verdicts are not stored."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("verdicts"))
    (copy / "verdicts").write_text("")
    assert main(["check", "--matrix", str(copy), "--target", "m68k"]) == 1
    captured = capsys.readouterr()
    assert captured.err == f"vmdump: the verdicts were not stored for vmdump query: {copy}/verdicts: File exists\n"
    assert "from \\ to" in captured.out


@pytest.mark.parametrize("link", ["verdicts", "verdicts/m68k.jsonl"])
def test_links_are_not_followed(link: str, folder: Path, tmp_path: Path) -> None:
    """Links in a directory that is checked lead no verdicts out of it."""
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("verdicts"))
    other = tmp_path / "other"
    if link == "verdicts":
        other.mkdir()
    else:
        other.write_text("kept")
        (tmp_path / "copy/verdicts").mkdir()
    (tmp_path / "copy" / link).symlink_to(other)
    result = run("check", "--matrix", tmp_path / "copy", "--target", "m68k")
    assert result.code == 1
    if link == "verdicts":
        assert result.stderr.endswith(f": {tmp_path}/copy/verdicts: a symbolic link, which is not followed\n")
        assert list(other.iterdir()) == []
    else:
        assert other.read_text() == "kept"
        assert '"m68k"' in (tmp_path / "copy" / link).read_text()


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A single source that is not such a directory is an error that names it."""
    assert main(["check", "--matrix", str(tmp_path / "missing")]) == 2
    assert capsys.readouterr().err.startswith(f"vmdump: {tmp_path}/missing: not an output directory")


def dump_of(version: int) -> bytes:
    """A dump with one device of this version and an array length, as dumps of QEMU 8.2 and newer have."""
    regs = field("regs", num=2, flags=VMStateFlags.ARRAY)
    return dump(dev=desc("dev", field("a"), regs, version_id=version, minimum_version_id=1)).to_bytes()


def fill(folder: Path, **files: bytes) -> Path:
    """Write these dumps by target into a directory."""
    folder.mkdir(exist_ok=True)
    for target, content in files.items():
        (folder / f"{target}.json").write_bytes(content)
    return folder


def bulk(*args: object) -> int:
    """Fill an output directory."""
    return main(["bulk", *map(str, args), "--format", "parquet", "--executor", "threads"])


def ways(out: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return each direction of the only target with its way and verdicts from the JSON report."""
    main(["check", "--matrix", str(out), "--format", "json"])
    report = json.loads(capsys.readouterr().out)
    return {label: (each["way"], report["verdicts"][label]) for label, each in report["directions"].items()}


@pytest.mark.parametrize("names", [("old", "new"), ("z", "a"), ("a", "z")])
def test_direction_is_the_order_of_the_sources(
    names: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Forward is from the first source to the second in every format, regardless of the directory's history."""
    old, new = fill(tmp_path / names[0], x86_64=dump_of(2)), fill(tmp_path / names[1], x86_64=dump_of(1))
    out = tmp_path / "out"
    there, back = f"{names[0]} -> {names[1]}", f"{names[1]} -> {names[0]}"
    # Loading into version 1 breaks; QEMU prints "savevm: unsupported version 2 for 'dev' v1".
    for first, second, broken, safe in ((old, new, "forward", "backward"), (new, old, "backward", "forward")):
        assert bulk(first, second, "-o", out) == 0
        capsys.readouterr()
        assert ways(out, capsys) == {there: (broken, {"dev": "breaks"}), back: (safe, {"dev": "safe"})}
        for direction, code in ((broken, 1), (safe, 0)):
            for format in ("text", "json", "junit", "sarif", "github", "html"):
                pages = ["-o", str(tmp_path / f"pages-{format}")] if format == "html" else []
                command = ["check", "--matrix", str(out), "--direction", direction, "--format", format, *pages]
                assert main(command) == code, command
        capsys.readouterr()
        assert main(["check", "--matrix", str(out), "--direction", broken]) == 1
        table = capsys.readouterr().out.splitlines()
        assert table[0].split()[3:] == [first.name, second.name]
        answer = query(out, "SELECT source, destination, verdict FROM verdicts")
        assert answer.rows == [(names[0], names[1], "breaks")]


def test_questions_follow_the_order_of_the_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named questions about changed fields use the order of the sources, too."""
    more = dump(dev=desc("dev", field("a"), field("b"))).to_bytes()
    one, two = fill(tmp_path / "one", arm=dump_of(1)), fill(tmp_path / "two", arm=more)
    for given, change in (((one, two), "added"), ((two, one), "removed")):
        assert bulk(*given, "-o", tmp_path / "out") == 0
        capsys.readouterr()
        assert main(["query", "field", str(tmp_path / "out"), "--with", "field=b", "--format", "csv"]) == 0
        source, destination = (directory.name for directory in given)
        assert capsys.readouterr().out.splitlines()[1:] == [f"dev,b,{source},{destination},{change},arm"]


def test_verdicts_of_other_sources_are_forgotten(tmp_path: Path) -> None:
    """vmdump query returns no verdicts of removed or changed sources."""
    out = tmp_path / "out"
    old, new = fill(tmp_path / "old", arm=dump_of(2), avr=dump_of(2)), fill(tmp_path / "new", arm=dump_of(1))
    fill(new, avr=dump_of(1))
    assert bulk(old, new, "-o", out) == 0
    assert main(["check", "--matrix", str(out)]) == 1
    (new / "avr.json").unlink()
    (old / "avr.json").unlink()
    assert bulk(old, new, "-o", out) == 0
    assert query(out, "SELECT DISTINCT target FROM verdicts").rows == [("arm",)]
    fill(new, arm=dump_of(3))
    assert bulk(old, new, "-o", out) == 0
    assert query(out, "SELECT count(*) FROM verdicts").rows == [(0,)]


def test_a_target_on_one_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target present on one side only is named; without another target it is an error."""
    old, new = fill(tmp_path / "old", x86_64=dump_of(1), arm=dump_of(1)), fill(tmp_path / "new", x86_64=dump_of(1))
    assert bulk(old, new, "-o", tmp_path / "out") == 0
    capsys.readouterr()
    assert main(["check", "--matrix", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err == f"vmdump: arm: not checked, as only {old} has it (old)\n"
    assert main(["check", "--matrix", str(tmp_path / "out"), "--target", "arm"]) == 3


def test_between_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --between-sources, only pairs from two different sources are compared."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, target, content in (
        (old / "8.2", "x86_64", dump_of(3)),
        (old / "7.2", "x86_64", dump_of(2)),
        (new / "10.0", "x86_64", dump_of(4)),
        (new / "9.2", "x86_64", dump_of(1)),
        (old / "7.2", "arm", dump_of(2)),
        (old / "8.2", "arm", dump_of(1)),
    ):
        folder.parent.mkdir(exist_ok=True)
        fill(folder, **{target: content})
    out = tmp_path / "out"
    assert bulk(old, new, "-o", out) == 0
    capsys.readouterr()
    command = ["check", "--matrix", str(out), "--between-sources", "--direction", "forward", "--format", "json"]
    assert main(command) == 1
    captured = capsys.readouterr()
    assert captured.err == f"vmdump: arm: not checked, as only {old} has it (7.2, 8.2)\n"
    assert {label: each["dev"] for label, each in json.loads(captured.out)["verdicts"].items()} == {
        "7.2 -> 9.2": "breaks", "7.2 -> 10.0": "safe", "8.2 -> 9.2": "breaks", "8.2 -> 10.0": "safe",
    }  # fmt: skip
    # A QEMU that is in both sources is on both sides.
    fill(new / "9.2", x86_64=dump_of(2))
    shutil.move(new / "9.2", new / "7.2")
    assert bulk(old, new, "-o", out) == 0
    capsys.readouterr()
    assert main(command) == 1
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert {label: each["dev"] for label, each in verdicts.items()} == {
        "8.2 -> 7.2": "breaks", "8.2 -> 10.0": "safe", "7.2 -> 10.0": "safe",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["itself", "a copy", "a copy of one name"])
def test_identical_sides(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two identical sides are checked and pass."""
    old = fill(tmp_path / "one", x86_64=dump_of(1))
    new = {"itself": old, "a copy": tmp_path / "two", "a copy of one name": tmp_path / "other" / "one"}[kind]
    new.parent.mkdir(exist_ok=True)
    fill(new, x86_64=dump_of(1))
    assert bulk(old, new, "-o", tmp_path / "out") == 0
    capsys.readouterr()
    assert main(["check", "--matrix", str(tmp_path / "out"), "--direction", "forward", "--verbose"]) == 0
    captured = capsys.readouterr()
    assert "1 safe" in captured.out
    assert captured.err == ""
    if kind != "a copy":
        assert query(tmp_path / "out", "SELECT source, destination FROM verdicts").rows == [("one", "one")]


def test_unlike_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Different targets are refused and different machine types named here too."""
    real = {name: DATA / "extended" / f"qemu-10.0.13-{name}.json.xz" for name in ("m68k", "x86_64")}
    for name, path in real.items():
        (tmp_path / name).mkdir()
        shutil.copy(path, tmp_path / name / "dump.json.xz")
    assert bulk(tmp_path / "m68k", tmp_path / "x86_64", "-o", tmp_path / "out") == 0
    capsys.readouterr()
    assert main(["check", "--matrix", str(tmp_path / "out")]) == 2
    assert "a VM cannot migrate between targets" in capsys.readouterr().err
    assert main(["check", "--matrix", str(tmp_path / "out"), "--any-target"]) in (0, 1)


def test_hostile_names() -> None:
    """Hostile names are escaped."""
    from support.check_sample import HOSTILE, make_result

    page = overview.render({name: make_result() for name in HOSTILE})
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page

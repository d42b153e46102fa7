"""vmdump check --matrix DIR: a folder that vmdump bulk has filled, all pairs of each target, and the overview."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import DATA

from vmdump.bulk.query.database import producers, query
from vmdump.check.checker import Labelled, check
from vmdump.cli import main
from vmdump.report.html import overview
from vmdump.sources.open import open as open_source


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
    """Each target has its matrix, and what breaks fails the whole."""
    assert main(["check", "--matrix", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert re.findall(r"^(\w+):$", printed, re.MULTILINE) == list(
        dict.fromkeys(each.target for each in producers(folder))
    )
    assert printed.count("from \\ to") == 2


def test_one_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--target chooses, and then all formats are there; verdicts are those of the two dumps checked by themselves."""
    found = [each for each in producers(folder) if each.target == "m68k"]
    assert len(found) == 2
    assert main(["check", "--matrix", str(folder), "--target", "m68k", "--format", "json"]) == 1
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    alone = check([Labelled(each.label, open_source(each.path)) for each in found])
    assert set(verdicts) == set(alone.results)
    for direction, types in alone.results.items():
        assert {each.type: str(each.verdict) for each in types}.items() <= verdicts[direction].items()


def test_verdicts_can_be_asked(folder: Path) -> None:
    """What was said is kept for vmdump query."""
    main(["check", "--matrix", str(folder), "--target", "x86_64"])
    answer = query(folder, "SELECT DISTINCT type FROM verdicts WHERE verdict = 'breaks' AND target = 'x86_64'")
    assert {"am53c974", "dc390"} <= {row[0] for row in answer.rows}


def test_pages(folder: Path, tmp_path: Path) -> None:
    """The overview and a page a target; every link leads to a page and a direction that there are."""
    out = tmp_path / "pages"
    assert main(["check", "--matrix", str(folder), "--format", "html", "-o", str(out)]) == 1
    assert {path.name for path in out.iterdir()} == {"index.html", "m68k.html", "x86_64.html"}
    page = (out / "index.html").read_text()
    links = set(re.findall(r'href="([^"#]+)(?:#([^"]+))?"', page))
    assert links
    for name, anchor in links:
        assert (out / unquote(name)).exists()
        assert not anchor or " -> " in unquote(anchor)
    assert "am53c974" in page
    assert "<script" not in page
    # One target's are pages as well, unless a page is asked for.
    for name, made in (("one", {"index.html", "m68k.html"}), ("one.html", set())):
        command = ["check", "--matrix", str(folder), "--target", "m68k", "--format", "html", "-o", str(tmp_path / name)]
        assert main(command) == 1
        assert (tmp_path / name).is_dir() == bool(made)
        assert {path.name for path in (tmp_path / name).glob("*")} == made


def test_what_a_folder_can_not(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several targets in one file, a target of one QEMU alone, a folder of nothing: told."""
    assert main(["check", "--matrix", str(folder), "--format", "json"]) == 2
    assert "has 2 targets" in capsys.readouterr().err
    assert main(["check", "--matrix", str(folder), "--target", "sparc"]) == 3
    assert "no target sparc with two QEMUs or more" in capsys.readouterr().err
    assert main(["check", "--matrix", str(tmp_path)]) == 3
    assert capsys.readouterr().err.startswith("vmdump: ")
    (tmp_path / "file").write_text("")
    assert main(["check", "--matrix", str(folder), "--format", "html", "-o", str(tmp_path / "file")]) == 3
    assert f"{tmp_path / 'file'}: " in capsys.readouterr().err


def test_several_tables_in_a_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file gets what standard output would."""
    assert main(["check", "--matrix", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert main(["check", "--matrix", str(folder), "-o", str(tmp_path / "report")]) == 1
    assert capsys.readouterr().out == ""
    assert (tmp_path / "report").read_text() == printed


def test_verdicts_that_can_not_be_kept(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that can only be read is checked all the same, and it is told."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("verdicts"))
    (copy / "verdicts").write_text("")
    assert main(["check", "--matrix", str(copy), "--target", "m68k"]) == 1
    captured = capsys.readouterr()
    assert captured.err == f"vmdump: verdicts are not kept for vmdump query: {copy}/verdicts: File exists\n"
    assert "from \\ to" in captured.out


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One source alone that is no folder is told by name."""
    assert main(["check", "--matrix", str(tmp_path / "missing")]) == 2
    assert capsys.readouterr().err.startswith(f"vmdump: {tmp_path}/missing: no folder")


def test_hostile_names() -> None:
    """Names are text, whatever they hold."""
    from check_sample import HOSTILE, make_result

    page = overview.render({name: make_result() for name in HOSTILE})
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page

"""vmdump gate: all targets of an update from OLD to NEW, the summary on a screen, and the reports for CI."""

import importlib.util
import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.paths import DATA

from vmdump.cli import main

TARGETS = ("m68k", "x86_64")


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directories old and new, with two targets each; the current directory."""
    for name, version in (("old", "7.2.22"), ("new", "10.0.13")):
        (tmp_path / name).mkdir()
        for target in TARGETS:
            shutil.copy(DATA / "extended" / f"qemu-{version}-{target}.json.xz", tmp_path / name / f"{target}.json.xz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_reports(sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The screen has a line for each target and the types that break; all reports have both targets."""
    assert main(["gate", "old", "new", "-o", "out"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [re.match(r"(\w+) +7\.2\.22 -> 10\.0\.13: \d+ breaks", line)[1] for line in lines[:2]] == list(TARGETS)  # type: ignore[index]
    assert len(lines) <= 24
    assert any(line.startswith("breaks  am53c974 (x86_64): ") for line in lines)
    assert lines[-1] == "report: out/pages/index.html"
    pages = {path.name for path in Path("out/pages").iterdir()}
    assert pages == {"devices.html", "index.html", "m68k.html", "x86_64.html"}
    directions = {f"{target}: 7.2.22 -> 10.0.13" for target in TARGETS}
    assert set(json.loads(Path("out/check.json").read_text())["verdicts"]) == directions
    assert {suite.get("name") for suite in ElementTree.parse("out/junit.xml").getroot()} == directions
    (run,) = json.loads(Path("out/check.sarif").read_text())["runs"]
    assert {each["properties"]["direction"] for each in run["results"]} == directions
    issues = json.loads(Path("out/code-quality.json").read_text())
    assert len({each["fingerprint"] for each in issues}) == len(issues) > 20
    assert {each["severity"] for each in issues} == {"critical", "minor", "info"}
    for direction in directions:
        assert f"| `{direction}` |" in Path("out/summary.md").read_text()


def test_direction_and_exit_codes(sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check goes from OLD to NEW, whatever they are called; 0 for equal sides, 3 if a source can't be read."""
    assert main(["gate", "new", "old", "--target", "x86_64"]) == 1
    assert capsys.readouterr().out.startswith("x86_64  10.0.13 -> 7.2.22: ")
    shutil.copytree("old", "same")
    assert main(["gate", "old", "same"]) == 0
    assert capsys.readouterr().out.count("\n") == 4
    Path("same/x86_64.json.xz").write_bytes(b"{ broken")
    assert main(["gate", "old", "same"]) == 3
    assert main(["gate", "old", "absent"]) == 3
    assert main(["gate", "old"]) == 2


ABSENT = "the destination has no QEMU for target m68k"


def accept(*rules: str) -> None:
    """Write a configuration that accepts findings."""
    entries = [f'[[accept]]\nrule = "{rule}"\ntype = "*"\nreason = "reviewed"\n' for rule in rules]
    Path("vmdump.toml").write_text("".join(entries))


def test_a_target_that_the_new_qemu_lacks(sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target of OLD alone is an absent finding in all reports, which --fail-on absent makes an error."""
    Path("new/m68k.json.xz").unlink()
    accept("[!t]*", "test-*", "type-*")
    assert main(["gate", "old", "new"]) == 0
    assert capsys.readouterr().out.startswith(f"m68k    7.2.22 -> 10.0.13: absent: {ABSENT}\n")
    summary = Path("migration/summary.md").read_text()
    assert "the check passes" in summary
    assert f"| ∅ absent | `m68k` | `m68k`: {ABSENT} `target-absent` |" in summary
    direction = "m68k: 7.2.22 -> 10.0.13"
    document = json.loads(Path("migration/check.json").read_text())
    assert document["summary"][direction]["absent"] == 1
    assert [each["type"] for each in document["findings"] if each["rule"] == "target-absent"] == ["m68k"]
    (run,) = json.loads(Path("migration/check.sarif").read_text())["runs"]
    assert "target-absent" in {each["id"] for each in run["tool"]["driver"]["rules"]}
    assert [each["level"] for each in run["results"] if each["ruleId"] == "target-absent"] == ["warning"]
    (suite,) = [each for each in ElementTree.parse("migration/junit.xml").getroot() if each.get("name") == direction]
    assert [(each.get("name"), each[0].tag) for each in suite.iter("testcase")] == [("m68k", "skipped")]
    issues = json.loads(Path("migration/code-quality.json").read_text())
    assert [each["severity"] for each in issues if each["check_name"] == "target-absent"] == ["info"]
    assert "target-absent" in Path("migration/pages/m68k.html").read_text()
    assert "m68k" in Path("migration/pages/index.html").read_text()


def test_a_target_that_is_gone_fails_the_gate(sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --fail-on absent it is the first finding, unless the configuration accepts it, or NEW was not read."""
    Path("new/m68k.json.xz").unlink()
    accept("[!t]*", "test-*", "type-*")
    assert main(["gate", "old", "new", "--fail-on", "absent", "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith(
        f"::error title=absent%3A m68k%2C m68k%3A 7.2.22 -> 10.0.13::m68k: {ABSENT}"
    )
    assert main(["gate", "new", "old", "--fail-on", "absent"]) == 0
    accept("*")
    assert main(["gate", "old", "new", "--fail-on", "absent"]) == 0
    capsys.readouterr()
    shutil.copy("old/x86_64.json.xz", "new/m68k.json.xz")
    Path("new/m68k.json.xz").write_bytes(b"{ broken")
    assert main(["gate", "old", "new", "--fail-on", "absent"]) == 3
    assert ABSENT not in capsys.readouterr().out


def test_all_targets_are_gone(sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If NEW has none of the targets, each breaks, as it does if it is the only one that --target chooses."""
    Path("new/m68k.json.xz").unlink()
    assert main(["gate", "old", "new", "--target", "m68k"]) == 1
    assert capsys.readouterr().out.startswith(f"m68k  7.2.22 -> 10.0.13: breaks: {ABSENT}\n")
    Path("old/x86_64.json.xz").unlink()
    assert main(["gate", "old", "new"]) == 1
    assert "the check fails" in Path("migration/summary.md").read_text()
    accept("target-absent")
    assert main(["gate", "old", "new"]) == 0
    assert main(["gate", "old", "new", "--target", "x86_64"]) == 3


def test_accepted_and_fail_on(sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Findings that the configuration accepts do not fail the gate; --fail-on does for milder ones."""
    accepted = '[[accept]]\nrule = "*"\ntype = "*"\nreason = "reviewed"\n'
    Path("vmdump.toml").write_text(accepted)
    assert main(["gate", "old", "new", "--fail-on", "unknown"]) == 0
    assert re.search(r"x86_64: .*\| \d+ \| \d+ \|$", Path("migration/summary.md").read_text(), re.MULTILINE)
    Path("vmdump.toml").unlink()
    assert main(["gate", "old", "old", "--fail-on", "unknown"]) == 1
    capsys.readouterr()


def test_without_pyarrow(sides: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the packages for Parquet the gate stores dumps as JSON, and finds the same."""
    assert main(["gate", "old", "new", "-o", "parquet"]) == 1
    expected = capsys.readouterr().out.replace("parquet/", "json/")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find_spec(name))
    assert main(["gate", "old", "new", "-o", "json"]) == 1
    assert capsys.readouterr().out == expected
    assert not Path("json/dumps/rows").exists()
    assert Path("parquet/dumps/rows").exists()


def test_annotations(sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --format github, standard output has workflow commands alone."""
    assert main(["gate", "old", "new", "--format", "github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("::error ", "::warning ", "::notice ")) for line in lines)
    assert sum(line.startswith("::notice title=vmdump check") for line in lines) == 2

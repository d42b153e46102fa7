"""vmdump check, lint, explain and rules: output, streams and exit codes."""

import json
from pathlib import Path

import pytest
from support.check_command import Result
from support.descriptions import desc, dump, field
from support.paths import DATA
from support.qemu import find_qemu

from vmdump.check.rules import rule_ids
from vmdump.cli.source_arguments import roots_of
from vmdump.vmstate.model import VMStateDescription

A, B = field("a"), field("b")
#: Descriptions of one device in several versions.
OLD = desc("dev", A)
NEWER = desc("dev", A, field("b", version_id=2), version_id=2)
TESTED = desc("dev", A, field("t", field_exists=True))
RENAMED = desc("dev", field("other"))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Dump files of the descriptions above, in the extended form."""
    paths = {}
    descs: dict[str, VMStateDescription] = {"old": OLD, "newer": NEWER, "tested": TESTED, "renamed": RENAMED}
    for name, vmsd in descs.items():
        paths[name] = tmp_path / f"{name}.json"
        dump(dev=vmsd).write(paths[name], extended=True)
    return paths


def test_check(files: dict[str, Path]) -> None:
    """Each direction with findings has a heading; headline, QEMU's error and remedy have a line each; totals of both
    directions follow, the given order first.
    """
    result = Result("check", files["old"], files["newer"])
    assert result.code == 1
    assert result.err == ""
    heading, underline, empty, *_ = result.out.splitlines()
    assert (heading, underline, empty) == ("newer.json -> old.json: 1 breaks", "=" * len(heading), "")
    paragraph = result.out.split("\n\n")[1].splitlines()
    assert paragraph[0].startswith("breaks: dev: the destination refuses version 2 of the section: ")
    assert "[section-version-too-new]" in " ".join(paragraph[:2])
    assert "  error: savevm: unsupported version 2 for 'dev' v1" in paragraph
    assert any(line.startswith("  remedy: ") for line in paragraph)
    assert result.out.endswith("\n\nold.json -> newer.json: 1 safe\nnewer.json -> old.json: 1 breaks\n")
    nothing = Result("check", files["old"], files["newer"], "--direction", "forward")
    assert nothing.out == "old.json -> newer.json: 1 safe\n"


@pytest.mark.parametrize(
    ("pair", "options", "code"),
    [
        (("old", "newer"), ["--direction", "forward"], 0),
        (("old", "newer"), ["--direction", "backward"], 1),
        (("newer", "old"), ["--direction", "forward"], 1),
        (("old", "renamed"), [], 0),
        (("old", "tested"), [], 0),
        (("old", "tested"), ["--fail-on", "conditional"], 1),
        (("old", "renamed"), ["--fail-on", "conditional"], 0),
        (("old", "newer"), ["--type", "d*"], 1),
    ],
)
def test_exit_codes(pair: tuple[str, str], options: list[str], code: int, files: dict[str, Path]) -> None:
    """Exit code 1 for breaks, and for conditional findings with --fail-on conditional."""
    assert Result("check", *[files[each] for each in pair], *options).code == code


def test_verbose(files: dict[str, Path]) -> None:
    """Safe findings are printed only with --verbose."""
    assert "field-renamed" not in Result("check", files["old"], files["renamed"]).out
    verbose = Result("check", files["old"], files["renamed"], "-v").out
    assert "safe: dev: a is named other in the destination [field-renamed]\n  at: dev / other\n" in verbose
    assert "remedy" not in verbose


def test_condition(files: dict[str, Path]) -> None:
    """A conditional finding prints its condition."""
    out = Result("check", files["old"], files["tested"]).out
    assert "\n  if: the destination's test of t passes\n" in out


def test_equal_findings_are_printed_once(tmp_path: Path) -> None:
    """Types with equal findings share a paragraph; absent types share a line."""
    names = [f"dev{number}" for number in range(12)]
    dump(**dict.fromkeys(names, desc("dev", A, B)), **{f"gone{n}": desc(f"gone{n}", A) for n in range(9)}).write(
        tmp_path / "a.json", extended=True
    )
    dump(**dict.fromkeys(names, OLD)).write(tmp_path / "b.json", extended=True)
    out = Result("check", tmp_path / "a.json", tmp_path / "b.json", "--direction", "forward").out
    assert out.count("[field-removed]") == 1
    assert "breaks: dev0, dev1, dev2, dev3, dev4, dev5, dev6, and 5 more (--verbose lists them): " in out
    (absent,) = [" ".join(each.split()) for each in out.split("\n\n") if each.startswith("absent: ")]
    assert absent.startswith("absent: the destination has no gone0, gone1")
    assert "gone6, and 2 more (--verbose lists them) [type-absent]" in absent
    assert out.endswith("12 breaks, 9 absent\n")


def test_output(files: dict[str, Path], tmp_path: Path) -> None:
    """-o writes a whole file and nothing to stdout."""
    target = tmp_path / "report.txt"
    result = Result("check", files["old"], files["newer"], "-o", target)
    assert (result.code, result.out) == (1, "")
    assert target.read_text() == Result("check", files["old"], files["newer"]).out


def test_matrix(files: dict[str, Path]) -> None:
    """--matrix compares all pairs; the exit code is that of the worst."""
    result = Result("check", "--matrix", files["old"], files["newer"], files["tested"])
    assert result.code == 1
    assert [line.split() for line in result.out.splitlines()] == [
        ["from", "\\", "to", "old.json", "newer.json", "tested.json"],
        ["old.json", "-", "safe", "1", "conditional"],
        ["newer.json", "1", "breaks", "-", "1", "breaks"],
        # A field with a test, read by one that is absent in version 1.
        ["tested.json", "1", "conditional", "1", "conditional", "-"],
    ]
    assert Result("check", "--matrix", files["old"], files["old"], files["old"]).code == 0


def test_accepted_is_not_safe(files: dict[str, Path], tmp_path: Path) -> None:
    """A type whose findings are all accepted counts as accepted in text, matrix and JSON."""
    config = tmp_path / "vmdump.toml"
    config.write_text('[[accept]]\nrule = "*"\ntype = "*"\nreason = "known"\n')
    sources = (files["newer"], files["old"])
    options = ("--config", config, "--direction", "forward")
    text = Result("check", *sources, *options)
    assert (text.code, text.out.splitlines()[-1]) == (0, "newer.json -> old.json: 1 accepted")
    matrix = Result("check", "--matrix", *sources, files["tested"], *options).out.splitlines()
    assert matrix[1].split() == ["newer.json", "-", "1", "accepted", "1", "accepted"]
    document = json.loads(Result("check", *sources, *options, "--format", "json").out)
    (counts,) = document["summary"].values()
    assert counts == {"breaks": 0, "conditional": 0, "absent": 0, "unknown": 0, "accepted": 1, "safe": 0}
    assert [*document["verdicts"].values()] == [{"dev": "accepted"}]


def test_unknown(tmp_path: Path) -> None:
    """Parts that were not compared are reported once for all types, and fail only with --fail-on unknown."""
    fields = [{"field": "virtio", "version_id": 0, "field_exists": False, "size": 0}]
    vmsd = {"version_id": 1, "minimum_version_id": 1, "Fields": fields}
    numbered = [{"field": "a", "version_id": 0, "field_exists": False, "size": 4, "num": 2}]
    types = {
        name: {"Name": name, "version_id": 1, "minimum_version_id": 1, "Description": {"name": name, **vmsd}}
        for name in ("virtio-rng", "virtio-net")
    }
    vmsd = {"name": "e", "version_id": 1, "minimum_version_id": 1, "Fields": numbered}
    types["e"] = {"Name": "e", "version_id": 1, "minimum_version_id": 1, "Description": vmsd}
    path = tmp_path / "dump.json"
    path.write_text(json.dumps({"vmschkmachine": {"Name": "pc"}, **types}))
    sources = (path, path, "--direction", "forward")
    result = Result("check", *sources)
    assert result.code == 0
    (paragraph,) = [" ".join(each.split()) for each in result.out.split("\n\n") if each.startswith("unknown: ")]
    assert paragraph.startswith("unknown: virtio-rng, virtio-net: not compared: ")
    assert "[field-size-unknown]" in paragraph
    assert "not compared: the dumps have no size for virtio;" in result.out
    assert result.out.splitlines()[-1].endswith(": 2 unknown, 1 safe")
    assert Result("check", *sources, "--fail-on", "unknown").code == 1
    assert Result("check", *sources, "--fail-on", "absent").code == 0
    config = tmp_path / "vmdump.toml"
    config.write_text('fail-on = "unknown"\n')
    assert Result("check", *sources, "--config", config).code == 1


def test_standard_input(files: dict[str, Path]) -> None:
    """One of the sources may be standard input."""
    result = Result("check", "-", files["newer"], "--direction", "forward", stdin=files["old"].read_bytes())
    assert (result.code, result.out) == (0, "stdin -> newer.json: 1 safe\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["FILE"], "1 SOURCE(s) given; give two, or --matrix and several"),
        (["FILE", "FILE", "FILE"], "3 SOURCE(s) given; give two, or --matrix and several"),
        (["-", "-"], "standard input can be one of the sources"),
        (["FILE", "FILE", "-M", "pc"], "--machine does not apply to dump files"),
        (["FILE", "FILE", "--module-dir", "x"], "--module-dir does not apply to dump files"),
        (["FILE", "FILE", "--direction", "up"], "--direction"),
        (["FILE", "FILE", "--run"], "--run does not apply to dump files"),
        (["FILE", "FILE", "--root", "/"], "--root does not apply to dump files"),
        (["FILE", "FILE", "--root", "/proc"], "--root: no SOURCE lies in /proc"),
        (["FILE", "FILE", "--host", "memfd=off"], "--host does not apply to dump files"),
        (["FILE", "FILE", "-M", "help"], "a dump file does not list machine types"),
    ],
)
def test_usage(argv: list[str], message: str, files: dict[str, Path]) -> None:
    """Invalid arguments end with exit code 2."""
    result = Result("check", *[files["old"] if arg == "FILE" else arg for arg in argv])
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_roots_of(tmp_path: Path) -> None:
    """Each source belongs to the innermost root that it lies in; a single source and root belong together."""
    old, new = tmp_path / "old", tmp_path / "old/new"
    new.mkdir(parents=True)
    sources, roots = [str(old / "qemu"), str(new / "qemu"), "/qemu"], [str(old), str(new)]
    assert roots_of(sources, roots) == [str(old), str(new), None]
    assert roots_of(["/qemu"], roots[:1]) == roots[:1]
    assert roots_of(sources, []) == [None, None, None]


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b'{"dev": {}}'])
def test_failed_load_is_no_compatibility(bad: bytes, files: dict[str, Path], tmp_path: Path) -> None:
    """An unreadable source on either side is an error with empty stdout."""
    path = tmp_path / "bad.json"
    path.write_bytes(bad)
    for pair in ((path, files["old"]), (files["old"], path)):
        result = Result("check", *pair)
        assert (result.code, result.out) == (3, "")
        assert result.err.count("\n") == 1
        assert "bad.json" in result.err


def test_no_type_matches(files: dict[str, Path]) -> None:
    """A --type pattern that matches nothing is an error."""
    result = Result("check", files["old"], files["old"], "--type", "nix*")
    assert (result.code, result.out) == (3, "")
    assert "no type matches nix*; vmdump devices lists them" in result.err


@pytest.mark.qemu
def test_binary() -> None:
    """A binary against an older dump: CPUs are compared, modules loaded."""
    result = Result("check", find_qemu("x86_64"), DATA / "extended" / "qemu-10.0.13-x86_64.json.xz", "-M", "q35", "-v")
    assert result.code == 1
    assert "am53c974" in result.out
    assert "10.0.13 -> 7.2.22: " in result.out
    assert "the destination does not know the subsection cpu/fred" in " ".join(result.out.split())


@pytest.mark.qemu
def test_binary_that_is_run() -> None:
    """With --run a binary writes its own dump, without standalone descriptions and metadata."""
    qemu = find_qemu("x86_64")
    result = Result("check", "--run", qemu, DATA / "extended" / "qemu-7.2.22-x86_64.json.xz", "-M", "pc")
    assert (result.code, result.err) == (0, "")
    assert "breaks" not in result.out


# lint, rules, explain ---------------------------------------------------------------------------------------------


def test_lint(tmp_path: Path) -> None:
    """Defects are printed and exit with 1; notices are counted, and printed with --verbose."""
    bad = tmp_path / "bad.json"
    dump(desc("dev", field("a", version_id=2), field("b", "uint32 equal"))).write(bad, extended=True)
    result = Result("lint", bad)
    assert result.code == 1
    headline, *_, remedy = result.out.split("\n\n")[0].splitlines()
    assert headline.startswith("defect: dev: a is never sent: its version_id 2 is above version 1 of dev")
    assert remedy.startswith("  remedy: ")
    assert "notice: 1 x [compared-with-configuration]: dev / dev / b\n" in result.out
    assert result.out.endswith("bad.json: 1 defect, 1 notice\n")
    verbose = Result("lint", bad, "--verbose").out
    assert "notice: dev: b (uint32 equal) must match the destination: " in verbose
    good = tmp_path / "good.json"
    dump(desc("dev", field("b", "uint32 equal"))).write(good, extended=True)
    assert Result("lint", good).code == 0
    assert Result("lint", tmp_path / "none.json").code == 3


def test_lint_several(tmp_path: Path) -> None:
    """Several sources are reported as one after the other; one that can't be read does not stop the others."""
    bad, good = tmp_path / "bad.json", tmp_path / "good.json"
    dump(desc("dev", field("a", version_id=2))).write(bad, extended=True)
    dump(desc("dev", field("b"))).write(good, extended=True)
    for format in ([], ["--format", "concise"], ["--statistics"]):
        single = [Result("lint", each, *format).out for each in (bad, good)]
        both = Result("lint", bad, good, *format)
        assert (both.code, both.err) == (1, "")
        assert both.out == ("" if "concise" in format else "\n").join(single)
    (found,) = json.loads(Result("lint", bad, "--format", "json").out)
    assert json.loads(Result("lint", bad, good, "--format", "json").out) == [{"source": "bad.json", **found}]
    (row,) = json.loads(Result("lint", good, bad, "--format", "json", "--statistics").out)
    assert row == {"source": "bad.json", "rule": found["rule"], "level": "defect", "count": 1}
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    partly = Result("lint", broken, bad)
    assert (partly.code, partly.out) == (3, Result("lint", bad).out)
    assert partly.err.startswith(f"vmdump: {broken}:")
    none = Result("lint", broken, tmp_path / "missing.json")
    assert (none.code, none.out, none.err.count("vmdump: ")) == (3, "", 2)
    mixed = Result("lint", bad, good, "--machines", "all")
    assert (mixed.code, mixed.err) == (2, "vmdump: --machines applies to QEMU binaries only\n")


def test_rules() -> None:
    """All rules are listed, as a table and as JSON."""
    table, objects = Result("rules"), json.loads(Result("rules", "--json").out)
    assert sorted(each["rule"] for each in objects) == rule_ids()
    assert [line.split()[0] for line in table.out.splitlines()[1:]] == [each["rule"] for each in objects]
    expected = {"check": True, "abi": True, "gate": True, "migrate": True, "lint": False}
    assert {each["command"]: each["level"] is None for each in objects} == expected


@pytest.mark.parametrize("name", rule_ids())
def test_explain(name: str) -> None:
    """Each rule is explained: reason, example, remedy, QEMU source."""
    result = Result("explain", name)
    assert result.code == 0
    assert all(f"\n{head}: " in result.out for head in ("why", "example", "remedy", "source"))


def test_explain_unknown() -> None:
    """An unknown rule gets a suggestion."""
    result = Result("explain", "field-aded")
    assert (result.code, result.out) == (3, "")
    assert "no rule 'field-aded'; did you mean field-added" in result.err
    assert "vmdump rules lists" in Result("explain", "xyz").err


def test_findings_of_one_rule_share_a_paragraph(tmp_path: Path) -> None:
    """Fields with equal findings share a paragraph that lists their paths; --verbose prints each."""
    import json

    def dump(name: str, *fields: str) -> Path:
        field = {"version_id": 0, "field_exists": False, "size": 4}
        desc = {
            "name": "d",
            "version_id": 1,
            "minimum_version_id": 1,
            "Fields": [{"field": f, **field} for f in fields],
        }
        device = {"Name": "t", "version_id": 1, "minimum_version_id": 1, "Description": desc}
        path = tmp_path / name
        path.write_text(json.dumps({"vmschkmachine": {"Name": "m"}, "t": device}))
        return path

    old, new = dump("old.json", "a", "b"), dump("new.json", "a", "b", "third", "fourth", "fifth")
    argv = ("check", old, new, "--direction", "forward")
    plain, verbose = Result(*argv), Result(*argv, "--verbose")
    assert plain.out.count("[field-added]") == 1
    assert "  at: d / third\n  also: fourth, fifth\n" in plain.out
    assert verbose.out.count("[field-added]") == 3


def test_machines_is_for_binaries(files: dict[str, Path]) -> None:
    """--machines needs binaries, and excludes -M."""
    wrong = Result("check", files["old"], files["tested"], "--machines", "all")
    assert (wrong.code, wrong.err) == (2, "vmdump: --machines applies to QEMU binaries only\n")
    both = Result("check", files["old"], files["tested"], "--machines", "all", "-M", "pc")
    assert (both.code, both.err) == (2, "vmdump: -M and --machines exclude each other\n")
    lint = Result("lint", files["old"], "--machines", "all", "-M", "pc")
    assert (lint.code, lint.err) == (2, "vmdump: -M and --machines exclude each other\n")


@pytest.mark.qemu
@pytest.mark.slow
def test_machines() -> None:
    """Each machine type that matches is checked in VMs of its own; without evaluation there is no result for it."""
    binary = find_qemu("x86_64")
    unknown = Result("check", binary, binary, "--machines", "no-such-*")
    assert (unknown.code, unknown.err) == (
        2, "vmdump: --machines: no machine type that all sources have matches 'no-such-*'; -M help lists them\n",
    )  # fmt: skip
    for options, names in (([], {"isapc"}), (["--no-evaluate"], set())):
        result = Result("check", binary, binary, "--machines", "isa*", "--format", "json", *options)
        verdicts = json.loads(result.out)["verdicts"]
        assert all("isapc" in direction for direction in verdicts)
        assert [set(each) & {"isapc"} for each in verdicts.values()] == [names] * len(verdicts)
        assert all(each.get("isapc", "safe") == "safe" for each in verdicts.values())

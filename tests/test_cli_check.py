"""vmdump check, lint, explain and rules: what they print, where to, and their exit codes."""

import io
import json
from pathlib import Path

import pytest
from conftest import DATA, find_qemu
from descriptions import desc, dump, field

from vmdump.check.rules import rule_ids
from vmdump.cli import main
from vmdump.cli.environment import Environment
from vmdump.cli.source_list import labels
from vmdump.vmstate.model import VMStateDescription

A, B = field("a"), field("b")
#: Descriptions of one device through its versions.
OLD = desc("dev", A)
NEWER = desc("dev", A, field("b", version_id=2), version_id=2)
TESTED = desc("dev", A, field("t", field_exists=True))
RENAMED = desc("dev", field("other"))


class Result:
    """A command's exit code and output."""

    def __init__(self, *argv: object, stdin: bytes = b"") -> None:
        keyboard = io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)))
        stdout, stderr = io.StringIO(), io.StringIO()
        environment = Environment(stdin=keyboard, stdout=stdout, stderr=stderr, environ={})
        self.code = main([str(arg) for arg in argv], environment)
        self.out, self.err = stdout.getvalue(), stderr.getvalue()


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
    """Both directions, the worst first, counts at the end."""
    result = Result("check", files["old"], files["newer"])
    assert result.code == 1
    assert result.err == ""
    assert result.out.startswith("breaks: dev: dev [section-version-too-new]\n  newer.json -> old.json: ")
    assert "`savevm: unsupported version 2 for 'dev' v1`" in result.out
    assert result.out.endswith("\n\nold.json -> newer.json: 1 safe\nnewer.json -> old.json: 1 breaks\n")


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
    """1 for what breaks, and for what may where that is asked for."""
    assert Result("check", *[files[each] for each in pair], *options).code == code


def test_verbose(files: dict[str, Path]) -> None:
    """What is safe is told with --verbose alone."""
    assert "field-renamed" not in Result("check", files["old"], files["renamed"]).out
    assert "safe: dev: dev / other [field-renamed]" in Result("check", files["old"], files["renamed"], "-v").out


def test_condition(files: dict[str, Path]) -> None:
    """A conditional finding says when."""
    out = Result("check", files["old"], files["tested"]).out
    assert "\n  if: the destination's test of t passes\n" in out


def test_alike_types_are_told_once(tmp_path: Path) -> None:
    """One paragraph for many types, and one line for all that are absent."""
    names = [f"dev{number}" for number in range(12)]
    dump(**dict.fromkeys(names, desc("dev", A, B)), **{f"gone{n}": desc(f"gone{n}", A) for n in range(9)}).write(
        tmp_path / "a.json", extended=True
    )
    dump(**dict.fromkeys(names, OLD)).write(tmp_path / "b.json", extended=True)
    out = Result("check", tmp_path / "a.json", tmp_path / "b.json", "--direction", "forward").out
    assert out.count("[field-removed]") == 1
    assert "dev6, dev7 and 4 more" in out
    assert "the destination has no gone0, gone1" in out
    assert "and 2 more (--verbose lists them)" in out
    assert out.endswith("12 breaks, 9 absent\n")


def test_output(files: dict[str, Path], tmp_path: Path) -> None:
    """-o writes a file, whole; stdout stays empty."""
    target = tmp_path / "report.txt"
    result = Result("check", files["old"], files["newer"], "-o", target)
    assert (result.code, result.out) == (1, "")
    assert target.read_text() == Result("check", files["old"], files["newer"]).out


def test_matrix(files: dict[str, Path]) -> None:
    """Each against each; the exit code of the worst."""
    result = Result("check", "--matrix", files["old"], files["newer"], files["tested"])
    assert result.code == 1
    assert [line.split() for line in result.out.splitlines()] == [
        ["from", "\\", "to", "old.json", "newer.json", "tested.json"],
        ["old.json", "-", "safe", "1", "conditional"],
        ["newer.json", "1", "breaks", "-", "1", "breaks"],
        # A field that only a test lets through, read by one that is not there in version 1.
        ["tested.json", "1", "conditional", "1", "conditional", "-"],
    ]
    assert Result("check", "--matrix", files["old"], files["old"], files["old"]).code == 0


def test_standard_input(files: dict[str, Path]) -> None:
    """One of the sources may come from there."""
    result = Result("check", "-", files["newer"], "--direction", "forward", stdin=files["old"].read_bytes())
    assert (result.code, result.out) == (0, "- -> newer.json: 1 safe\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["FILE"], "1 SOURCE(s) given; give two, or --matrix and several"),
        (["FILE", "FILE", "FILE"], "3 SOURCE(s) given; give two, or --matrix and several"),
        (["-", "-"], "standard input can be one of the sources"),
        (["FILE", "FILE", "-M", "pc"], "--machine is not for dump files"),
        (["FILE", "FILE", "--module-dir", "x"], "--module-dir is not for dump files"),
        (["FILE", "FILE", "--direction", "up"], "--direction"),
        (["FILE", "FILE", "--run"], "--run needs a SOURCE that is a QEMU binary"),
        (["FILE", "FILE", "-M", "help"], "a dump file does not say which machine types there were"),
    ],
)
def test_usage(argv: list[str], message: str, files: dict[str, Path]) -> None:
    """What asks for nothing that there is."""
    result = Result("check", *[files["old"] if arg == "FILE" else arg for arg in argv])
    assert (result.code, result.out) == (2, "")
    assert message in result.err


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b'{"dev": {}}'])
def test_failed_load_is_no_compatibility(bad: bytes, files: dict[str, Path], tmp_path: Path) -> None:
    """A source that can't be read is an error, with nothing on stdout, on either side."""
    path = tmp_path / "bad.json"
    path.write_bytes(bad)
    for pair in ((path, files["old"]), (files["old"], path)):
        result = Result("check", *pair)
        assert (result.code, result.out) == (3, "")
        assert result.err.count("\n") == 1
        assert "bad.json" in result.err


def test_no_type_matches(files: dict[str, Path]) -> None:
    """A pattern that nothing matches is no pass."""
    result = Result("check", files["old"], files["old"], "--type", "nix*")
    assert (result.code, result.out) == (3, "")
    assert "no type matches nix*; vmdump devices lists them" in result.err


@pytest.mark.qemu
def test_binary() -> None:
    """A binary against what an older one told: CPUs take part, modules are loaded."""
    result = Result("check", find_qemu("x86_64"), DATA / "extended" / "qemu-10.0.13-x86_64.json.xz", "-M", "q35", "-v")
    assert result.code == 1
    assert "am53c974" in result.out
    assert "10.0.13-x86_64.json.xz -> qemu-system-x86_64: the destination does not know cpu/fred" in result.out


@pytest.mark.qemu
def test_binary_that_is_run() -> None:
    """With --run a binary writes its own dump, which tells less than what is read off it, and nothing else."""
    qemu = find_qemu("x86_64")
    result = Result("check", "--run", qemu, DATA / "extended" / "qemu-7.2.22-x86_64.json.xz", "-M", "none")
    assert (result.code, result.err) == (0, "")
    assert "breaks" not in result.out


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/x/7.2/usr/bin/qemu", "/x/10.0/usr/bin/qemu"], ["7.2", "10.0"]),
        (["a.json", "dir/a.json"], ["a.json", "dir/a.json"]),
        (["x/old.json", "/y/new.json"], ["old.json", "new.json"]),
        (["x/a.json", "x/a.json"], ["a.json (1)", "a.json (2)"]),
        (["one.json"], ["one.json"]),
    ],
)
def test_labels(paths: list[str], expected: list[str]) -> None:
    """Sources are called by what tells them apart."""
    assert labels(paths) == expected


# The others -------------------------------------------------------------------------------------------------------


def test_lint(tmp_path: Path) -> None:
    """Defects are told and exit with 1; notices are counted, and told with --verbose."""
    bad = tmp_path / "bad.json"
    dump(desc("dev", field("a", version_id=2), field("b", "uint32 equal"))).write(bad, extended=True)
    result = Result("lint", bad)
    assert result.code == 1
    assert "defect: dev: dev / dev / a [field-above-version]\n  a never travels" in result.out
    assert "notice: 1 x [compared-with-configuration]: dev / dev / b\n" in result.out
    assert result.out.endswith("1 defects, 1 notices\n")
    assert "  b (uint32 equal) has to be what the destination has" in Result("lint", bad, "--verbose").out
    good = tmp_path / "good.json"
    dump(desc("dev", field("b", "uint32 equal"))).write(good, extended=True)
    assert Result("lint", good).code == 0
    assert Result("lint", tmp_path / "none.json").code == 3


def test_rules() -> None:
    """All of them, as a table and as JSON."""
    table, objects = Result("rules"), json.loads(Result("rules", "--json").out)
    assert sorted(each["rule"] for each in objects) == rule_ids()
    assert [line.split()[0] for line in table.out.splitlines()[1:]] == [each["rule"] for each in objects]
    assert {each["command"]: each["level"] is None for each in objects} == {"check": True, "lint": False}


@pytest.mark.parametrize("name", rule_ids())
def test_explain(name: str) -> None:
    """Each rule is explained: why, an example, the remedy, where QEMU does so."""
    result = Result("explain", name)
    assert result.code == 0
    assert all(f"\n{head}: " in result.out for head in ("why", "example", "remedy", "source"))


def test_explain_unknown() -> None:
    """A near name is proposed."""
    result = Result("explain", "field-aded")
    assert (result.code, result.out) == (3, "")
    assert "no rule 'field-aded'; did you mean field-added" in result.err
    assert "vmdump rules lists" in Result("explain", "xyz").err


def test_findings_of_one_rule_are_told_together(tmp_path: Path) -> None:
    """Many fields that break alike are one paragraph, with the others' paths; --verbose tells each."""
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
    told, verbose = Result(*argv), Result(*argv, "--verbose")
    assert told.out.count("[field-added]") == 1
    assert "  the same: d / fourth, d / fifth\n" in told.out
    assert verbose.out.count("[field-added]") == 3

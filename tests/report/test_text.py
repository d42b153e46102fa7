"""The text report of a check: lines, colours, the concise format, statistics, and rule selection."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.check_sample import HOSTILE, make_result
from support.descriptions import desc, dump, field

from vmdump.check.results import CheckResult, Dump, Finding, TypeResult, Verdict
from vmdump.check.rules import rule_ids
from vmdump.check.selection import Selection, patterns, select
from vmdump.cli import main
from vmdump.cli.environment import Environment
from vmdump.dump.producer import Producer
from vmdump.report import render
from vmdump.report.options import DEFAULTS, Options
from vmdump.report.tally import VERDICTS, worst

LONG = "s / d / " + "x" * 90
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ERROR = "replay: incoming version_id 2 is too old for local minimum version_id  3, and so on, and so on, and so on"


def found(verdict: Verdict, type_: str, rule: str = "field-added", direction: str = "A -> B", **more: Any) -> Finding:
    """A finding of a type."""
    path = more.pop("path", f"s / d / {type_}.field")
    return Finding(rule, verdict, direction, type_, path, more.pop("message", f"{type_} will not load"), **more)


def checked(*findings: Finding, **more: Any) -> CheckResult:
    """A check with these findings, one type for each name."""
    results: dict[str, list[TypeResult]] = {"A -> B": [], "B -> A": []}
    for direction, types in results.items():
        names = dict.fromkeys(each.type for each in findings if each.direction == direction)
        for name in names:
            own = [each for each in findings if (each.direction, each.type) == (direction, name)]
            types.append(TypeResult(name, max((each.verdict for each in own), key=Verdict.severity), "s", own, []))
    dumps = [Dump(name, Producer("file"), "pc") for name in "AB"]
    return CheckResult(dumps, results, **more)


def text(result: CheckResult, options: Options = DEFAULTS, format: str = "text") -> str:
    """Return the report."""
    return render(result, format, options).decode()


BOTH = (
    found(Verdict.BREAKS, "late", direction="B -> A"),
    found(Verdict.CONDITIONAL, "maybe", "test-added", condition="the test passes", remedy="Keep the test."),
    found(
        Verdict.BREAKS, "sure", "field-removed", remedy="Leave VMSTATE_UNUSED.", error="Missing section footer for s"
    ),
    found(Verdict.BREAKS, "other", "field-removed", remedy="Leave VMSTATE_UNUSED."),
)


def test_order() -> None:
    """The given direction first, with a heading and totals; breaks before conditional findings; totals again at the
    end.
    """
    blocks = text(checked(*BOTH)).rstrip("\n").split("\n\n")
    assert [block.splitlines()[0].partition(" will")[0] for block in blocks] == [
        "A -> B: 2 breaks, 1 conditional",
        "breaks: sure: sure",
        "breaks: other: other",
        "conditional: maybe: maybe",
        "B -> A: 1 breaks",
        "breaks: late: late",
        "A -> B: 2 breaks, 1 conditional",
    ]
    assert blocks[-1].splitlines()[1] == "B -> A: 1 breaks"


def test_lines_of_a_finding() -> None:
    """Headline, place, QEMU's line, condition and remedy have a line each; the remedy once for each rule."""
    blocks = text(checked(*BOTH)).split("\n\n")
    assert blocks[1].splitlines() == [
        "breaks: sure: sure will not load [field-removed]",
        "  at: s / d / sure.field",
        "  error: Missing section footer for s",
        "  remedy: Leave VMSTATE_UNUSED.",
    ]
    assert blocks[2].splitlines() == ["breaks: other: other will not load [field-removed]", "  at: s / d / other.field"]
    assert "  if: the test passes" in blocks[3].splitlines()


def test_one_description_of_several_types() -> None:
    """Types with equal findings share a paragraph, which lists further fields."""
    same = [
        found(Verdict.BREAKS, name, path=f"pciespscsi / esp / {field}", message=f"{field} differs")
        for name in ("am53c974", "dc390")
        for field in ("esp.drq_state", "esp.lun")
    ]
    (_, paragraph, _) = text(checked(*same)).split("\n\n")
    assert paragraph.splitlines() == [
        "breaks: am53c974, dc390: esp.drq_state differs [field-added]",
        "  at: pciespscsi / esp / esp.drq_state",
        "  also: esp.lun",
    ]
    verbose = text(checked(*same), Options(verbose=True))
    assert verbose.count("breaks: am53c974, dc390: ") == 2


def test_parts_that_many_types_have() -> None:
    """Parts that could not be compared are one paragraph for each rule with all types; --verbose prints each."""

    def part(type_: str, name: str) -> Finding:
        path, message = f"{type_} / PCIDevice / {name}", f"{name} is written by code"
        return found(
            Verdict.UNKNOWN, type_, "code-not-compared", path=path, message=message, remedy="Compare put and get."
        )

    same = text(checked(part("e1000", "msix"), part("nvme", "msix"))).split("\n\n")
    assert same[1].splitlines() == [
        "unknown: e1000, nvme: msix is written by code [code-not-compared]",
        "  remedy: Compare put and get.",
    ]
    several = checked(part("e1000", "msix"), part("nvme", "msix"), part("nvme", "shpc"))
    assert text(several).split("\n\n")[1].splitlines() == [
        "unknown: e1000, nvme: a field is saved and loaded by code, which cannot be compared",
        "    [code-not-compared]",
        "  at: msix, shpc",
        "  remedy: Compare put and get.",
    ]
    assert "  at: nvme / PCIDevice / shpc" in text(several, Options(verbose=True)).splitlines()
    alone = text(checked(part("e1000", "msix"))).splitlines()
    assert "  at: e1000 / PCIDevice / msix" in alone


@pytest.mark.parametrize("width", [40, 80, 100, 120])
def test_width(width: int) -> None:
    """Lines fit the width, except for QEMU's own lines, paths and rule ids."""
    message = "the source sends a_field_with_quite_a_long_name (8 bytes, int64), which the destination does not read"
    result = checked(
        found(Verdict.BREAKS, "virtio-gpu-device", message=message, path=LONG, error=ERROR, remedy=message),
        *(found(Verdict.ABSENT, f"some-type-{number}", "type-absent", path="s", remedy=message) for number in range(7)),
        *(found(Verdict.BREAKS, f"t{number}", message=message) for number in range(7)),
    )  # fmt: skip
    lines = text(result, Options(width=width)).splitlines()
    assert f"  error: {ERROR}" in lines
    assert f"  at: {LONG}" in lines
    others = [line for line in lines if ERROR not in line and "xxx" not in line]
    assert all(len(line) <= width for line in others)
    assert max(map(len, others)) > width - 25


@pytest.mark.parametrize("format", ["text", "concise"])
@pytest.mark.parametrize("options", [DEFAULTS, Options(verbose=True), Options(matrix=True), Options(statistics=True)])
def test_colours_change_no_text(format: str, options: Options) -> None:
    """Colours only add escape sequences, for any names."""
    result = make_result(3, 20, HOSTILE)
    plain, coloured = (text(result, options._replace(colours=colours), format) for colours in (False, True))
    assert "\x1b" not in plain
    assert COLOUR.search(coloured)
    assert COLOUR.sub("", coloured) == plain


@pytest.mark.parametrize("format", ["text", "concise"])
def test_hostile_names(format: str) -> None:
    """Names cannot end a line or send escape sequences."""
    plain, hostile = (
        checked(found(Verdict.BREAKS, name, path=f"s / {name}", message="m")) for name in ("x", HOSTILE[4])
    )
    assert text(hostile, format=format).count("\n") == text(plain, format=format).count("\n")
    assert "\x1b" not in text(hostile, format=format)


# The command line -----------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A standard output that is a terminal."""

    def isatty(self) -> bool:
        """True."""
        return True


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    """Two dump files that differ in a field, a subsection and a type."""
    a, b = field("a"), field("b")
    sub = desc("dev/sub", a, needed=True)
    dump(desc("dev", a, subsections=[sub]), desc("gone", a)).write(tmp_path / "old.json", extended=True)
    dump(desc("dev", a, b)).write(tmp_path / "new.json", extended=True)
    return [str(tmp_path / "old.json"), str(tmp_path / "new.json"), "--direction", "forward"]


def run(*argv: str, stdout: io.StringIO | None = None, **environ: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of a command."""
    stdout, stderr = stdout or io.StringIO(), io.StringIO()
    code = main(argv, Environment(stdout=stdout, stderr=stderr, environ=environ))
    return code, stdout.getvalue(), stderr.getvalue()


def test_colours_on_a_terminal(pair: list[str]) -> None:
    """Colours on a terminal unless NO_COLOR or TERM=dumb are set; never in a file."""
    assert COLOUR.search(run("check", *pair, stdout=Terminal(), TERM="xterm")[1])
    for environ in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}):
        assert not COLOUR.search(run("check", *pair, stdout=Terminal(), **environ)[1])
    assert not COLOUR.search(run("check", *pair, TERM="xterm")[1])
    target = Path(pair[0]).with_name("report")
    assert run("check", *pair, "-o", str(target), stdout=Terminal(), TERM="xterm")[1] == ""
    assert not COLOUR.search(target.read_text())


def test_concise(pair: list[str]) -> None:
    """One line for each finding: direction, type and path, verdict, rule, message; then the totals."""
    code, out, _ = run("check", *pair, "--format", "concise")
    assert (code, out.splitlines()) == (
        1,
        [
            "old.json -> new.json: dev/b: breaks [field-added] the destination reads b (4 bytes, uint32), which the "
            "source does not send",
            "old.json -> new.json: dev/dev/sub: conditional [subsection-unknown] the destination does not know the "
            "subsection dev/sub",
            "old.json -> new.json: gone: absent [type-absent] the destination has neither the type gone nor a section "
            "'gone' (a dump lists device classes only; a standalone VMSD may have that name)",
            "old.json -> new.json: 1 breaks, 1 absent",
        ],
    )


def test_statistics(pair: list[str]) -> None:
    """The number of findings for each rule, as text and as JSON; other formats refuse the option."""
    assert run("check", *pair, "--statistics")[:2] == (
        1,
        "old.json -> new.json: 1 breaks, 1 absent\n"
        "  1  breaks       field-added\n"
        "  1  conditional  subsection-unknown\n"
        "  1  absent       type-absent\n",
    )
    objects = json.loads(run("check", *pair, "--statistics", "--format", "json")[1])
    assert objects[0] == {"direction": "old.json -> new.json", "rule": "field-added", "verdict": "breaks", "count": 1}
    assert [each["rule"] for each in objects] == ["field-added", "subsection-unknown", "type-absent"]
    code, out, err = run("check", *pair, "--statistics", "--format", "sarif")
    assert (code, out) == (2, "")
    assert "--statistics does not apply to --format sarif; use text or json" in err
    rows = text(
        checked(*(found(Verdict.SAFE, f"t{n}") for n in range(12)), *BOTH), Options(statistics=True)
    ).splitlines()
    assert rows[1:3] == ["  2  breaks       field-removed", "  1  conditional  test-added"]


@pytest.mark.parametrize(
    ("options", "code", "totals"),
    [
        ([], 1, "1 breaks, 1 absent"),
        (["--ignore", "field-added"], 0, "1 conditional, 1 absent; 1"),
        (["--ignore", "field-*,subsection-*"], 0, "1 absent, 1 accepted; 2"),
        (["--ignore", "field-*", "--ignore", "type-absent"], 0, "1 conditional, 1 accepted; 2"),
        (["--select", "field-*"], 1, "1 breaks, 1 accepted; 2"),
        (["--select", "type-absent"], 0, "1 absent, 1 accepted; 2"),
        (["--select", "field-*", "--ignore", "field-added", "--fail-on", "absent"], 0, "2 accepted; 3"),
        (["--select", "*"], 1, "1 breaks, 1 absent"),
    ],
)  # fmt: skip
def test_select_and_ignore(options: list[str], code: int, totals: str, pair: list[str]) -> None:
    """Deselected findings count neither in verdicts nor in the exit code; their number is printed; a type with
    deselected findings is never safe.
    """
    verdicts, _, number = totals.partition("; ")
    ignored = f"; {number} finding{'s' * (number != '1')} ignored (select, ignore)" if number else ""
    status, out, _ = run("check", *pair, *options)
    assert (status, out.splitlines()[-1]) == (code, f"old.json -> new.json: {verdicts}{ignored}")
    document = json.loads(run("check", *pair, *options, "--format", "json")[1])
    assert document["ignored"] == {"old.json -> new.json": int(number or 0)}


@pytest.mark.parametrize("option", ["--select", "--ignore"])
@pytest.mark.parametrize("command", ["check", "lint"])
def test_unknown_rules(option: str, command: str, pair: list[str]) -> None:
    """An unknown rule is a usage error with a suggestion."""
    sources = pair if command == "check" else pair[:1]
    code, out, err = run(command, *sources, option, "field-removed,field-aded")
    assert (code, out) == (2, "")
    assert f"vmdump: {option}: no rule 'field-aded'; did you mean field-added" in err
    assert "vmdump rules lists" in run(command, *sources, option, "x*")[2]


def test_rules_in_the_configuration(pair: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """vmdump.toml may have select and ignore; the command line's replace them."""
    monkeypatch.chdir(tmp_path)
    config = Path("vmdump.toml")
    config.write_text('ignore = ["field-*"]\n[[accept]]\nrule = "field-added"\nreason = "known"\n')
    status, out, _ = run("check", *pair)
    assert (status, out.splitlines()[-1]) == (
        0, "old.json -> new.json: 1 conditional, 1 absent; 1 finding ignored (select, ignore)"
    )  # fmt: skip
    assert "matches no finding" not in out  # it would, if its rule were not ignored
    assert "1 absent, 1 accepted; 2 findings ignored" in run("check", *pair, "--select", "type-absent")[1]
    for value, reason in (
        ('"x"', "not an array of strings"),
        ('["field-aded"]', "did you mean field-added"),
        ("[1]", "not an array"),
    ):
        config.write_text(f"\nselect = {value}\n")
        code, _, err = run("check", *pair)
        assert (code, err.startswith("vmdump: vmdump.toml:2: select")) == (3, True)
        assert reason in err


def test_lint_has_the_same(tmp_path: Path) -> None:
    """The linter has the same formats, statistics and rule selection."""
    path = tmp_path / "bad.json"
    dump(desc("dev", field("a", version_id=2), field("b", "uint32 equal"))).write(path, extended=True)
    code, out, _ = run("lint", str(path), "--format", "concise")
    assert code == 1
    assert out.splitlines()[0].startswith("bad.json: dev/dev/a: defect [field-above-version] a is never sent")
    assert out.splitlines()[1].startswith("bad.json: dev/dev/b: notice [compared-with-configuration] b (uint32 equal)")
    assert out.splitlines()[2] == "bad.json: 1 defect, 1 notice"
    objects = json.loads(run("lint", str(path), "--format", "json")[1])
    assert [(each["level"], each["rule"]) for each in objects] == [
        ("defect", "field-above-version"), ("notice", "compared-with-configuration")
    ]  # fmt: skip
    assert run("lint", str(path), "--statistics")[1].splitlines()[1:] == [
        "  1  defect  field-above-version", "  1  notice  compared-with-configuration"
    ]  # fmt: skip
    rows = json.loads(run("lint", str(path), "--statistics", "--format", "json")[1])
    assert rows[0] == {"rule": "field-above-version", "level": "defect", "count": 1}
    code, out, _ = run("lint", str(path), "--ignore", "field-above-version")
    assert (code, out.splitlines()[-1]) == (0, "bad.json: 0 defects, 1 notice; 1 finding ignored (select, ignore)")


def test_patterns() -> None:
    """Lists, blanks and repetitions; each pattern must match a rule."""
    assert patterns([" field-added , test-*", "", "size-zero"]) == ["field-added", "test-*", "size-zero"]
    assert all(Selection(["*"]).has(each) for each in rule_ids())
    with pytest.raises(ValueError, match="no rule 'Field-Added'"):
        patterns(["Field-Added"])


def test_select_keeps_verdicts_that_no_finding_explains() -> None:
    """A verdict worse than its findings is kept regardless of the selection."""
    result = checked(found(Verdict.CONDITIONAL, "t"))
    (one,) = result.results["A -> B"]
    result = result._replace(results={"A -> B": [one._replace(verdict=Verdict.BREAKS)]})
    assert worst(select(result, Selection(["type-absent"]))) is Verdict.BREAKS


def test_every_verdict_has_its_place() -> None:
    """Findings of each verdict are printed in the order of the totals."""
    result = checked(*(found(verdict, f"t-{verdict}") for verdict in Verdict))
    out = text(result, Options(verbose=True))
    places = [out.index(f"\n\n{verdict}: ") for verdict in VERDICTS]
    assert places == sorted(places)

"""The reports for CI systems: JUnit, SARIF, and GitHub's workflow commands."""

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import jsonschema
import pytest
from support import sarif_schema
from support.check_sample import HOSTILE, make_result

from vmdump.check.results import CheckResult, Direction, Dump, Finding, TypeResult, Verdict
from vmdump.dump.producer import Producer
from vmdump.report import render
from vmdump.report.options import DEFAULTS, Options, RuleText

#: The official schema, if available: VMDUMP_SARIF_SCHEMA=sarif-schema-2.1.0.json.
OFFICIAL = os.environ.get("VMDUMP_SARIF_SCHEMA")

CONDITIONAL = Options(fail_on=Verdict.CONDITIONAL)


def five(**changes: Any) -> CheckResult:
    """A type of each verdict, with one finding; u2, which is absent, also has an accepted one."""
    types = [
        TypeResult(
            f"u{index}", verdict, "s", [Finding(f"r{index}", verdict, "A -> B", f"u{index}", "s / d / f", "m")], []
        )
        for index, verdict in enumerate(verdict for verdict in Verdict if verdict is not Verdict.ACCEPTED)
    ]
    accepted = Finding("r9", Verdict.BREAKS, "A -> B", "u2", "s / d / g", "n")
    dumps = [Dump("A", Producer("file", "dir/a b%:.json"), "pc"), Dump("B", Producer("registry"), "pc")]
    directions = {"A -> B": Direction(0, 1)}
    return CheckResult(dumps, {"A -> B": types}, [(accepted, "known")], ["c:1: old"], directions)._replace(**changes)


def junit(result: CheckResult, options: Options = DEFAULTS) -> ElementTree.Element:
    """Parse the report into test suites."""
    return ElementTree.fromstring(render(result, "junit", options))


def gitlab(case: ElementTree.Element) -> tuple[str, str | None]:
    """Return a test case's status and output as GitLab derives them (lib/gitlab/ci/parsers/test/junit.rb, 17.0)."""
    for child, status in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
        if (element := case.find(child)) is not None:
            return status, element.text
    return "success", None


@pytest.mark.parametrize(
    ("options", "statuses"),
    [
        (DEFAULTS, ["success", "skipped", "skipped", "skipped", "failed"]),
        (CONDITIONAL, ["success", "skipped", "skipped", "failed", "failed"]),
        (Options(fail_on=Verdict.ABSENT), ["success", "skipped", "failed", "failed", "failed"]),
        (Options(fail_on=Verdict.UNKNOWN), ["success", "failed", "failed", "failed", "failed"]),
    ],
)
def test_junit_in_gitlab(options: Options, statuses: list[str]) -> None:
    """A suite for each direction, a case for each type; failing verdicts fail, other findings are skipped."""
    root = junit(five(), options)
    (suite,) = root
    cases = suite.findall("testcase")
    assert (root.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "A -> B")
    assert [(case.get("classname"), case.get("name")) for case in cases] == [("A -> B", f"u{n}") for n in range(5)]
    assert [gitlab(case)[0] for case in cases] == statuses
    for element in (root, suite):
        assert int(element.attrib["tests"]) == 5
        assert int(element.attrib["failures"]) == statuses.count("failed")
        assert int(element.attrib["skipped"]) == statuses.count("skipped")


def test_junit_gives_the_reason() -> None:
    """A failure has the finding's message, rule and path; accepted findings are in the case's output."""
    case = junit(five()).findall("testsuite/testcase")
    failure = case[4].find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.get("type")) == ("breaks: m", "r4")
    assert failure.text == "breaks: s / d / f: m [r4]"
    assert case[2].findtext("system-out") == "accepted: breaks: s / d / g: n [r9]\n  reason: known"
    assert junit(five()).findtext("testsuite/system-err") == "c:1: old"


def test_junit_of_an_accepted_type() -> None:
    """A type whose findings are all accepted is skipped."""
    accepted = Finding("r", Verdict.BREAKS, "A -> B", "t", "s / d / f", "m")
    types = [TypeResult("t", Verdict.ACCEPTED, "s", [], [])]
    (case,) = junit(CheckResult((), {"A -> B": types}, [(accepted, "known")])).findall("testsuite/testcase")
    assert gitlab(case)[0] == "skipped"
    assert case.findtext("system-out") == "accepted: breaks: s / d / f: m [r]\n  reason: known"


def test_junit_drops_no_accepted_finding() -> None:
    """An accepted finding of a type without verdict has a case of its own."""
    suite = junit(five(results={"A -> B": []}))[0]
    assert [case.get("name") for case in suite.findall("testcase")] == ["u2"]


@pytest.mark.parametrize("name", [*HOSTILE, "\udce9", "\x00\ufffe]]>"])
def test_junit_hostile_names(name: str) -> None:
    """For any names the document is well-formed with the same number of elements."""
    types = [TypeResult(name, Verdict.BREAKS, name, [Finding(name, Verdict.BREAKS, "A -> B", name, name, name)], [])]
    root = junit(CheckResult((), {"A -> B": types}, [(types[0].findings[0], name)], [name]))
    assert [element.tag for element in root.iter()] == [
        *("testsuites", "testsuite", "testcase", "failure", "system-out", "system-err")
    ]


def sarif(result: CheckResult, options: Options = DEFAULTS) -> Any:
    """Return the run of a log, after validation."""
    log = json.loads(render(result, "sarif", options))
    jsonschema.validate(log, sarif_schema.SCHEMA, jsonschema.Draft7Validator)
    if OFFICIAL:
        jsonschema.validate(log, json.loads(Path(OFFICIAL).read_text()))
    (run,) = log["runs"]
    for each in run["results"]:  # required by the specification, but not expressible in the schema
        assert run["tool"]["driver"]["rules"][each["ruleIndex"]]["id"] == each["ruleId"]
        assert each["kind"] == "fail" or each["level"] == "none"
        assert "suppressions" in each
        for location in each["locations"]:
            if place := location.get("physicalLocation"):
                uri = place["artifactLocation"]
                assert run["artifacts"][uri["index"]]["location"]["uri"] == uri["uri"]
                assert re.fullmatch(r"(file://)?[A-Za-z0-9._~/%-]+", uri["uri"])
    return run


@pytest.mark.parametrize("dumps", [1, 2, 4])
def test_sarif_is_valid(dumps: int) -> None:
    """Any number of dumps, including hostile names, gives a valid log."""
    run = sarif(make_result(dumps, 30, HOSTILE))
    prints = [each["fingerprints"]["vmdump/v1"] for each in run["results"]]
    assert len(prints) == len(set(prints))


@pytest.mark.parametrize(("direction", "way"), [(Direction(0, 1), "forward"), (Direction(1, 0), "backward")])
def test_ways_and_versions(direction: Direction, way: str) -> None:
    """JUnit's suites and SARIF's results have the way of their direction and both QEMUs' versions."""
    dumps = [Dump("A", Producer("image", "a", "7.2.22"), "pc"), Dump("B", Producer("image", "b", "10.0.13"), "pc")]
    source, destination = dumps[direction.source].producer, dumps[direction.destination].producer
    result = five(dumps=dumps, directions={"A -> B": direction})
    properties = {
        each.get("name"): each.get("value") for each in junit(result).findall("testsuite/properties/property")
    }
    assert properties == {
        "direction": way, "source-version": source.version, "destination-version": destination.version
    }  # fmt: skip
    for each in sarif(result)["results"]:
        assert each["properties"]["way"] == way
        assert each["properties"]["sourceVersion"] == source.version
        assert each["properties"]["destinationVersion"] == destination.version
        assert each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == source.path


def test_sarif_levels() -> None:
    """Levels follow --fail-on; accepted findings are suppressed with their reason."""
    run, strict = sarif(five()), sarif(five(), CONDITIONAL)
    assert [each["level"] for each in run["results"]] == ["warning", "warning", "warning", "error", "error"]
    assert [each["level"] for each in strict["results"]] == ["warning", "warning", "error", "error", "error"]
    assert [each["suppressions"] for each in run["results"][:4]] == [[]] * 4
    assert run["results"][4]["suppressions"][0]["justification"] == "known"
    assert run["invocations"][0]["toolConfigurationNotifications"][0]["message"]["text"] == "c:1: old"
    assert run["properties"]["verdicts"]["A -> B"]["u3"] == "conditional"


def test_sarif_places() -> None:
    """The location is the source's file as a URI, and the path within; without a file only the path."""
    first = sarif(five())["results"][0]["locations"][0]
    assert first["logicalLocations"][0]["fullyQualifiedName"] == "u1 / s / d / f"
    assert first["physicalLocation"]["artifactLocation"]["uri"] == "dir/a%20b%25%3A.json"
    absolute = five(dumps=[Dump("A", Producer("image", "/usr/bin/q\u00e9mu"), "pc"), Dump("B", Producer("file"), "pc")])
    uri = sarif(absolute)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.startswith("file:///usr/bin/")
    assert unquote(uri) == "file:///usr/bin/q\u00e9mu"
    assert "physicalLocation" not in sarif(five(dumps=[], directions={}))["results"][0]["locations"][0]


def test_sarif_fingerprints_are_stable() -> None:
    """Fingerprints do not depend on messages, metadata, versions and files; they depend on rule, type, path and
    direction.
    """

    def prints(**changes: Any) -> list[str]:
        base = Finding("r", Verdict.BREAKS, "A -> B", "t", "p", "m")._replace(**changes)
        types = [TypeResult("t", Verdict.BREAKS, "s", [base, base], [])]
        dumps = [Dump("A", Producer("file", f"{len(changes)}"), "pc")]
        return [each["fingerprints"]["vmdump/v1"] for each in sarif(CheckResult(dumps, {"A -> B": types}))["results"]]

    assert prints() == prints(message="other", remedy="some", verdict=Verdict.CONDITIONAL)
    assert len(set(prints())) == 2
    different = {"rule": "o", "direction": "B -> A", "type": "o", "path": "o"}
    for key, value in different.items():
        assert not set(prints()) & set(prints(**{key: value}))


def test_sarif_rules() -> None:
    """Each rule once, with its help if known, else with the command that prints it."""
    rules = sarif(five(), Options(rules={"r4": RuleText("One line", "All of it")}))["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["r1", "r2", "r3", "r4", "r9"]
    assert (rules[3]["shortDescription"]["text"], rules[3]["help"]["text"]) == ("One line", "All of it")
    assert rules[0]["help"]["text"] == "vmdump explain r1"


def test_safe_findings_are_no_noise() -> None:
    """Safe findings are left out of SARIF and JUnit unless requested."""
    verbose = Options(verbose=True)
    assert [each["kind"] for each in sarif(five(), verbose)["results"]] == ["informational", *["fail"] * 5]
    assert sarif(five(), verbose)["results"][0]["level"] == "none"
    for options, text in ((DEFAULTS, None), (verbose, "safe: s / d / f: m [r0]")):
        case = junit(five(), options).findall("testsuite/testcase")[0]
        assert (case.get("name"), gitlab(case)[0], case.findtext("system-out")) == ("u0", "success", text)


def test_error_lines_and_notes() -> None:
    """QEMU's error line and a verdict's missing metadata are in each format."""
    finding = Finding(
        "r", Verdict.BREAKS, "A -> B", "t", "p", "m", error="Missing section footer for t", note="by sizes"
    )
    result = CheckResult((), {"A -> B": [TypeResult("t", Verdict.BREAKS, "s", [finding], [])]})
    failure = junit(result).find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("message") == "breaks: m: `Missing section footer for t`"
    assert failure.text == "breaks: p: m [r]\n  error: Missing section footer for t\n  note: by sizes"
    (found,) = sarif(result)["results"]
    assert (found["properties"]["error"], found["properties"]["note"]) == ("Missing section footer for t", "by sizes")
    assert "`Missing section footer for t`" in found["message"]["text"]
    (command, *_) = read_commands(render(result, "github").decode())
    assert command[2] == "p: m [r]\nerror: Missing section footer for t\nnote: by sizes"


def test_ignored_findings_are_counted() -> None:
    """Each format has the number of findings left out by --ignore."""
    result = five(ignored={"A -> B": 2})
    names = {each.get("name"): each.get("value") for each in junit(result).findall("testsuite/properties/property")}
    assert names["ignored-findings"] == "2"
    assert sarif(result)["properties"]["ignored"] == {"A -> B": 2}
    assert read_commands(render(result, "github").decode())[-1][2].endswith("; 2 findings ignored (select, ignore)")


def test_sarif_fingerprints_survive_updates() -> None:
    """The way of two dumps is the same for any versions in labels, so that an alert persists."""

    def prints(old: str, new: str, *, swapped: bool = False) -> list[str]:
        direction = Direction(1, 0) if swapped else Direction(0, 1)
        label = f"{new} -> {old}" if swapped else f"{old} -> {new}"
        types = [TypeResult("t", Verdict.BREAKS, "s", [Finding("r", Verdict.BREAKS, label, "t", "p", "m")], [])]
        dumps = [Dump(old, Producer("file"), "pc"), Dump(new, Producer("file"), "pc")]
        run = sarif(CheckResult(dumps, {label: types}, directions={label: direction}))
        return [each["fingerprints"]["vmdump/v1"] for each in run["results"]]

    assert prints("7.2.22", "10.0.13") == prints("7.2.23", "10.0.14")
    assert prints("7.2.22", "10.0.13") != prints("7.2.22", "10.0.13", swapped=True)


def read_commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Parse the commands as GitHub's runner does (actions/runner, ActionCommand.cs): name, properties, message."""
    commands = []
    for line in re.split(r"\r\n|\r|\n", text)[:-1]:
        match = re.fullmatch(r"::([a-z-]+) ([^:]*)::(.*)", line)
        assert match, line
        properties = dict(item.split("=", 1) for item in match[2].split(","))
        for escaped, char in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
            properties = {key: value.replace(escaped, char) for key, value in properties.items()}
        message = match[3].replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
        commands.append((match[1], properties, message))
    return commands


def test_github_commands() -> None:
    """Worst first; failing findings are errors; accepted findings and stale entries are listed; then counts."""
    commands = read_commands(render(five(), "github").decode())
    assert [(level, properties["title"]) for level, properties, _ in commands] == [
        ("error", "breaks: u4, A -> B"),
        ("warning", "conditional: u3, A -> B"),
        ("warning", "absent: u2, A -> B"),
        ("warning", "unknown: u1, A -> B"),
        ("notice", "accepted: breaks: u2, A -> B"),
        ("warning", "vmdump's configuration"),
        ("notice", "vmdump check A -> B"),
    ]
    assert commands[4][2] == "s / d / g: n [r9]\naccepted: known"
    assert commands[6][2] == "5 types: 1 breaks, 1 conditional, 1 absent, 1 unknown, 0 accepted, 1 safe"
    strict = read_commands(render(five(), "github", CONDITIONAL).decode())
    assert [level for level, _, _ in strict][:3] == ["error", "error", "warning"]


@pytest.mark.parametrize("name", [*HOSTILE, "100%0A::error::x", "a\r\n::set-output name=x::y", "a:b,c=d"])
def test_github_hostile_names(name: str) -> None:
    """No name starts a command or a property; per cent signs are kept."""
    types = [TypeResult(name, Verdict.BREAKS, name, [Finding(name, Verdict.BREAKS, "A -> B", name, name, name)], [])]
    commands = read_commands(render(CheckResult((), {"A -> B": types}), "github").decode())
    assert [level for level, _, _ in commands] == ["error", "notice"]
    assert [list(properties) for _, properties, _ in commands] == [["title"]] * 2
    if name.isprintable():
        assert commands[0][1]["title"] == f"breaks: {name}, A -> B"


@pytest.mark.parametrize("format", ["junit", "sarif", "github", "text"])
def test_deterministic(format: str) -> None:
    """The same result gives the same bytes."""
    assert render(make_result(3), format) == render(make_result(3), format)


@pytest.mark.parametrize("format", ["text", "json", "junit", "sarif", "github", "html"])
def test_accepted_findings_and_stale_entries_are_in_every_format(format: str) -> None:
    """Findings hidden by the configuration, and stale entries, are listed."""
    text = render(five(suppressed=[(five().suppressed[0][0], "reviewed-by-us")]), format).decode()
    assert "reviewed-by-us" in text
    assert "c:1: old" in text


def test_code_quality() -> None:
    """GitLab's code quality: each finding worse than safe, what fails the check as critical; unique fingerprints."""
    issues = json.loads(render(five(), "gitlab"))
    assert [(each["check_name"], each["severity"]) for each in issues] == [
        ("r4", "critical"), ("r3", "minor"), ("r2", "info"), ("r1", "info"),
    ]  # fmt: skip
    assert issues[0]["location"] == {"path": "dir/a b%:.json", "lines": {"begin": 1}}
    assert {each["severity"] for each in json.loads(render(five(), "gitlab", CONDITIONAL))} == {"critical", "info"}
    many = json.loads(render(make_result(3, 30, HOSTILE), "gitlab"))
    assert len({each["fingerprint"] for each in many}) == len(many) > 30
    assert all(each["description"].isprintable() for each in many)


def test_markdown() -> None:
    """Markdown: the verdict, a table of the directions, findings, the worst first; bounded, and names are no markup."""
    lines = render(five(), "markdown").decode().splitlines()
    assert lines[0] == "### ✕ vmdump: the check fails"
    assert "| `A -> B` | 1 | 1 | 1 | 1 |  | 1 |" in lines
    found = [line for line in lines if " `s / d / f`: m `" in line]
    assert [line.split("|")[1].split()[1] for line in found] == ["breaks", "conditional", "absent", "unknown"]
    assert lines[-1] == "1 accepted by the configuration, 1 of its entries are stale."
    whole = render(make_result(9, 60, HOSTILE), "markdown").decode()
    assert len(whole) < 65_536
    assert "more findings are in the full report." in whole
    for line in whole.splitlines():
        outside = re.sub(r"(`+).*?\1", "", line.replace("\\|", "")).replace("<br>", "")
        assert not re.search(r"(?<!\\)[<>@]", outside), line
    assert render(CheckResult((), {}), "markdown").decode().splitlines()[-1] == "Nothing was compared."

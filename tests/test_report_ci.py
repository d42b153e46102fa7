"""The reports that CI systems load: JUnit, SARIF, and GitHub's workflow commands."""

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import jsonschema
import pytest
import sarif_schema
from check_sample import HOSTILE, make_result

from vmdump.check.results import CheckResult, Dump, Finding, TypeResult, Verdict
from vmdump.dump.producer import Producer
from vmdump.report import render
from vmdump.report.options import DEFAULTS, Options, RuleText

#: The schema itself, for those who have it: VMDUMP_SARIF_SCHEMA=sarif-schema-2.1.0.json.
OFFICIAL = os.environ.get("VMDUMP_SARIF_SCHEMA")

CONDITIONAL = Options(fail_on=Verdict.CONDITIONAL)


def four(**changes: Any) -> CheckResult:
    """A type of each verdict, with one finding each; u1 has an accepted one beside."""
    types = [
        TypeResult(
            f"u{index}", verdict, "s", [Finding(f"r{index}", verdict, "A -> B", f"u{index}", "s / d / f", "m")], []
        )
        for index, verdict in enumerate(Verdict)
    ]
    accepted = Finding("r9", Verdict.BREAKS, "A -> B", "u1", "s / d / g", "n")
    dumps = [Dump("A", Producer("file", "dir/a b%:.json"), "pc"), Dump("B", Producer("registry"), "pc")]
    return CheckResult(dumps, {"A -> B": types}, [(accepted, "known")], ["c:1: old"])._replace(**changes)


def junit(result: CheckResult, options: Options = DEFAULTS) -> ElementTree.Element:
    """The suites, as a reader of XML gets them."""
    return ElementTree.fromstring(render(result, "junit", options))


def gitlab(case: ElementTree.Element) -> tuple[str, str | None]:
    """What GitLab makes of a test case: its status and output (lib/gitlab/ci/parsers/test/junit.rb, 17.0)."""
    for child, status in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
        if (element := case.find(child)) is not None:
            return status, element.text
    return "success", None


@pytest.mark.parametrize(
    ("options", "statuses"),
    [
        (DEFAULTS, ["success", "skipped", "skipped", "failed"]),
        (CONDITIONAL, ["success", "skipped", "failed", "failed"]),
        (Options(fail_on=Verdict.ABSENT), ["success", "failed", "failed", "failed"]),
    ],
)
def test_junit_in_gitlab(options: Options, statuses: list[str]) -> None:
    """A suite a direction, a case a type: what fails the check failed, what else was found is skipped."""
    root = junit(four(), options)
    (suite,) = root
    cases = suite.findall("testcase")
    assert (root.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "A -> B")
    assert [(case.get("classname"), case.get("name")) for case in cases] == [("A -> B", f"u{n}") for n in range(4)]
    assert [gitlab(case)[0] for case in cases] == statuses
    for element in (root, suite):
        assert int(element.attrib["tests"]) == 4
        assert int(element.attrib["failures"]) == statuses.count("failed")
        assert int(element.attrib["skipped"]) == statuses.count("skipped")


def test_junit_tells_why() -> None:
    """A failure has the finding's message, rule and path; an accepted finding is in the case's output."""
    case = junit(four()).findall("testsuite/testcase")
    failure = case[3].find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.get("type")) == ("breaks: m", "r3")
    assert failure.text == "breaks: s / d / f: m [r3]"
    assert case[1].findtext("system-out") == "accepted: breaks: s / d / g: n [r9]\n  reason: known"
    assert junit(four()).findtext("testsuite/system-err") == "c:1: old"


def test_junit_drops_no_accepted_finding() -> None:
    """One of a type that has no verdict has a case of its own."""
    suite = junit(four(results={"A -> B": []}))[0]
    assert [case.get("name") for case in suite.findall("testcase")] == ["u1"]


@pytest.mark.parametrize("name", [*HOSTILE, "\udce9", "\x00\ufffe]]>"])
def test_junit_hostile_names(name: str) -> None:
    """Whatever a type is called, the document is well-formed, and has no more elements for it."""
    types = [TypeResult(name, Verdict.BREAKS, name, [Finding(name, Verdict.BREAKS, "A -> B", name, name, name)], [])]
    root = junit(CheckResult((), {"A -> B": types}, [(types[0].findings[0], name)], [name]))
    assert [element.tag for element in root.iter()] == [
        *("testsuites", "testsuite", "testcase", "failure", "system-out", "system-err")
    ]


def sarif(result: CheckResult, options: Options = DEFAULTS) -> Any:
    """The run of a log that is valid."""
    log = json.loads(render(result, "sarif", options))
    jsonschema.validate(log, sarif_schema.SCHEMA, jsonschema.Draft7Validator)
    if OFFICIAL:
        jsonschema.validate(log, json.loads(Path(OFFICIAL).read_text()))
    (run,) = log["runs"]
    for each in run["results"]:  # what the specification asks for, but its schema can't say
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
    """Any number of dumps, hostile names included, gives what the schema says."""
    run = sarif(make_result(dumps, 30, HOSTILE))
    prints = [each["fingerprints"]["vmdump/v1"] for each in run["results"]]
    assert len(prints) == len(set(prints))


def test_sarif_levels() -> None:
    """Levels follow what fails the check; accepted findings are suppressed with their reason, others are not."""
    run, strict = sarif(four()), sarif(four(), CONDITIONAL)
    assert [each["level"] for each in run["results"]] == ["none", "warning", "warning", "error", "error"]
    assert [each["level"] for each in strict["results"]] == ["none", "warning", "error", "error", "error"]
    assert [each["suppressions"] for each in run["results"][:4]] == [[]] * 4
    assert run["results"][4]["suppressions"][0]["justification"] == "known"
    assert run["invocations"][0]["toolConfigurationNotifications"][0]["message"]["text"] == "c:1: old"
    assert run["properties"]["verdicts"]["A -> B"]["u2"] == "conditional"


def test_sarif_places() -> None:
    """The place is the source's file, as a URI, and the path inside; a source without a file has the path alone."""
    first = sarif(four())["results"][0]["locations"][0]
    assert first["logicalLocations"][0]["fullyQualifiedName"] == "u0 / s / d / f"
    assert first["physicalLocation"]["artifactLocation"]["uri"] == "dir/a%20b%25%3A.json"
    absolute = four(dumps=[Dump("A", Producer("image", "/usr/bin/q\u00e9mu"), "pc")])
    uri = sarif(absolute)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.startswith("file:///usr/bin/")
    assert unquote(uri) == "file:///usr/bin/q\u00e9mu"
    assert "physicalLocation" not in sarif(four(dumps=[]))["results"][0]["locations"][0]


def test_sarif_fingerprints_are_stable() -> None:
    """They stay when messages, facts, versions and files change; they change with rule, type, path and direction."""

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
    """Each rule once, with its help where it is known, else with the command that has it."""
    rules = sarif(four(), Options(rules={"r3": RuleText("One line", "All of it")}))["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["r0", "r1", "r2", "r3", "r9"]
    assert (rules[3]["shortDescription"]["text"], rules[3]["help"]["text"]) == ("One line", "All of it")
    assert rules[0]["help"]["text"] == "vmdump explain r0"


def read_commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """The commands as GitHub's runner reads them (actions/runner, ActionCommand.cs): name, properties, message."""
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
    """The worst first; what fails the check is an error; accepted findings and stale entries are told; then counts."""
    commands = read_commands(render(four(), "github").decode())
    assert [(level, properties["title"]) for level, properties, _ in commands] == [
        ("error", "breaks: u3, A -> B"),
        ("warning", "conditional: u2, A -> B"),
        ("warning", "absent: u1, A -> B"),
        ("notice", "accepted: breaks: u1, A -> B"),
        ("warning", "vmdump's configuration"),
        ("notice", "vmdump check A -> B"),
    ]
    assert commands[3][2] == "s / d / g: n [r9]\naccepted: known"
    assert commands[5][2] == "4 types: 1 breaks, 1 conditional, 1 absent, 1 safe"
    strict = read_commands(render(four(), "github", CONDITIONAL).decode())
    assert [level for level, _, _ in strict][:3] == ["error", "error", "warning"]


@pytest.mark.parametrize("name", [*HOSTILE, "100%0A::error::x", "a\r\n::set-output name=x::y", "a:b,c=d"])
def test_github_hostile_names(name: str) -> None:
    """No name begins a command or another property of one; a per cent sign stays one."""
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
    """Nothing that the configuration hides is hidden from a reader."""
    text = render(four(suppressed=[(four().suppressed[0][0], "reviewed-by-us")]), format).decode()
    assert "reviewed-by-us" in text
    assert "c:1: old" in text

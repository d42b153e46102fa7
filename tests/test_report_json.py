"""The JSON report: what its schema says, what the check found."""

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from check_sample import HOSTILE, make_result

from vmdump.check.results import CheckResult, Dump, Finding, TypeResult, Verdict
from vmdump.dump.producer import Defect, Producer
from vmdump.report import render
from vmdump.report.options import DEFAULTS, Options

SCHEMA = json.loads(files("vmdump.report").joinpath("check.schema.json").read_text())


def load(result: CheckResult, options: Options = DEFAULTS) -> Any:
    """The report as a program reads it, held against the schema."""
    document = json.loads(render(result, "json", options))
    jsonschema.validate(document, SCHEMA, jsonschema.Draft202012Validator)
    return document


def test_the_schema_is_one() -> None:
    """The schema itself is valid in the draft that it names."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("dumps", [1, 2, 4])
def test_matches_its_schema(dumps: int) -> None:
    """Any number of dumps, hostile names included, gives what the schema says."""
    document = load(make_result(dumps, 30, HOSTILE))
    assert len(document["verdicts"]) == dumps * (dumps - 1)
    assert list(document["producers"]) == ["A", "B", "C", "D"][:dumps]


def test_says_what_was_found() -> None:
    """Verdicts by direction and type, findings, accepted findings with their reason, and stale entries."""
    finding = Finding("r", Verdict.BREAKS, "A -> B", "t", "s / d / f", "m")
    types = [TypeResult("t", Verdict.BREAKS, "s", [finding], []), TypeResult("u", Verdict.SAFE, "u", [], [])]
    accepted = finding._replace(type="u", condition="c")
    dumps = [Dump("A", Producer("file", "a.json", defects=(Defect("w", 1),)), "q35"), Dump("B", Producer("qemu"), "pc")]
    document = load(CheckResult(dumps, {"A -> B": types}, [(accepted, "because")], ["old"]))
    assert document["verdicts"] == {"A -> B": {"t": "breaks", "u": "safe"}}
    assert document["summary"] == {"A -> B": {"breaks": 1, "conditional": 0, "absent": 0, "safe": 1}}
    assert [(each["rule"], each["type"], each["source"]) for each in document["findings"]] == [("r", "t", None)]
    assert [(each["type"], each["condition"], each["reason"]) for each in document["suppressed"]] == [
        ("u", "c", "because")
    ]
    assert document["stale"] == ["old"]
    assert document["producers"]["A"]["path"] == "a.json"
    assert document["producers"]["B"]["machine"] == "pc"


def test_the_worst_of_one_name() -> None:
    """Where two descriptions go by one name, the worse verdict is the name's."""
    types = [TypeResult("t", verdict, "s", [], []) for verdict in (Verdict.SAFE, Verdict.BREAKS, Verdict.ABSENT)]
    assert load(CheckResult((), {"A -> B": types}))["verdicts"] == {"A -> B": {"t": "breaks"}}


def test_deterministic() -> None:
    """The same result gives the same bytes."""
    assert render(make_result(3), "json") == render(make_result(3), "json")


def test_names_that_are_not_unicode() -> None:
    """A byte that is not UTF-8 comes through JSON as it was."""
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    document = load(CheckResult((), {"A -> B": [TypeResult(name, Verdict.SAFE, "s", [], [])]}))
    assert list(document["verdicts"]["A -> B"]) == [name]


@pytest.mark.parametrize("member", ["verdicts", "findings", "suppressed", "producers"])
def test_the_schema_misses_nothing(member: str) -> None:
    """A report without one of its members, or with one more, is not what the schema says."""
    document = load(make_result())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "more": 1}, SCHEMA)
    del document[member]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_an_unknown_format() -> None:
    """A format that there is not is refused by name."""
    with pytest.raises(KeyError, match="yaml"):
        render(make_result(), "yaml")


def test_types_that_a_section_covers() -> None:
    """CPU models have the verdict of the section that holds their state."""
    covering = TypeResult("cpu", Verdict.BREAKS, "cpu", [], [], ("486-x86_64-cpu", "max-x86_64-cpu"))
    dumps = [Dump("A", Producer("file"), "pc"), Dump("B", Producer("file"), "pc")]
    report = json.loads(render(CheckResult(dumps, {"A -> B": [covering]}), "json"))
    assert report["verdicts"]["A -> B"] == dict.fromkeys(("cpu", "486-x86_64-cpu", "max-x86_64-cpu"), "breaks")

"""The JSON report: its schema and its contents."""

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from support.check_sample import HOSTILE, make_result

from vmdump.check.results import CheckResult, Direction, Dump, Finding, Side, TypeResult, Verdict
from vmdump.dump.producer import Defect, Producer
from vmdump.report import render
from vmdump.report.options import DEFAULTS, Options

SCHEMA = json.loads(files("vmdump.report").joinpath("check.schema.json").read_text())


def load(result: CheckResult, options: Options = DEFAULTS) -> Any:
    """Parse the report and validate it against the schema."""
    document = json.loads(render(result, "json", options))
    jsonschema.validate(document, SCHEMA, jsonschema.Draft202012Validator)
    return document


def test_the_schema_is_valid() -> None:
    """The schema is valid in its declared draft."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("dumps", [1, 2, 4])
def test_matches_its_schema(dumps: int) -> None:
    """Any number of dumps, including hostile names, matches the schema."""
    document = load(make_result(dumps, 30, HOSTILE))
    assert len(document["verdicts"]) == dumps * (dumps - 1)
    assert list(document["producers"]) == ["A", "B", "C", "D"][:dumps]


def test_contents() -> None:
    """Verdicts by direction and type, findings, accepted findings with their reason, and stale entries."""
    finding = Finding("r", Verdict.BREAKS, "A -> B", "t", "s / d / f", "m")
    types = [TypeResult("t", Verdict.BREAKS, "s", [finding], []), TypeResult("u", Verdict.SAFE, "u", [], [])]
    accepted = finding._replace(type="u", condition="c")
    dumps = [Dump("A", Producer("file", "a.json", defects=(Defect("w", 1),)), "q35"), Dump("B", Producer("qemu"), "pc")]
    document = load(CheckResult(dumps, {"A -> B": types}, [(accepted, "because")], ["old"]))
    assert document["verdicts"] == {"A -> B": {"t": "breaks", "u": "safe"}}
    counts = {"breaks": 1, "conditional": 0, "absent": 0, "unknown": 0, "accepted": 0, "safe": 1}
    assert document["summary"] == {"A -> B": counts}
    assert [(each["rule"], each["type"], each["source"]) for each in document["findings"]] == [("r", "t", None)]
    assert [(each["type"], each["condition"], each["reason"]) for each in document["suppressed"]] == [
        ("u", "c", "because")
    ]
    assert document["stale"] == ["old"]
    assert document["producers"]["A"]["path"] == "a.json"
    assert document["producers"]["B"]["machine"] == "pc"


def test_ways_and_versions() -> None:
    """Directions have their dumps, way and both versions; findings have the way."""
    result = make_result(2)
    first, second = (dump.producer.version for dump in result.dumps)
    document = load(result)
    assert document["directions"] == {
        "A -> B": {
            "way": "forward", "source": "A", "destination": "B",
            "source_version": first, "destination_version": second,
        },
        "B -> A": {
            "way": "backward", "source": "B", "destination": "A",
            "source_version": second, "destination_version": first,
        },
    }  # fmt: skip
    for each in (*document["findings"], *document["suppressed"]):
        assert each["way"] == {"A -> B": "forward", "B -> A": "backward"}[each["direction"]]


def test_the_worst_of_one_name() -> None:
    """If two descriptions share a name, it has the worse verdict."""
    types = [TypeResult("t", verdict, "s", [], []) for verdict in (Verdict.SAFE, Verdict.BREAKS, Verdict.ABSENT)]
    assert load(CheckResult((), {"A -> B": types}))["verdicts"] == {"A -> B": {"t": "breaks"}}


def test_deterministic() -> None:
    """The same result gives the same bytes."""
    assert render(make_result(3), "json") == render(make_result(3), "json")


def test_names_that_are_not_unicode() -> None:
    """Bytes that are not UTF-8 survive JSON."""
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    document = load(CheckResult((), {"A -> B": [TypeResult(name, Verdict.SAFE, "s", [], [])]}))
    assert list(document["verdicts"]["A -> B"]) == [name]


@pytest.mark.parametrize("member", ["verdicts", "findings", "suppressed", "producers", "directions"])
def test_the_schema_misses_nothing(member: str) -> None:
    """A report with one member missing or added does not match the schema."""
    document = load(make_result())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "more": 1}, SCHEMA)
    del document[member]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_an_unknown_format() -> None:
    """An unknown format is refused by name."""
    with pytest.raises(KeyError, match="yaml"):
        render(make_result(), "yaml")


def test_types_that_a_section_covers() -> None:
    """CPU models have the verdict of the section with their state."""
    covering = TypeResult("cpu", Verdict.BREAKS, "cpu", [], [], ("486-x86_64-cpu", "max-x86_64-cpu"))
    dumps = [Dump("A", Producer("file"), "pc"), Dump("B", Producer("file"), "pc")]
    report = json.loads(render(CheckResult(dumps, {"A -> B": [covering]}), "json"))
    assert report["verdicts"]["A -> B"] == dict.fromkeys(("cpu", "486-x86_64-cpu", "max-x86_64-cpu"), "breaks")


@pytest.mark.parametrize("name", [*HOSTILE, "100 %s", "%(name)s", "null", '\n "findings": []'])
def test_findings_are_indented_like_the_rest(name: str) -> None:
    """The text is that of json.dumps with an indentation of 1, whatever the names and the sides of findings."""
    finding = Finding("r", Verdict.BREAKS, "A -> B", name, f"s / {name}", name, condition=name)
    side = Side(f"s / {name}", name)
    shapes = [finding, finding._replace(source=side), finding._replace(destination=side, note=name)]
    types = [TypeResult(name, Verdict.BREAKS, "s", [*shapes, finding._replace(source=side, destination=side)], [])]
    dumps = [Dump(label, Producer("file", name), "pc") for label in "AB"]
    report = render(CheckResult(dumps, {"A -> B": types}, directions={"A -> B": Direction(0, 1)}), "json").decode()
    assert json.dumps(json.loads(report), indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace") == (
        report.rstrip("\n").encode()
    )
    assert len(json.loads(report)["findings"]) == 4

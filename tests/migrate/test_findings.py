"""Outcomes of migrations as findings of a check, and as JSON."""

import json

import pytest

from vmdump.check.results import Dump, Verdict
from vmdump.check.rules import rule
from vmdump.dump.producer import Producer
from vmdump.migrate.cases import Case
from vmdump.migrate.compare import Change
from vmdump.migrate.failure import Failure
from vmdump.migrate.findings import Migrations, check_result, outcome_lines, to_plain
from vmdump.migrate.pair import DESTINATION, SOURCE, Migrated
from vmdump.migrate.trial import Trial

DUMPS = [Dump(label, Producer("image", label, label), "") for label in ("old", "new")]
FOOTER = ("Missing section footer for 0000:00:01.0/esp", "load of migration failed: Invalid argument")
ESP = Failure("0000:00:01.0/esp", 0, None, FOOTER[0], FOOTER)
SWAPPED = Change("dev", 0, "a", "1", "2", misloaded=True)
CLOCK = Change("rtc", 0, "now", "1", "2")


def case(outcome: str, side: str | None = None, reason: str | None = None, *failures: Failure, **more: object) -> Case:
    """A case of the device ``dev``."""
    changes = tuple(more.pop("changes", ()))  # type: ignore[arg-type]
    trial = Trial(outcome, reason, failures, changes, (), is_compared=bool(more.pop("is_compared", True)))
    return Case("dev", ("driver=dev",), Migrated(trial, side), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "rule_id", "verdict"),
    [
        (case("loads"), "migration-loads", "safe"),
        (case("loads", None, "it can't be saved again", is_compared=False), "migration-not-compared", "unknown"),
        (case("fails", None, None, ESP), "migration-refused", "breaks"),
        (case("misloads", changes=[CLOCK, SWAPPED]), "migration-misloads", "breaks"),
        (case("crashes", None, "assertion failed"), "migration-crashes", "breaks"),
        (case("crashes", SOURCE, "assertion failed"), "migration-crashes", "breaks"),
        (case("fails", SOURCE, "can't be saved"), "migration-refused", "breaks"),
        (case("blocked", SOURCE, "State blocked"), "migration-blocked", "breaks"),
        (case("blocked", SOURCE, "blocked", is_blocked_on_both=True), "migration-blocked-on-both-sides", "unknown"),
        (case("absent", DESTINATION, "not a valid device model"), "migration-absent", "absent"),
        (case("absent", SOURCE, "not a valid device model"), "migration-not-started", "unknown"),
        (case("does-not-start", DESTINATION, "needs a drive"), "migration-start-refused", "breaks"),
        (case("does-not-start", SOURCE, "needs a drive"), "migration-not-started", "unknown"),
        (case("undecided", None, "out of memory"), "migration-undecided", "unknown"),
    ],
)  # fmt: skip
def test_each_outcome_has_a_rule(given: Case, rule_id: str, verdict: str) -> None:
    """Each outcome gives one finding of its rule, with the reason in its headline."""
    result = check_result(DUMPS, [Migrations(0, 1, "pc", [given])])
    (finding,) = result.findings
    assert (finding.rule, finding.verdict, finding.direction) == (rule_id, verdict, "old -> new")
    assert rule(rule_id).command == "migrate"
    assert (given.migrated.trial.reason or "") in finding.message
    assert result.results["old -> new"][0].verdict == Verdict(verdict)


def test_all_lines_of_a_failure() -> None:
    """A refused section is named with QEMU's lines; each failure is a finding."""
    other = Failure("cpu", 1, "cpu:x", "Failed to load cpu:x", ("Failed to load cpu:x",))
    result = check_result(DUMPS, [Migrations(0, 1, "pc", [case("fails", None, None, ESP, other)])])
    first, second = result.findings
    assert (first.path, first.error) == ("0000:00:01.0/esp", "; ".join(FOOTER))
    assert (second.path, second.message) == (
        "cpu / cpu:x", "the destination refuses cpu (instance 0x1), field cpu:x: Failed to load cpu:x"
    )  # fmt: skip


def test_labels_of_several_machine_types() -> None:
    """Directions of several machine types have their names, so that findings are accepted for one of them."""
    migrations = [Migrations(*pair, name, [case("loads")]) for name in ("a-1", "a-2") for pair in ((0, 1), (1, 0))]
    result = check_result(DUMPS, migrations)
    assert list(result.results) == [
        "old a-1 -> new a-1",
        "new a-1 -> old a-1",
        "old a-2 -> new a-2",
        "new a-2 -> old a-2",
    ]
    assert [each.machine for each in result.dumps] == ["a-1", "a-1", "a-2", "a-2"]
    assert result.directions["new a-2 -> old a-2"].way == "backward"
    assert outcome_lines(result, migrations)[1] == "new a-1 -> old a-1: 1 loads"


def test_json() -> None:
    """The JSON form has the outcomes, not the verdicts, and what the configuration accepts."""
    migrations = [Migrations(0, 1, "pc", [case("fails", None, None, ESP), case("loads", changes=[CLOCK])])]
    result = check_result(DUMPS, migrations)
    result = result._replace(suppressed=[(result.findings[0], "known")])
    first, second = json.loads(json.dumps(to_plain(result, migrations)))
    assert (first["case"], first["outcome"], first["accepted"]) == ("pc dev", "fails", ["known"])
    keys = ("direction", "way", "source_version", "destination_version")
    assert [first[key] for key in keys] == ["old -> new", "forward", *(each.producer.version for each in DUMPS)]
    both = [Migrations(*pair, "pc", [case("loads")]) for pair in ((0, 1), (1, 0))]
    _, third = to_plain(check_result(DUMPS, both), both)
    assert [third[key] for key in keys] == ["new -> old", "backward", *(each.producer.version for each in DUMPS[::-1])]
    assert first["failures"] == [
        {"section": ESP.section, "instance_id": 0, "field": None, "cause": FOOTER[0], "lines": list(FOOTER)}
    ]
    assert second["changed"] == [
        {"section": "rtc", "instance_id": 0, "field": "now", "sent": "1", "saved": "2", "misloaded": False}
    ]
    assert outcome_lines(result, migrations) == ["old -> new, pc: 1 fails, 1 loads"]

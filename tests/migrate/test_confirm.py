"""Findings of a check, compared with migrations."""

from collections.abc import Sequence

import pytest

from vmdump.check.results import CheckResult, Finding, TypeResult, Verdict
from vmdump.migrate.cases import Case
from vmdump.migrate.compare import Change
from vmdump.migrate.confirm import confirm
from vmdump.migrate.failure import Failure
from vmdump.migrate.pair import Migrated
from vmdump.migrate.trial import Trial

WAY = "old -> new"
LINE = "Missing section footer for 0000:00:01.0/esp"
REFUSED = Failure("0000:00:01.0/esp", 0, None, LINE, (LINE,))
OF_CPU = Failure("cpu", 0, None, "cpu", ("cpu",))
SENT = ("cpu", "0000:00:01.0/esp")


def finding(verdict: str, rule: str = "field-added", error: str | None = "Missing section footer for esp") -> Finding:
    """A finding about a field of the type esp-pci."""
    return Finding(rule, Verdict(verdict), WAY, "esp-pci", "esp / x", "the destination reads more", error=error)


def tried(
    *failures: Failure,
    device: str | None = "esp-pci",
    outcome: str = "",
    changes: Sequence[Change] = (),
    rest_loads: bool = True,
) -> Case:
    """A migration that sends a section esp."""
    trial = Trial(
        outcome or ("fails" if failures else "loads"), None, failures, tuple(changes), (), rest_loads=rest_loads
    )
    return Case(device, (), Migrated(trial, None, SENT))


def confirmed(case: Case, *findings: Finding, section: str = "esp") -> TypeResult:
    """The result of esp-pci with what a migration says."""
    verdict = Verdict.worst(each.verdict for each in findings)
    result = CheckResult((), {WAY: [TypeResult("esp-pci", verdict, section, findings, ())]})
    ((found,),) = confirm(result, {WAY: [case]}).results.values()
    return found


def test_failure_confirms_a_break() -> None:
    """What the rule says and what QEMU prints are shown together."""
    found = confirmed(tried(REFUSED), finding("breaks"))
    assert (found.verdict, len(found.findings)) == (Verdict.BREAKS, 1)
    assert found.findings[0].note == f"confirmed: a migration with esp-pci fails: {LINE}"


def test_failure_decides_a_condition() -> None:
    """A condition that is met just after reset is dropped: the predicted line was printed."""
    found = confirmed(tried(REFUSED), finding("conditional"))
    assert (found.verdict, found.findings[0].rule) == (Verdict.BREAKS, "field-added")


@pytest.mark.parametrize("findings", [(), (finding("safe"),), (finding("conditional", error="another line"),)])
def test_failure_that_no_rule_predicts(findings: tuple[Finding, ...]) -> None:
    """The migration decides, and the rules' findings stay."""
    found = confirmed(tried(OF_CPU, REFUSED), *findings)
    *others, last = found.findings
    assert (found.verdict, tuple(others)) == (Verdict.BREAKS, findings)
    assert (last.rule, last.type, last.error) == ("migration-refused", "esp-pci", LINE)
    assert "the migration decides" in (last.note or "")


def test_load_refutes_a_break() -> None:
    """A load that the rule says is impossible: the migration decides, both are shown."""
    found = confirmed(tried(OF_CPU), finding("breaks"))
    assert (found.verdict, len(found.findings)) == (Verdict.SAFE, 1)
    assert (found.findings[0].note or "").startswith("not confirmed: the rule says breaks, but a migration")


def test_load_that_ended_elsewhere_refutes_nothing() -> None:
    """A section after the one at which the load ended was not loaded: the rule's verdict stays, without a note."""
    for failures in ((OF_CPU,), (OF_CPU._replace(section=None),)):
        found = confirmed(tried(*failures, rest_loads=False), finding("breaks"))
        assert (found.verdict, found.findings[0].note) == (Verdict.BREAKS, None)


@pytest.mark.parametrize(
    "given", [finding("conditional"), finding("breaks", "encoding-misload", None)], ids=["condition", "misload"]
)
def test_load_after_reset_does_not_refute(given: Finding) -> None:
    """A running guest may meet a condition, and values after reset may be equal however they are read."""
    found = confirmed(tried(), given)
    assert found.verdict == given.verdict
    assert (found.findings[0].note or "").startswith("not met just after reset")


def test_misload() -> None:
    """A value that was loaded wrongly breaks a type that the rules call safe."""
    change = Change("0000:00:01.0/esp", 0, "x", "1", "2", misloaded=True)
    other = Change("cpu", 0, "y", "1", "2", misloaded=True)
    found = confirmed(tried(outcome="misloads", changes=[other, change]))
    assert [(each.rule, each.path) for each in found.findings] == [("migration-misloads", "0000:00:01.0/esp / x")]


@pytest.mark.parametrize(
    ("case", "section"),
    [
        (tried(outcome="undecided"), "esp"),
        (tried(REFUSED, device="other"), "esp"),
        (tried(REFUSED), "not-sent"),
        (tried(Failure(None, None, None, "the stream", ())), "esp"),
    ],
)
def test_nothing_was_tried(case: Case, section: str) -> None:
    """Without a migration of the section, findings stay as they are."""
    given = finding("breaks")
    assert confirmed(case, given, section=section).findings == (given,)

"""The results of migrations as the result of a check, for its reports, and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.check.results import CheckResult, Direction, Dump, Finding, Side, TypeResult, Verdict
from vmdump.check.rules import rule
from vmdump.migrate.pair import DESTINATION
from vmdump.migrate.trial import ABSENT, BLOCKED, CRASHES, DOES_NOT_START, FAILS, LOADS, MISLOADS, UNDECIDED
from vmdump.report.characters import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.migrate.cases import Case
    from vmdump.migrate.failure import Failure

#: Type of the case without a device.
BOARD = "machine"


class Migrations(NamedTuple):
    """The migrations of a machine type from one QEMU to another.

    Attributes:
        source: index of the QEMU that saves, in the dumps of the result.
        destination: index of the QEMU that loads.
        machine: name of the machine type.
        cases: their outcomes.
    """

    source: int
    destination: int
    machine: str
    cases: Sequence[Case]


def check_result(dumps: Sequence[Dump], migrations: Sequence[Migrations]) -> CheckResult:
    """Return a result with a type for each case. The labels of several machine types contain their names."""
    has_several = len({each.machine for each in migrations}) > 1
    shown: list[Dump] = []
    places: dict[tuple[int, str], int] = {}
    results, directions = {}, {}
    for each in migrations:
        ends = []
        for index in (each.source, each.destination):
            key = index, each.machine if has_several else ""
            if key not in places:
                places[key] = len(shown)
                suffix = f" {each.machine}" if has_several else ""
                shown.append(dumps[index]._replace(label=dumps[index].label + suffix, machine=each.machine))
            ends.append(places[key])
        label = f"{shown[ends[0]].label} -> {shown[ends[1]].label}"
        directions[label] = Direction(*ends)
        results[label] = [type_result(case, label) for case in each.cases]
    return CheckResult(tuple(shown), results, directions=directions)


def type_result(case: Case, direction: str) -> TypeResult:
    """Return the result of a case."""
    found = tuple(findings_of(case, direction))
    return TypeResult(name_of(case), Verdict.worst(each.verdict for each in found), name_of(case), found, ())


def name_of(case: Case) -> str:
    """Return the name of a case in reports: the device's type, or BOARD."""
    return case.device or BOARD


def findings_of(case: Case, direction: str) -> Iterator[Finding]:
    """Yield the findings of a case."""
    trial, side, _ = case.migrated

    def make(rule_id: str, path: str = "", note: str | None = None, error: str | None = None, **facts: str) -> Finding:
        text = rule(rule_id)
        remedy = None if text.VERDICT == "safe" else text.REMEDY
        return Finding(
            rule_id, Verdict(text.VERDICT), direction, name_of(case), path, text.MESSAGE.format(**facts),
            remedy=remedy, error=error, note=note,
        )  # fmt: skip

    reason = trial.reason or ""
    for failure in trial.failures:
        yield make(
            "migration-refused", path_of(failure), what=_what(failure), cause=failure.cause,
            error="; ".join(failure.lines),
        )  # fmt: skip
    if trial.outcome == MISLOADS:
        for change in trial.changes:
            if change.misloaded:
                path = f"{change.section} / {change.field}"
                values = {"sent": change.sent or "nothing", "saved": change.saved or "absent"}
                finding = make("migration-misloads", path, field=change.field or change.section, **values)
                yield finding._replace(source=Side(path, values["sent"]), destination=Side(path, values["saved"]))
    elif trial.outcome == CRASHES:
        yield make("migration-crashes", side=side or DESTINATION, cause=reason)
    elif trial.outcome == BLOCKED:
        rule_id = "migration-blocked-on-both-sides" if case.is_blocked_on_both else "migration-blocked"
        yield make(rule_id, cause=reason)
    elif trial.outcome == ABSENT and side == DESTINATION:
        yield make("migration-absent", cause=reason)
    elif trial.outcome == DOES_NOT_START and side == DESTINATION:
        yield make("migration-start-refused", cause=reason)
    elif trial.outcome in (ABSENT, DOES_NOT_START):
        yield make("migration-not-started", cause=reason)
    elif trial.outcome == FAILS and not trial.failures:
        yield make("migration-refused", what=f"the VM ({side})", cause=reason)
    elif trial.outcome == UNDECIDED:
        yield make("migration-undecided", cause=reason)
    elif trial.outcome == LOADS and not trial.is_compared:
        yield make("migration-not-compared", cause=reason)
    elif trial.outcome == LOADS:
        count = len(trial.changes)
        changed = f"; {count} field{'' if count == 1 else 's'} changed" if count else ""
        yield make("migration-loads", changed=changed, note=trial.reason)


def path_of(failure: Failure) -> str:
    """Return the place of a failure, as findings have it: ``section / field``."""
    return " / ".join(each for each in (failure.section or "stream", failure.field) if each)


def _what(failure: Failure) -> str:
    if failure.section is None:
        return "the stream"
    instance = f" (instance {failure.instance_id:#x})" if failure.instance_id else ""
    return f"{failure.section}{instance}" + (f", field {failure.field}" if failure.field else "")


def to_plain(result: CheckResult, migrations: Sequence[Migrations]) -> list[dict[str, Any]]:
    """Return the JSON form of migrations. result: their check_result, whose directions are in the same order."""
    rows = []
    for (direction, sides), each in zip(result.directions.items(), migrations, strict=True):
        source, destination = result.dumps[sides.source].producer, result.dumps[sides.destination].producer
        for case in each.cases:
            trial, side, _ = case.migrated
            rows.append(
                {
                    "case": f"{each.machine} {case.device}" if case.device else each.machine,
                    "direction": direction,
                    "way": sides.way,
                    "source_version": source.version,
                    "destination_version": destination.version,
                    "machine": each.machine,
                    "device": case.device,
                    "arguments": list(case.arguments),
                    "outcome": trial.outcome,
                    "side": side,
                    "reason": trial.reason,
                    "failures": [{**failure._asdict(), "lines": list(failure.lines)} for failure in trial.failures],
                    "changed": [change._asdict() for change in trial.changes],
                    "guessed": [],
                    "compared": trial.is_compared,
                    "accepted": [
                        reason
                        for finding, reason in result.suppressed
                        if (finding.direction, finding.type) == (direction, name_of(case))
                    ],
                }
            )
    return rows


def outcome_lines(result: CheckResult, migrations: Sequence[Migrations]) -> list[str]:
    """Return a line for each direction: how many cases have each outcome, the most frequent first."""
    lines = []
    for direction, each in zip(result.directions, migrations, strict=True):
        counts = Counter(case.migrated.trial.outcome for case in each.cases)
        words = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
        machine = "" if f" {each.machine} -> " in direction else f", {each.machine}"  # labels of several types have it
        lines.append(visible(f"{direction}{machine}: {words}"))
    return lines

"""Compares the findings of a check with migrations of the same types; if they disagree, the migration decides.

A migration just after reset refutes a finding that a load always fails. It does not refute one with a condition
that a running guest may meet, nor one of values that are loaded wrongly.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from vmdump.check.results import CheckResult, Finding, TypeResult, Verdict
from vmdump.migrate.findings import BOARD, findings_of
from vmdump.migrate.trial import CRASHES, FAILS, LOADS, MISLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vmdump.migrate.cases import Case
    from vmdump.migrate.failure import Failure

#: Part of the ids of rules about values that are loaded wrongly.
_MISLOAD = "misload"


def confirm(result: CheckResult, cases: Mapping[str, Sequence[Case]]) -> CheckResult:
    """Return the result with what migrations say about its types.

    Args:
        result: of a check.
        cases: by direction, the board and devices.
    """
    results = {}
    for direction, types in result.results.items():
        by_device = {each.device: each for each in cases.get(direction, ()) if _is_tried(each)}
        counts = Counter(each.section for each in types)
        found = []
        for each in types:
            case = by_device.get(each.type)
            board = by_device.get(None)
            if case is None and board is not None and (each.type in board.types or counts[each.section] == 1):
                case = board
            has_section = case is not None and any(_is_of(name, each.section) for name in case.migrated.sections)
            found.append(_confirmed(each, direction, case) if case is not None and has_section else each)
        results[direction] = found
    return result._replace(results=results)


def _confirmed(result: TypeResult, direction: str, case: Case) -> TypeResult:
    trial = case.migrated.trial
    of_section = [each for each in trial.failures if _is_of(each.section, result.section)]
    if of_section:
        found = list(_with_failure(result, of_section, case, direction))
    elif trial.outcome == LOADS or (trial.outcome == FAILS and trial.rest_loads):
        if any(each.section is None for each in trial.failures):
            return result  # the stream itself was refused
        found = list(_without_failure(result.findings, case))
    elif trial.outcome in (MISLOADS, CRASHES):
        mine = [each for each in findings_of(case, direction) if _is_about(each, result.section)]
        found = [*result.findings, *(each._replace(type=result.type) for each in mine)]
    else:
        return result
    if found == list(result.findings):
        return result
    return result._replace(findings=tuple(found), verdict=Verdict.worst(each.verdict for each in found))


def _is_tried(case: Case) -> bool:
    return case.migrated.trial.outcome in (LOADS, FAILS, MISLOADS, CRASHES) and case.migrated.side is None


def _is_of(section: str | None, name: str) -> bool:
    """Return whether a section, with its device path, has a name."""
    return section is not None and (section == name or section.endswith(f"/{name}"))


def _is_about(finding: Finding, name: str) -> bool:
    section = finding.path.partition(" / ")[0]
    return not section or _is_of(section, name)


def _vm(case: Case) -> str:
    return "a migration of the bare machine" if case.device is None else f"a migration with {case.device}"


def _is_silent(finding: Finding) -> bool:
    """Return whether a finding is of values that are loaded wrongly, without an error."""
    return _MISLOAD in finding.rule and finding.error is None


def _with_failure(result: TypeResult, failures: Sequence[Failure], case: Case, direction: str) -> Iterator[Finding]:
    """Yield the findings of a section that the destination refuses: those that predict it, else also the refusal."""
    section = failures[0].section or ""
    lines = {line.replace(section, result.section) for each in failures for line in each.lines}
    cause = failures[0].cause
    is_predicted = any(each.verdict is Verdict.BREAKS and not _is_silent(each) for each in result.findings)
    has_breaks = is_predicted
    for each in result.findings:
        if each.verdict is Verdict.BREAKS and not _is_silent(each):
            yield _noted(each, f"confirmed: {_vm(case)} fails: {cause}")
        elif each.verdict is Verdict.CONDITIONAL and each.error in lines and not has_breaks:
            is_predicted = True
            text = f"confirmed: {_vm(case)} just after reset fails: {cause}"
            yield _noted(each._replace(verdict=Verdict.BREAKS), text)
        else:
            yield each
    if not is_predicted:
        for each in findings_of(case, direction):
            if _is_about(each, result.section):
                yield _noted(each._replace(type=result.type), f"the rules say {result.verdict}; the migration decides")


def _without_failure(findings: Sequence[Finding], case: Case) -> Iterator[Finding]:
    """Yield the findings of a section that the destination loads."""
    for each in findings:
        if each.verdict is Verdict.BREAKS and not _is_silent(each):
            text = f"not confirmed: the rule says breaks, but {_vm(case)} loads the section; the migration decides"
            yield _noted(each._replace(verdict=Verdict.SAFE), text)
        elif each.verdict in (Verdict.BREAKS, Verdict.CONDITIONAL):
            yield _noted(each, f"not met just after reset: {_vm(case)} loads the section")
        else:
            yield each


def _noted(finding: Finding, text: str) -> Finding:
    return finding._replace(note=text if finding.note is None else f"{finding.note}; {text}")


def types_of(result: CheckResult) -> list[str]:
    """Return the types whose migration is worth a try: all of the result, BOARD excepted."""
    return list(dict.fromkeys(each.type for types in result.results.values() for each in types if each.type != BOARD))

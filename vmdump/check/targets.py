"""Results of whole targets: those of several as one, for reports that have one document, and of one that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.results import CheckResult, Direction, Finding, TypeResult, Verdict
from vmdump.check.rules import rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmdump.check.results import Dump

#: The rule of a target that the destination lacks.
TARGET_ABSENT = "target-absent"


def absent_target(target: str, sources: Sequence[Dump], destination: Dump, verdict: Verdict) -> CheckResult:
    """Return the result of a target that the destination lacks: a type, named as the target, for each source.

    >>> from vmdump.check.results import Dump
    >>> from vmdump.dump.producer import Producer
    >>> old, new = (Dump(label, Producer("file"), "") for label in ("7.2", "10.0"))
    >>> absent_target("cris", [old], new, Verdict.ABSENT)
    <CheckResult: 7.2 -> 10.0: 1 absent>
    """
    text = rule(TARGET_ABSENT)
    message = text.MESSAGE.format(target=target)
    types, directions = {}, {}
    for index, source in enumerate(sources):
        direction = f"{source.label} -> {destination.label}"
        finding = Finding(text.id, verdict, direction, target, target, message, remedy=text.REMEDY)
        types[direction] = [TypeResult(target, verdict, target, (finding,), ())]
        directions[direction] = Direction(index, len(sources))
    return CheckResult((*sources, destination), types, directions=directions)


def joined(results: Mapping[str, CheckResult]) -> CheckResult:
    """Return the result of all targets. If there are several, directions begin with the target (``arm: A -> B``).

    An entry of the configuration is stale if it is stale for every target.

    >>> from vmdump.check.results import TypeResult, Verdict
    >>> one = CheckResult((), {"A -> B": [TypeResult("e1000", Verdict.SAFE, "e1000", (), ())]})
    >>> joined({"arm": one, "i386": one})
    <CheckResult: arm: A -> B: 1 safe; i386: A -> B: 1 safe>
    """
    if len(results) == 1:
        return next(iter(results.values()))
    dumps: list[Dump] = []
    types, suppressed, directions, ignored = {}, [], {}, {}
    for target, result in results.items():
        first = len(dumps)
        dumps += result.dumps

        def named(finding: Finding, target: str = target) -> Finding:
            return finding._replace(direction=f"{target}: {finding.direction}")

        for direction, found in result.results.items():
            types[f"{target}: {direction}"] = [
                each._replace(findings=[named(finding) for finding in each.findings]) for each in found
            ]
        suppressed += [(named(finding), reason) for finding, reason in result.suppressed]
        for direction, (source, destination) in result.directions.items():
            directions[f"{target}: {direction}"] = Direction(first + source, first + destination)
        ignored.update({f"{target}: {direction}": count for direction, count in result.ignored.items()})
    stale = [
        entry
        for entry in next(iter(results.values())).stale
        if all(entry in result.stale for result in results.values())
    ]
    return CheckResult(dumps, types, suppressed, stale, directions, ignored)

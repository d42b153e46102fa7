"""Joins the results of several targets into one, for reports that have one document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.results import CheckResult, Direction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmdump.check.results import Dump, Finding


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

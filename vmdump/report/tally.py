"""Counting and ordering what a check found, as all reports show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.results import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.check.results import CheckResult, Finding, TypeResult

#: The worst first, as summaries list them.
VERDICTS = tuple(sorted(Verdict, key=Verdict.severity, reverse=True))


def findings(result: CheckResult) -> Iterator[Finding]:
    """All that are in a verdict, in the order of directions and types."""
    for types in result.results.values():
        for each in types:
            yield from each.findings


def counts(types: Sequence[TypeResult]) -> dict[Verdict, int]:
    """How many types have each verdict, the worst first.

    >>> counts([])[Verdict.BREAKS]
    0
    """
    found = dict.fromkeys(VERDICTS, 0)
    for each in types:
        found[each.verdict] += 1
    return found


def verdicts(types: Sequence[TypeResult]) -> dict[str, Verdict]:
    """The verdict of each type, also of those whose state a description on no device class holds (CPU models): the
    worst, where several descriptions go by one name.
    """
    worst: dict[str, Verdict] = {}
    for each in types:
        for name in (each.type, *each.covers):
            if name not in worst or worst[name].severity() < each.verdict.severity():
                worst[name] = each.verdict
    return worst


def worst(result: CheckResult) -> Verdict:
    """The worst verdict of the whole check.

    >>> from vmdump.check.results import CheckResult
    >>> worst(CheckResult((), {}))
    <Verdict.SAFE: 'safe'>
    """
    every = (each.verdict for types in result.results.values() for each in types)
    return max(every, key=Verdict.severity, default=Verdict.SAFE)


def summary(types: Sequence[TypeResult]) -> str:
    """The counts in words.

    >>> summary([])
    '0 types: 0 breaks, 0 conditional, 0 absent, 0 safe'
    """
    each = ", ".join(f"{count} {verdict}" for verdict, count in counts(types).items())
    return f"{len(types)} type{'' if len(types) == 1 else 's'}: {each}"

"""Counting and ordering what a check found, as all reports show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.results import Verdict
from vmdump.check.targets import TARGET_ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vmdump.check.results import CheckResult, Finding, TypeResult

#: The worst first, as summaries list them.
VERDICTS = tuple(sorted(Verdict, key=Verdict.severity, reverse=True))

#: A sign for each verdict, so that it is not shown by colour alone.
MARKS = {"breaks": "✕", "conditional": "?", "absent": "∅", "unknown": "…", "accepted": "=", "safe": "✓"}


def between(result: CheckResult) -> dict[tuple[int, int], str]:
    """The direction from one dump to another, by their indices.

    >>> from vmdump.check.results import CheckResult, Direction
    >>> between(CheckResult((), {}, directions={"A -> B": Direction(0, 1)}))
    {(0, 1): 'A -> B'}
    """
    return {(direction.source, direction.destination): label for label, direction in result.directions.items()}


def findings(result: CheckResult) -> Iterator[Finding]:
    """All that are in a verdict, in the order of directions and types."""
    for types in result.results.values():
        for each in types:
            yield from each.findings


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    """Findings in the order in which a report of limited length lists them: a target that is gone before all else."""
    return sorted(found, key=lambda each: (each.rule != TARGET_ABSENT, -each.verdict.severity()))


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
    """The verdict of each type, also of types whose state is in a standalone VMSD (CPU models): the worst if several
    VMSDs share a name.
    """
    worst: dict[str, Verdict] = {}
    for each in types:
        for name in (each.type, *each.covers):
            if name not in worst or worst[name].severity() < each.verdict.severity():
                worst[name] = each.verdict
    return worst


def direction_totals(result: CheckResult) -> dict[str, str]:
    """A line for each direction: how many types have each verdict, the worst first, and how many findings were ignored.

    >>> from vmdump.check.results import CheckResult, TypeResult
    >>> types = [TypeResult("t", verdict, "s", [], []) for verdict in (Verdict.SAFE, Verdict.BREAKS, Verdict.SAFE)]
    >>> direction_totals(CheckResult((), {"A -> B": types}, ignored={"A -> B": 1}))["A -> B"]
    'A -> B: 1 breaks, 2 safe; 1 finding ignored (select, ignore)'
    """
    totals = {}
    for direction, types in result.results.items():
        words = ", ".join(f"{count} {verdict}" for verdict, count in counts(types).items() if count) or "no types"
        ignored = result.ignored.get(direction, 0)
        totals[direction] = f"{direction}: {words}" + (f"; {ignored_in_words(ignored)}" if ignored else "")
    return totals


def ignored_in_words(count: int) -> str:
    """How many findings were left out, and by what.

    >>> ignored_in_words(1)
    '1 finding ignored (select, ignore)'
    """
    return f"{count} finding{'' if count == 1 else 's'} ignored (select, ignore)"


def worst(result: CheckResult) -> Verdict:
    """The worst verdict of the whole check.

    >>> from vmdump.check.results import CheckResult
    >>> worst(CheckResult((), {}))
    <Verdict.SAFE: 'safe'>
    """
    every = (each.verdict for types in result.results.values() for each in types)
    return Verdict.worst(every)


def summary(types: Sequence[TypeResult]) -> str:
    """The counts in words.

    >>> summary([])
    '0 types: 0 breaks, 0 conditional, 0 absent, 0 unknown, 0 accepted, 0 safe'
    """
    each = ", ".join(f"{count} {verdict}" for verdict, count in counts(types).items())
    return f"{len(types)} type{'' if len(types) == 1 else 's'}: {each}"

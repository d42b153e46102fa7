"""Text: a line a finding, worst types first, and the counts of each direction. For terminals' pipes and mails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.finding import Verdict
from vmdump.report.characters import visible
from vmdump.report.tally import summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.check.finding import CheckResult, Finding, TypeResult
    from vmdump.report.options import Options


def render(result: CheckResult, options: Options) -> str:
    """The report; types that are safe are counted only."""
    return "".join(f"{line}\n" for line in _lines(result))


def _lines(result: CheckResult) -> Iterator[str]:
    if not result.results:
        yield "nothing was compared"
    for direction, types in result.results.items():
        yield f"{visible(direction)}: {summary(types)}"
        yield from _types(types)
    for finding, reason in result.suppressed:
        yield f"accepted: {_line(finding)} (reason: {visible(reason)})"
    yield from (f"configuration: {visible(entry)}" for entry in result.stale)


def _types(types: Sequence[TypeResult]) -> Iterator[str]:
    for each in sorted(types, key=lambda each: -each.verdict.severity()):
        if each.verdict is Verdict.SAFE:
            return
        yield f"  {each.verdict}: {visible(each.type)}"
        for finding in sorted(each.findings, key=lambda finding: -finding.verdict.severity()):
            if finding.verdict is not Verdict.SAFE:
                yield f"    {_line(finding, own=True)}"


def _line(finding: Finding, own: bool = False) -> str:
    """One finding; own: below its type, in its direction, which need no telling then."""
    where = "" if own else f"{finding.direction}: {finding.verdict}: {finding.type}: "
    condition = f"; if {finding.condition}" if finding.condition else ""
    return visible(f"{where}{finding.path}: {finding.message}{condition} [{finding.rule}]")

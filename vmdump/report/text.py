"""Findings for people: the worst first, one a paragraph, with how much was found of what at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.results import Verdict
from vmdump.report.characters import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vmdump.check.results import CheckResult, Finding
    from vmdump.report.options import Options

#: The most type names in one line.
_MAX_TYPES = 8


def render(result: CheckResult, options: Options) -> str:
    """A check as text; with the option matrix, of several dumps, the table of all pairs alone."""
    if options.matrix and not options.verbose:
        return render_matrix(result)
    verbose = options.verbose
    findings = [finding for types in result.results.values() for each in types for finding in each.findings]
    paragraphs = list(render_findings(findings, verbose=verbose))
    paragraphs += [
        f"accepted: {finding.type}: {finding.path} [{finding.rule}]\n  reason: {reason}"
        for finding, reason in result.suppressed
    ]
    paragraphs += [f"stale: {entry}" for entry in result.stale]
    paragraphs.append("\n".join(_summary(result)))
    return "\n\n".join("\n".join(map(visible, paragraph.split("\n"))) for paragraph in paragraphs) + "\n"


def render_findings(findings: Iterable[Finding], *, verbose: bool = False) -> Iterator[str]:
    """Paragraphs. What is found alike in several types is told once."""
    alike: dict[Finding, list[str]] = {}
    absent: dict[str, list[str]] = {}
    for finding in findings:
        if finding.verdict is Verdict.ABSENT:
            absent.setdefault(finding.direction, []).append(finding.type)
        elif verbose or finding.verdict is not Verdict.SAFE:
            alike.setdefault(finding._replace(type=""), []).append(finding.type)
    told: set[str] = set()
    order = sorted(alike.items(), key=lambda each: (-each[0].verdict.severity(), each[0].direction))
    for finding, types, further in _grouped(order, verbose=verbose):
        if finding.verdict is not Verdict.SAFE:
            yield "\n".join(_paragraph(finding, types, further, told))
    for direction, types in absent.items():
        yield f"absent: {direction}: the destination has no {', '.join(_shortened(types, verbose=verbose))}"
    for finding, types in order:
        if finding.verdict is Verdict.SAFE:
            yield "\n".join(_paragraph(finding, types, (), told))


def _grouped(
    order: Iterable[tuple[Finding, list[str]]], *, verbose: bool
) -> Iterator[tuple[Finding, list[str], list[str]]]:
    """Findings, each with the paths of further ones of the same rule in the same types; none is put away if verbose."""
    groups: dict[object, tuple[Finding, list[str], list[str]]] = {}
    for number, (finding, types) in enumerate(order):
        key = number if verbose else (finding.rule, finding.verdict, finding.direction, tuple(types))
        if key in groups:
            groups[key][2].append(finding.path)
        else:
            groups[key] = (finding, types, [])
    return iter(groups.values())


def _shortened(types: Sequence[str], *, verbose: bool) -> list[str]:
    """Names of types or paths; when there are many, some, and how many more."""
    if verbose or len(types) <= _MAX_TYPES:
        return list(types)
    return [*types[: _MAX_TYPES - 1], f"and {len(types) - _MAX_TYPES + 1} more (--verbose lists them)"]


def _paragraph(finding: Finding, types: Sequence[str], further: Sequence[str], told: set[str]) -> Iterator[str]:
    """A finding, and where else the same is found. The remedy is the rule's: told once, and the rule goes into told."""
    names = ", ".join(types[:_MAX_TYPES]) + (f" and {len(types) - _MAX_TYPES} more" if len(types) > _MAX_TYPES else "")
    yield f"{finding.verdict}: {names}: {finding.path} [{finding.rule}]"
    yield f"  {finding.direction}: {finding.message}"
    if finding.condition:
        yield f"  if: {finding.condition}"
    if further:
        yield f"  the same: {', '.join(_shortened(further, verbose=False))}"
    if finding.remedy and finding.verdict is not Verdict.SAFE and finding.rule not in told:
        told.add(finding.rule)
        yield f"  remedy: {finding.remedy}"


def _summary(result: CheckResult) -> Iterator[str]:
    if not result.results:
        yield "nothing was compared"
    for direction, types in result.results.items():
        yield f"{direction}: {counts(each.verdict for each in types)}"


def counts(verdicts: Iterable[Verdict]) -> str:
    """How many types there are of each verdict, the worst first.

    >>> counts([Verdict.SAFE, Verdict.BREAKS, Verdict.SAFE])
    '1 breaks, 2 safe'
    """
    seen = list(verdicts)
    worst_first = sorted(Verdict, key=Verdict.severity, reverse=True)
    return ", ".join(f"{n} {each}" for each in worst_first if (n := seen.count(each))) or "no types"


def render_matrix(result: CheckResult) -> str:
    """Every pair of dumps as a table: rows are sources, columns destinations; the worst verdict, and of how many."""
    names = [dump.label for dump in result.dumps]
    rows = [["from \\ to", *names]]
    for source in names:
        cells = [_cell(result, f"{source} -> {destination}") for destination in names]
        rows.append([source, *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _cell(result: CheckResult, direction: str) -> str:
    types = result.results.get(direction)
    if types is None:
        return "-"
    verdicts = [each.verdict for each in types]
    worst = max(verdicts, key=Verdict.severity, default=Verdict.SAFE)
    return str(worst) if worst is Verdict.SAFE else f"{verdicts.count(worst)} {worst}"

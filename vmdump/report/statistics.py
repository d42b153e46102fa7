"""Number of findings of each rule, the most frequent first, for --statistics: as text and as JSON."""

from __future__ import annotations

from collections import Counter
from json import dumps
from typing import TYPE_CHECKING

from vmdump.check.results import Verdict
from vmdump.report.characters import visible
from vmdump.report.paragraphs import Paragraphs
from vmdump.report.tally import direction_totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.check.results import CheckResult, Finding
    from vmdump.report.options import Options

#: A rule, a verdict, and the number of findings with both.
Count = tuple[str, Verdict, int]


def text(result: CheckResult, options: Options) -> str:
    """Return a table for each direction."""
    paragraphs = Paragraphs(options.width, colours=options.colours)
    blocks = []
    for direction, total in direction_totals(result).items():
        rows = _of(result, direction, options)
        blocks.append("\n".join([paragraphs.paint(visible(total), "bold"), *table(rows, paragraphs)]))
    return "\n\n".join(blocks or ["nothing was compared"]) + "\n"


def json(result: CheckResult, options: Options) -> str:
    """Return a list of objects with direction, rule, verdict and count."""
    rows = [(direction, *row) for direction in result.results for row in _of(result, direction, options)]
    keys = ("direction", "rule", "verdict", "count")
    return dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1, ensure_ascii=False) + "\n"


def count(findings: Iterable[Finding]) -> list[Count]:
    """Count findings by rule and verdict; the most frequent first, then the worst."""
    counted = Counter((finding.rule, finding.verdict) for finding in findings)
    rows = [(rule, verdict, number) for (rule, verdict), number in counted.items()]
    return sorted(rows, key=lambda row: (-row[2], -row[1].severity(), row[0]))


def table(rows: Sequence[tuple[str, str, int]], paragraphs: Paragraphs) -> list[str]:
    """Format rows of rule, verdict or level, and number: one line each."""
    digits = max((len(str(number)) for _, _, number in rows), default=0)
    width = max((len(word) for _, word, _ in rows), default=0)
    return [
        f"  {number:>{digits}}  {paragraphs.paint(word, word)}{' ' * (width - len(word))}  {visible(rule)}"
        for rule, word, number in rows
    ]


def _of(result: CheckResult, direction: str, options: Options) -> list[Count]:
    findings = (finding for each in result.results[direction] for finding in each.findings)
    return count(each for each in findings if options.verbose or each.verdict is not Verdict.SAFE)

"""One line per finding, like the messages of compilers and linters: for grep, editors and a quick overview."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.results import Verdict
from vmdump.report.characters import visible
from vmdump.report.paragraphs import Paragraphs
from vmdump.report.tally import VERDICTS, direction_totals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.check.results import CheckResult, Finding
    from vmdump.report.options import Options


def render(result: CheckResult, options: Options) -> str:
    """Return the findings of each direction, the worst first; then accepted findings, stale entries and the totals."""
    if options.statistics:
        from vmdump.report import statistics

        return statistics.text(result, options)
    totals = direction_totals(result).values() or ["nothing was compared"]
    return "".join(f"{line}\n" for line in (*_lines(result, options), *map(visible, totals)))


def line(finding: Finding, word: str, paragraphs: Paragraphs) -> str:
    """Format a finding: ``7.2.22 -> 10.0.13: esp/esp.drq_state: breaks [field-removed] message``.

    word: its verdict or level.
    """
    return (
        f"{visible(finding.direction)}: {paragraphs.paint(visible(place(finding)), 'bold')}: "
        f"{paragraphs.paint(word, word)} [{finding.rule}] {visible(finding.message)}"
    )


def place(finding: Finding) -> str:
    """The type and the path below its section.

    >>> from vmdump.check.results import Finding
    >>> place(Finding("r", Verdict.SAFE, "A -> B", "am53c974", "pciespscsi / esp / esp.drq_state", "m"))
    'am53c974/esp/esp.drq_state'
    """
    return "/".join([finding.type, *finding.path.split(" / ")[1:]])


def _lines(result: CheckResult, options: Options) -> Iterator[str]:
    paragraphs = Paragraphs(colours=options.colours)
    for types in result.results.values():
        found = [finding for each in types for finding in each.findings]
        for verdict in VERDICTS:
            if options.verbose or verdict is not Verdict.SAFE:
                yield from (line(each, each.verdict, paragraphs) for each in found if each.verdict is verdict)
    for finding, reason in result.suppressed:
        yield f"{line(finding, 'accepted', paragraphs)} (reason: {visible(reason)})"
    yield from (f"stale: {visible(entry)}" for entry in result.stale)

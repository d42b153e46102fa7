"""Markdown as GitHub and GitLab render it: a comment on a merge request, or the summary of a job.

A table of the directions, and the findings that fail the check first. The length is bounded, because GitHub refuses
comments of more than 65,536 characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.results import Verdict
from vmdump.report.characters import visible
from vmdump.report.tally import MARKS, VERDICTS, counts, findings, ignored_in_words, worst, worst_first

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.check.results import CheckResult, Finding
    from vmdump.report.options import Options

#: Limits: directions and findings listed, and characters of a cell. Three cells a finding, so below 50,000 in all.
_MAX_DIRECTIONS, _MAX_FINDINGS, _MAX_CELL = 40, 40, 300

#: ASCII characters with a meaning in Markdown, tables or HTML.
_MARKUP = frozenset("\\`*_[]<>&#|~$")


def render(result: CheckResult, options: Options) -> str:
    """Return the summary. With verbose, safe findings are listed too, within the same limits."""
    return "".join(f"{line}\n" for line in _lines(result, options))


def _lines(result: CheckResult, options: Options) -> Iterator[str]:
    verdict = worst(result)
    yield f"### {MARKS[verdict]} vmdump: {'the check fails' if options.fails(verdict) else 'the check passes'}"
    yield ""
    if not result.results:
        yield "Nothing was compared."
        return
    yield from _directions(result)
    listed = worst_first(each for each in findings(result) if options.verbose or each.verdict is not Verdict.SAFE)
    if listed:
        yield ""
        yield "| verdict | type | finding |"
        yield "|---|---|---|"
        yield from map(_row, listed[:_MAX_FINDINGS])
    if len(listed) > _MAX_FINDINGS:
        yield ""
        yield f"{len(listed) - _MAX_FINDINGS} more findings are in the full report."
    if result.suppressed or result.stale:
        yield ""
        yield f"{len(result.suppressed)} accepted by the configuration, {len(result.stale)} of its entries are stale."


def _directions(result: CheckResult) -> Iterator[str]:
    """The table of verdicts for each direction."""
    yield "| from → to |" + "".join(f" {MARKS[each]} {each} |" for each in VERDICTS)
    yield "|---|" + "---:|" * len(VERDICTS)
    for direction, types in list(result.results.items())[:_MAX_DIRECTIONS]:
        numbers = counts(types)
        ignored = result.ignored.get(direction, 0)
        more = f" ({ignored_in_words(ignored)})" if ignored else ""
        yield f"| {_code(direction)}{more} |" + "".join(f" {numbers[each] or ''} |" for each in VERDICTS)
    if len(result.results) > _MAX_DIRECTIONS:
        yield ""
        yield f"{len(result.results) - _MAX_DIRECTIONS} more directions are in the full report."


def _row(finding: Finding) -> str:
    """The finding as a row of the table; what QEMU prints, and the condition, in its last cell."""
    parts = [f"{_code(finding.path)}: {_text(finding.message)}"]
    parts += [f"QEMU prints {_code(finding.error)}"] if finding.error else []
    parts += [f"if {_text(finding.condition)}"] if finding.condition else []
    cell = "<br>".join(parts)
    return f"| {MARKS[finding.verdict]} {finding.verdict} | {_code(finding.type)} | {cell} `{finding.rule}` |"


def _code(text: str) -> str:
    r"""Return the text as a code span of a table's cell. In it, Markdown, HTML and mentions of users have no effect.

    >>> print(_code("a | `b`"))
    `` a \| `b` ``
    """
    text = _shortened(text)
    fence = "`"
    while fence in text:
        fence += "`"
    space = " " if "`" in text else ""
    return f"{fence}{space}{text.replace('|', chr(92) + '|')}{space}{fence}"


def _text(text: str) -> str:
    r"""Return the text with all that Markdown and HTML would interpret escaped, in a table's cell.

    >>> print(_text("x[0] of <b>, @all"))
    x\[0\] of \<b\>, `@`all
    """
    return "".join("`@`" if each == "@" else f"\\{each}" if each in _MARKUP else each for each in _shortened(text))


def _shortened(text: str) -> str:
    text = visible(text)
    return f"{text[:_MAX_CELL]}…" if len(text) > _MAX_CELL else text

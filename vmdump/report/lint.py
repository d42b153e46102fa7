"""Reports of ``vmdump lint``: text, one line per finding, or JSON."""

from __future__ import annotations

from collections import Counter
from json import dumps
from typing import TYPE_CHECKING

from vmdump.check.lint import is_defect
from vmdump.report.characters import visible
from vmdump.report.concise import line
from vmdump.report.paragraphs import Paragraphs
from vmdump.report.statistics import table
from vmdump.report.tally import ignored_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.check.results import Finding
    from vmdump.report.options import Options

FORMATS = ("text", "concise", "json")

#: Members of a finding in JSON, after its level.
_KEYS = ("rule", "type", "path", "message", "error", "remedy")


def render(label: str, findings: Sequence[Finding], format: str, options: Options, *, ignored: int = 0) -> str:
    r"""Return the findings of a dump, defects first. ignored: number of findings left out.

    Raises:
        KeyError: The format is not in FORMATS.

    >>> from vmdump.report.options import DEFAULTS
    >>> render("7.2.22", [], "text", DEFAULTS)
    '7.2.22: 0 defects, 0 notices\n'
    """
    write = {"text": _text, "concise": _concise, "json": _json}[format]
    ordered = sorted(findings, key=lambda each: -each.verdict.severity())
    n_defects = sum(map(is_defect, ordered))
    total = f"{label}: {_number(n_defects, 'defect')}, {_number(len(ordered) - n_defects, 'notice')}"
    return write(ordered, visible(total + (f"; {ignored_in_words(ignored)}" if ignored else "")), options) + "\n"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _level(finding: Finding) -> str:
    return "defect" if is_defect(finding) else "notice"


def _text(findings: Sequence[Finding], total: str, options: Options) -> str:
    """Paragraphs of defects, one line per rule for notices (with verbose: paragraphs), and the total."""
    paragraphs = Paragraphs(options.width, colours=options.colours, verbose=options.verbose)
    if options.statistics:
        return "\n".join([total, *table(_counts(findings), paragraphs)])
    in_full = [each for each in findings if options.verbose or is_defect(each)]
    blocks = [paragraphs.finding(_level(each), [each.type], each) for each in in_full]
    paths_by_rule: dict[str, list[str]] = {}
    for each in findings[len(in_full) :]:
        paths_by_rule.setdefault(each.rule, []).append(each.path)
    lines = [
        paragraphs.line("notice", f"{len(paths)} x [{rule}]: {paragraphs.places(paths)}")
        for rule, paths in paths_by_rule.items()
    ]
    return "\n\n".join([*blocks, *(["\n".join(lines)] if lines else []), total])


def _concise(findings: Sequence[Finding], total: str, options: Options) -> str:
    if options.statistics:
        return _text(findings, total, options)
    paragraphs = Paragraphs(colours=options.colours)
    return "\n".join([*(line(each, _level(each), paragraphs) for each in findings), total])


def _json(findings: Sequence[Finding], total: str, options: Options) -> str:
    """A list of findings, without the total."""
    del total
    if options.statistics:
        return dumps(
            [{"rule": rule, "level": level, "count": number} for rule, level, number in _counts(findings)], indent=1
        )
    objects = [{"level": _level(each), **{key: getattr(each, key) for key in _KEYS}} for each in findings]
    return dumps(objects, indent=1)


def _counts(findings: Sequence[Finding]) -> list[tuple[str, str, int]]:
    """Rule, level and number of findings of each rule, the most frequent first."""
    counted = Counter((finding.rule, _level(finding)) for finding in findings)
    rows = [(rule, level, number) for (rule, level), number in counted.items()]
    return sorted(rows, key=lambda row: (-row[2], row[1], row[0]))

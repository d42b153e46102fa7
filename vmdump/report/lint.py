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
    from collections.abc import Iterable, Sequence
    from typing import Any

    from vmdump.check.results import Finding
    from vmdump.report.options import Options

FORMATS = ("text", "concise", "json")

#: Members of a finding in JSON, after its level.
_KEYS = ("rule", "type", "path", "message", "error", "remedy")


def render(
    reports: Iterable[tuple[str, Sequence[Finding], int]], format: str, options: Options, *, is_list: bool = False
) -> str:
    r"""Return the reports of dumps: label, findings, and number of findings left out. Defects come first.

    Args:
        reports: the dumps' labels, findings, and numbers of findings that were left out.
        format: one of FORMATS.
        options: how to write it.
        is_list: there may be several dumps: objects of JSON name theirs.

    Raises:
        KeyError: The format is not in FORMATS.

    >>> from vmdump.report.options import DEFAULTS
    >>> render([("7.2.22", [], 0)], "text", DEFAULTS)
    '7.2.22: 0 defects, 0 notices\n'
    """
    ordered = [
        (label, sorted(findings, key=lambda each: -each.verdict.severity()), ignored)
        for label, findings, ignored in reports
    ]
    if format == "json":
        return _json([(label, findings) for label, findings, _ in ordered], options, is_list=is_list) + "\n"
    write = {"text": _text, "concise": _concise}[format]
    texts = [write(findings, _total(label, findings, ignored), options) for label, findings, ignored in ordered]
    separator = "\n" if format == "concise" else "\n\n"
    return separator.join(texts) + "\n" if texts else ""


def _total(label: str, findings: Sequence[Finding], ignored: int) -> str:
    n_defects = sum(map(is_defect, findings))
    total = f"{label}: {_number(n_defects, 'defect')}, {_number(len(findings) - n_defects, 'notice')}"
    return visible(total + (f"; {ignored_in_words(ignored)}" if ignored else ""))


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


def _json(reports: Sequence[tuple[str, Sequence[Finding]]], options: Options, *, is_list: bool) -> str:
    """A list of findings, without the totals."""
    objects: list[dict[str, Any]] = []
    for label, findings in reports:
        source = {"source": label} if is_list else {}
        if options.statistics:
            rows = _counts(findings)
            objects += [{**source, "rule": rule, "level": level, "count": number} for rule, level, number in rows]
        else:
            objects += [
                {**source, "level": _level(each), **{key: getattr(each, key) for key in _KEYS}} for each in findings
            ]
    return dumps(objects, indent=1)


def _counts(findings: Sequence[Finding]) -> list[tuple[str, str, int]]:
    """Rule, level and number of findings of each rule, the most frequent first."""
    counted = Counter((finding.rule, _level(finding)) for finding in findings)
    rows = [(rule, level, number) for (rule, level), number in counted.items()]
    return sorted(rows, key=lambda row: (-row[2], row[1], row[0]))

"""What the linter found, as text, a line each, or JSON."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from vmdump.check.finding import Verdict
from vmdump.report.characters import visible
from vmdump.report.concise import line
from vmdump.report.paragraphs import Paragraphs
from vmdump.report.statistics import count, table
from vmdump.report.tally import ignored_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.check.finding import Finding
    from vmdump.report.options import Options

FORMATS = ("text", "concise", "json")

#: The members of a finding in JSON, behind its level.
_KEYS = ("rule", "type", "path", "message", "error", "remedy")


def render(label: str, findings: Sequence[Finding], format: str, options: Options, *, ignored: int = 0) -> str:
    r"""The findings of a dump, defects first. ignored: how many were left out. Raises KeyError for another format.

    >>> from vmdump.report.options import DEFAULTS
    >>> render("7.2.22", [], "text", DEFAULTS)
    '7.2.22: 0 defects, 0 notices\n'
    """
    write = {"text": _text, "concise": _concise, "json": _json}[format]
    ordered = sorted(findings, key=lambda each: -each.verdict.severity())
    defects = sum(_level(each) == "defect" for each in ordered)
    total = f"{label}: {_number(defects, 'defect')}, {_number(len(ordered) - defects, 'notice')}"
    return write(ordered, visible(total + (f"; {ignored_in_words(ignored)}" if ignored else "")), options) + "\n"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _level(finding: Finding) -> str:
    return "notice" if finding.verdict is Verdict.SAFE else "defect"


def _text(findings: Sequence[Finding], total: str, options: Options) -> str:
    """Paragraphs of defects, lines of notices (with the option verbose: paragraphs), the total."""
    paragraphs = Paragraphs(options.width, colours=options.colours, verbose=options.verbose)
    if options.statistics:
        return "\n".join([total, *table(_counts(findings), paragraphs)])
    told = [each for each in findings if options.verbose or _level(each) == "defect"]
    blocks = [paragraphs.finding(_level(each), [each.type], each) for each in told]
    rest: dict[str, list[str]] = {}
    for each in findings[len(told) :]:
        rest.setdefault(each.rule, []).append(each.path)
    lines = [
        paragraphs.line("notice", f"{len(paths)} x [{rule}]: {paragraphs.places(paths)}")
        for rule, paths in rest.items()
    ]
    return "\n\n".join([*blocks, *(["\n".join(lines)] if lines else []), total])


def _concise(findings: Sequence[Finding], total: str, options: Options) -> str:
    if options.statistics:
        return _text(findings, total, options)
    paragraphs = Paragraphs(colours=options.colours)
    return "\n".join([*(line(each, _level(each), paragraphs) for each in findings), total])


def _json(findings: Sequence[Finding], total: str, options: Options) -> str:
    """A list: the total is in nobody's way."""
    del total
    if options.statistics:
        return dumps(
            [{"rule": rule, "level": level, "count": number} for rule, level, number in _counts(findings)], indent=1
        )
    objects = [{"level": _level(each), **{key: getattr(each, key) for key in _KEYS}} for each in findings]
    return dumps(objects, indent=1)


def _counts(findings: Sequence[Finding]) -> list[tuple[str, str, int]]:
    return [
        (rule, "notice" if verdict is Verdict.SAFE else "defect", number) for rule, verdict, number in count(findings)
    ]

"""Text for people: findings by direction, the worst first, with the totals repeated at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.results import Finding, Verdict
from vmdump.check.rules import rule
from vmdump.report.characters import visible
from vmdump.report.paragraphs import Paragraphs
from vmdump.report.tally import VERDICTS, direction_totals, ignored_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vmdump.check.results import CheckResult
    from vmdump.report.options import Options

#: Index of the type in a finding.
_TYPE = Finding._fields.index("type")

#: A finding, the types that have it, and the paths of further findings of the same rule in these types.
_Group = tuple[Finding, list[str], list[str]]


def render(result: CheckResult, options: Options) -> str:
    """Return the findings; with the option matrix (and not verbose), only the table of all pairs."""
    if options.statistics:
        from vmdump.report import statistics

        return statistics.text(result, options)
    paragraphs = Paragraphs(options.width, colours=options.colours, verbose=options.verbose)
    if options.matrix and not options.verbose:
        return render_matrix(result, paragraphs)
    totals = direction_totals(result) or {"": "nothing was compared"}
    blocks = []
    for direction, total in totals.items():
        found = list(_direction(direction, result, paragraphs, verbose=options.verbose))
        blocks += [paragraphs.heading(total), *found] if found else []
    blocks += [paragraphs.line("stale", entry) for entry in result.stale]
    blocks.append("\n".join(visible(total) for total in totals.values()))
    return "\n\n".join(blocks) + "\n"


def _direction(direction: str, result: CheckResult, paragraphs: Paragraphs, *, verbose: bool) -> Iterator[str]:
    """Paragraphs of a direction, the worst first, followed by accepted findings."""
    findings = [finding for each in result.results.get(direction, ()) for finding in each.findings]
    by_verdict: dict[Verdict, list[Finding]] = {verdict: [] for verdict in VERDICTS}
    for finding in findings:
        by_verdict[finding.verdict].append(finding)
    for verdict, found in by_verdict.items():
        if verdict is Verdict.ABSENT:
            if found:
                yield paragraphs.absent([finding.type for finding in found], found)
        elif verdict is Verdict.UNKNOWN and not verbose:
            yield from (paragraphs.finding(verdict, *each) for each in _unknown(found))
        elif verbose or verdict is not Verdict.SAFE:
            for finding, types, further in _grouped(found, verbose=verbose):
                shown = finding if verdict is not Verdict.SAFE else finding._replace(remedy=None)
                yield paragraphs.finding(verdict, types, shown, further)
    for finding, reason in result.suppressed:
        if finding.direction == direction:
            text = f"{finding.type}: {finding.path} [{finding.rule}]"
            yield paragraphs.line("accepted", text, more=[("reason", reason)])


def _unknown(findings: Iterable[Finding]) -> Iterator[tuple[list[str], Finding, list[str]]]:
    """Group findings of what could not be compared: for each rule its types, one finding, and the paths.

    Many types share such parts, and hundreds of paragraphs would hide the findings that matter.
    """
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    for rule_id, found in by_rule.items():
        types = list(dict.fromkeys(finding.type for finding in found))
        first, *others = found
        if not others:
            yield types, first, []
            continue
        messages = {finding.message for finding in found}
        message = first.message if len(messages) == 1 else _summary(rule_id) or first.message
        places = list(dict.fromkeys(finding.path.rpartition(" / ")[2] for finding in found))
        yield types, first._replace(path="", message=message, condition=None), places if len(messages) > 1 else []


def _summary(rule_id: str) -> str:
    """The summary of a rule as a headline; empty if there is no such rule."""
    try:
        what = rule(rule_id).WHAT
    except KeyError:
        return ""
    return what[:1].lower() + what[1:].rstrip(".")


def _grouped(findings: Iterable[Finding], *, verbose: bool) -> Iterable[_Group]:
    """Merge findings that are equal in several types, and (unless verbose) those of one rule in the same types.

    Groups of the same rule are adjacent.
    """
    same: dict[tuple[object, ...], tuple[Finding, dict[str, None]]] = {}
    for finding in findings:
        but_type = finding[:_TYPE] + finding[_TYPE + 1 :]
        same.setdefault(but_type, (finding, {}))[1][finding.type] = None
    groups: dict[object, _Group] = {}
    for number, (finding, names) in enumerate(same.values()):
        types = list(names)
        key = number if verbose else (finding.rule, tuple(types))
        if key in groups:
            groups[key][2].append(finding.path)
        else:
            groups[key] = (finding, types, [])
    by_rule: dict[str, list[_Group]] = {}
    for group in groups.values():
        by_rule.setdefault(group[0].rule, []).append(group)
    return [group for groups_of_rule in by_rule.values() for group in groups_of_rule]


def render_matrix(result: CheckResult, paragraphs: Paragraphs) -> str:
    """Return a table of all pairs, with sources as rows: the worst verdict, and the number of types that have it."""
    labels = [dump.label for dump in result.dumps]
    names = [visible(label) for label in labels]
    cells = [[_cell(result, f"{source} -> {destination}") for destination in labels] for source in labels]
    first = max(map(len, ["from \\ to", *names]))
    widths = [
        max(len(name), *(len(text) for text, _ in column))
        for name, column in zip(names, zip(*cells, strict=True), strict=True)
    ]
    heads = "  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True))
    lines = [paragraphs.paint("from \\ to".ljust(first) + "  " + heads.rstrip(), "bold")]
    for name, row in zip(names, cells, strict=True):
        *parts, last = [(text.ljust(width), style) for (text, style), width in zip(row, widths, strict=True)]
        painted = [paragraphs.paint(text, style) for text, style in (*parts, (last[0].rstrip(), last[1]))]
        lines.append("  ".join([name.ljust(first), *painted]))
    ignored = sum(result.ignored.values())
    return "\n".join([*lines, *([ignored_in_words(ignored)] if ignored else [])]) + "\n"


def _cell(result: CheckResult, direction: str) -> tuple[str, str]:
    """The text and the style of a cell."""
    types = result.results.get(direction)
    if types is None:
        return "-", ""
    verdicts = [each.verdict for each in types]
    worst = Verdict.worst(verdicts)
    return str(worst) if worst is Verdict.SAFE else f"{verdicts.count(worst)} {worst}", worst

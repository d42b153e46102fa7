"""JUnit XML, as read by GitLab, Jenkins and others: one suite per direction, one test case per type.

Types that fail the check are failures; other types that are not safe are skipped, with their findings. Accepted
findings are in the type's system-out, stale entries of the configuration in each suite's system-err.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from vmdump.check.results import TypeResult, Verdict
from vmdump.report.characters import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from vmdump.check.results import CheckResult, Finding
    from vmdump.report.options import Options


def render(result: CheckResult, options: Options) -> str:
    """Return the document. All times are 0, which keeps reports reproducible."""
    suites = [_Suite(direction, result, options) for direction in result.results]
    return "\n".join(
        (
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="vmdump check" {_counts(suites)}>',
            *(line for suite in suites for line in suite.lines()),
            "</testsuites>\n",
        )
    )


class _Suite:
    """The test suite of a direction."""

    def __init__(self, direction: str, result: CheckResult, options: Options) -> None:
        accepted: dict[str, list[str]] = defaultdict(list)
        for finding, reason in result.suppressed:
            if finding.direction == direction:
                accepted[finding.type].append(f"accepted: {_describe(finding)}\n  reason: {visible(reason)}")
        types = list(result.results[direction])
        without = sorted(accepted.keys() - {each.type for each in types})
        types += [TypeResult(name, Verdict.ACCEPTED, name, (), ()) for name in without]
        self.direction = direction
        self.cases = len(types)
        self.failures = sum(options.fails(each.verdict) for each in types)
        self.skipped = sum(each.verdict is not Verdict.SAFE and not options.fails(each.verdict) for each in types)
        self._types, self._accepted, self._options, self._stale = types, accepted, options, result.stale
        self._properties = dict(_properties(direction, result))

    def lines(self) -> Iterator[str]:
        """Yield the lines of the element."""
        yield f"  <testsuite name={_attribute(self.direction)} {_counts([self])}>"
        if self._properties:
            yield "    <properties>"
            for name, value in self._properties.items():
                yield f'      <property name="{name}" value={_attribute(value)}/>'
            yield "    </properties>"
        for each in self._types:
            yield from self._case(each)
        if self._stale:
            yield f"    <system-err>{_text(map(visible, self._stale))}</system-err>"
        yield "  </testsuite>"

    def _case(self, each: TypeResult) -> Iterator[str]:
        head = f'    <testcase classname={_attribute(self.direction)} name={_attribute(each.type)} time="0"'
        inside = [*_outcome(each, self._options), *_output(each, self._accepted, self._options)]
        if not inside:
            yield f"{head}/>"
            return
        yield f"{head}>"
        yield from (f"      {line}" for line in inside)
        yield "    </testcase>"


def _properties(direction: str, result: CheckResult) -> Iterator[tuple[str, str]]:
    """The way of a direction, the versions of both QEMUs if known, and the number of ignored findings."""
    found = result.directions.get(direction)
    if found is not None:
        yield "direction", found.way
        for name, index in (("source-version", found.source), ("destination-version", found.destination)):
            if version := result.dumps[index].producer.version:
                yield name, version
    if ignored := result.ignored.get(direction):
        yield "ignored-findings", str(ignored)


def _outcome(each: TypeResult, options: Options) -> Iterator[str]:
    """The failure or skipped element of a type; nothing if it passed."""
    worst = [finding for finding in each.findings if finding.verdict is each.verdict]
    message = _attribute(f"{each.verdict}: {worst[0].sentence}" if worst else each.verdict)
    body = _text(_describe(finding) for finding in each.findings if finding.verdict is not Verdict.SAFE)
    if options.fails(each.verdict):
        kind = _attribute(worst[0].rule if worst else each.verdict)
        yield f"<failure message={message} type={kind}>{body}</failure>"
    elif each.verdict is not Verdict.SAFE:
        yield f"<skipped message={message}>{body}</skipped>"


def _output(each: TypeResult, accepted: Mapping[str, Sequence[str]], options: Options) -> Iterator[str]:
    """The system-out element: accepted findings; with verbose also safe ones."""
    harmless = [finding for finding in each.findings if options.verbose and finding.verdict is Verdict.SAFE]
    lines = [*accepted.get(each.type, ()), *map(_describe, harmless)]
    if lines:
        yield f"<system-out>{_text(lines)}</system-out>"


def _describe(finding: Finding) -> str:
    lines = [f"{finding.verdict}: {finding.path}: {finding.message} [{finding.rule}]"]
    lines += [f"  error: {finding.error}"] if finding.error else []
    lines += [f"  if: {finding.condition}"] if finding.condition else []
    lines += [f"  source: {finding.source.facts}"] if finding.source else []
    lines += [f"  destination: {finding.destination.facts}"] if finding.destination else []
    lines += [f"  note: {finding.note}"] if finding.note else []
    lines += [f"  remedy: {finding.remedy}"] if finding.remedy else []
    return "\n".join(map(visible, lines))


def _counts(suites: Sequence[_Suite]) -> str:
    sums = {
        "tests": sum(suite.cases for suite in suites),
        "failures": sum(suite.failures for suite in suites),
        "errors": 0,
        "skipped": sum(suite.skipped for suite in suites),
        "time": 0,
    }
    return " ".join(f'{name}="{value}"' for name, value in sums.items())


def _attribute(text: str) -> str:
    return quoteattr(visible(text))


def _text(lines: Iterable[str]) -> str:
    return escape("\n".join(lines))

"""JUnit XML, as GitLab, Jenkins and others load it: a suite a direction, a test case a type.

What fails the check is a failure; what is not safe and does not fail it is skipped, with what was found. Accepted
findings are in their type's output, entries of the configuration that are stale in each suite's errors.
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
    """The document. Times are 0: a comparison has none of its own, and the report is to be the same each time."""
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
    """The suite of a direction."""

    def __init__(self, direction: str, result: CheckResult, options: Options) -> None:
        accepted: dict[str, list[str]] = defaultdict(list)
        for finding, reason in result.suppressed:
            if finding.direction == direction:
                accepted[finding.type].append(f"accepted: {_words(finding)}\n  reason: {visible(reason)}")
        types = list(result.results[direction])
        without = sorted(accepted.keys() - {each.type for each in types})
        types += [TypeResult(name, Verdict.SAFE, name, (), ()) for name in without]
        self.direction = direction
        self.cases = len(types)
        self.failures = sum(options.fails(each.verdict) for each in types)
        self.skipped = sum(each.verdict is not Verdict.SAFE and not options.fails(each.verdict) for each in types)
        self._types, self._accepted, self._options, self._stale = types, accepted, options, result.stale

    def lines(self) -> Iterator[str]:
        """The element, a line a case."""
        yield f"  <testsuite name={_attribute(self.direction)} {_counts([self])}>"
        for each in self._types:
            yield from self._case(each)
        if self._stale:
            yield f"    <system-err>{_text(map(visible, self._stale))}</system-err>"
        yield "  </testsuite>"

    def _case(self, each: TypeResult) -> Iterator[str]:
        head = f'    <testcase classname={_attribute(self.direction)} name={_attribute(each.type)} time="0"'
        inside = [*_outcome(each, self._options), *_output(each.type, self._accepted)]
        if not inside:
            yield f"{head}/>"
            return
        yield f"{head}>"
        yield from (f"      {line}" for line in inside)
        yield "    </testcase>"


def _outcome(each: TypeResult, options: Options) -> Iterator[str]:
    """Why the case failed or was skipped; nothing for one that passed."""
    worst = [finding for finding in each.findings if finding.verdict is each.verdict]
    message = _attribute(f"{each.verdict}: {worst[0].message}" if worst else each.verdict)
    told = _text(_words(finding) for finding in each.findings if finding.verdict is not Verdict.SAFE)
    if options.fails(each.verdict):
        kind = _attribute(worst[0].rule if worst else each.verdict)
        yield f"<failure message={message} type={kind}>{told}</failure>"
    elif each.verdict is not Verdict.SAFE:
        yield f"<skipped message={message}>{told}</skipped>"


def _output(name: str, accepted: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if name in accepted:
        yield f"<system-out>{_text(accepted[name])}</system-out>"


def _words(finding: Finding) -> str:
    lines = [f"{finding.verdict}: {finding.path}: {finding.message} [{finding.rule}]"]
    lines += [f"  if: {finding.condition}"] if finding.condition else []
    lines += [f"  source: {finding.source.facts}"] if finding.source else []
    lines += [f"  destination: {finding.destination.facts}"] if finding.destination else []
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

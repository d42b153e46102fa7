"""GitHub Actions workflow commands: one annotation per finding.

The worst come first, because GitHub shows only ten annotations of each level per step.

Source: docs.github.com, "Workflow commands for GitHub Actions"; for escaping, actions/toolkit,
packages/core/src/command.ts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.results import Verdict
from vmdump.report.characters import visible
from vmdump.report.tally import findings, ignored_in_words, summary, worst_first

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.check.results import CheckResult, Finding
    from vmdump.report.options import Options


def render(result: CheckResult, options: Options) -> str:
    """Return the commands: findings that fail the check are errors, other findings warnings, accepted ones notices."""
    return "".join(f"{line}\n" for line in _lines(result, options))


def _lines(result: CheckResult, options: Options) -> Iterator[str]:
    for finding in worst_first(findings(result)):
        if finding.verdict is not Verdict.SAFE:
            level = "error" if options.fails(finding.verdict) else "warning"
            yield _command(level, _title(finding), _describe(finding))
    for finding, reason in result.suppressed:
        yield _command("notice", f"accepted: {_title(finding)}", f"{_describe(finding)}\naccepted: {reason}")
    for entry in result.stale:
        yield _command("warning", "vmdump's configuration", entry)
    for direction, types in result.results.items():
        ignored = result.ignored.get(direction, 0)
        more = f"; {ignored_in_words(ignored)}" if ignored else ""
        yield _command("notice", f"vmdump check {direction}", summary(types) + more)


def _title(finding: Finding) -> str:
    return f"{finding.verdict}: {finding.type}, {finding.direction}"


def _describe(finding: Finding) -> str:
    error = f"\nerror: {finding.error}" if finding.error else ""
    condition = f"\nif: {finding.condition}" if finding.condition else ""
    note = f"\nnote: {finding.note}" if finding.note else ""
    remedy = f"\nremedy: {finding.remedy}" if finding.remedy else ""
    return f"{finding.path}: {finding.message} [{finding.rule}]{error}{condition}{note}{remedy}"


def _command(level: str, title: str, message: str) -> str:
    """Format a workflow command. In properties, colons and commas must be escaped too."""
    lines = "\n".join(map(visible, message.split("\n")))
    name = _data(visible(title)).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={name}::{_data(lines)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

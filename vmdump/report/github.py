"""GitHub Actions' workflow commands: an annotation a finding, the worst first, since GitHub shows ten of a kind a step.

Source: docs.github.com, "Workflow commands for GitHub Actions"; actions/toolkit, packages/core/src/command.ts, for what
must be escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.results import Verdict
from vmdump.report.characters import visible
from vmdump.report.tally import findings, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.check.results import CheckResult, Finding
    from vmdump.report.options import Options


def render(result: CheckResult, options: Options) -> str:
    """The commands: what fails the check is an error, other findings are warnings, accepted ones notices."""
    return "".join(f"{line}\n" for line in _lines(result, options))


def _lines(result: CheckResult, options: Options) -> Iterator[str]:
    for finding in sorted(findings(result), key=lambda finding: -finding.verdict.severity()):
        if finding.verdict is not Verdict.SAFE:
            level = "error" if options.fails(finding.verdict) else "warning"
            yield _command(level, _title(finding), _words(finding))
    for finding, reason in result.suppressed:
        yield _command("notice", f"accepted: {_title(finding)}", f"{_words(finding)}\naccepted: {reason}")
    for entry in result.stale:
        yield _command("warning", "vmdump's configuration", entry)
    for direction, types in result.results.items():
        yield _command("notice", f"vmdump check {direction}", summary(types))


def _title(finding: Finding) -> str:
    return f"{finding.verdict}: {finding.type}, {finding.direction}"


def _words(finding: Finding) -> str:
    condition = f"\nif: {finding.condition}" if finding.condition else ""
    remedy = f"\nremedy: {finding.remedy}" if finding.remedy else ""
    return f"{finding.path}: {finding.message} [{finding.rule}]{condition}{remedy}"


def _command(level: str, title: str, message: str) -> str:
    """One workflow command. In a property, colons and commas would end it too."""
    lines = "\n".join(map(visible, message.split("\n")))
    name = _data(visible(title)).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={name}::{_data(lines)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

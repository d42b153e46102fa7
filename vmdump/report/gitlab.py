"""GitLab's code quality report: an array of issues, shown in merge requests.

Source: docs.gitlab.com, "Code Quality", "Code Quality report format": description, check_name, fingerprint, severity
and location are required.
"""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from vmdump.check.results import Verdict
from vmdump.report.characters import visible
from vmdump.report.fingerprints import Fingerprints
from vmdump.report.tally import findings

if TYPE_CHECKING:
    from typing import Any

    from vmdump.check.results import CheckResult, Finding
    from vmdump.report.options import Options

#: Severity of findings that do not fail the check.
_SEVERITIES = {
    Verdict.BREAKS: "major", Verdict.CONDITIONAL: "minor", Verdict.ABSENT: "info", Verdict.UNKNOWN: "info",
}  # fmt: skip


def render(result: CheckResult, options: Options) -> str:
    """Return the findings worse than safe, the worst first; in location, the file of the source, else its label."""
    fingerprints = Fingerprints(result)
    found = [each for each in findings(result) if each.verdict is not Verdict.SAFE]
    found.sort(key=lambda each: -each.verdict.severity())
    return dumps([_issue(each, result, options, fingerprints.next(each)) for each in found], indent=1) + "\n"


def _issue(finding: Finding, result: CheckResult, options: Options, fingerprint: str) -> dict[str, Any]:
    direction = result.directions.get(finding.direction)
    dump = direction and result.dumps[direction.source]
    path = (dump and (dump.producer.path or dump.label)) or finding.direction
    error = f" QEMU prints: {finding.error}" if finding.error else ""
    text = f"{finding.direction}: {finding.verdict}: {finding.type}: {finding.path}: {finding.message}.{error}"
    return {
        "description": visible(text),
        "check_name": finding.rule,
        "fingerprint": fingerprint,
        "severity": "critical" if options.fails(finding.verdict) else _SEVERITIES[finding.verdict],
        "location": {"path": visible(path), "lines": {"begin": 1}},
    }

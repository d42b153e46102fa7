"""SARIF 2.1.0 (OASIS Static Analysis Results Interchange Format), for code scanning.

A result is a finding; where it is: the source's dump file or binary, and in it section / description / field. Results
carry the levels that --fail-on gives them, and accepted ones a suppression with its justification.
"""

from __future__ import annotations

from hashlib import sha256
from json import dumps
from typing import TYPE_CHECKING
from urllib.parse import quote

from vmdump.check.results import Verdict
from vmdump.report.tally import findings, verdicts
from vmdump.version import __version__

if TYPE_CHECKING:
    from typing import Any

    from vmdump.check.results import CheckResult, Dump, Finding
    from vmdump.report.options import Options

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(result: CheckResult, options: Options) -> str:
    """The log, with one run."""
    return dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [_Run(result, options).run()]}, indent=1) + "\n"


class _Run:
    """The run, and what its results refer to."""

    def __init__(self, result: CheckResult, options: Options) -> None:
        self._result = result
        self._options = options
        self._dumps = {dump.label: (index, dump) for index, dump in enumerate(result.dumps)}
        self._found: list[tuple[Finding, str | None]] = [(finding, None) for finding in findings(result)]
        self._found += result.suppressed
        self._rules = {rule: index for index, rule in enumerate(sorted({finding.rule for finding, _ in self._found}))}
        self._seen: dict[str, int] = {}

    def run(self) -> dict[str, Any]:
        """The run object."""
        stale = [{"level": "warning", "message": {"text": entry}} for entry in self._result.stale]
        return {
            "tool": {"driver": {"name": "vmdump", "version": __version__, "rules": list(map(self._rule, self._rules))}},
            "invocations": [{"executionSuccessful": True, "toolConfigurationNotifications": stale}],
            "artifacts": [_artifact(dump) for dump in self._result.dumps],
            "results": [self._finding(finding, reason) for finding, reason in self._found],
            "properties": {
                "failOn": self._options.fail_on,
                "verdicts": {direction: verdicts(types) for direction, types in self._result.results.items()},
            },
        }

    def _rule(self, rule: str) -> dict[str, Any]:
        descriptor: dict[str, Any] = {"id": rule, "properties": {"tags": ["migration", "vmstate"]}}
        if text := self._options.rules.get(rule):
            descriptor["shortDescription"] = {"text": text.summary}
            descriptor["help"] = {"text": text.help}
        else:
            descriptor["help"] = {"text": f"vmdump explain {rule}"}
        worst = max((each.verdict for each, _ in self._found if each.rule == rule), key=Verdict.severity)
        descriptor["defaultConfiguration"] = {"level": self._level(worst)}
        return descriptor

    def _level(self, verdict: Verdict) -> str:
        if self._options.fails(verdict):
            return "error"
        return "none" if verdict is Verdict.SAFE else "warning"

    def _finding(self, finding: Finding, reason: str | None) -> dict[str, Any]:
        suppression = {"kind": "external", "status": "accepted", "justification": reason}
        fingerprint = self._fingerprint(finding)
        condition = f" If: {finding.condition}." if finding.condition else ""
        remedy = f" Remedy: {finding.remedy}." if finding.remedy else ""
        text = f"{finding.direction}: {finding.verdict}: {finding.type}: {finding.message}.{condition}{remedy}"
        return {
            "ruleId": finding.rule,
            "ruleIndex": self._rules[finding.rule],
            # A result that is no failure has the level none (SARIF 2.1.0, 3.27.9 and 3.27.10).
            "kind": "informational" if finding.verdict is Verdict.SAFE else "fail",
            "level": self._level(finding.verdict),
            "message": {"text": text},
            "locations": [self._location(finding)],
            "fingerprints": {"vmdump/v1": fingerprint},
            # What GitHub tells alerts apart by.
            "partialFingerprints": {"primaryLocationLineHash": fingerprint},
            "suppressions": [suppression] if reason is not None else [],
            "properties": {
                "verdict": finding.verdict,
                "direction": finding.direction,
                "type": finding.type,
                "source": finding.source._asdict() if finding.source else None,
                "destination": finding.destination._asdict() if finding.destination else None,
            },
        }

    def _fingerprint(self, finding: Finding) -> str:
        """The same for the same finding in every run, wherever the dumps lie and whatever the message says."""
        parts = [finding.rule, finding.direction, finding.type, finding.path]
        digest = sha256(dumps(parts).encode()).hexdigest()[:32]
        self._seen[digest] = self._seen.get(digest, 0) + 1
        return f"{digest}:{self._seen[digest]}"

    def _location(self, finding: Finding) -> dict[str, Any]:
        name = {"name": finding.path, "fullyQualifiedName": f"{finding.type} / {finding.path}", "kind": "member"}
        location: dict[str, Any] = {"logicalLocations": [name]}
        index, dump = self._dumps.get(finding.direction.partition(" -> ")[0], (0, None))
        if dump and dump.producer.path is not None:
            location["physicalLocation"] = {"artifactLocation": {"uri": _uri(dump.producer.path), "index": index}}
        return location


def _artifact(dump: Dump) -> dict[str, Any]:
    known = (dump.producer.version, f"machine {dump.machine}")
    artifact: dict[str, Any] = {"description": {"text": f"{dump.label}: {', '.join(filter(None, known))}"}}
    if dump.producer.path is not None:
        artifact["location"] = {"uri": _uri(dump.producer.path)}
    return artifact


def _uri(path: str) -> str:
    """A path as a URI: relative where it is; a colon in it would begin with a scheme."""
    quoted = quote(path.encode("utf-8", "surrogateescape"), safe="/~")
    return f"file://{quoted}" if path.startswith("/") else quoted

"""SARIF 2.1.0 (OASIS Static Analysis Results Interchange Format), for code scanning.

Each finding worse than safe (with --verbose, each finding) is a result. Its location is the source's dump file or
binary, its logical location ``section / description / field``. Its level depends on --fail-on. Accepted findings have a
suppression with the reason as justification.
"""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING
from urllib.parse import quote

from vmdump.check.results import Verdict
from vmdump.report.fingerprints import Fingerprints
from vmdump.report.tally import findings, verdicts
from vmdump.version import __version__

if TYPE_CHECKING:
    from typing import Any

    from vmdump.check.results import CheckResult, Dump, Finding
    from vmdump.report.options import Options

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(result: CheckResult, options: Options) -> str:
    """Return the log, which has one run."""
    return dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [_Run(result, options).run()]}, indent=1) + "\n"


class _Run:
    """The run object, and the indices that its results refer to."""

    def __init__(self, result: CheckResult, options: Options) -> None:
        self._result = result
        self._options = options
        self._found: list[tuple[Finding, str | None]] = [
            (finding, None) for finding in findings(result) if options.verbose or finding.verdict is not Verdict.SAFE
        ]
        self._found += result.suppressed
        self._rules = {rule: index for index, rule in enumerate(sorted({finding.rule for finding, _ in self._found}))}
        self._fingerprints = Fingerprints(result)

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
                "ignored": dict(self._result.ignored),
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
        worst = Verdict.worst(each.verdict for each, _ in self._found if each.rule == rule)
        descriptor["defaultConfiguration"] = {"level": self._level(worst)}
        return descriptor

    def _level(self, verdict: Verdict) -> str:
        if self._options.fails(verdict):
            return "error"
        return "none" if verdict is Verdict.SAFE else "warning"

    def _finding(self, finding: Finding, reason: str | None) -> dict[str, Any]:
        suppression = {"kind": "external", "status": "accepted", "justification": reason}
        fingerprint = self._fingerprints.next(finding)
        error = f" QEMU prints: `{finding.error}`." if finding.error else ""
        condition = f" If: {finding.condition}." if finding.condition else ""
        remedy = f" Remedy: {finding.remedy.rstrip('.')}." if finding.remedy else ""
        text = f"{finding.direction}: {finding.verdict}: {finding.type}: {finding.message}.{error}{condition}{remedy}"
        return {
            "ruleId": finding.rule,
            "ruleIndex": self._rules[finding.rule],
            # Results of a kind other than fail have the level none (SARIF 2.1.0, 3.27.9 and 3.27.10).
            "kind": "informational" if finding.verdict is Verdict.SAFE else "fail",
            "level": self._level(finding.verdict),
            "message": {"text": text},
            "locations": [self._location(finding)],
            "fingerprints": {"vmdump/v1": fingerprint},
            # GitHub identifies alerts by this.
            "partialFingerprints": {"primaryLocationLineHash": fingerprint},
            "suppressions": [suppression] if reason is not None else [],
            "properties": {
                "verdict": finding.verdict,
                "direction": finding.direction,
                **self._way(finding),
                "type": finding.type,
                "error": finding.error,
                "note": finding.note,
                "source": finding.source._asdict() if finding.source else None,
                "destination": finding.destination._asdict() if finding.destination else None,
            },
        }

    def _location(self, finding: Finding) -> dict[str, Any]:
        name = {"name": finding.path, "fullyQualifiedName": f"{finding.type} / {finding.path}", "kind": "member"}
        location: dict[str, Any] = {"logicalLocations": [name]}
        direction = self._result.directions.get(finding.direction)
        path = direction and self._result.dumps[direction.source].producer.path
        if direction and path is not None:
            location["physicalLocation"] = {"artifactLocation": {"uri": _uri(path), "index": direction.source}}
        return location

    def _way(self, finding: Finding) -> dict[str, Any]:
        """The way of a finding's direction, and the versions of both QEMUs."""
        direction = self._result.directions.get(finding.direction)
        if direction is None:
            return {}
        dumps = self._result.dumps
        return {
            "way": direction.way,
            "sourceVersion": dumps[direction.source].producer.version,
            "destinationVersion": dumps[direction.destination].producer.version,
        }


def _artifact(dump: Dump) -> dict[str, Any]:
    known = (dump.producer.version, f"machine {dump.machine}")
    artifact: dict[str, Any] = {"description": {"text": f"{dump.label}: {', '.join(filter(None, known))}"}}
    if dump.producer.path is not None:
        artifact["location"] = {"uri": _uri(dump.producer.path)}
    return artifact


def _uri(path: str) -> str:
    """Convert a path to a URI, relative if the path is. Colons are quoted, because they would end a scheme."""
    quoted = quote(path.encode("utf-8", "surrogateescape"), safe="/~")
    return f"file://{quoted}" if path.startswith("/") else quoted

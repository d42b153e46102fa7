"""JSON: verdicts, findings and where the dumps come from, for programs. check.schema.json beside this documents it."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from vmdump.report.tally import counts, findings, verdicts

if TYPE_CHECKING:
    from typing import Any

    from vmdump.check.results import CheckResult, Dump, Finding, Side
    from vmdump.report.options import Options

#: What the schema calls this form; a change that a reader could stumble over makes it the next number.
FORMAT = 1


def render(result: CheckResult, options: Options) -> str:
    """The object, indented, in the order of the check."""
    document = {
        "format": FORMAT,
        "fail_on": options.fail_on,
        "producers": {dump.label: _producer(dump) for dump in result.dumps},
        "summary": {direction: counts(types) for direction, types in result.results.items()},
        "verdicts": {direction: verdicts(types) for direction, types in result.results.items()},
        "findings": [finding_object(finding) for finding in findings(result)],
        "suppressed": [{**finding_object(finding), "reason": reason} for finding, reason in result.suppressed],
        "stale": list(result.stale),
    }
    return dumps(document, indent=1, ensure_ascii=False) + "\n"


def finding_object(finding: Finding) -> dict[str, Any]:
    """A finding as the schema has it; what is not there is null."""
    sides = {"source": _side(finding.source), "destination": _side(finding.destination)}
    return {**finding._asdict(), **sides}


def _side(side: Side | None) -> dict[str, str] | None:
    return None if side is None else side._asdict()


def _producer(dump: Dump) -> dict[str, Any]:
    producer = dump.producer._asdict()
    nested = {key: [each._asdict() for each in producer[key]] for key in ("modules", "defects")}
    return {"machine": dump.machine, **producer, **nested}

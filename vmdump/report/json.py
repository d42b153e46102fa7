"""JSON: verdicts, findings and producers, as documented by check.schema.json in this directory."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from vmdump.report.tally import counts, findings, verdicts

if TYPE_CHECKING:
    from typing import Any

    from vmdump.check.results import CheckResult, Direction, Dump, Finding, Side
    from vmdump.report.options import Options

#: Version of the schema; incremented by any change that could break a reader.
FORMAT = 2


def render(result: CheckResult, options: Options) -> str:
    """Return the document, indented, in the order of the check."""
    if options.statistics:
        from vmdump.report import statistics

        return statistics.json(result, options)
    document = {
        "format": FORMAT,
        "fail_on": options.fail_on,
        "producers": {dump.label: _producer(dump) for dump in result.dumps},
        "directions": {label: _direction(direction, result) for label, direction in result.directions.items()},
        "summary": {direction: counts(types) for direction, types in result.results.items()},
        "verdicts": {direction: verdicts(types) for direction, types in result.results.items()},
        "findings": [finding_object(finding, result) for finding in findings(result)],
        "suppressed": [{**finding_object(finding, result), "reason": reason} for finding, reason in result.suppressed],
        "ignored": {direction: result.ignored.get(direction, 0) for direction in result.results},
        "stale": list(result.stale),
    }
    return dumps(document, indent=1, ensure_ascii=False) + "\n"


def finding_object(finding: Finding, result: CheckResult) -> dict[str, Any]:
    """Convert a finding to the schema's object. Missing values are null."""
    direction = result.directions.get(finding.direction)
    sides = {"source": _side(finding.source), "destination": _side(finding.destination)}
    return {**finding._asdict(), "way": direction and direction.way, **sides}


def _direction(direction: Direction, result: CheckResult) -> dict[str, Any]:
    source, destination = result.dumps[direction.source], result.dumps[direction.destination]
    return {
        "way": direction.way,
        "source": source.label,
        "destination": destination.label,
        "source_version": source.producer.version,
        "destination_version": destination.producer.version,
    }


def _side(side: Side | None) -> dict[str, str] | None:
    return None if side is None else side._asdict()


def _producer(dump: Dump) -> dict[str, Any]:
    producer = dump.producer._asdict()
    del producer["error_lines"]  # quoted in findings
    nested = {key: [each._asdict() for each in producer[key]] for key in ("modules", "defects")}
    return {"machine": dump.machine, **producer, **nested}

"""JSON: verdicts, findings and producers, as documented by check.schema.json in this directory."""

from __future__ import annotations

from json import dumps
from json.encoder import encode_basestring
from typing import TYPE_CHECKING

from vmdump.check.results import Finding
from vmdump.report.tally import counts, findings, verdicts

if TYPE_CHECKING:
    from typing import Any

    from vmdump.check.results import CheckResult, Direction, Dump, Side
    from vmdump.report.options import Options

#: Version of the schema; incremented by any change that could break a reader.
FORMAT = 2

#: Index of source in a finding; destination follows.
_SIDES = Finding._fields.index("source")
#: A side that is null.
_NO_SIDE = (None,)


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
        "findings": [],
        "suppressed": [{**finding_object(finding, result), "reason": reason} for finding, reason in result.suppressed],
        "ignored": {direction: result.ignored.get(direction, 0) for direction in result.results},
        "stale": list(result.stale),
    }
    before, _, after = _dumps(document).partition('\n "findings": []')  # strings have no newlines: it is the key
    objects = list(map(_FindingFormat(result).text, findings(result)))
    if not objects:
        return f'{before}\n "findings": []{after}\n'
    objects[0] = f'{before}\n "findings": [\n{objects[0]}'
    objects[-1] += f"\n ]{after}\n"
    return ",\n".join(objects)


def _dumps(value: object) -> str:
    return dumps(value, indent=1, ensure_ascii=False)


class _FindingFormat:
    """Writes findings as json.dumps does, several times as fast: it makes one format for findings of equal keys."""

    def __init__(self, result: CheckResult) -> None:
        self._result = result
        self._ways = {label: direction.way for label, direction in result.directions.items()}
        #: By whether there are a source and a destination.
        self._formats: dict[tuple[bool, bool], str] = {}

    def text(self, finding: Finding) -> str:
        """Return the object with the indentation of the list of findings."""
        source, destination = finding.source, finding.destination
        key = source is None, destination is None
        if key not in self._formats:
            self._formats[key] = self._format(finding)
        values = (
            *finding[:_SIDES], *(source or _NO_SIDE), *(destination or _NO_SIDE), *finding[_SIDES + 2 :],
            self._ways.get(finding.direction),
        )  # fmt: skip
        return self._formats[key] % tuple(["null" if each is None else encode_basestring(each) for each in values])

    def _format(self, finding: Finding) -> str:
        """Return the format of findings that have the same sides."""
        shown = finding_object(finding, self._result)
        shape = {key: dict.fromkeys(value) if isinstance(value, dict) else None for key, value in shown.items()}
        lines = _dumps([[shape]]).splitlines()[2:-2]
        return "\n".join(lines).replace("null", "%s")


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

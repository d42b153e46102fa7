"""The data of the HTML page: each string, item, row, layout and type once, and numbers that refer to them.

Most types of a matrix have equal results in all directions, so a direction is a list of numbers. The check shares one
object between directions with equal results; such an object is read once. page/data.js reads the data.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from vmdump.check.results import Finding, TypeResult, Verdict
from vmdump.report.characters import visible
from vmdump.report.tally import MARKS, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Any

    from vmdump.check.results import CheckResult, Row, StreamItem
    from vmdump.report.options import Options

#: The index of a missing value.
_NONE = -1

#: The verdicts' indices; 0 is the worst.
_RANKS = {verdict: rank for rank, verdict in enumerate(VERDICTS)}

#: Index of the direction in a finding, which the page does not repeat.
_DIRECTION = Finding._fields.index("direction")


def _lines(text: str) -> str:
    return "\n".join(map(visible, text.splitlines()))


class _Table:
    """Distinct values, by number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._index: dict[Hashable, int] = {}

    def add(self, value: Hashable) -> int:
        """The value's number."""
        if value not in self._index:
            self._index[value] = len(self.values)
            self.values.append(value)
        return self._index[value]


def page_data(result: CheckResult, options: Options) -> dict[str, Any]:
    """The object that the page embeds."""
    return _PageData(result).data(options)


class _PageData:
    def __init__(self, result: CheckResult) -> None:
        self._result = result
        self._strings, self._items, self._rows, self._layouts, self._findings = (_Table() for _ in range(5))
        self._records = _Table()
        #: Numbers of layouts and of types without findings, by the id of the object, which the result keeps alive.
        self._layout_of: dict[int, int] = {}
        self._record_of: dict[int, int] = {}
        #: Rows that are equal in many layouts, and findings in many directions, are lowered once.
        self._lowered: dict[Row, int] = {}
        self._lowered_findings: dict[tuple[object, ...], int] = {}
        self._accepted: dict[tuple[str, str], list[tuple[Finding, str]]] = defaultdict(list)
        for finding, reason in result.suppressed:
            self._accepted[finding.direction, finding.type].append((finding, reason))

    def data(self, options: Options) -> dict[str, Any]:
        sides = self._result.directions
        directions = [
            [self._string(name), *sides.get(name, (_NONE, _NONE)), self._types(name, types)]
            for name, types in self._result.results.items()
        ]
        rules = sorted({finding[0] for finding in self._findings.values})
        known = {self._strings.values[rule]: rule for rule in rules}
        texts = [[rule, *map(_lines, options.rules[name])] for name, rule in known.items() if name in options.rules]
        return {
            "verdicts": [str(verdict) for verdict in VERDICTS],
            "marks": [MARKS[verdict] for verdict in VERDICTS],
            "labels": [visible(dump.label) for dump in self._result.dumps],
            "strings": self._strings.values,
            "items": self._items.values,
            "rows": self._rows.values,
            "layouts": self._layouts.values,
            "findings": self._findings.values,
            "types": self._records.values,
            "directions": directions,
            "rules": rules,
            "ruleTexts": texts,
        }

    def _string(self, text: str | None) -> int:
        return _NONE if text is None else self._strings.add(visible(text))

    def _types(self, direction: str, types: Sequence[TypeResult]) -> list[int]:
        """The numbers of the types, then of those that have accepted findings alone."""
        accepted = {name: found for (way, name), found in self._accepted.items() if way == direction}
        known, numbers = self._record_of, []
        for each in types:
            number = known.get(id(each))
            if number is None or each.type in accepted:
                number = self._record(each, accepted.get(each.type, ()))
                if not each.findings and each.type not in accepted:
                    known[id(each)] = number
            numbers.append(number)
        names = {each.type for each in types}
        lost = [name for name in accepted if name not in names]
        rest = ((TypeResult(name, Verdict.ACCEPTED, name, (), ()), accepted[name]) for name in lost)
        return numbers + [self._record(*each) for each in rest]

    def _record(self, each: TypeResult, accepted: Sequence[tuple[Finding, str]]) -> int:
        found = sorted(each.findings, key=lambda finding: _RANKS[finding.verdict])
        findings = (*(self._finding(finding, None) for finding in found), *(self._finding(*pair) for pair in accepted))
        verdict, layout = _RANKS[each.verdict], self._layout(each.layout)
        return self._records.add((self._string(each.type), verdict, self._string(each.section), layout, findings))

    def _layout(self, layout: Sequence[Row]) -> int:
        if id(layout) not in self._layout_of:
            self._layout_of[id(layout)] = self._layouts.add(tuple(map(self._row, layout)))
        return self._layout_of[id(layout)]

    def _finding(self, finding: Finding, reason: str | None) -> int:
        key = (reason, *finding[:_DIRECTION], *finding[_DIRECTION + 1 :])
        number = self._lowered_findings.get(key)
        if number is None:
            number = self._lowered_findings[key] = self._add_finding(finding, reason)
        return number

    def _add_finding(self, finding: Finding, reason: str | None) -> int:
        sides = [text for side in (finding.source, finding.destination) for text in (side or (None, None))]
        texts = (finding.path, finding.sentence, *sides, finding.condition, finding.note, finding.remedy, reason)
        return self._findings.add((self._string(finding.rule), _RANKS[finding.verdict], *map(self._string, texts)))

    def _row(self, row: Row) -> int:
        if row not in self._lowered:
            sides = (self._item(row.source), self._item(row.destination))
            self._lowered[row] = self._rows.add((*sides, self._string(row.change)))
        return self._lowered[row]

    def _item(self, item: StreamItem | None) -> int:
        if item is None:
            return _NONE
        size = _NONE if item.size is None else item.size
        return self._items.add((self._string(item.path), size, *map(self._string, item[2:])))

"""The data of the HTML page: each string, item, row and layout once, and numbers that refer to them.

A matrix says the same of most types in all its directions, so this stays small where the whole would be hundreds of
megabytes. page/data.js reads it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from vmdump.check.results import TypeResult, Verdict
from vmdump.report.characters import visible
from vmdump.report.tally import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Any

    from vmdump.check.results import CheckResult, Finding, Row, WireItem
    from vmdump.report.options import Options

#: What stands for nothing.
_NONE = -1


def _lines(text: str) -> str:
    return "\n".join(map(visible, text.splitlines()))


class _Table:
    """Values, each once."""

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
        #: WireItems and Rows that are one object in many layouts are lowered once.
        self._lowered: dict[Row, int] = {}
        self._accepted: dict[tuple[str, str], list[tuple[Finding, str]]] = defaultdict(list)
        for finding, reason in result.suppressed:
            self._accepted[finding.direction, finding.type].append((finding, reason))

    def data(self, options: Options) -> dict[str, Any]:
        directions = [[self._string(name), self._types(name, types)] for name, types in self._result.results.items()]
        rules = sorted({finding[0] for finding in self._findings.values})
        known = {self._strings.values[rule]: rule for rule in rules}
        texts = [[rule, *map(_lines, options.rules[name])] for name, rule in known.items() if name in options.rules]
        return {
            "verdicts": [str(verdict) for verdict in VERDICTS],
            "labels": [visible(dump.label) for dump in self._result.dumps],
            "strings": self._strings.values,
            "items": self._items.values,
            "rows": self._rows.values,
            "layouts": self._layouts.values,
            "findings": self._findings.values,
            "directions": directions,
            "rules": rules,
            "ruleTexts": texts,
        }

    def _string(self, text: str | None) -> int:
        return _NONE if text is None else self._strings.add(visible(text))

    def _types(self, direction: str, types: Sequence[TypeResult]) -> list[Any]:
        names = {each.type for each in types}
        lost = [name for way, name in self._accepted if way == direction and name not in names]
        types = [*types, *(TypeResult(name, Verdict.SAFE, name, (), ()) for name in lost)]
        return [self._type(direction, each) for each in types]

    def _type(self, direction: str, each: TypeResult) -> list[Any]:
        found = sorted(each.findings, key=lambda finding: -finding.verdict.severity())
        numbers = [self._finding(finding, None) for finding in found]
        numbers += [self._finding(*pair) for pair in self._accepted.get((direction, each.type), ())]
        layout = self._layouts.add(tuple(self._row(row) for row in each.layout))
        return [self._string(each.type), VERDICTS.index(each.verdict), self._string(each.section), layout, numbers]

    def _finding(self, finding: Finding, reason: str | None) -> int:
        sides = [text for side in (finding.source, finding.destination) for text in (side or (None, None))]
        texts = (finding.path, finding.message, *sides, finding.condition, finding.remedy, reason)
        verdict = VERDICTS.index(finding.verdict)
        return self._findings.add((self._string(finding.rule), verdict, *map(self._string, texts)))

    def _row(self, row: Row) -> int:
        if row not in self._lowered:
            sides = (self._item(row.source), self._item(row.destination))
            self._lowered[row] = self._rows.add((*sides, self._string(row.change)))
        return self._lowered[row]

    def _item(self, item: WireItem | None) -> int:
        if item is None:
            return _NONE
        size = _NONE if item.size is None else item.size
        return self._items.add((self._string(item.path), size, *map(self._string, item[2:])))

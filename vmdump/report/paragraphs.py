"""Paragraphs of findings for a terminal: a headline, then what QEMU prints, when, and what to do, a line each.

Lines are as wide as asked for. Names, paths and QEMU's own lines are never broken inside a word, the latter not at all,
so that they can be searched for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.report.characters import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vmdump.check.results import Finding

#: The most names of types in a list, and the most paths in a headline.
MAX_NAMES = 8
_MAX_PLACES = 5

#: SGR codes of ECMA-48, as terminals know them.
_CODES = {
    "bold": "1", "dim": "2", "breaks": "1;31", "defect": "1;31", "conditional": "1;33", "unknown": "1;33",
    "absent": "1;35", "accepted": "1;36", "stale": "1;33", "notice": "1;33", "safe": "1;32",
}  # fmt: skip

#: Stands for a blank at which no line is broken, until lines are: a character that is for private use.
_KEPT = "\uf8ff"


class Paragraphs:
    """Lays findings out. The remedy is the rule's, so it is printed with the first finding of a rule."""

    def __init__(self, width: int = 100, *, colours: bool = False, verbose: bool = False) -> None:
        """width: of lines, in characters; verbose: no list of names is cut short."""
        self._width, self._colours, self._verbose = width, colours, verbose
        self._remedied: set[str] = set()
        self._noted: set[str] = set()

    def paint(self, text: str, style: str) -> str:
        """The text in a style: bold, dim, or that of a verdict. Without colours it is as it was."""
        code = _CODES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours and code and text else text

    def heading(self, text: str) -> str:
        """A line that begins a part of the report, and the line under it."""
        text = visible(text)
        return self.paint(f"{text}\n{'=' * min(len(text), self._width)}", "bold")

    def finding(self, word: str, types: Sequence[str], finding: Finding, further: Sequence[str] = ()) -> str:
        """A finding of some types. word: how bad it is; further: where else in these types the same is found."""
        names = ", ".join(self.shortened(types))
        lines = [self._headline(word, names, finding.message, finding.rule)]
        if finding.path and finding.path not in types:
            lines += self._lines("at", _whole(finding.path))
        if further:
            others = self.shortened([_below(finding.path, path) for path in further])
            lines += self._lines("also" if finding.path else "at", ", ".join(map(_whole, others)))
        if finding.error:
            lines.append(self._key("error") + self.paint(visible(finding.error), "bold"))
        if finding.condition:
            lines += self._lines("if", visible(finding.condition))
        lines += self._once("note", finding.note, self._noted, finding.note)
        lines += self._once("remedy", finding.remedy, self._remedied, finding.rule)
        return "\n".join(lines)

    def line(self, word: str, text: str, *, more: Iterable[tuple[str, str]] = ()) -> str:
        """A headline that is no finding's, and lines below it: keys and texts."""
        below = (line for key, each in more for line in self._lines(key, visible(each)))
        return "\n".join([self._headline(word, "", text), *below])

    def absent(self, types: Sequence[str], findings: Sequence[Finding]) -> str:
        """Types that the destination has not."""
        text = f"the destination has no {', '.join(self.shortened(types))}"
        first = findings[0]
        lines = [self._headline("absent", "", text, first.rule)]
        if len(findings) == 1 and first.error:
            lines.append(self._key("error") + self.paint(visible(first.error), "bold"))
        lines += self._once("remedy", first.remedy, self._remedied, first.rule)
        return "\n".join(lines)

    def places(self, paths: Sequence[str]) -> str:
        """Some paths for a headline, none of them broken."""
        return ", ".join(map(_whole, self.shortened(paths, _MAX_PLACES)))

    def shortened(self, names: Sequence[str], most: int = MAX_NAMES) -> list[str]:
        """Names of types or paths; when there are many, some, and how many more."""
        if self._verbose or len(names) <= most:
            return list(names)
        return [*names[: most - 1], f"and {len(names) - most + 1} more (--verbose lists them)"]

    def _once(self, key: str, text: str | None, seen: set[str], mark: str | None) -> Iterator[str]:
        if text and mark is not None and mark not in seen:
            seen.add(mark)
            yield from self._lines(key, visible(text))

    def _headline(self, word: str, names: str, text: str, rule: str | None = None) -> str:
        """``word: names: text [rule]``, painted after it was broken into lines, as escape sequences have no width."""
        tail = f"[{visible(rule)}]" if rule else ""
        lines = self._wrapped(" ".join([f"{word}:", *([visible(names) + ":"] if names else []), _visible(text), tail]),
                              "", "    ")  # fmt: skip
        lines[0] = self.paint(f"{word}:", word) + lines[0].removeprefix(f"{word}:")
        if tail and lines[-1].endswith(tail):
            lines[-1] = lines[-1].removesuffix(tail) + self.paint(tail, "dim")
        return "\n".join(lines)

    def _lines(self, key: str, text: str) -> list[str]:
        head = f"  {key}: "
        first, *others = self._wrapped(text, head, " " * len(head))
        return [self._key(key) + first[len(head) :], *others]

    def _key(self, key: str) -> str:
        return self.paint(f"  {key}:", "dim") + " "

    def _wrapped(self, text: str, first: str, others: str) -> list[str]:
        """Break a text at blanks. Several blanks in a row are kept within a line, and left out at its end."""
        lines = []
        while len(first) + len(text) > self._width:
            room = max(self._width - len(first), 0)
            end = text.rfind(" ", 1, room + 1)
            if end < 0:  # a word longer than a line
                end = text.find(" ", 1)
            if end < 0:
                break
            lines.append(first + text[:end].rstrip(" ").replace(_KEPT, " "))
            first, text = others, text[end + 1 :].lstrip(" ")
        lines.append(first + text.rstrip(" ").replace(_KEPT, " "))
        return lines


def _visible(text: str) -> str:
    return _KEPT.join(map(visible, text.split(_KEPT)))


def _whole(path: str) -> str:
    """A path that is not broken at its blanks."""
    return visible(path).replace(" ", _KEPT)


def _below(path: str, other: str) -> str:
    """Another path without what both begin with: ``section / description / field``."""
    names, others = path.split(" / "), other.split(" / ")
    same = next((n for n, pair in enumerate(zip(names, others, strict=False)) if pair[0] != pair[1]), 0)
    return " / ".join(others[same:])

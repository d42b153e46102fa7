"""Formats findings as paragraphs for a terminal: headline, path, QEMU's error line, condition, note and remedy.

Text is wrapped to a given width. Names and paths are never broken inside a word, and QEMU's error lines not at all, so
that they can be searched for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.report.characters import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.check.results import Finding

#: Limit on the names of types in a list.
MAX_NAMES = 8

#: Limit on the paths in a headline.
_MAX_PLACES = 5

#: SGR parameters of ECMA-48, by style.
_CODES = {
    "bold": "1", "dim": "2", "breaks": "1;31", "defect": "1;31", "conditional": "1;33", "unknown": "1;33",
    "absent": "1;35", "accepted": "1;36", "stale": "1;33", "notice": "1;33", "safe": "1;32",
}  # fmt: skip

#: Private-use character that replaces spaces where text must not be wrapped.
_UNBREAKABLE = "\uf8ff"


class Paragraphs:
    """Formats findings. A remedy belongs to a rule, so it is printed with the rule's first finding only."""

    def __init__(self, width: int = 100, *, colours: bool = False, verbose: bool = False) -> None:
        """Create a formatter. width: line width in characters; verbose: do not shorten lists of names."""
        self._width, self._colours, self._verbose = width, colours, verbose
        self._remedied: set[str] = set()
        self._noted: set[str] = set()

    def paint(self, text: str, style: str) -> str:
        """Return the text in a style (bold, dim, a verdict or level); unchanged without colours."""
        code = _CODES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours and code and text else text

    def heading(self, text: str) -> str:
        """Return an underlined heading."""
        text = visible(text)
        return self.paint(f"{text}\n{'=' * min(len(text), self._width)}", "bold")

    def finding(self, word: str, types: Sequence[str], finding: Finding, further: Sequence[str] = ()) -> str:
        """Return the paragraph of a finding.

        Args:
            word: Its verdict or level.
            types: The types that have it.
            finding: The finding, for the first type.
            further: Paths of further findings of the same rule in the same types.
        """
        names = types[0] if len(types) == 1 else ", ".join(self.shortened(types))
        lines = [self._headline(word, names, finding.message, finding.rule)]
        if finding.path and finding.path not in types:
            lines += self._lines("at", _whole(finding.path))
        if any(further):
            others = self.shortened([_below(finding.path, path) for path in further if path])
            lines += self._lines("also" if finding.path else "at", ", ".join(map(_whole, others)))
        if finding.error:
            lines.append(self._key("error") + self.paint(visible(finding.error), "bold"))
        if finding.condition:
            lines += self._lines("if", visible(finding.condition))
        if finding.note:
            lines += self._once("note", finding.note, self._noted, finding.note)
        if finding.remedy:
            lines += self._once("remedy", finding.remedy, self._remedied, finding.rule)
        return "\n".join(lines)

    def line(self, word: str, text: str, *, more: Iterable[tuple[str, str]] = ()) -> str:
        """Return a headline without a finding, followed by keys and texts."""
        below = (line for key, each in more for line in self._lines(key, visible(each)))
        return "\n".join([self._headline(word, "", text), *below])

    def absent(self, types: Sequence[str], findings: Sequence[Finding]) -> str:
        """Return the paragraph of types that the destination does not have."""
        text = f"the destination has no {', '.join(self.shortened(types))}"
        first = findings[0]
        lines = [self._headline("absent", "", text, first.rule)]
        if len(findings) == 1 and first.error:
            lines.append(self._key("error") + self.paint(visible(first.error), "bold"))
        if first.remedy:
            lines += self._once("remedy", first.remedy, self._remedied, first.rule)
        return "\n".join(lines)

    def places(self, paths: Sequence[str]) -> str:
        """Return paths for a headline, shortened and not wrapped."""
        return ", ".join(map(_whole, self.shortened(paths, _MAX_PLACES)))

    def shortened(self, names: Sequence[str], most: int = MAX_NAMES) -> list[str]:
        """Return the first names and the number of others if there are more than most."""
        if self._verbose or len(names) <= most:
            return list(names)
        return [*names[: most - 1], f"and {len(names) - most + 1} more (--verbose lists them)"]

    def _once(self, key: str, text: str, seen: set[str], mark: str) -> list[str]:
        if mark in seen:
            return []
        seen.add(mark)
        return self._lines(key, visible(text))

    def _headline(self, word: str, names: str, text: str, rule: str | None = None) -> str:
        """``word: names: text [rule]``. Painted after wrapping, because escape sequences have no width."""
        head = f"{word}: {visible(names)}:" if names else f"{word}:"
        tail = f"[{visible(rule)}]" if rule else ""
        lines = self._wrapped(f"{head} {_visible(text)} {tail}", "", "    ")
        if self._colours:
            lines[0] = self.paint(f"{word}:", word) + lines[0].removeprefix(f"{word}:")
            if tail and lines[-1].endswith(tail):
                lines[-1] = lines[-1].removesuffix(tail) + self.paint(tail, "dim")
        return "\n".join(lines)

    def _lines(self, key: str, text: str) -> list[str]:
        head = f"  {key}: "
        lines = self._wrapped(text, head, " " * len(head))
        if self._colours:
            lines[0] = self._key(key) + lines[0][len(head) :]
        return lines

    def _key(self, key: str) -> str:
        return self.paint(f"  {key}:", "dim") + " "

    def _wrapped(self, text: str, head: str, others: str) -> list[str]:
        """Break a text at blanks, in linear time. Several blanks in a row are kept within a line, and left out at its
        end. head, others: the first characters of the first line and of other lines.
        """
        lines, begin = [], 0
        while len(head) + len(text) - begin > self._width:
            room = max(self._width - len(head), 0)
            end = text.rfind(" ", begin + 1, begin + room + 1)
            if end < 0:  # a word longer than a line
                end = text.find(" ", begin + 1)
            if end < 0:
                break
            lines.append(head + text[begin:end].rstrip(" ").replace(_UNBREAKABLE, " "))
            head, begin = others, end + 1
            while text[begin : begin + 1] == " ":
                begin += 1
        lines.append(head + text[begin:].rstrip(" ").replace(_UNBREAKABLE, " "))
        return lines


def _visible(text: str) -> str:
    """The text with unprintable characters escaped, except the unbreakable space."""
    return text if text.isprintable() else _UNBREAKABLE.join(map(visible, text.split(_UNBREAKABLE)))


def _whole(path: str) -> str:
    """The path with spaces at which it is not wrapped."""
    return visible(path).replace(" ", _UNBREAKABLE)


def _below(path: str, other: str) -> str:
    """The other path without the leading components that both share."""
    names, others = path.split(" / "), other.split(" / ")
    same = next((n for n, pair in enumerate(zip(names, others, strict=False)) if pair[0] != pair[1]), 0)
    return " / ".join(others[same:])

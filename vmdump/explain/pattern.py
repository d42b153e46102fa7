"""Patterns of lines: templates of known lines and printf formats of a binary, matched in time linear in the line.

A template is text with arguments in braces: ``Unknown ramblock "{block}", cannot accept migration``. An argument may
have a kind: ``{local:d}`` a decimal number, ``{offset:x}`` hexadecimal digits, ``{reason:line}`` the rest of the line.
Without a kind it is text up to the template's next text; at the end, a single word.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: Kinds of arguments.
TEXT, DECIMAL, HEX, REST = "", "d", "x", "line"

#: Limits: places where a pattern is tried in a line; digits of a number; characters of an argument.
_MAX_TRIES, _MAX_DIGITS, _MAX_TEXT = 16, 40, 512

_ARGUMENT = re.compile(r"\{(\w+)(?::(\w+))?\}")

#: A printf conversion: flags, width, precision, length, type.
_CONVERSION = re.compile(r"%[-+ #0']*(?:\d+|\*)?(?:\.(?:\d+|\*)?)?(?:hh|h|ll|l|j|z|t|L|q)?([diouxXcspm%])")

#: Kind by printf conversion.
_KINDS = {"d": DECIMAL, "i": DECIMAL, "u": DECIMAL, "x": HEX, "X": HEX, "p": TEXT, "s": TEXT, "c": TEXT, "m": REST}

_NUMBERS = {
    DECIMAL: re.compile(rf"-?[0-9]{{1,{_MAX_DIGITS}}}(?![0-9])"),
    HEX: re.compile(rf"[0-9a-fA-F]{{1,{_MAX_DIGITS}}}(?![0-9a-fA-F])"),
}

#: A word of letters.
_LETTERS = re.compile(r"[A-Za-z]+")

#: The end of a word, as an argument at the end of a pattern.
_WORD = re.compile(r"\S+")


class Found(NamedTuple):
    """A match: [start, end) in the line; the arguments' texts by name; the number of characters of fixed text."""

    start: int
    end: int
    arguments: dict[str, str]
    weight: int


class Pattern:
    """A parsed template or format."""

    def __init__(self, texts: list[str], arguments: list[tuple[str, str]]) -> None:
        """``texts``: the fixed texts, one more than ``arguments``, which are names and kinds."""
        self.texts, self.arguments = texts, arguments
        self.weight = sum(len(text.strip()) for text in texts)
        #: The longest fixed text, and the longest whole word of it ("": none). A line without them can't match.
        self.longest = max(texts, key=len)
        self.word = max(_whole_words(self.longest, starts=self.longest == texts[0]), key=len, default="")

    @classmethod
    def of_template(cls, template: str) -> Pattern:
        """Parse a template."""
        parts = _ARGUMENT.split(template)
        return cls(parts[::3], list(zip(parts[1::3], (kind or TEXT for kind in parts[2::3]), strict=True)))

    @classmethod
    def of_format(cls, format: str) -> Pattern:
        """Parse a printf format. Its arguments are named by their position; adjacent ones are a single one.

        >>> Pattern.of_format("VQ %d size 0x%x").match("qemu: VQ 3 size 0x40").arguments
        {'1': '3', '2': '40'}
        """
        texts, at = [""], 0
        arguments: list[tuple[str, str]] = []
        for conversion in _CONVERSION.finditer(format):
            texts[-1] += format[at : conversion.start()]
            at = conversion.end()
            if conversion[1] == "%":
                texts[-1] += "%"
            elif texts[-1] or not arguments:
                arguments.append((str(len(arguments) + 1), _KINDS.get(conversion[1], TEXT)))
                texts.append("")
        texts[-1] = (texts[-1] + format[at:]).rstrip("\n")
        return cls(texts, arguments)

    def match(self, line: str) -> Found | None:
        """Return the first match in a line; None if there is none."""
        if self.longest not in line:
            return None
        first = self.texts[0]
        anchor = first or (self.texts[1] if len(self.texts) > 1 else "")
        at = -1
        for _ in range(_MAX_TRIES):
            at = line.find(anchor, at + 1) if anchor else -1
            if at < 0:
                return None
            found = self._match_from(line, at) if first else self._match_behind(line, at)
            if found is not None:
                return found
        return None

    def _match_from(self, line: str, at: int) -> Found | None:
        """Match with the first fixed text at a position, which must not be inside a word."""
        if at and self.texts[0][0].isalnum() and line[at - 1].isalnum():
            return None
        values: dict[str, str] = {}
        end = self._match_rest(line, at + len(self.texts[0]), 0, values)
        return None if end is None else Found(at, end, values, self.weight)

    def _match_behind(self, line: str, at: int) -> Found | None:
        """Match with the first argument before a position: the text after the last prefix of the line."""
        name, kind = self.arguments[0]
        start = line.rfind(": ", 0, at) + 2 if ": " in line[:at] else 0
        value = line[start:at].strip()
        start = line.find(value, start) if value else at
        if not value or len(value) > _MAX_TEXT or (kind in _NUMBERS and not _NUMBERS[kind].fullmatch(value)):
            return None
        values = {name: value}
        end = self._match_rest(line, at + len(self.texts[1]), 1, values)
        return None if end is None else Found(start, end, values, self.weight)

    def _match_rest(self, line: str, at: int, index: int, values: dict[str, str]) -> int | None:
        """Match the arguments from an index on, with the text after each; return the end."""
        for number in range(index, len(self.arguments)):
            name, kind = self.arguments[number]
            text = self.texts[number + 1]
            if kind in _NUMBERS:
                digits = _NUMBERS[kind].match(line, at)
                if digits is None or not line.startswith(text, digits.end()):
                    return None
                value, end = digits[0], digits.end()
            elif kind == REST:  # it may be a line of its own, so it is not a part of this match
                value, end = line[at:], at
            elif not text:
                word = _WORD.match(line, at)
                if word is None:
                    return None
                value = word[0].rstrip(".:,;")
                end = at + len(value)
            else:
                end = line.find(text, at)
                value = line[at:end]
                if end < 0:
                    return None
            if len(value) > _MAX_TEXT:
                return None
            values[name] = value
            at = end + len(text)
        return at

    def fixed(self) -> str:
        """Return the fixed text, arguments as spaces: what similarity to a line is measured by."""
        return " ".join(text.strip() for text in self.texts if text.strip())


def words_of(line: str) -> set[str]:
    """Return the words of a line, of letters only."""
    return set(_LETTERS.findall(line))


def _whole_words(text: str, *, starts: bool) -> list[str]:
    """Return the words of a fixed text that an argument beside it can't extend; ``starts``: none is before it."""
    return [
        word[0] for word in _LETTERS.finditer(text) if (word.start() or starts) and word.end() < len(text)
    ]  # fmt: skip


def in_capitals(template: str) -> str:
    """Return a template with the names of its arguments in capitals.

    >>> in_capitals('Unknown ramblock "{block}", cannot accept migration')
    'Unknown ramblock "BLOCK", cannot accept migration'
    """
    return _ARGUMENT.sub(lambda argument: argument[1].upper(), template)

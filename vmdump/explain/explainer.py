"""Finds the known lines in a text and explains them.

A line of QEMU 10.2 and newer is a chain: each function puts what failed before the cause. Older versions print the
cause first, then a line for each function. Both give the same explanations: those of causes, and short ones of lines
that only report where it happened.
"""

from __future__ import annotations

from collections import defaultdict
from difflib import SequenceMatcher
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from vmdump.explain.context import Context
from vmdump.explain.known_line import QEMU
from vmdump.explain.lines import known_lines
from vmdump.explain.log_text import lines_of, message_of
from vmdump.explain.pattern import Pattern, in_capitals, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.explain.context import Row
    from vmdump.explain.image import ImageFacts
    from vmdump.explain.known_line import KnownLine
    from vmdump.explain.pattern import Found

#: Kinds of explanations: of a cause; of where it happened; of a warning; a format of the binary; the nearest known
#: line; nothing.
CAUSE, WHERE, NOTE, FORMAT, NEAREST, UNKNOWN = "cause", "where", "note", "format", "nearest", "unknown"

#: A pattern with less fixed text must match the whole message.
_MIN_WEIGHT = 8

#: Similarity from which a line is called the nearest: of a single line, and of one in a log; most lines of a log, and
#: characters of a line, that are compared.
_NEAREST, _NEAREST_IN_LOG, _MAX_COMPARED_LINES, _MAX_COMPARED = 0.5, 0.75, 10, 200

#: Most messages of a text that are explained, of those with known lines and of others. Equal ones are explained once.
MAX_EXPLANATIONS, _MAX_OTHERS = 200, 50

#: Keys whose lines end a failure: what follows belongs to the next one.
_ENDS = ("load_of_migration_failed", "loadvm_failed")


class Explanation(NamedTuple):
    """An explanation.

    ``line``: the message, without prefixes; ``kind``: see CAUSE; ``key``: of the known line, None if there is none;
    ``what``: what it means; ``rows``: label and text; ``remedy``, ``source``: as of KnownLine; ``arguments``: the
    line's values by name; ``format``, ``function``: the binary's format string and the function that uses it.
    """

    line: str
    kind: str
    key: str | None = None
    what: str = ""
    rows: tuple[Row, ...] = ()
    remedy: str = ""
    source: tuple[str, ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()
    format: str | None = None
    function: str | None = None


def explain(text: str, image: ImageFacts | None = None) -> list[Explanation]:
    """Return the explanations of a line, or of a log, in its order.

    Args:
        text: one or several lines, as printed by QEMU, libvirt or a container's log.
        image: facts of the QEMU that printed them; None: what is known of QEMU 5.2 to 11.1.
    """
    messages = list(dict.fromkeys(filter(None, map(message_of, lines_of(text)))))
    explanations: list[Explanation] = []
    known = others = 0
    for failure in _failures(messages):
        context = _context_of([match for _, matches in failure for match in matches], image)
        for message, matches in failure:
            if matches and known < MAX_EXPLANATIONS:
                explanations += (_explained(message, each, found, context) for each, found in matches)
                known += 1
            elif not matches and others < _MAX_OTHERS:
                least = _NEAREST if len(messages) == 1 else _NEAREST_IN_LOG if others < _MAX_COMPARED_LINES else None
                explanations.append(_unmatched(message, image, least))
                others += 1
    return explanations


def _context_of(found: list[tuple[KnownLine, Found]], image: ImageFacts | None) -> Context:
    """Return the context of the lines of one failure: the first section and the first field that they name."""
    context = Context(image)
    for line, match in found:
        key, arguments = line.key, match.arguments
        context.has_cause |= not line.wraps and not line.is_note
        if key in ("load_failed", "load_part_failed", "missing_footer") and context.section is None:
            context.section = arguments["section"]
        elif key == "field_failed" and context.field_failed is None:
            context.field_failed = arguments["description"], arguments["field"]
    return context


def _failures(messages: list[str]) -> Iterator[list[tuple[str, list[tuple[KnownLine, Found]]]]]:
    """Yield the messages of each failure, with the known lines in them."""
    failure = []
    for message in messages:
        matches = find(message)
        failure.append((message, matches))
        if any(each.key in _ENDS for each, _ in matches):
            yield failure
            failure = []
    if failure:
        yield failure


def find(message: str) -> list[tuple[KnownLine, Found]]:
    """Return the known lines in a message, by position; of several at one place, the one with most fixed text."""
    candidates = []
    by_word = _by_word()
    for word in ("", *words_of(message)):
        for line, pattern in by_word.get(word, ()):
            found = pattern.match(message)
            if found and (found.weight >= _MIN_WEIGHT or (found.start == 0 and found.end == len(message))):
                candidates.append((line, found))
    candidates.sort(key=lambda each: (-each[1].weight, each[1].start, each[0].key))
    chosen: list[tuple[KnownLine, Found]] = []
    for line, found in candidates:
        # The text of a chain's first parts ends where the next begins, so the ends are not compared.
        if all(found.start != other.start and not other.start < found.start < other.end for _, other in chosen):
            chosen.append((line, found))
    return sorted(chosen, key=lambda each: each[1].start)


@cache
def _patterns() -> tuple[tuple[KnownLine, tuple[Pattern, ...]], ...]:
    return tuple((line, tuple(map(Pattern.of_template, line.templates))) for line in known_lines())


@cache
def _by_word() -> dict[str, list[tuple[KnownLine, Pattern]]]:
    """The patterns by a word that a line must have; "": any line."""
    found: dict[str, list[tuple[KnownLine, Pattern]]] = {}
    for line, patterns in _patterns():
        for pattern in patterns:
            found.setdefault(pattern.word, []).append((line, pattern))
    return found


def _explained(message: str, line: KnownLine, found: Found, context: Context) -> Explanation:
    rows = list(line.details(found.arguments, context)) if line.details else []
    remedy = next((_escaped(text) for label, text in rows if label == "remedy"), line.remedy)
    rows = [row for row in rows if row[0] != "remedy"]
    values = defaultdict(lambda: "...", found.arguments)  # not every template of a line has all arguments
    format, function = None, None
    if context.image is not None and line.printed_by == QEMU:
        matching = context.image.format_of(message[found.start :]) or context.image.format_of(message)
        if matching is not None:
            format, function = matching.text, matching.function
        elif not context.image.prints(next(each for known, each in _patterns() if known is line)):
            rows.append(("note", f"{context.image.label} does not print this line; another QEMU did"))
    kind = WHERE if line.wraps else NOTE if line.is_note else CAUSE
    return Explanation(
        message, kind, line.key, line.what.format_map(values), tuple(rows),
        remedy.format_map(values), line.source, tuple(found.arguments.items()), format, function,
    )  # fmt: skip


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _unmatched(message: str, image: ImageFacts | None, least: float | None) -> Explanation:
    """Return the binary's format of a message that no known line is in, or the nearest known line.

    ``least``: similarity from which a line is the nearest; None: do not look for one.
    """
    if image is not None and (matching := image.format_of(message)) is not None:
        return Explanation(
            message, FORMAT, what=f"{image.label} prints this line; vmdump has no explanation of it",
            arguments=tuple(matching.found.arguments.items()), format=matching.text, function=matching.function,
        )  # fmt: skip
    nearest = _nearest(message, least) if least is not None else None
    if nearest is None:
        return Explanation(message, UNKNOWN, what="not a line that vmdump knows")
    line, template = nearest
    what = f"not a line that vmdump knows; the nearest is: {in_capitals(template)}"
    return Explanation(message, NEAREST, line.key, what, remedy=in_capitals(line.remedy), source=line.source)


def _nearest(message: str, least: float) -> tuple[KnownLine, str] | None:
    """Return the known line whose fixed text is most similar to a message, and its template."""
    matcher = SequenceMatcher(None, b=message[:_MAX_COMPARED].lower(), autojunk=False)
    best: tuple[float, KnownLine, str] | None = None
    for line, patterns in _patterns():
        for template, pattern in zip(line.templates, patterns, strict=True):
            if pattern.weight < _MIN_WEIGHT:
                continue
            matcher.set_seq1(pattern.fixed()[:_MAX_COMPARED].lower())
            enough = max(least, best[0] if best else 0)
            if matcher.real_quick_ratio() > enough and matcher.quick_ratio() > enough and matcher.ratio() > enough:
                best = matcher.ratio(), line, template
    return best[1:] if best else None

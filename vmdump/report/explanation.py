"""Explanations of QEMU's lines, as text and as JSON."""

from __future__ import annotations

import json
import re
from functools import cache
from shlex import quote
from textwrap import TextWrapper
from typing import TYPE_CHECKING

from vmdump.check.rules import rule, rule_ids
from vmdump.explain.explainer import CAUSE, NEAREST, UNKNOWN, WHERE, find
from vmdump.qemu.error_lines import LINES, forms_in_words
from vmdump.report.characters import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.check.rules import Rule
    from vmdump.explain.explainer import Explanation
    from vmdump.report.options import Options

#: Keys of known lines whose rules are those of another key of LINES.
_SAME_RULES = {"element_failed": "field_failed", "subsection_unknown": "load_failed"}

#: Least width of the column with what a rule finds.
_COLUMN = 40

#: Rows that are shown of a line that only reports where an error occurred, beside a cause.
_BRIEF = ("types",)

#: Longest message that is shown.
_MAX_MESSAGE = 500


def text(explanations: Sequence[Explanation], options: Options) -> str:
    """Return the explanations for a person: each message once, then what it means, what to do, and its source.

    Of lines that only report where an error occurred, the meaning alone is shown if there is a cause. Remedy, source
    and rules are shown with the first of several lines of a kind.
    """
    has_cause = any(each.kind == CAUSE for each in explanations)
    in_log = len({each.line for each in explanations}) > 1
    blocks: list[str] = []
    keys: set[str | None] = set()
    shown = ""
    for each in explanations:
        if in_log and each.kind == UNKNOWN:
            continue
        is_where = has_cause and each.kind == WHERE
        lines = list(_lines(each, options, brief=is_where, repeated=each.key is not None and each.key in keys))
        keys.add(each.key)
        if each.line != shown:
            shown = each.line
            blocks.append(_painted(_message(each.line), "1", options))
        else:
            blocks[-1] += "\n"
        blocks[-1] += "\n" + "\n".join(lines)
    unknown = sum(each.kind == UNKNOWN for each in explanations) if in_log else 0
    if unknown:
        blocks.append(f"{unknown} other {'line is' if unknown == 1 else 'lines are'} not known")
    return "\n\n".join(blocks) + "\n"


def _message(line: str) -> str:
    line = visible(line)
    return line if len(line) <= _MAX_MESSAGE else f"{line[:_MAX_MESSAGE]}..."


def _lines(each: Explanation, options: Options, *, brief: bool, repeated: bool) -> Iterator[str]:
    """Yield the lines of an explanation, below the message."""
    yield from _wrapped("", each.what, options)
    for label, value in each.rows:
        if not brief or label in _BRIEF:
            yield from _wrapped(label, value, options)
    if brief or repeated:
        return
    if each.remedy:
        yield from _wrapped("remedy", each.remedy, options)
    if each.format is not None:
        by = f", in {each.function}" if each.function else ""
        yield from _wrapped("format", f'"{each.format}"{by}', options)
    if each.source:
        yield from _wrapped("in QEMU", "; ".join(each.source), options)
    if each.kind != NEAREST:
        yield from _rules(each, options)


def _rules(each: Explanation, options: Options) -> Iterator[str]:
    """Yield the rules of vmdump check that predict a line, and the command that finds the one that applies."""
    rules = rules_of(each)
    if not rules:
        return
    key = _rule_key(each)
    for form, versions in forms_in_words(key) if key in LINES else ():
        if versions:
            yield from _wrapped("QEMU prints", f"{form} ({versions})", options)
    width = max((len(known.id) for known in rules), default=0)
    is_wide = options.width >= width + _COLUMN
    yield _painted("  rules that predict it:", "2", options)
    for known in rules:
        if is_wide:
            yield from _wrapped("", f"{known.id:<{width}}  {known.WHAT}", options, indent=4, hanging=width + 6)
        else:
            yield from _wrapped("", f"{known.id}: {known.WHAT}", options, indent=4, hanging=6)
    name = type_of(each)
    only = f" --type {quote(name)}" if name else ""
    yield f"  vmdump check OLD NEW{visible(only)} finds which one applies; vmdump explain RULE explains it"


def rules_of(each: Explanation) -> list[Rule]:
    """Return the rules of vmdump check and lint that predict a line."""
    return [known for known in map(rule, rule_ids()) if _rule_key(each) in _predicted(known.id)]


def _rule_key(each: Explanation) -> str:
    return _SAME_RULES.get(each.key or "", each.key or "")


@cache
def _predicted(rule_id: str) -> frozenset[str]:
    """Return the keys of the lines that a rule predicts: those of LINES, and those found in its text."""
    known = rule(rule_id)
    texts = [known.ERROR] if isinstance(known.ERROR, str) else (known.ERROR or {}).values()
    filled = (re.sub(r"\{\w+\}", "7", text) for text in texts)
    return frozenset([*known.lines(), *(line.key for text in filled for line, _ in find(text))])


def type_of(each: Explanation) -> str | None:
    """Return what vmdump check's --type takes for the device of a line."""
    arguments = dict(each.arguments)
    return arguments.get("section") or arguments.get("description") or arguments.get("subsection")


def _wrapped(label: str, value: str, options: Options, *, indent: int = 2, hanging: int = 0) -> list[str]:
    """Return a text below its label, broken at blanks to the width."""
    head = " " * indent + (f"{label}: " if label else "")
    below = " " * (hanging or len(head))
    wrapper = TextWrapper(
        width=max(options.width, 40), initial_indent=head, subsequent_indent=below, break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True, replace_whitespace=False,
    )  # fmt: skip
    lines = wrapper.wrap(visible(value)) or [head.rstrip()]
    if label:
        lines[0] = " " * indent + _painted(f"{label}:", "2", options) + lines[0][len(head) - 1 :]
    return lines


def wrapped(text: str, width: int) -> str:
    """Break the lines of a text at blanks to a width."""
    wrapper = TextWrapper(width=max(width, 40), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join("\n".join(wrapper.wrap(line)) for line in text.split("\n"))


def _painted(text: str, code: str, options: Options) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if options.colours else text


def as_json(explanations: Sequence[Explanation]) -> str:
    """Return a JSON list with an object for each explanation."""
    rows = [
        {
            "line": each.line,
            "kind": each.kind,
            "key": each.key,
            "what": each.what,
            "arguments": dict(each.arguments),
            "details": [{"label": label, "text": value} for label, value in each.rows],
            "remedy": each.remedy or None,
            "source": list(each.source),
            "format": each.format,
            "function": each.function,
            "rules": [known.id for known in rules_of(each)] if each.kind in (CAUSE, WHERE) else [],
            "type": type_of(each),
        }
        for each in explanations
    ]
    return json.dumps(rows, indent=2) + "\n"

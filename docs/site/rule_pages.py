"""The pages of the rules, from the rule files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from escape import escaped

from vmdump.check.rules import RENAMED, Rule, rule, rule_ids
from vmdump.qemu.error_lines import forms_in_words

#: The commands that report rules, in the order of the index.
_COMMANDS = {
    "check": "Compatibility of device state",
    "gate": "Targets of an update",
    "migrate": "Outcomes of tried migrations",
    "abi": "What a guest notices",
    "lint": "Defects within one QEMU",
}

_INTRODUCTION = """# Rules

Each finding names the rule that found it. `vmdump explain RULE` prints these pages, `vmdump rules` lists them, and
`--select` and `--ignore` choose the rules that count: see [Checking](../../check.md#rules).
"""


@cache
def pages() -> dict[str, str]:
    """Return the pages by name: index.md, and one for each rule."""
    rules = [rule(each) for each in rule_ids()]
    return {"index.md": "\n".join(_index(rules)), **{f"{each.id}.md": "\n".join(_page(each)) for each in rules}}


def _index(rules: list[Rule]) -> Iterator[str]:
    yield _INTRODUCTION
    for command, title in _COMMANDS.items():
        yield f"## {title}: vmdump {command}\n"
        yield f"| rule | {'level' if command == 'lint' else 'verdict'} | finds |\n|---|---|---|"
        for each in rules:
            if each.command == command:
                yield f"| [{each.id}]({each.id}.md) | {each.LEVEL or each.VERDICT} | {escaped(each.WHAT)} |"
        yield ""


def _page(rule: Rule) -> Iterator[str]:
    yield f"# {rule.id}\n\n{escaped(rule.WHAT)}\n"
    kind = f"Level: {rule.LEVEL}" if rule.LEVEL else f"Verdict: **{rule.VERDICT}**"
    yield f"{kind}. Reported by [vmdump {rule.command}](../commands/{rule.command}.md).\n"
    if former := [old for old, new in RENAMED.items() if new == rule.id]:
        yield f"Earlier name, still accepted: {', '.join(f'`{each}`' for each in former)}.\n"
    yield f"## Why it matters\n\n{escaped(rule.WHY)}\n"
    yield f"## Example\n\n{escaped(rule.EXAMPLE)}\n"
    yield f"## What is usually done\n\n{escaped(rule.REMEDY)}\n"
    if rule.REMEDY_NESTED:
        yield f"In a nested struct, whose version is not sent: {escaped(rule.REMEDY_NESTED)}\n"
    yield f"## Message\n\n> {escaped(rule.MESSAGE)}\n"
    if rule.CONDITION:
        yield f"The load fails if: {escaped(rule.CONDITION)}\n"
    forms = [pair for key in rule.lines() for pair in forms_in_words(key)]
    if forms:
        yield f"## What QEMU prints\n\nOn the {rule.PRINTED_BY}:\n\n```text"
        for form, versions in forms:
            yield f"{form}    ({versions})" if versions else form
        yield "```\n\nSee [what an error line means](../../howto/error-lines.md).\n"
    yield "## Source\n"
    yield from (f"- `{each}`" for each in rule.REFERENCES)
    yield ""

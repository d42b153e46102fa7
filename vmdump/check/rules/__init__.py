"""The rules: what the check and the linter know, a file each, whose name is the rule's id.

A rule says what it is about (its docstring), WHY that is so, an EXAMPLE, the usual REMEDY, REFERENCES (files of QEMU);
the MESSAGE of its findings, with the names of facts, and the keys of QEMU's error lines, in braces; PRINTED_BY, the
side that prints these lines; its VERDICT; the CONDITION, of those that have one; and, of those that look at one dump
alone, their LEVEL: ``defect``, or ``notice`` for what may well be meant so.
"""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, NamedTuple

from vmdump.error_lines import LINES, forms_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from vmdump.error_lines import ErrorLines


class Rule(NamedTuple):
    """A rule, as its file has it."""

    id: str
    WHAT: str
    WHY: str
    EXAMPLE: str
    REMEDY: str
    REFERENCES: tuple[str, ...]
    VERDICT: str
    MESSAGE: str
    CONDITION: str | None = None
    LEVEL: str | None = None
    PRINTED_BY: str = "destination"

    def lines(self) -> list[str]:
        """The keys of QEMU's error lines that MESSAGE quotes, in braces: see vmdump.error_lines."""
        names = [name for _, name, _, _ in Formatter().parse(self.MESSAGE) if name]
        return [name for name in dict.fromkeys(names) if name in LINES]

    def message(self, facts: Mapping[str, Any], lines: ErrorLines) -> str:
        """MESSAGE with facts, and QEMU's error lines as that QEMU has them that prints them."""
        return self.MESSAGE.format(**{key: lines.quote(key, facts) for key in self.lines()}, **facts)

    def text(self) -> str:
        """What ``vmdump explain`` prints."""
        says = f"vmdump lint, {self.LEVEL}" if self.LEVEL else f"vmdump check, {self.VERDICT}"
        lines = [f"{self.id} ({says})", "", self.WHAT, ""]
        for head, text in (("why", self.WHY), ("example", self.EXAMPLE), ("remedy", self.REMEDY)):
            lines.append(f"{head}: {text}")
        for key in self.lines():
            for form, versions in forms_in_words(key):
                lines.append(f"QEMU prints: {form}" + (f" ({versions})" if versions else ""))
        return "\n".join([*lines, *(f"source: {reference}" for reference in self.REFERENCES)])


_rules: dict[str, Rule] = {}


def rule(rule_id: str) -> Rule:
    """The rule of an id. Raises KeyError.

    >>> rule("field-added").VERDICT
    'breaks'
    """
    found = _rules.get(rule_id)
    if found is None:
        from importlib import import_module

        name = rule_id.replace("-", "_")
        if not name.isidentifier() or "_" in rule_id:
            raise KeyError(rule_id)
        try:
            module = import_module(f"{__name__}.{name}")
        except ModuleNotFoundError:
            raise KeyError(rule_id) from None
        facts = {key: getattr(module, key) for key in Rule._fields if hasattr(module, key)}
        found = _rules[rule_id] = Rule(id=rule_id, WHAT=module.__doc__ or "", **facts)
    return found


def rule_ids() -> list[str]:
    """The ids of all rules, sorted: those of the files here."""
    from pkgutil import iter_modules

    return sorted(name.replace("_", "-") for _, name, _ in iter_modules(__path__))

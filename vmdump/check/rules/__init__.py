"""The rules: what the check and the linter know, a file each, whose name is the rule's id.

A rule says what it is about (its docstring), WHY that is so, an EXAMPLE, the usual REMEDY, REFERENCES (files of QEMU);
the MESSAGE of its findings, with the names of facts in braces; its VERDICT; the CONDITION and the ERROR, of those that
have one; and, of those that look at one dump alone, their LEVEL: ``defect``, or ``notice`` for what may well be meant
so; and the REMEDY_NESTED, where the usual one does not help in a nested struct, whose version does not travel.

ERROR is the line that QEMU prints when the load fails: the key of it in vmdump.error_lines, in braces; where the line
depends on the fact ``case``, it is a mapping with a line for each of its values. PRINTED_BY is the side that prints it.
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
    ERROR: str | Mapping[str, str] | None = None
    PRINTED_BY: str = "destination"
    REMEDY_NESTED: str | None = None

    def lines(self) -> list[str]:
        """The keys of QEMU's error lines that ERROR quotes, in braces: see vmdump.error_lines."""
        forms = [self.ERROR or ""] if self.ERROR is None or isinstance(self.ERROR, str) else self.ERROR.values()
        names = [name for form in forms for _, name, _, _ in Formatter().parse(form) if name]
        return [name for name in dict.fromkeys(names) if name in LINES]

    def error(self, facts: Mapping[str, Any], lines: ErrorLines) -> str | None:
        """The line that QEMU prints, with the facts, as that QEMU has it; None: it prints none, or none that is known.

        >>> from vmdump.error_lines import ErrorLines
        >>> rule("field-added").error({"section": "esp"}, ErrorLines({}))
        'Missing section footer for esp'
        """
        line = self.ERROR if self.ERROR is None or isinstance(self.ERROR, str) else self.ERROR[facts["case"]]
        quoted = {key: lines.quote(key, facts) for key in self.lines()}
        return None if line is None else line.format(**{**facts, **quoted})

    def remedy(self, *, nested: bool) -> str:
        """What is usually done about it, in a nested struct or outside of one."""
        return self.REMEDY_NESTED if nested and self.REMEDY_NESTED else self.REMEDY

    def text(self) -> str:
        """What ``vmdump explain`` prints."""
        says = f"vmdump lint, {self.LEVEL}" if self.LEVEL else f"vmdump check, {self.VERDICT}"
        lines = [f"{self.id} ({says})", "", self.WHAT, ""]
        for head, text in (("why", self.WHY), ("example", self.EXAMPLE), ("remedy", self.REMEDY)):
            lines.append(f"{head}: {text}")
        if self.REMEDY_NESTED:
            lines.append(f"remedy in a nested struct: {self.REMEDY_NESTED}")
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


def unknown_rule(rule_id: str) -> str:
    """What is wrong with an id that no rule has, and what to try.

    >>> unknown_rule("field-aded")
    "no rule 'field-aded'; did you mean field-added or field-renamed?"
    """
    from vmdump.suggestion import did_you_mean

    return f"no rule {rule_id!r}; {did_you_mean(rule_id, rule_ids(), 'vmdump rules lists those that there are')}"


def rule_ids() -> list[str]:
    """The ids of all rules, sorted: those of the files here."""
    from pkgutil import iter_modules

    return sorted(name.replace("_", "-") for _, name, _ in iter_modules(__path__))

"""The rules of ``vmdump check``, ``abi`` (abi_*), ``migrate`` (migration_*), ``gate`` (target_*) and ``lint``.

Each has a file, named after the rule's id.

A rule file defines:

* its docstring: what the rule finds, in one sentence that states the consequence;
* VERDICT: the verdict of its findings, before conditions of the surroundings make it ``conditional``;
* LEVEL (lint only): ``defect``, or ``notice`` if it may be intended;
* MESSAGE: the headline of its findings, with facts in braces;
* WHY, EXAMPLE, REMEDY, REFERENCES (files of QEMU): the documentation that ``vmdump explain`` prints;
* REMEDY_NESTED (optional): the remedy inside a nested struct, whose version is not sent;
* CONDITION (optional): when the load fails, with facts in braces;
* ERROR (optional): the line that QEMU prints when the load fails, as a key of vmdump.qemu.error_lines in braces; a
  mapping if the line depends on the fact ``case``;
* PRINTED_BY: the side that prints ERROR, ``destination`` by default.
"""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, NamedTuple

from vmdump.qemu.error_lines import LINES, forms_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from vmdump.qemu.error_lines import ErrorLines


class Rule(NamedTuple):
    """The contents of a rule file."""

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

    @property
    def command(self) -> str:
        """The command that reports the rule: lint, abi, migrate, gate or check."""
        prefix = self.id.partition("-")[0]
        return "lint" if self.LEVEL else {"abi": "abi", "migration": "migrate", "target": "gate"}.get(prefix, "check")

    def lines(self) -> list[str]:
        """Keys of vmdump.qemu.error_lines that ERROR refers to."""
        forms = [self.ERROR or ""] if self.ERROR is None or isinstance(self.ERROR, str) else self.ERROR.values()
        names = [name for form in forms for _, name, _, _ in Formatter().parse(form) if name]
        return [name for name in dict.fromkeys(names) if name in LINES]

    def error(self, facts: Mapping[str, Any], lines: ErrorLines) -> str | None:
        """Return the line that a QEMU with these error lines prints; None if it prints none, or an unknown one.

        >>> from vmdump.qemu.error_lines import ErrorLines
        >>> rule("field-added").error({"section": "esp"}, ErrorLines({}))
        'Missing section footer for esp'
        """
        line = self.ERROR if self.ERROR is None or isinstance(self.ERROR, str) else self.ERROR[facts["case"]]
        quoted = {key: lines.quote(key, facts) for key in self.lines()}
        return None if line is None else line.format(**{**facts, **quoted})

    def remedy(self, *, nested: bool) -> str:
        """The usual remedy, inside a nested struct or elsewhere."""
        return self.REMEDY_NESTED if nested and self.REMEDY_NESTED else self.REMEDY

    def to_plain(self) -> dict[str, Any]:
        """The documentation that ``vmdump explain --json`` prints."""
        return {
            "rule": self.id,
            "command": self.command,
            "verdict": None if self.LEVEL else self.VERDICT,
            "level": self.LEVEL,
            "what": self.WHAT,
            "why": self.WHY,
            "example": self.EXAMPLE,
            "remedy": self.REMEDY,
            "remedy_nested": self.REMEDY_NESTED,
            "lines": [
                {"form": form, "versions": versions or None}
                for key in self.lines()
                for form, versions in forms_in_words(key)
            ],
            "source": list(self.REFERENCES),
        }

    def text(self) -> str:
        """The documentation that ``vmdump explain`` prints."""
        reported_by = f"vmdump {self.command}, {self.LEVEL or self.VERDICT}"
        lines = [f"{self.id} ({reported_by})", "", self.WHAT, ""]
        for head, text in (("why", self.WHY), ("example", self.EXAMPLE), ("remedy", self.REMEDY)):
            lines.append(f"{head}: {text}")
        if self.REMEDY_NESTED:
            lines.append(f"remedy in a nested struct: {self.REMEDY_NESTED}")
        for key in self.lines():
            for form, versions in forms_in_words(key):
                lines.append(f"QEMU prints: {form}" + (f" ({versions})" if versions else ""))
        return "\n".join([*lines, *(f"source: {reference}" for reference in self.REFERENCES)])


#: Ids of earlier releases and what they are now; configurations and command lines may still use them.
RENAMED = {
    "lengths-not-told": "array-length-unknown",
    "size-not-told": "field-size-unknown",
    "structure-not-read": "description-incomplete",
    "subsection-namesake": "subsection-duplicate-name",
}

_rules: dict[str, Rule] = {}


def rule(rule_id: str) -> Rule:
    """Return the rule with an id, current or of an earlier release. Raises KeyError if there is none.

    >>> rule("field-added").VERDICT
    'breaks'
    """
    rule_id = current_id(rule_id)
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


def current_id(rule_id: str) -> str:
    """Return the current id of a rule that was renamed; any other text (such as a pattern) as it is.

    >>> current_id("subsection-namesake"), current_id("field-*")
    ('subsection-duplicate-name', 'field-*')
    """
    return RENAMED.get(rule_id, rule_id)


def unknown_rule(rule_id: str) -> str:
    """Return the error message for an id that no rule has, with a suggestion.

    >>> unknown_rule("field-aded")
    "no rule 'field-aded'; did you mean field-added?"
    """
    from vmdump.suggestion import did_you_mean

    return f"no rule {rule_id!r}; {did_you_mean(rule_id, rule_ids(), 'vmdump rules lists all rules')}"


def rule_ids() -> list[str]:
    """Ids of all rules, sorted: the names of the files in this directory."""
    from pkgutil import iter_modules

    return sorted(name.replace("_", "-") for _, name, _ in iter_modules(__path__))

"""Filters findings by rule: --select, --ignore and their counterparts in the configuration."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.results import Verdict, keep_findings
from vmdump.check.rules import current_id, rule_ids, unknown_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.check.results import CheckResult, Finding


class Selection(NamedTuple):
    """Glob patterns of rule ids: select must match (if empty, every rule does), ignore must not."""

    select: Sequence[str] = ()
    ignore: Sequence[str] = ()

    def has(self, rule: str) -> bool:
        """Whether a rule is selected and not ignored.

        >>> Selection(["field-*"], ["field-removed*"]).has("field-added")
        True
        """
        is_selected = not self.select or any(fnmatchcase(rule, pattern) for pattern in self.select)
        return is_selected and not any(fnmatchcase(rule, pattern) for pattern in self.ignore)

    def split(self, findings: Iterable[Finding]) -> tuple[list[Finding], int]:
        """Return the findings of selected rules, and the number of other findings worse than safe."""
        kept, ignored = [], 0
        for finding in findings:
            if self.has(finding.rule):
                kept.append(finding)
            else:
                ignored += finding.verdict is not Verdict.SAFE
        return kept, ignored


def patterns(lists: Iterable[str]) -> list[str]:
    """Split comma-separated lists into patterns. Raises ValueError for a pattern that matches no rule.

    >>> patterns(["field-added,field-removed", "test-*"])
    ['field-added', 'field-removed', 'test-*']
    """
    found = [current_id(pattern) for text in lists for part in text.split(",") if (pattern := part.strip())]
    ids = rule_ids()
    for pattern in found:
        if not any(fnmatchcase(each, pattern) for each in ids):
            raise ValueError(unknown_rule(pattern))
    return found


def select(result: CheckResult, selection: Selection) -> CheckResult:
    """Return the result with the findings of selected rules only.

    A type that loses findings worse than safe is at best ``accepted``, never ``safe``.
    """
    results, ignored = {}, {}
    for direction, types in result.results.items():
        kept = []
        number = 0
        for each in types:
            selected, n_ignored = selection.split(each.findings)
            number += n_ignored
            kept.append(keep_findings(each, selected) if n_ignored else each._replace(findings=selected))
        results[direction] = kept
        if number:
            ignored[direction] = number
    return result._replace(results=results, ignored=ignored)

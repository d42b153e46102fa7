"""Which rules' findings count: those that are selected and not ignored."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.results import Verdict, keep_findings
from vmdump.check.rules import rule_ids, unknown_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.check.results import CheckResult, Finding


class Selection(NamedTuple):
    """Patterns of rules' ids: of which one must match (none: all rules), and of which none may."""

    select: Sequence[str] = ()
    ignore: Sequence[str] = ()

    def has(self, rule: str) -> bool:
        """Whether a rule's findings count.

        >>> Selection(["field-*"], ["field-removed*"]).has("field-added")
        True
        """
        is_selected = not self.select or any(fnmatchcase(rule, pattern) for pattern in self.select)
        return is_selected and not any(fnmatchcase(rule, pattern) for pattern in self.ignore)

    def split(self, findings: Iterable[Finding]) -> tuple[list[Finding], int]:
        """The findings that count, and how many of the others are worse than safe."""
        kept, ignored = [], 0
        for finding in findings:
            if self.has(finding.rule):
                kept.append(finding)
            else:
                ignored += finding.verdict is not Verdict.SAFE
        return kept, ignored


def patterns(lists: Iterable[str]) -> list[str]:
    """The patterns in lists with commas. Raises ValueError for one that no rule matches: it would do nothing.

    >>> patterns(["field-added,field-removed", "test-*"])
    ['field-added', 'field-removed', 'test-*']
    """
    found = [pattern for text in lists for part in text.split(",") if (pattern := part.strip())]
    ids = rule_ids()
    for pattern in found:
        if not any(fnmatchcase(each, pattern) for each in ids):
            raise ValueError(unknown_rule(pattern))
    return found


def select(result: CheckResult, selection: Selection) -> CheckResult:
    """The result with the findings that count alone. A type of which others were found is not safe for that, but
    ``accepted``, unless something worse is left.
    """
    results, ignored = {}, {}
    for direction, types in result.results.items():
        kept = []
        number = 0
        for each in types:
            left, left_out = selection.split(each.findings)
            number += left_out
            kept.append(keep_findings(each, left) if left_out else each._replace(findings=left))
        results[direction] = kept
        if number:
            ignored[direction] = number
    return result._replace(results=results, ignored=ignored)

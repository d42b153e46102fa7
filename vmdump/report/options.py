"""Options of reports: what fails the check, how much to print and how, and the documentation of rules."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.results import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping


class RuleText(NamedTuple):
    """Documentation of a rule as plain text. help: the output of ``vmdump explain``; summary: one line."""

    summary: str
    help: str


class Options(NamedTuple):
    """Options of a report.

    Attributes:
        fail_on: The mildest verdict that fails the check.
        rules: Documentation of rules, by id.
        verbose: Include safe findings, and do not shorten lists.
        matrix: Print a table of all pairs instead of findings (text only).
        width: Line width in characters (text only).
        colours: Use terminal colours (text only).
        statistics: Print the number of findings of each rule instead of findings (text and JSON).

    >>> Options(fail_on=Verdict.CONDITIONAL).fails(Verdict.BREAKS)
    True
    """

    fail_on: Verdict = Verdict.BREAKS
    rules: Mapping[str, RuleText] = MappingProxyType({})
    verbose: bool = False
    matrix: bool = False
    width: int = 100
    colours: bool = False
    statistics: bool = False

    def fails(self, verdict: Verdict) -> bool:
        """Whether a verdict is at least as bad as fail_on."""
        return verdict.severity() >= self.fail_on.severity()


#: Only breaks fails the check; no documentation of rules.
DEFAULTS = Options()

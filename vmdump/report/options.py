"""What reports are told beside the result: what fails the check, and what the rules say."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.results import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping


class RuleText(NamedTuple):
    """What ``vmdump explain RULE`` says, as plain text: one line, and the whole."""

    summary: str
    help: str


class Options(NamedTuple):
    """fail_on: the mildest verdict that fails the check; rules: what is known of rules, by id; verbose: with what is
    safe, and matrix: the table of all pairs instead of findings, in text.

    >>> Options(fail_on=Verdict.CONDITIONAL).fails(Verdict.BREAKS)
    True
    """

    fail_on: Verdict = Verdict.BREAKS
    rules: Mapping[str, RuleText] = MappingProxyType({})
    verbose: bool = False
    matrix: bool = False

    def fails(self, verdict: Verdict) -> bool:
        """Whether the verdict is at least as bad as fail_on."""
        return verdict.severity() >= self.fail_on.severity()


#: Only breaks fail; no rule is known.
DEFAULTS = Options()

"""Make the findings of one type: the texts of rules, filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmdump.check.results import Finding, Side, Verdict
from vmdump.check.rules import rule

if TYPE_CHECKING:
    from vmdump.check.describe import Difference
    from vmdump.check.rules import Rule
    from vmdump.check.shared import Metadata
    from vmdump.check.tree_view import Section
    from vmdump.qemu.error_lines import ErrorLines


class Findings:
    """Collects the findings of one type in one direction."""

    def __init__(
        self,
        direction: str,
        type_: str,
        section: str,
        known: Metadata,
        source_lines: ErrorLines,
        destination_lines: ErrorLines,
    ) -> None:
        """Args:
        known: what both dumps report.
        source_lines, destination_lines: the error lines of both QEMUs.
        """
        self._direction, self._type, self.section, self._known = direction, type_, section, known
        self._lines = {"source": source_lines, "destination": destination_lines}
        self.findings: list[Finding] = []

    def report(
        self, rule_id: str, source: Section, destination: Section | None, *, weakened: bool = False, **more: Any
    ) -> None:
        """Add a finding about a section as a whole.

        Args:
            rule_id: the rule; its verdict is the finding's.
            source: the source's section.
            destination: the destination's section; None: there is none.
            weakened: the finding is conditional on the rule's CONDITION.
            more: further facts for the rule's texts.
        """
        text = rule(rule_id)
        facts = {
            "type": self._type, "section": source.name, "instance": 0, "version": source.version_id,
            "there": destination and destination.name, "local": destination and destination.version_id,
            "minimum": destination and destination.minimum_version_id, **more,
        }  # fmt: skip
        verdict = Verdict.CONDITIONAL if weakened else Verdict(text.VERDICT)
        condition = text.CONDITION.format(**facts) if verdict is Verdict.CONDITIONAL and text.CONDITION else None
        self.findings.append(
            Finding(
                rule_id, verdict, self._direction, self._type, source.name, text.MESSAGE.format(**facts),
                _side(source), None if destination is None else _side(destination), condition, text.REMEDY,
                text.error(facts, self._lines[text.PRINTED_BY]),
            )
        )  # fmt: skip

    def add(self, difference: Difference) -> None:
        """Add a finding about a part of a section. Directions that share the difference share its texts."""
        text = rule(difference.rule)
        lines = self._lines[text.PRINTED_BY]
        finding = difference.findings.get((self._type, lines))
        if finding is None:
            finding = difference.findings[self._type, lines] = self._of_difference(difference, text, lines)
        same = finding.direction == self._direction
        self.findings.append(finding if same else finding._replace(direction=self._direction))

    def _of_difference(self, difference: Difference, text: Rule, lines: ErrorLines) -> Finding:
        facts = {"type": self._type, "instance": 0, **difference.facts}
        conditions = list(difference.conditions)
        if difference.verdict is Verdict.CONDITIONAL and text.CONDITION and text.VERDICT == "conditional":
            condition = text.CONDITION.format(**facts)
            conditions += [condition] if condition not in conditions else []
        note = None
        if difference.verdict not in (Verdict.SAFE, Verdict.UNKNOWN) and not (
            self._known.detailed and self._known.nums
        ):
            note = _missing_metadata(self._known)
        description = facts.get("description")
        names = [self.section, *([description] if description not in (None, self.section) else []), difference.path]
        return Finding(
            difference.rule, difference.verdict, self._direction, self._type, " / ".join(names),
            text.MESSAGE.format(**facts), difference.source and Side(*difference.source),
            difference.destination and Side(*difference.destination), " and ".join(conditions) or None,
            text.remedy(nested=bool(facts.get("nested"))), text.error(facts, lines), note,
        )  # fmt: skip


def _side(section: Section) -> Side:
    return Side(section.name, f"version {section.version_id}, minimum {section.minimum_version_id}")


def _missing_metadata(known: Metadata) -> str:
    """What a verdict rests on, if a dump lacks metadata."""
    lacking = "types" if known.nums else "types and array lengths"
    return f"judged by sizes alone: a dump lacks {lacking}; a binary has them"

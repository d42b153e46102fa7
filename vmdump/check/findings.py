"""Make the findings of one type: the texts of rules, filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmdump.check.results import Finding, Side, Verdict
from vmdump.check.rules import rule

if TYPE_CHECKING:
    from vmdump.check.describe import Difference
    from vmdump.check.evaluated.answers import Answers, Key, Wanted
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
        answers: tuple[Answers | str | None, Answers | str | None] = (None, None),
    ) -> None:
        """Args:
        known: what both dumps report.
        source_lines, destination_lines: the error lines of both QEMUs.
        answers: what was evaluated in VMs of both sides, or why nothing was.
        """
        self._direction, self.type, self.section, self._known = direction, type_, section, known
        self._answers = {"source": answers[0], "destination": answers[1]}
        #: Functions and array lengths that conditional findings depend on, each with its side.
        self.deciding: list[tuple[str, Key]] = []
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
            "type": self.type, "section": source.name, "instance": 0, "version": source.version_id,
            "there": destination and destination.name, "local": destination and destination.version_id,
            "minimum": destination and destination.minimum_version_id, **more,
        }  # fmt: skip
        verdict = Verdict.CONDITIONAL if weakened else Verdict(text.VERDICT)
        condition = text.CONDITION.format(**facts) if verdict is Verdict.CONDITIONAL and text.CONDITION else None
        self.findings.append(
            Finding(
                rule_id, verdict, self._direction, self.type, source.name, text.MESSAGE.format(**facts),
                _side(source), None if destination is None else _side(destination), condition, text.REMEDY,
                text.error(facts, self._lines[text.PRINTED_BY]),
            )
        )  # fmt: skip

    def add(self, difference: Difference) -> None:
        """Add a finding about a part of a section. Directions that share the difference share its texts."""
        text = rule(difference.rule)
        lines = self._lines[text.PRINTED_BY]
        if difference.verdict is Verdict.CONDITIONAL:
            self.deciding += difference.deciding
        finding = difference.findings.get((self.type, lines))
        if finding is None:
            finding = difference.findings[self.type, lines] = self._of_difference(difference, text, lines)
        same = finding.direction == self._direction
        self.findings.append(finding if same else finding._replace(direction=self._direction))

    def _of_difference(self, difference: Difference, text: Rule, lines: ErrorLines) -> Finding:
        facts = {"type": self.type, "instance": 0, **difference.facts}
        conditions = list(difference.conditions)
        if difference.verdict is Verdict.CONDITIONAL and text.CONDITION and text.VERDICT == "conditional":
            condition = text.CONDITION.format(**facts)
            conditions += [condition] if condition not in conditions else []
        note = None
        if difference.verdict not in (Verdict.SAFE, Verdict.UNKNOWN) and not (
            self._known.detailed and self._known.nums
        ):
            note = _missing_metadata(self._known)
        if difference.verdict is Verdict.CONDITIONAL:
            note = "; ".join(filter(None, (note, *self._evaluated(difference)))) or None
        description = facts.get("description")
        names = [self.section, *([description] if description not in (None, self.section) else []), difference.path]
        return Finding(
            difference.rule, difference.verdict, self._direction, self.type, " / ".join(names),
            text.MESSAGE.format(**facts), difference.source and Side(*difference.source),
            difference.destination and Side(*difference.destination), " and ".join(conditions) or None,
            text.remedy(nested=bool(facts.get("nested"))), text.error(facts, lines), note,
        )  # fmt: skip

    def _evaluated(self, difference: Difference) -> list[str]:
        """What evaluation in VMs says about a conditional difference."""
        words = []
        for side, key in dict.fromkeys(difference.deciding):
            answers = self._answers[side]
            if answers is None or isinstance(answers, str):
                words.append(answers or "")
                continue
            answer, length = answers.get(key), answers.get_length(key)
            if answer is None and length is not None:
                if not length.is_definite:
                    words.append(
                        f"under {answers.machine}, not at reset: the {side}'s {key[1]} has {length.value} elements "
                        f"there, but {length.obstacle}"
                    )
            elif answer is None:
                words.append(f"not evaluated under {answers.machine}: it is not reached at reset")
            elif not answer.is_definite:
                said = answer.in_words(f"the {side}'s {_function(key)}")
                words.append(f"under {answers.machine}, {said}")
        return list(dict.fromkeys(filter(None, words)))

    def report_answers(self, side: str, answers: Answers | None, source: Section, destination: Section) -> None:
        """Add a finding for each definite answer of a side that the comparison has used."""
        for key, answer in (answers.used if answers is not None else {}).items():
            assert answers is not None
            words = answer.in_words(f"the {side}'s {_function(key)}")
            self.report("decided-by-configuration", source, destination, machine=answers.machine, answer=words)
            path = [self.section, *([key[0]] if key[0] != self.section else []), *([key[1]] if key[1] else [])]
            self.findings[-1] = self.findings[-1]._replace(path=" / ".join(path))

    def report_differing(self, wanted: Wanted, source: Answers | str | None, destination: Answers | str | None) -> None:
        """Add a finding for each field whose test provably has another result on the other side."""
        if source is None or destination is None or isinstance(source, str) or isinstance(destination, str):
            return
        text = rule("test-differs")
        for key in sorted(wanted.keys or ()):
            ours, theirs = source.get(key), destination.get(key)
            if ours is None or theirs is None or not (ours.is_definite and theirs.is_definite):
                continue
            if ours.value == theirs.value:
                continue
            facts = {
                "type": self.type, "section": self.section, "instance": 0, "machine": source.machine,
                "answer": ours.in_words(f"the source's {_function(key)}"),
                "other_answer": theirs.in_words(f"the destination's {_function(key)}"),
            }  # fmt: skip
            path = " / ".join([self.section, *([key[0]] if key[0] != self.section else []), key[1]])
            sides = [Side(path, f"test that returns {'true' if each.value else 'false'}") for each in (ours, theirs)]
            error = text.error(facts, self._lines[text.PRINTED_BY])
            self.findings.append(
                Finding(
                    text.id, Verdict(text.VERDICT), self._direction, self.type, path, text.MESSAGE.format(**facts),
                    sides[0], sides[1], None, text.REMEDY, error,
                )
            )  # fmt: skip


def _function(key: Key) -> str:
    """What a key stands for, in words."""
    description, field, _ = key
    return f"test of {field}" if field else f"needed() of {description}"


def _side(section: Section) -> Side:
    return Side(section.name, f"version {section.version_id}, minimum {section.minimum_version_id}")


def _missing_metadata(known: Metadata) -> str:
    """What a verdict rests on, if a dump lacks metadata."""
    lacking = "types" if known.nums else "types and array lengths"
    return f"judged by sizes alone: a dump lacks {lacking}; a binary has them"

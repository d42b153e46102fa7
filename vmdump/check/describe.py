"""Report differences by their rules: what each side has, in words, and the facts that the texts of a rule need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmdump.check.results import Verdict
from vmdump.check.rules import rule
from vmdump.check.stream import LISTS, in_words, key_of
from vmdump.check.tree_view import VARRAY

if TYPE_CHECKING:
    from vmdump.check.evaluated.answers import Key
    from vmdump.check.results import Finding
    from vmdump.check.stream import Item, Subsection
    from vmdump.check.tree_view import Description


class Difference:
    """A difference that a rule applies to. Its verdict is the rule's, unless `weaken` names a condition."""

    __slots__ = (
        "conditions",
        "deciding",
        "destination",
        "facts",
        "findings",
        "path",
        "rule",
        "source",
        "surplus",
        "verdict",
    )

    def __init__(
        self,
        rule_id: str,
        path: str,
        source: tuple[str, str] | None,
        destination: tuple[str, str] | None,
        facts: dict[str, Any],
    ) -> None:
        """Args:
        source, destination: a path and a description of what is there; None: nothing is.
        facts: values for the names in braces of the rule's texts.
        """
        self.rule, self.path = rule_id, path
        self.verdict = Verdict(rule(rule_id).VERDICT)
        self.source, self.destination, self.facts = source, destination, facts
        #: Bytes that are always sent and not read; negative: read and not sent.
        self.surplus = 0
        #: What must hold for the load to fail: subsections that are sent, arrays that have elements.
        self.conditions: list[str] = []
        #: Functions and array lengths that decide whether it matters, each with its side.
        self.deciding: list[tuple[str, Key]] = []
        #: Findings made of it, by what their texts depend on; a cache of the checker.
        self.findings: dict[object, Finding] = {}

    def weaken(self, *conditions: str) -> None:
        """Make a breaking difference conditional on all of some named conditions; none: leave it as it is."""
        if conditions:
            self.conditions = [*conditions, *self.conditions]
            if self.verdict is Verdict.BREAKS:
                self.verdict = Verdict.CONDITIONAL
            self.surplus = 0


class Reporter:
    """Collects the differences of one section."""

    def __init__(self, section: str) -> None:
        """Args:
        section: the name in the section header.
        """
        self._section = section
        self.differences: list[Difference] = []
        #: Whether the compared items are those of an element of an array of structs.
        self._within_element = False

    def report(self, rule_id: str, source: Item | None, destination: Item | None, **more: Any) -> Difference:
        """Report a difference between two items, or an item that only one side has."""
        item = destination or source
        assert item is not None
        facts = {
            "section": self._section,
            "field": (source or item).path,
            "description": item.description.name,
            "name": item.name,
            "source": in_words(source) if source else "nothing",
            "destination": in_words(destination) if destination else "nothing",
            "difference": _difference(source, destination),
            "other": destination.path if destination else None,
            "bytes": item.size or None,
            "info": item.info,
            "nested": self.is_nested(item),
            **more,
        }
        sides = self._item_side(source), self._item_side(destination)
        difference = self._add(Difference(rule_id, item.path, *sides, facts))
        for side, each in (("source", source), ("destination", destination)):
            difference.deciding += [(side, key) for key in deciding_keys(each)]
        return difference

    def report_subsection(
        self, rule_id: str, source: Subsection | None, destination: Subsection | None, **more: Any
    ) -> Difference:
        """Report a difference between two subsections, or one that only one side has."""
        subsection = source or destination
        assert subsection is not None
        facts = {
            "section": self._section,
            "subsection": subsection.vmsd.name,
            "description": (destination or subsection).parent.name,
            "version": subsection.vmsd.version_id,
            "local": destination.vmsd.version_id if destination else None,
            "minimum": destination.vmsd.minimum_version_id if destination else None,
            **more,
        }
        path = subsection.path + subsection.vmsd.name
        sides = self._subsection_side(source), self._subsection_side(destination)
        difference = self._add(Difference(rule_id, path, *sides, facts))
        if source is not None:
            difference.deciding.append(needed_by(source))
        return difference

    def report_added(self, rule_id: str, path: str, vmsd: Description, what: str, words: str, **facts: Any) -> None:
        """Report an assertion or a hook that only the destination has."""
        there = (f"{self._section} / {vmsd.name} / {what}", words)
        facts = {"section": self._section, "description": vmsd.name, **facts}
        self._add(Difference(rule_id, path, None, there, facts))

    def is_nested(self, item: Item) -> bool:
        """Whether an item belongs to a description whose version is not in the stream."""
        return item.nested or self._within_element

    def _add(self, difference: Difference) -> Difference:
        self.differences.append(difference)
        return difference

    def _item_side(self, item: Item | None) -> tuple[str, str] | None:
        if item is None:
            return None
        return f"{self._section} / {item.description.name} / {item.name}", in_words(item)

    def _subsection_side(self, subsection: Subsection | None) -> tuple[str, str] | None:
        if subsection is None:
            return None
        path = f"{self._section} / {subsection.parent.name} / {subsection.vmsd.name}"
        return path, _subsection_in_words(subsection)


def deciding_keys(item: Item | None) -> list[Key]:
    """The test on which an item depends, and the length of its array or list."""
    keys = []
    if item is not None and item.guard_of is not None:
        keys.append(key_of(item.guard_of[1], item.guard_of[0]))
    if item is not None and item.count is None and (item.field.flags & VARRAY or item.info in LISTS):
        keys.append(key_of(item.field, item.description))
    return keys


def needed_by(subsection: Subsection) -> tuple[str, Key]:
    """The side and key of the function that decides whether a subsection is sent."""
    return "source", (subsection.vmsd.name, "", 0)


def when_sent(subsection: Subsection) -> str:
    """The condition under which a subsection is sent."""
    return f"{subsection.vmsd.name} is sent (its needed() returns true)"


def _difference(source: Item | None, destination: Item | None) -> str:
    """What each side does with a field."""
    if source is None:
        assert destination is not None
        words = in_words(destination)
        return f"the source does not send {destination.path}, but the destination reads it ({words})"
    if destination is None:
        return f"the source sends {source.path} ({in_words(source)}), but the destination does not read it"
    name = source.path if source.path == destination.path else f"{source.path} ({destination.path} in the destination)"
    return f"{name} is sent as {in_words(source)}, but read as {in_words(destination)}"


def _subsection_in_words(subsection: Subsection) -> str:
    vmsd = subsection.vmsd
    words = [f"subsection, version {vmsd.version_id}, minimum {vmsd.minimum_version_id}"]
    if vmsd.detailed:
        words.append("if needed" if vmsd.needed else "always sent")
    return ", ".join(words)

"""The check: every section of one dump against what it meets in another, in one direction or both.

    result = check([Labelled("A", vmdump.open("old.json")), Labelled("B", vmdump.open("new.json"))])

Most sections are equal on both sides, which the C core finds out; the others are lowered to what travels and compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.check.compare import Comparison, Difference
from vmdump.check.match_sections import Matcher
from vmdump.check.results import CheckResult, Dump, Finding, Side, TypeResult, Verdict
from vmdump.check.rules import rule
from vmdump.check.side_by_side import Layout
from vmdump.check.stream import Lowering
from vmdump.check.tree_view import Native, equal, namesakes
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vmdump.check.compare import Part
    from vmdump.check.match_sections import Match
    from vmdump.check.tree_view import Section
    from vmdump.dump.device_dump import DeviceDump


class Labelled(NamedTuple):
    """A dump and what directions call it."""

    label: str
    dump: DeviceDump


def check(
    dumps: Sequence[Labelled],
    *,
    directions: Iterable[tuple[int, int]] | None = None,
    types: Sequence[str] = (),
) -> CheckResult:
    """Checks dumps against each other. directions: pairs of their indices (default: each pair, both ways); types: glob
    patterns of QOM types, of which one must match (default: all).

    Raises VmdumpError when a description stands for more than can be looked at.

    >>> import vmdump
    >>> pc = vmdump.open()
    >>> result = check([Labelled("A", pc), Labelled("B", pc)])
    >>> list(result.results), {each.verdict for each in result.results["A -> B"]}
    (['A -> B', 'B -> A'], {<Verdict.SAFE: 'safe'>})
    """
    natives = [_Dump(each.dump) for each in dumps]
    if directions is None:
        directions = [(i, j) for i in range(len(dumps)) for j in range(len(dumps)) if i != j]
    results = {}
    for i, j in directions:
        label = f"{dumps[i].label} -> {dumps[j].label}"
        try:
            results[label] = list(_Direction(label, natives[i], natives[j], types).results())
        except RecursionError:
            raise VmdumpError(f"{label}: descriptions nest deeper than can be compared; flatten them") from None
    return CheckResult([Dump(each.label, each.dump.producer, each.dump.machine) for each in dumps], results)


class _Dump(Native):
    """A dump, and what its descriptions were lowered to in the directions that were checked before."""

    def __init__(self, dump: DeviceDump) -> None:
        super().__init__(dump)
        self._lowerings: dict[tuple[bool, bool, bool], Lowering] = {}

    def lowering(self, *, loading: bool, detailed: bool, nums: bool) -> Lowering:
        """Of what is not detailed the same is read as is sent."""
        key = (loading and detailed, detailed, nums)
        if key not in self._lowerings:
            self._lowerings[key] = Lowering(loading=loading, detailed=detailed, nums=nums)
        return self._lowerings[key]


class _Direction:
    """One dump against another."""

    def __init__(self, label: str, source: _Dump, destination: _Dump, types: Sequence[str]) -> None:
        self._label, self._source, self._destination, self._types = label, source, destination, types
        facts = {
            "detailed": source.detailed and destination.detailed,
            "nums": (source.detailed and destination.detailed) or (source.nums and destination.nums),
        }
        self._facts = facts
        self._matcher = Matcher(source, destination, nums=facts["nums"])
        self._sending = source.lowering(loading=False, **facts)
        self._loading = destination.lowering(loading=True, **facts)

    def results(self) -> Iterable[TypeResult]:
        """The types of the source, then what has a section and is no device."""
        sections = [each for each in self._source.devices.values() if self._asked_for(each.type)]
        within, alone = self._roots()
        roots = [root for root in alone if self._asked_for(root.name)]
        matches = {id(each): self._matcher.match(each) for each in (*sections, *roots)}
        pairs = [(each, match.section) for each in (*sections, *roots) if (match := matches[id(each)])]
        same = dict(zip(map(id, (each for each, _ in pairs)), self._equal(pairs), strict=True))
        for section in sections:
            yield self._result(section, matches[id(section)], same.get(id(section), False), within.get(section.type))
        names: dict[str, int] = dict.fromkeys(self._source.devices, 1)
        for root in roots:
            result = self._result(root, matches[id(root)], same.get(id(root), False), None)
            count = names[root.name] = names.get(root.name, 0) + 1
            if count > 1:
                name = f"{root.name} ({root.type or count})"
                result = result._replace(
                    type=name, findings=[finding._replace(type=name) for finding in result.findings]
                )
            yield result._replace(covers=self._source.types(root))

    def _asked_for(self, name: str) -> bool:
        if not self._types:
            return True
        from fnmatch import fnmatchcase

        return any(fnmatchcase(name, pattern) for pattern in self._types)

    def _roots(self) -> tuple[dict[str, list[Section]], list[Section]]:
        """The descriptions on no device class: those that are inside a device's section, by type; the others.

        Where the destination does not tell of such, only those that a device there has taken over.
        """
        within: dict[str, list[Section]] = {}
        alone = []
        for root in self._source.roots:
            holders = [each for each in self._source.types(root) if each in self._source.devices]
            if not holders and "save" in self._source.uses(root):
                holders = self._savers(root.name)
            for holder in holders:
                within.setdefault(holder, []).append(root)
            if not holders and (self._destination.roots or self._matcher.match(root)):
                alone.append(root)
        return within, alone

    def _savers(self, name: str) -> list[str]:
        """The types in whose sections a description is saved by their own code: as names go, virtio-gpu-scanouts is a
        part of virtio-gpu.
        """
        wholes = {each.name for each in self._source.devices.values() if name.startswith(f"{each.name}-")}
        holder = max(wholes, key=len, default=None)
        return [type_ for type_, section in self._source.devices.items() if section.name == holder]

    def _equal(self, pairs: Sequence[tuple[Section, Section]]) -> list[bool]:
        """Whether what the source sends is what the destination reads: no subsection is read as another, either."""
        ours, theirs = [each.address for each, _ in pairs], [each.address for _, each in pairs]
        same = equal(ours, theirs, nums=self._facts["nums"])
        return [each and not is_ambiguous for each, is_ambiguous in zip(same, namesakes(ours), strict=True)]

    def _result(
        self, section: Section, match: Match | None, same: bool, within: Sequence[Section] | None
    ) -> TypeResult:
        name = section.type if section.root is None else section.name
        if same and match is not None and match.how == "type" and not within:  # most by far
            return TypeResult(name, Verdict.SAFE, section.name, (), self._layout(section, match, ()))
        telling = _Telling(self._label, name, section.name, self._facts)
        if match is None:
            telling.section("type-absent", section, None, note=self._unknown_roots())
        elif match.how == "renamed":
            telling.section("section-renamed", section, match.section)
        else:
            if match.how == "section" and section.root is None:
                telling.section("type-moved", section, match.section, there=_what(match.section))
            if not same:
                self._compare(section, match.section, telling)
        for root in within or ():
            self._compare_within(root, telling)
        findings = telling.findings
        verdict = max((finding.verdict for finding in findings), key=Verdict.severity, default=Verdict.SAFE)
        return TypeResult(name, verdict, section.name, findings, self._layout(section, match, within or ()))

    def _layout(self, section: Section, match: Match | None, within: Sequence[Section]) -> Layout:
        def parts() -> Iterator[Part]:
            for ours in (section, *within):
                met = match if ours is section else self._matcher.match(ours)
                if met is not None:
                    yield self._part(ours, met.section)

        return Layout(parts)

    def _part(self, section: Section, other: Section) -> Part:
        comparison = Comparison(section.name, self._sending, self._loading)
        return comparison.compare(section.vmsd, other.vmsd, section.version_id)

    def _unknown_roots(self) -> str:
        """What else there may be in the destination."""
        if self._destination.roots:
            return ""
        return " (unless by other means than a device class, of which a dump does not tell)"

    def _compare_within(self, root: Section, telling: _Telling) -> None:
        """State that is saved inside a device's section by other means than its class's description."""
        match = self._matcher.match(root)
        if match is not None and not self._equal([(root, match.section)])[0]:
            self._compare(root, match.section, telling)

    def _compare(self, ours: Section, theirs: Section, telling: _Telling) -> None:
        """Two sections of one name."""
        vmsd, other = ours.vmsd, theirs.vmsd
        if vmsd.unmigratable:
            telling.section("unmigratable", ours, theirs)
            return
        if ours.version_id > theirs.version_id:
            telling.section("section-version-too-new", ours, theirs)
        elif ours.version_id < theirs.minimum_version_id:
            telling.section("section-version-too-old", ours, theirs, conditional=other.old_loader)
        comparison = Comparison(telling.name, self._sending, self._loading)
        refused = not theirs.minimum_version_id <= ours.version_id <= theirs.version_id
        comparison.compare(vmsd, other, ours.version_id, refused=refused)
        for difference in comparison.differences:
            telling.difference(difference)


def _what(section: Section) -> str:
    """What has a section, in words."""
    if section.root is None:
        return f"type {section.type}"
    return f"description {section.type or section.name}, which is on no device class"


class _Telling:
    """Makes findings of one type: a rule's texts, with facts."""

    def __init__(self, direction: str, type_: str, name: str, known: dict[str, bool]) -> None:
        self._direction, self._type, self.name, self._known = direction, type_, name, known
        self.findings: list[Finding] = []

    def section(
        self, rule_id: str, ours: Section, theirs: Section | None, *, conditional: bool = False, **more: Any
    ) -> None:
        """A finding about a section as a whole."""
        text = rule(rule_id)
        facts = {
            "type": self._type, "section": ours.name, "version": ours.version_id,
            "there": theirs and theirs.name, "local": theirs and theirs.version_id,
            "minimum": theirs and theirs.minimum_version_id, **more,
        }  # fmt: skip
        verdict = Verdict.CONDITIONAL if conditional else Verdict(text.VERDICT)
        condition = text.CONDITION.format(**facts) if verdict is Verdict.CONDITIONAL and text.CONDITION else None
        self.findings.append(
            Finding(
                rule_id, verdict, self._direction, self._type, ours.name, text.MESSAGE.format(**facts),
                _section_side(ours), None if theirs is None else _section_side(theirs), condition, text.REMEDY,
            )
        )  # fmt: skip

    def difference(self, difference: Difference) -> None:
        """A finding about a part of it."""
        text = rule(difference.rule)
        facts = {"type": self._type, **difference.facts}
        conditions = list(difference.conditions)
        if difference.verdict is Verdict.CONDITIONAL and text.CONDITION and text.VERDICT == "conditional":
            condition = text.CONDITION.format(**facts)
            conditions += [condition] if condition not in conditions else []
        message = text.MESSAGE.format(**facts)
        if difference.verdict is not Verdict.SAFE and not all(self._known.values()):
            message += " " + _less_known(self._known)
        description = facts.get("description")
        path = " / ".join([self.name, *([description] if description not in (None, self.name) else []),
                           difference.path])  # fmt: skip
        self.findings.append(
            Finding(
                difference.rule, difference.verdict, self._direction, self._type, path, message,
                difference.source and Side(*difference.source),
                difference.destination and Side(*difference.destination), " and ".join(conditions) or None, text.REMEDY,
            )
        )  # fmt: skip


def _section_side(section: Section) -> Side:
    return Side(section.name, f"version {section.version_id}, minimum {section.minimum_version_id}")


def _less_known(known: dict[str, bool]) -> str:
    """What a verdict rests on, where that is less than it might be."""
    if not known["nums"]:
        return "(Judged by sizes alone: a dump tells neither types nor how many elements arrays have; a binary does.)"
    return "(Judged by sizes alone: a dump tells no types; a binary does.)"

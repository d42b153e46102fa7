"""The check: every section of one dump against what it meets in another, in one direction or both.

    result = check([Labelled("A", vmdump.open("old.json")), Labelled("B", vmdump.open("new.json"))])

Most sections are equal on both sides, which the C core finds out; the others are lowered to what travels and compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.check.compare import Comparison
from vmdump.check.match_sections import Matcher
from vmdump.check.results import CheckResult, Direction, Dump, Finding, Side, TypeResult, Verdict
from vmdump.check.rules import Rule, rule
from vmdump.check.side_by_side import Layout
from vmdump.check.stream import KNOWN_INFOS, Lowering
from vmdump.check.tree_view import Contents, Native, doubts, equal
from vmdump.check.word_size import pointer_sizes
from vmdump.errors import VmdumpError
from vmdump.qemu.error_lines import ErrorLines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vmdump.check.describe import Difference
    from vmdump.check.match_sections import Match
    from vmdump.check.tree_view import Section
    from vmdump.dump.device_dump import DeviceDump


class Labelled(NamedTuple):
    """A dump, what directions call it, and what else a configuration may call it there."""

    label: str
    dump: DeviceDump
    aliases: Sequence[str] = ()


def check(
    dumps: Sequence[Labelled],
    *,
    directions: Iterable[tuple[int, int]] | None = None,
    types: Sequence[str] = (),
) -> CheckResult:
    """Checks dumps against each other. directions: pairs of their indices (default: each pair, both ways); types: glob
    patterns of QOM types, of which one must match (default: all); names may also be as in QEMU's error lines, see
    vmdump.dump.lookup. Labels must differ: they identify the directions.

    Raises VmdumpError when a description stands for more than can be looked at.

    >>> import vmdump
    >>> pc = vmdump.open()
    >>> result = check([Labelled("A", pc), Labelled("B", pc)])
    >>> list(result.results), {each.verdict for each in result.results["A -> B"]}
    (['A -> B', 'B -> A'], {<Verdict.SAFE: 'safe'>})
    """
    shared = _Shared()
    contents = Contents() if len(dumps) > 2 else None  # of two, most descriptions are not even read
    natives = [_Dump(each.dump, contents) for each in dumps]
    if types:
        from vmdump.dump.lookup import type_patterns

        types = type_patterns([each.dump for each in dumps], types)
    if directions is None:
        directions = [(i, j) for i in range(len(dumps)) for j in range(len(dumps)) if i != j]
    results, checked = {}, {}
    for i, j in directions:
        label = f"{dumps[i].label} -> {dumps[j].label}"
        checked[label] = Direction(i, j)
        try:
            results[label] = list(_Direction(label, natives[i], natives[j], types, shared).results())
        except RecursionError:
            raise VmdumpError(f"{label}: descriptions nest deeper than can be compared; flatten them") from None
    sides = [Dump(each.label, each.dump.producer, each.dump.machine, each.aliases) for each in dumps]
    return CheckResult(sides, results, directions=checked)


class _Dump(Native):
    """A side of a check."""

    def __init__(self, dump: DeviceDump, contents: Contents | None) -> None:
        super().__init__(dump, contents)
        self._dump = dump
        #: What could not be read as it stands in the binary, by device type.
        self.defects: dict[str, str] = {}
        for defect in dump.producer.defects:
            if defect.device is not None:
                self.defects.setdefault(defect.device, defect.what)
        #: What this QEMU prints.
        self.lines = ErrorLines.of(dump)

    def is_same_code(self, other: _Dump) -> bool:
        """Whether the dumps are surely of one build: what code writes on one side, the same code reads on the other."""
        build_id = self._dump.producer.build_id
        return self._dump is other._dump or (build_id is not None and build_id == other._dump.producer.build_id)


class _Facts(NamedTuple):
    """What decides how two descriptions compare, beside themselves.

    detailed, nums: whether both dumps tell flags and infos, and how many elements arrays have; tells_nums: whether each
    of them does; same_code: they are of one build.
    """

    detailed: bool
    nums: bool
    tells_nums: tuple[bool, bool]
    same_code: bool


class _Shared:
    """Results that the directions of a check have in common: a matrix compares few descriptions many times. The keys
    have all that a result depends on: facts, lowerings, and the addresses of descriptions.
    """

    def __init__(self) -> None:
        self._lowerings: dict[tuple[bool, bool, bool, int | None], Lowering] = {}
        self.looks: dict[tuple[_Facts, int, int], _Look] = {}
        self.differences: dict[tuple[object, ...], Sequence[Difference]] = {}
        self.layouts: dict[tuple[object, ...], Layout] = {}
        self.safe: dict[tuple[object, ...], TypeResult] = {}

    def lowering(self, facts: _Facts, pointer: int | None, *, loading: bool) -> Lowering:
        """Of what is not detailed the same is read as is sent. pointer: see Lowering."""
        key = (loading and facts.detailed, facts.detailed, facts.nums, pointer)
        if key not in self._lowerings:
            self._lowerings[key] = Lowering(loading=loading, detailed=facts.detailed, nums=facts.nums, pointer=pointer)
        return self._lowerings[key]


class _Look(NamedTuple):
    """What is seen of two sections at once. same: they are equal, and what is equal loads; untold_lengths: a dump does
    not tell how many elements their arrays have.
    """

    same: bool
    untold_lengths: bool


#: Uses of a description on no device class that make QEMU's own code send it as a section.
_OWN_CODE = {"register", "legacy_vmsd"}

#: Of a section that meets none.
_NOTHING = _Look(same=False, untold_lengths=False)


class _Direction:
    """One dump against another."""

    def __init__(self, label: str, source: _Dump, destination: _Dump, types: Sequence[str], shared: _Shared) -> None:
        self._label, self._source, self._destination, self._types = label, source, destination, types
        self._shared = shared
        self._holders: dict[str, list[str]] | None = None
        detailed = source.detailed and destination.detailed
        nums = detailed or (source.nums and destination.nums)
        self._facts = _Facts(detailed, nums, (source.nums, destination.nums), source.is_same_code(destination))
        self._matcher = Matcher(source, destination, nums=nums)
        self._lower(None, None)

    def results(self) -> Iterable[TypeResult]:
        """The types of the source, then what has a section and is no device."""
        sections = [each for each in self._source.devices.values() if self._asked_for(each.type)]
        within, alone = self._roots()
        roots = [root for root in alone if self._asked_for(root.name)]
        matches = {id(each): self._matcher.match(each) for each in (*sections, *roots)}
        pairs = [(each, match.section) for each in (*sections, *roots) if (match := matches[id(each)])]
        looks = self._look(pairs)
        known = dict(zip(map(id, (each for each, _ in pairs)), looks, strict=True))
        if not self._facts.detailed:  # what is detailed says what a field is; else its size in memory does
            unlike = (pair for pair, look in zip(pairs, looks, strict=True) if not look.same)
            self._lower(*pointer_sizes((ours.vmsd, theirs.vmsd) for ours, theirs in unlike))
        for section in sections:
            look = known.get(id(section), _NOTHING)
            yield self._result(section, matches[id(section)], look, within.get(section.type))
        names: dict[str, int] = dict.fromkeys(self._source.devices, 1)
        for root in roots:
            result = self._result(root, matches[id(root)], known.get(id(root), _NOTHING), None)
            count = names[root.name] = names.get(root.name, 0) + 1
            if count > 1:
                name = f"{root.name} ({root.type or count})"
                result = result._replace(
                    type=name, findings=[finding._replace(type=name) for finding in result.findings]
                )
            yield result._replace(covers=self._source.types(root))

    def _lower(self, ours: int | None, theirs: int | None) -> None:
        """Takes lowerings of both sides, for sizes of pointers that differ; None: they do not."""
        self._sending = self._shared.lowering(self._facts, ours, loading=False)
        self._loading = self._shared.lowering(self._facts, theirs, loading=True)

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
        if self._holders is None:
            self._holders = {}
            for type_, section in self._source.devices.items():
                self._holders.setdefault(section.name, []).append(type_)
        while "-" in name:
            name = name.rpartition("-")[0]
            if name in self._holders:
                return self._holders[name]
        return []

    def _look(self, pairs: Sequence[tuple[Section, Section]]) -> list[_Look]:
        """What is seen of sections without comparing them field by field."""
        known = self._shared.looks
        keys = [(self._facts, ours.address, theirs.address) for ours, theirs in pairs]
        new = [key for key in dict.fromkeys(keys) if key not in known]
        known.update(zip(new, self._look_at([key[1] for key in new], [key[2] for key in new]), strict=True))
        return [known[key] for key in keys]

    def _look_at(self, ours: Sequence[int], theirs: Sequence[int]) -> Iterator[_Look]:
        """What is seen of descriptions at addresses."""
        facts = self._facts
        same = equal(ours, theirs, nums=facts.nums, hooks=facts.detailed)
        mine, yours = (
            doubts(side, KNOWN_INFOS, detailed=facts.detailed, nums=nums)
            for side, nums in zip((ours, theirs), facts.tells_nums, strict=True)
        )
        told = [side for side, nums in zip((mine, yours), facts.tells_nums, strict=True) if nums]
        arrays = zip(*([each.array for each in side] for side in told or (mine, yours)), strict=True)
        for is_same, doubt, array in zip(same, mine, arrays, strict=True):
            yield _Look(is_same and not doubt.doubtful, not facts.nums and not facts.same_code and any(array))

    def _result(
        self, section: Section, match: Match | None, look: _Look, within: Sequence[Section] | None
    ) -> TypeResult:
        name = section.type if section.root is None else section.name
        broken = self._defect(section, match) if match is not None else None
        same = look.same
        if (
            same and not look.untold_lengths and not broken and match is not None and match.how == "type" and not within
        ):  # most by far
            layout = self._layout(section, match, ())
            key = (name, section.name, id(layout))  # the layout lives as long as what is shared
            safe = self._shared.safe.get(key)
            if safe is None:
                safe = self._shared.safe[key] = TypeResult(name, Verdict.SAFE, section.name, (), layout)
            return safe
        telling = _Telling(self._label, name, section.name, self._facts, self._source.lines, self._destination.lines)
        if match is None and not _OWN_CODE.isdisjoint(self._source.uses(section)):
            self._missing(section, telling)
        elif match is None:
            telling.section("type-absent", section, None, note=self._unknown_roots())
        elif match.how == "renamed":
            telling.section("section-renamed", section, match.section)
        else:
            if match.how == "section" and section.root is None:
                telling.section("type-moved", section, match.section, there=_what(match.section))
            if not same:
                self._compare(section, match.section, telling)
            if broken:
                telling.section("structure-not-read", section, match.section, what=broken)
            if look.untold_lengths:
                telling.section("lengths-not-told", section, match.section, who=self._who_tells_no_lengths())
        for root in within or ():
            self._compare_within(root, telling)
        findings = telling.findings
        verdict = max((finding.verdict for finding in findings), key=Verdict.severity, default=Verdict.SAFE)
        return TypeResult(name, verdict, section.name, findings, self._layout(section, match, within or ()))

    def _layout(self, section: Section, match: Match | None, within: Sequence[Section]) -> Layout:
        pairs = [(section, match.section)] if match is not None else []
        pairs += [(ours, met.section) for ours in within if (met := self._matcher.match(ours)) is not None]
        places = [(ours.name, ours.version_id, ours.address, theirs.address) for ours, theirs in pairs]
        key = (self._sending, self._loading, *places)
        layout = self._shared.layouts.get(key)
        if layout is None:
            parts = [(ours.name, ours.vmsd, theirs.vmsd, ours.version_id) for ours, theirs in pairs]
            layout = self._shared.layouts[key] = Layout(parts, self._sending, self._loading)
        return layout

    def _unknown_roots(self) -> str:
        """What else there may be in the destination."""
        if self._destination.roots:
            return ""
        return " (unless by other means than a device class, of which a dump does not tell)"

    def _defect(self, section: Section, match: Match) -> str | None:
        """What was wrong in a binary's description of a type, on either side."""
        if section.root is None and (what := self._source.defects.get(section.type)):
            return f"{what} (in the source)"
        if match.section.root is None and (what := self._destination.defects.get(match.section.type)):
            return f"{what} (in the destination)"
        return None

    def _who_tells_no_lengths(self) -> str:
        """The labels of the dumps that tell no numbers of elements."""
        labels = self._label.split(" -> ")
        sides = (self._source, self._destination)
        return " and ".join(label for label, dump in zip(labels, sides, strict=False) if not dump.nums)

    def _missing(self, root: Section, telling: _Telling) -> None:
        """A description on no device class that the destination has nothing for: no user leaves it out of a VM, as they
        would a device; QEMU's own code sends it.
        """
        uses = self._source.uses(root)
        if root.vmsd.needed:
            telling.section("section-missing", root, None, conditional=True, how="its needed says so")
        elif "legacy_vmsd" in uses:
            telling.section("section-missing", root, None, how="every CPU whose class refers to it sends it")
        else:
            telling.section("section-missing", root, None, conditional=True, how="the board or a device registers it")

    def _compare_within(self, root: Section, telling: _Telling) -> None:
        """State that is saved inside a device's section by other means than its class's description."""
        match = self._matcher.match(root)
        if match is not None and not self._look([(root, match.section)])[0].same:
            self._compare(root, match.section, telling)

    def _compare(self, ours: Section, theirs: Section, telling: _Telling) -> None:
        """Two sections of one name."""
        vmsd, other = ours.vmsd, theirs.vmsd
        if vmsd.unmigratable or other.unmigratable:
            # What a dump does not tell is taken for the same: it is one device.
            both = (vmsd.unmigratable and other.unmigratable) or not self._facts.detailed
            one = "unmigratable" if vmsd.unmigratable else "unmigratable-destination"
            telling.section("unmigratable-on-both-sides" if both else one, ours, theirs)
            return
        if ours.version_id > theirs.version_id:
            telling.section("section-version-too-new", ours, theirs)
        elif ours.version_id < theirs.minimum_version_id:
            telling.section("section-version-too-old", ours, theirs, conditional=other.old_loader)
        refused = not theirs.minimum_version_id <= ours.version_id <= theirs.version_id
        how = (self._sending, self._loading, self._facts.same_code)
        key = (*how, telling.name, vmsd.address, other.address, ours.version_id, refused)
        differences = self._shared.differences.get(key)
        if differences is None:
            comparison = Comparison(telling.name, self._sending, self._loading, same_code=self._facts.same_code)
            comparison.compare(vmsd, other, ours.version_id, refused=refused)
            differences = self._shared.differences[key] = comparison.differences
        for difference in differences:
            telling.difference(difference)


def _what(section: Section) -> str:
    """What has a section, in words."""
    if section.root is None:
        return f"type {section.type}"
    return f"description {section.type or section.name}, which is on no device class"


class _Telling:
    """Makes findings of one type: a rule's texts, with facts."""

    def __init__(
        self,
        direction: str,
        type_: str,
        name: str,
        facts: _Facts,
        source_lines: ErrorLines,
        destination_lines: ErrorLines,
    ) -> None:
        self._direction, self._type, self.name, self._facts = direction, type_, name, facts
        self._source_lines, self._lines = source_lines, destination_lines
        self.findings: list[Finding] = []

    def _lines_of(self, text: Rule) -> ErrorLines:
        """The error lines of the side that prints them."""
        return self._lines if text.PRINTED_BY == "destination" else self._source_lines

    def section(
        self, rule_id: str, ours: Section, theirs: Section | None, *, conditional: bool = False, **more: Any
    ) -> None:
        """A finding about a section as a whole."""
        text = rule(rule_id)
        facts = {
            "type": self._type, "section": ours.name, "instance": 0, "version": ours.version_id,
            "there": theirs and theirs.name, "local": theirs and theirs.version_id,
            "minimum": theirs and theirs.minimum_version_id, **more,
        }  # fmt: skip
        verdict = Verdict.CONDITIONAL if conditional else Verdict(text.VERDICT)
        lines = self._lines_of(text)
        condition = text.CONDITION.format(**facts) if verdict is Verdict.CONDITIONAL and text.CONDITION else None
        self.findings.append(
            Finding(
                rule_id, verdict, self._direction, self._type, ours.name, text.MESSAGE.format(**facts),
                _section_side(ours), None if theirs is None else _section_side(theirs), condition, text.REMEDY,
                text.error(facts, lines),
            )
        )  # fmt: skip

    def difference(self, difference: Difference) -> None:
        """A finding about a part of it. Of other directions that compared the same, only the direction is another."""
        text = rule(difference.rule)
        lines = self._lines_of(text)
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
            self._facts.detailed and self._facts.nums
        ):
            note = _less_known(self._facts)
        description = facts.get("description")
        path = " / ".join([self.name, *([description] if description not in (None, self.name) else []),
                           difference.path])  # fmt: skip
        return Finding(
            difference.rule, difference.verdict, self._direction, self._type, path, text.MESSAGE.format(**facts),
            difference.source and Side(*difference.source),
            difference.destination and Side(*difference.destination), " and ".join(conditions) or None,
            text.remedy(nested=bool(facts.get("nested"))), text.error(facts, lines), note,
        )  # fmt: skip


def _section_side(section: Section) -> Side:
    return Side(section.name, f"version {section.version_id}, minimum {section.minimum_version_id}")


def _less_known(known: _Facts) -> str:
    """What a verdict rests on, where that is less than it might be."""
    lacking = "types" if known.nums else "types and array lengths"
    return f"judged by sizes alone: a dump lacks {lacking}; a binary has them"

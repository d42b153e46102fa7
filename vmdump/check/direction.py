"""Checks the sections of a source dump against those of a destination.

The C core finds sections that are equal on both sides, which most are; the others are compared item by item.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.checked_dump import CheckedDump
from vmdump.check.compare import Comparison
from vmdump.check.findings import Findings
from vmdump.check.match_sections import Match, Matcher
from vmdump.check.results import TypeResult, Verdict
from vmdump.check.shared import Equality, Metadata, Shared
from vmdump.check.side_by_side import Layout
from vmdump.check.stream import KNOWN_INFOS, Lowering
from vmdump.check.templates import OTHER_SECTION, SECTION, Template, TemplateSection
from vmdump.check.tree_view import doubts, equal
from vmdump.check.word_size import pointer_sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vmdump.check.evaluated.answers import Answers
    from vmdump.check.tree_view import Section
    from vmdump.qemu.error_lines import ErrorLines

    #: What is known from VMs of one side; a str says why there are no answers.
    Known = Answers | str | None


#: Uses of a standalone VMSD for which QEMU's own code sends it as a section.
_OWN_CODE = {"register", "legacy_vmsd"}

#: All values, so that many sections share them.
_EQUALITIES = {(same, unknown): Equality(same, unknown) for same in (False, True) for unknown in (False, True)}

#: Of a section without a counterpart.
_NO_COUNTERPART = _EQUALITIES[False, False]


class Place(NamedTuple):
    """A section of the source.

    Attributes:
        section: the source's section.
        match: its counterpart.
        equality: whether they are equal.
        within: standalone VMSDs that are saved inside the section.
    """

    section: Section
    match: Match | None
    equality: Equality
    within: Sequence[Section]


class DirectionCheck:
    """Checks a source against a destination."""

    _sending: Lowering
    _loading: Lowering

    def __init__(
        self, label: str, source: CheckedDump, destination: CheckedDump, types: Sequence[str], shared: Shared
    ) -> None:
        self.label, self._source, self._destination, self._types = label, source, destination, types
        self._shared = shared
        self._holders: dict[str, list[str]] | None = None
        detailed = source.detailed and destination.detailed
        nums = detailed or (source.nums and destination.nums)
        self._known = Metadata(detailed, nums, (source.nums, destination.nums), source.is_same_code(destination))
        self._matcher = Matcher(source, destination, nums=nums)
        self._templates: dict[tuple[object, ...], Template] = {}
        #: The sections of the results, in their order; available once.
        self.places: Iterable[Place] = ()
        self._lower(None, None)

    def results(self) -> Iterable[TypeResult]:
        """Yield the results of the source's device types, then of its standalone VMSDs."""
        sections = [each for each in self._source.devices.values() if self._is_selected(each.type)]
        within, alone = self._roots()
        roots = [root for root in alone if self._is_selected(root.name)]
        selected = (*sections, *roots)
        matches = [self._matcher.match(each) for each in selected]
        pairs = [(each, match.section) for each, match in zip(selected, matches, strict=True) if match is not None]
        found = self._compare_sections(pairs)
        if not self._known.detailed:  # else fields have VMStateInfos, and sizes in memory do not matter
            nesting = (
                (source, destination)
                for (source, destination), equality in zip(pairs, found, strict=True)
                if not equality.same and not source.shape
            )
            self._lower(*pointer_sizes(nesting, self._shared.structs))
        following = iter(found)
        equalities = [_NO_COUNTERPART if match is None else next(following) for match in matches]
        self.places = (
            Place(section, match, equality, within.get(section.type, ()) if section.root is None else ())
            for section, match, equality in zip(selected, matches, equalities, strict=True)
        )
        results = zip(selected, matches, equalities, strict=True)
        for section, match, equality in islice(results, len(sections)):
            yield self._result(section, match, equality, within.get(section.type))
        names: dict[str, int] = dict.fromkeys(self._source.devices, 1)
        for root, match, equality in results:
            result = self._result(root, match, equality, None)
            count = names[root.name] = names.get(root.name, 0) + 1
            if count > 1:
                name = f"{root.name} ({root.type or count})"
                result = result._replace(
                    type=name, findings=[finding._replace(type=name) for finding in result.findings]
                )
            yield result._replace(covers=self._source.types(root))

    def compare_with(self, place: Place, source: Known = None, destination: Known = None) -> tuple[Findings, Layout]:
        """Compare a section that has a counterpart, with what is known from VMs of both sides."""
        section, match, equality, within = place
        assert match is not None
        plain = self._sending, self._loading
        sides = zip((source, destination), self._pointers, (False, self._known.detailed), strict=True)
        self._sending, self._loading = (
            Lowering(
                loading=loading, detailed=self._known.detailed, nums=self._known.nums, pointer=pointer,
                answers=None if isinstance(known, str) else known,
            )
            for known, pointer, loading in sides
        )  # fmt: skip
        try:
            findings = self._find(section, match, equality, within, self._defect(section, match), (source, destination))
            return findings, self._layout(section, match, within)
        finally:
            self._sending, self._loading = plain

    def no_findings(self, type_: str, section: str, known: tuple[Known, Known] = (None, None)) -> Findings:
        """Return an empty collection of findings of a type."""
        lines = self._source.lines, self._destination.lines
        return Findings(self.label, type_, section, self._known, *lines, known)

    @property
    def destination_lines(self) -> ErrorLines:
        """The error lines of the destination."""
        return self._destination.lines

    def _lower(self, source: int | None, destination: int | None) -> None:
        """Select the lowerings of both sides. Args: sizes of pointers, if they differ; else None."""
        self._pointers = source, destination
        self._sending = self._shared.lowering(self._known, source, loading=False)
        self._loading = self._shared.lowering(self._known, destination, loading=True)

    def _is_selected(self, name: str) -> bool:
        if not self._types:
            return True
        from fnmatch import fnmatchcase

        return any(fnmatchcase(name, pattern) for pattern in self._types)

    def _roots(self) -> tuple[dict[str, list[Section]], list[Section]]:
        """Divide the standalone VMSDs into those inside a device's section, by type, and those with their own section.

        If the destination reports none, only those count that a device there has taken over.
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
        """The types whose code saves a VMSD, going by its name: virtio-gpu saves virtio-gpu-scanouts."""
        if self._holders is None:
            self._holders = {}
            for type_, section in self._source.devices.items():
                self._holders.setdefault(section.name, []).append(type_)
        while "-" in name:
            name = name.rpartition("-")[0]
            if name in self._holders:
                return self._holders[name]
        return []

    def _compare_sections(self, pairs: Sequence[tuple[Section, Section]]) -> list[Equality]:
        """Compare pairs of sections as a whole, not field by field."""
        known = self._shared.equalities.setdefault(self._known, {})
        keys = [(source.address, destination.address) for source, destination in pairs]
        new = [key for key in dict.fromkeys(keys) if key not in known]
        found = self._compare_descriptions([key[0] for key in new], [key[1] for key in new])
        known.update(zip(new, found, strict=True))
        return [known[key] for key in keys]

    def _compare_descriptions(self, source: Sequence[int], destination: Sequence[int]) -> Iterator[Equality]:
        """Compare pairs of descriptions, given by their addresses."""
        known = self._known
        same = equal(source, destination, nums=known.nums, hooks=known.detailed)
        doubts_of = [
            doubts(side, KNOWN_INFOS, detailed=known.detailed, nums=nums)
            for side, nums in zip((source, destination), known.side_nums, strict=True)
        ]
        exact = [side for side, nums in zip(doubts_of, known.side_nums, strict=True) if nums]
        arrays = zip(*([each.array for each in side] for side in exact or doubts_of), strict=True)
        may_be_unknown = not known.nums and not known.same_code
        for is_same, doubt, array in zip(same, doubts_of[0], arrays, strict=True):
            yield _EQUALITIES[is_same and not doubt.doubtful, may_be_unknown and any(array)]

    def _result(
        self, section: Section, match: Match | None, equality: Equality, within: Sequence[Section] | None
    ) -> TypeResult:
        has_defects = self._source.defects or self._destination.defects
        broken = self._defect(section, match) if match is not None and has_defects else None
        if within or broken or section.root is not None:
            return self._compared(section, match, equality, within or (), broken)
        if equality.same and not equality.unknown_lengths and match is not None and match.kind == "type":  # most by far
            return self._safe(section, match)
        key = self._template_key(section, match, equality)
        if key is None:
            return self._compared(section, match, equality, (), None)
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = self._template(section, match, equality)
        if match is None or (not equality.same and match.kind == "type"):
            layout = template.layout
        else:
            layout = self._layout(section, match, ())
        return template.fill(section.type, section.name, match.section.name if match else "", layout)

    def _safe(self, section: Section, match: Match) -> TypeResult:
        place = section.name, section.version_id, section.address, match.section.address
        key = (self._sending, self._loading, section.type, *place)
        safe = self._shared.safe.get(key)
        if safe is None:
            layout = self._layout(section, match, ())
            safe = self._shared.safe[key] = TypeResult(section.type, Verdict.SAFE, section.name, (), layout)
        return safe

    def _template_key(self, section: Section, match: Match | None, equality: Equality) -> tuple[object, ...] | None:
        """All that the findings of a device's section depend on but names; None: they depend on more."""
        if match is not None and match.kind == "type" and not equality.same:
            shapes = section.shape, match.section.shape
            return (equality, *shapes) if all(shapes) else None
        versions: tuple[int, ...] = section.version_id, section.minimum_version_id
        if match is None:
            return versions
        if match.kind == "section":
            return None
        return match.kind, equality, *versions, match.section.version_id, match.section.minimum_version_id

    def _template(self, section: Section, match: Match | None, equality: Equality) -> Template:
        """Compare a section as one with placeholders for names."""
        shapes = self._shared.shapes
        is_read = match is not None and match.kind == "type" and not equality.same
        source = TemplateSection(self._source, section, SECTION, shapes.description(section) if is_read else None)
        if match is None:
            return Template(self._compared(source, None, equality, (), None), self._shared.filled)
        other, name = match.section, OTHER_SECTION if match.kind == "renamed" else SECTION
        vmsd = shapes.description(other) if is_read else None
        match = Match(TemplateSection(self._destination, other, name, vmsd), match.kind)
        return Template(self._compared(source, match, equality, (), None), self._shared.filled)

    def _compared(
        self, section: Section, match: Match | None, equality: Equality, within: Sequence[Section], broken: str | None
    ) -> TypeResult:
        """Compare a section item by item.

        Args:
            section: the source's section.
            match: its counterpart.
            equality: whether they are equal.
            within: standalone VMSDs that are saved inside the section.
            broken: what is damaged in the binary.
        """
        findings = self._find(section, match, equality, within, broken)
        name, found = findings.type, findings.findings
        verdict = Verdict.worst(finding.verdict for finding in found)
        return TypeResult(name, verdict, section.name, found, self._layout(section, match, within))

    def _find(
        self,
        section: Section,
        match: Match | None,
        equality: Equality,
        within: Sequence[Section],
        broken: str | None,
        known: tuple[Known, Known] = (None, None),
    ) -> Findings:
        """Return the findings of a section; known: see compare_with, the rest: see _compared."""
        findings = self.no_findings(section.type if section.root is None else section.name, section.name, known)
        if match is None and not _OWN_CODE.isdisjoint(self._source.uses(section)):
            self._missing(section, findings)
        elif match is None:
            findings.report("type-absent", section, None, note=self._unknown_roots())
        elif match.kind == "renamed":
            findings.report("section-renamed", section, match.section)
        else:
            if match.kind == "section" and section.root is None:
                findings.report("type-moved", section, match.section, there=_what(match.section))
            if not equality.same:
                self._compare(section, match.section, findings)
            if broken:
                findings.report("description-incomplete", section, match.section, what=broken)
            if equality.unknown_lengths:
                findings.report("array-length-unknown", section, match.section, dumps=self._without_lengths())
        for root in within:
            self._compare_within(root, findings)
        return findings

    def _layout(self, section: Section, match: Match | None, within: Sequence[Section]) -> Layout:
        pairs = [(section, match.section)] if match is not None else []
        pairs += [(source, met.section) for source in within if (met := self._matcher.match(source)) is not None]
        places = [(source.name, source.version_id, source.address, other.address) for source, other in pairs]
        key = (self._sending, self._loading, *places)
        layout = self._shared.layouts.get(key)
        if layout is None:
            layout = self._shared.layouts[key] = Layout(pairs, self._sending, self._loading)
        return layout

    def _unknown_roots(self) -> str:
        """A note on standalone VMSDs, which dumps in QEMU's form lack."""
        if self._destination.roots:
            return ""
        return " (a dump lists device classes only; a standalone VMSD may have that name)"

    def _defect(self, section: Section, match: Match) -> str | None:
        """What is damaged in either binary's description of a type."""
        if section.root is None and (what := self._source.defects.get(section.type)):
            return f"{what} (in the source)"
        if match.section.root is None and (what := self._destination.defects.get(match.section.type)):
            return f"{what} (in the destination)"
        return None

    def _without_lengths(self) -> str:
        """The labels of the dumps that do not report lengths of arrays."""
        labels = self.label.split(" -> ")
        sides = (self._source, self._destination)
        return " and ".join(label for label, dump in zip(labels, sides, strict=False) if not dump.nums)

    def _missing(self, root: Section, findings: Findings) -> None:
        """Report a standalone VMSD without a counterpart.

        QEMU's own code sends it; a user can not leave it out of the VM as a device.
        """
        uses = self._source.uses(root)
        if root.vmsd.needed:
            findings.report("section-missing", root, None, weakened=True, how="its needed() returns true")
        elif "legacy_vmsd" in uses:
            findings.report("section-missing", root, None, how="every CPU whose class refers to it sends it")
        else:
            findings.report("section-missing", root, None, weakened=True, how="the board or a device registers it")

    def _compare_within(self, root: Section, findings: Findings) -> None:
        """Compare a standalone VMSD that code saves inside a device's section."""
        match = self._matcher.match(root)
        if match is not None and not self._compare_sections([(root, match.section)])[0].same:
            self._compare(root, match.section, findings)

    def _compare(self, source: Section, destination: Section, findings: Findings) -> None:
        """Compare two sections of one name."""
        vmsd, other = source.vmsd, destination.vmsd
        if vmsd.unmigratable or other.unmigratable:
            # QEMU's own dumps do not report unmigratable; it is one device, so both sides are assumed to be equal.
            both = (vmsd.unmigratable and other.unmigratable) or not self._known.detailed
            one = "unmigratable" if vmsd.unmigratable else "unmigratable-destination"
            findings.report("unmigratable-on-both-sides" if both else one, source, destination)
            return
        if source.version_id > destination.version_id:
            findings.report("section-version-too-new", source, destination)
        elif source.version_id < destination.minimum_version_id:
            findings.report("section-version-too-old", source, destination, weakened=other.old_loader)
        refused = not destination.minimum_version_id <= source.version_id <= destination.version_id
        how = (self._sending, self._loading, self._known.same_code)
        key = (*how, findings.section, vmsd.address, other.address, source.version_id, refused)
        differences = self._shared.differences.get(key)
        if differences is None:
            comparison = Comparison(findings.section, self._sending, self._loading, same_code=self._known.same_code)
            comparison.compare(vmsd, other, source.version_id, refused=refused)
            differences = self._shared.differences[key] = comparison.differences
        for difference in differences:
            findings.add(difference)


def _what(section: Section) -> str:
    """What a section belongs to."""
    if section.root is None:
        return f"type {section.type}"
    return f"the standalone VMSD {section.type or section.name}"

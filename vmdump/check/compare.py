"""Compare what the source sends of a section with what the destination reads of it.

After a difference the comparison goes on at the next anchor (see align.py). The sum of the differences in size of a
description tells a load that fails from one that succeeds with wrong values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.align import (
    are_interchangeable,
    differing_tests,
    is_balanced,
    is_displaced,
    is_same_size_in_all,
    may_agree,
    may_be_words,
    pair_up,
    regions,
    reorders_bytes,
    side_by_side,
    swapped,
    total_size,
)
from vmdump.check.describe import Reporter, deciding_keys, needed_by, when_sent
from vmdump.check.nested_version import newer_version, version_of
from vmdump.check.results import Verdict
from vmdump.check.stream import COMPARING, FIXED, LISTS, OPAQUE, RUN_TIME, UNKNOWN, Item
from vmdump.check.tree_view import ALLOC, ARRAY_OF_POINTER, MUST_EXIST, NOT_TOLD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.check.align import Pair
    from vmdump.check.describe import Difference
    from vmdump.check.stream import Lowering, Stream, Subsection
    from vmdump.check.tree_view import Description


class Part:
    """The comparison of two descriptions or subsections: pairs of items in stream order, and the parts within them: of
    arrays of structs by the item's index in pairs, and of subsections.
    """

    __slots__ = ("elements", "pairs", "subsections")

    def __init__(self) -> None:
        """Start empty."""
        self.pairs: list[Pair] = []
        self.elements: dict[int, Part] = {}
        self.subsections: list[tuple[Subsection | None, Subsection | None, Part | None]] = []


class Comparison(Reporter):
    """Compares one section. `differences` are in stream order."""

    def __init__(self, section: str, sending: Lowering, loading: Lowering, *, same_code: bool = False) -> None:
        """Args:
        section: the name in the section header.
        same_code: both dumps are of one build, so fields that code sends and loads are equal.
        """
        super().__init__(section)
        self._sending, self._loading = sending, loading
        self._same_code = same_code
        #: What was reported and is not to be reported again: hooks, versions and tests of structs.
        self._reported: set[tuple[str | None, str | int]] = set()
        self._refused = False
        #: The descriptions that the compared subsection is in.
        self._enclosing: list[Description] = []

    def compare(self, source: Description, destination: Description, version: int, *, refused: bool = False) -> Part:
        """Compare what the source sends of its description with what the destination reads of its own.

        Args:
            source: the source's description, sent in its own version.
            destination: the destination's description.
            version: the version in the section header.
            refused: the destination refuses this version, so no value can be misloaded.
        """
        self._refused = refused
        return self._part(self._sending.lower(source, source.version_id), self._loading.lower(destination, version))

    def _part(self, sent: Stream, read: Stream) -> Part:
        part, first = Part(), len(self.differences)
        for anchor, removed, added in regions(sent.items, read.items):
            if anchor is not None:
                self._anchor(part, *anchor)
            else:
                self._region(part, removed, added, sent, read)
        self._checks(sent, read)
        self._hooks(sent, read)
        self._report_misloads(self.differences[first:], part)
        self._subsections(part, sent, read)
        return part

    # Pairs and regions ----------------------------------------------------------------------------------------------

    def _anchor(self, part: Part, source: Item, destination: Item) -> None:
        """Add two items of one name and size."""
        self._pair(part, source, destination, "same" if source.name == destination.name else "renamed")

    def _pair(self, part: Part, source: Item, destination: Item, change: str) -> None:
        """Add two items of the same size, and compare their elements, tests and encodings."""
        index = len(part.pairs)
        part.pairs.append((source, destination, change))
        if source.body is not None and destination.body is not None:
            first = len(self.differences)
            outside, self._within_element = self._within_element, True
            part.elements[index] = self._part(source.body, destination.body)
            self._within_element = outside
            self._multiply_elements(self.differences[first:], source, destination)
        if (source.guard is None) != (destination.guard is None):
            self._test(source, destination)
        if destination.info in COMPARING and source.info not in COMPARING and source.info is not None:
            self.report("value-compared", source, destination, case="equal")
        if source.info == destination.info or source.unused or destination.unused:
            if source.kind is OPAQUE and not self._refused:
                self._nested_version(source, destination)
            self._not_compared(source, destination)
            return
        if reorders_bytes(source, destination):
            part.pairs[index] = (source, destination, "changed")
            self.report("encoding-misload", source, destination)
        elif OPAQUE in (source.kind, destination.kind) and source.info != destination.info:
            part.pairs[index] = (source, destination, "changed")
            self.report("encoding-unknown", source, destination)

    def _not_compared(self, source: Item, destination: Item) -> None:
        """Report two items whose bytes no dump describes."""
        if self._same_code:
            return
        if source.kind is OPAQUE is destination.kind:
            self.report("code-not-compared", source, destination)
        elif may_be_words(source, destination) and source.unit != destination.unit:
            sizes = {"size": source.unit, "other_size": destination.unit}
            self.report("word-size-differs", source, destination, **sizes)
        elif (
            (source.kind is UNKNOWN is destination.kind)
            and not source.unit
            and not destination.unit
            and not source.unused
        ):
            self.report("field-size-unknown", source, destination)

    def _nested_version(self, source: Item, destination: Item) -> None:
        """Report a field that code sends, in a nested struct whose version the destination would refuse in a section.

        Versions of nested structs are not in the stream; refused sections and subsections are not compared.
        """
        vmsd, version = destination.description, source.description.version_id
        key = ("version", vmsd.name)
        if not vmsd.minimum_version_id <= version <= vmsd.version_id and key not in self._reported:
            self._reported.add(key)
            facts = {"version": version, "local": vmsd.version_id, "minimum": vmsd.minimum_version_id}
            self.report("nested-version-ignored", source, destination, **facts)

    def _multiply_elements(self, differences: Sequence[Difference], source: Item, destination: Item) -> None:
        """Count the differences of an element for all of them; they matter only if there is one."""
        conditions = []
        if (source.count is None and not self._is_configured(source)) or source.field.flags & ARRAY_OF_POINTER:
            conditions.append(f"{source.path} has elements")
        if source.test:
            conditions.append(f"the test of {source.path} passes")
        keys = [("source", key) for key in deciding_keys(source)] if conditions else []
        for difference in differences:
            difference.path = f"{destination.path}[].{difference.path}"
            difference.surplus *= source.count or 0
            difference.weaken(*conditions)
            difference.deciding += keys

    def _is_configured(self, item: Item) -> bool:
        """Whether the array's length is in a member that is not sent: it comes from the device's configuration.

        Such a member has the same value on both sides, and is 0 only if the device is absent.
        """
        at = item.field.num_offset
        fields = [field for vmsd in (item.description, *self._enclosing) for field in vmsd.fields]
        fields = [field for field in fields if not field.flags & MUST_EXIST and field.info != "unused_buffer"]
        if item.field.flags & ALLOC or NOT_TOLD in (at, *(field.offset for field in fields)):
            return False
        return not any(
            field.offset <= at < field.offset + max(field.size, 1) and field.info not in COMPARING for field in fields
        )

    def _test(self, source: Item, destination: Item) -> None:
        """Report a run-time test that only one side has; a struct's test, which guards all its fields, once."""
        guard = (source.guard or destination.guard, source.test)
        if guard not in self._reported and (
            max(source.size, destination.size) or FIXED not in (source.kind, destination.kind)
        ):
            self._reported.add(guard)
            self.report("test-dropped" if source.test else "test-added", source, destination, guard=guard[0])

    def _region(self, part: Part, removed: list[Item], added: list[Item], sent: Stream, read: Stream) -> None:
        """Compare the items between two anchors."""
        balanced = is_balanced(removed, added)
        first = len(self.differences)
        unequal: tuple[list[Item], list[Item]] = ([], [])
        for left, right, paired in pair_up(removed, added):
            if paired and are_interchangeable(left[0], right[0]):
                self._renamed(part, left[0], right[0])
                continue
            unequal[0].extend(left)
            unequal[1].extend(right)
            if paired:
                part.pairs.append((left[0], right[0], "changed"))
                self._resized(left[0], right[0])
            else:
                self._rest(part, left, right, sent, read, balanced=balanced)
        if all(unequal) and None in map(total_size, unequal) and may_agree(*unequal):
            for difference in self.differences[first:]:
                if difference.verdict is Verdict.BREAKS:
                    difference.weaken("run-time lengths of the adjacent fields do not compensate for it")

    def _renamed(self, part: Part, source: Item, destination: Item) -> None:
        """Add two items of the same size, which may have different names."""
        if source.name == destination.name and source.unused == destination.unused:
            self._pair(part, source, destination, "same")
            return
        self._pair(part, source, destination, "renamed")
        if not source.unused and not destination.unused:
            self.report("field-renamed", source, destination)
        elif source.unused != destination.unused:
            self.report("field-retired" if destination.unused else "field-revived", source, destination)

    def _rest(
        self, part: Part, removed: list[Item], added: list[Item], sent: Stream, read: Stream, *, balanced: bool
    ) -> None:
        """Add items without counterparts: the same bytes split or merged, or removed and added ones."""
        if (balanced or is_same_size_in_all(removed, added)) and not is_displaced(removed, added):
            part.pairs += side_by_side(removed, added, "regrouped")
            if removed and added:
                # Without array lengths, unequal sums may still be the same bytes; nothing proves it.
                is_equal = balanced or sum(item.size for item in removed) == sum(item.size for item in added)
                rule = "fields-regrouped" if is_equal else "regrouping-not-compared"
                self.report(rule, removed[0], added[0], n=len(removed), m=len(added))
            return
        for item in removed:
            part.pairs.append((item, None, "removed"))
            self._unpaired("removed", item, None, sent, read)
        for item in added:
            part.pairs.append((None, item, "added"))
            self._unpaired("added", None, item, read, sent)

    def _resized(self, source: Item, destination: Item) -> None:
        """Report two items of one name and different sizes."""
        kinds = {source.kind, destination.kind}
        if kinds == {FIXED} or (kinds <= {FIXED, UNKNOWN} and source.body is None is destination.body):
            array = source.unit == destination.unit and source.count != destination.count
            difference = self.report("array-length-changed" if array else "field-size-changed", source, destination)
            difference.surplus = source.size - destination.size
            if source.test or destination.test:
                difference.weaken(f"the test of {source.path} passes")
        elif OPAQUE in kinds:
            self.report("encoding-unknown", source, destination)
        elif source.count is not None and destination.count is not None and source.count != destination.count:
            self.report("array-length-changed", source, destination)
        else:
            self.report("run-time-length", source, destination)

    def _unpaired(self, change: str, source: Item | None, destination: Item | None, own: Stream, other: Stream) -> None:
        """Report an item of one side's stream without a counterpart in the other's."""
        item = source or destination
        assert item is not None
        if item.kind is FIXED and not item.size:
            return
        carried = None
        if source is not None and item.test and not self._enclosing and not self._within_element:
            carried = newer_version(item, own, other)
        if carried is not None:
            difference = self.report("field-of-newer-version", source, destination, **carried)
            difference.surplus = item.size
            return
        if item.test:
            guard = (item.guard, source is not None)
            if guard not in self._reported:
                self._reported.add(guard)
                self.report(f"field-{change}-with-test", source, destination, field=item.guard)
            return
        if (item.kind is RUN_TIME and not _is_never_empty(item)) or (item.kind is UNKNOWN and not item.unit):
            self.report("run-time-length", source, destination)
            return
        if item.kind in (RUN_TIME, OPAQUE):
            self.report(f"field-{change}", source, destination)
            return
        rule_id, facts = f"field-{change}", {}
        for field, vmsd, _ in other.skipped:
            if field.name == item.name and field.version_id > vmsd.version_id:
                rule_id, facts = "field-never-sent", {"gate": field.version_id, "version": vmsd.version_id}
        if change == "added" and self.is_nested(item) and rule_id == "field-added":
            version = version_of(item.description.name, other)
            if version is not None and version < item.field.version_id:
                rule_id, facts = "nested-version-guards-nothing", {"gate": item.field.version_id, "version": version}
        difference = self.report(rule_id, source, destination, **facts)
        difference.surplus = item.size if source is not None else -item.size

    # Misloads and assertions -------------------------------------------------------------------------------------

    def _report_misloads(self, differences: list[Difference], part: Part) -> None:
        """Report wrong values that cause no error: sizes add up, or do so if a test differs between the sides."""
        if self._refused:
            return
        moving = [each for each in differences if each.surplus]
        if sum(each.surplus for each in moving) == 0:
            for source, destination in swapped(part.pairs):
                self.report("fields-swapped-misload", source, destination)
        surplus = sum(each.surplus for each in moving)
        if not moving or not (surplus or self._sending.nums):
            return
        if surplus:
            explained = differing_tests(part.pairs, surplus)
            if explained is None:
                return
            facts = {"renamed": explained[0].path, "to": explained[1].path}
            rule_id = "test-shifted-misload"
        else:
            facts, rule_id = {}, "shifted-misload"
        for each in moving:
            each.rule = rule_id
            each.facts = {**each.facts, **facts}

    def _checks(self, sent: Stream, read: Stream) -> None:
        """Report assertions that only the destination has."""
        made = [field.name for field, _, _ in sent.checks]
        unmade = [check for check in read.checks if check[0].name not in made]
        # As many as the source alone has are taken for renamed ones.
        gone = len(set(made) - {field.name for field, _, _ in read.checks})
        for field, vmsd, path in unmade[gone:]:
            facts = {"field": path, "name": field.name, "case": "validate"}
            words = "an assertion (VMSTATE_VALIDATE)"
            self.report_added("value-compared", path, vmsd, field.name, words, **facts)

    def _hooks(self, sent: Stream, read: Stream) -> None:
        """Report pre_load and post_load hooks that only the destination has: they may refuse the state."""
        if not self._sending.detailed or self._refused:
            return
        known = {(vmsd.name, hook) for vmsd in sent.parts.values() for hook in vmsd.load_hooks}
        for prefix, vmsd in read.parts.items():
            source = sent.parts.get(prefix)
            for hook in vmsd.load_hooks:
                key = (hook, vmsd.name)  # not its address: a cached image has copies of what a binary shares
                if key in self._reported or (vmsd.name, hook) in known or (source and hook in source.load_hooks):
                    continue
                self._reported.add(key)
                self.report_added("hook-added", f"{prefix}{hook}", vmsd, hook, f"a hook {hook}", hook=hook)

    # Subsections ----------------------------------------------------------------------------------------------------

    def _subsections(self, part: Part, sent: Stream, read: Stream) -> None:
        # The first of a name, as the destination finds it.
        rest = dict(reversed({_place(each): each for each in reversed(read.subsections)}.items()))
        by_name: dict[str, list[Subsection]] = {}
        for each in reversed(rest.values()):
            by_name.setdefault(each.vmsd.name, []).append(each)
        found: dict[tuple[int, str, str], tuple[Subsection, Subsection | None]] = {}
        for source in sent.subsections:
            place = _place(source)
            is_duplicate = place in found
            if not is_duplicate:
                candidates = by_name.get(source.vmsd.name)
                found[place] = source, candidates.pop() if candidates else None
            earlier, destination = found[place]
            if destination is None:
                part.subsections.append((source, None, None))
                self._subsection_unknown(source, read)
                continue
            first = len(self.differences)
            part.subsections.append((source, destination, self._subsection(source, destination)))
            if is_duplicate:
                # The destination reads it as the earlier one: a description that is listed twice fills the same fields
                # with the same values. Without offsets, as in QEMU's own dump, two that look alike may be two.
                del self.differences[first:]
                if source.vmsd.address != earlier.vmsd.address or not source.vmsd.detailed:
                    self.report_subsection("subsection-duplicate-name", source, destination)
            else:
                del rest[_place(destination)]
            for difference in self.differences[first:]:
                difference.weaken(*_conditions(source))
                difference.deciding.append(needed_by(source))
        for destination in rest.values():
            part.subsections.append((None, destination, None))
            self.report_subsection("subsection-added", None, destination)

    def _subsection_unknown(self, source: Subsection, read: Stream) -> None:
        parent = read.parts.get(source.path)
        if parent is not None and not _is_looked_for(source, parent):
            self._subsection_not_found(source, None, parent)
        elif _may_be_left_out(source):
            self.report_subsection("subsection-unknown", source, None)
        else:
            self.report_subsection("subsection-always-sent", source, None)

    def _subsection(self, source: Subsection, destination: Subsection) -> Part | None:
        """Compare two subsections of one name; their version is in the stream, as a section's is."""
        version = source.vmsd.version_id
        if not _is_looked_for(source, destination.parent):
            self._subsection_not_found(source, destination, destination.parent)
            return None
        if not destination.vmsd.minimum_version_id <= version <= destination.vmsd.version_id:
            case = "too new" if version > destination.vmsd.version_id else "too old"
            self.report_subsection("subsection-version", source, destination, case=case)
            return None
        first = len(self.differences)
        outside, self._within_element = self._within_element, False
        self._enclosing.append(source.parent)
        part = self._part(self._sending.lower(source.vmsd, version), self._loading.lower(destination.vmsd, version))
        self._enclosing.pop()
        self._within_element = outside
        for difference in self.differences[first:]:
            difference.path = f"{source.vmsd.name}.{difference.path}"
        return part

    def _subsection_not_found(self, source: Subsection, destination: Subsection | None, parent: Description) -> None:
        difference = self.report_subsection("subsection-not-found", source, destination, description=parent.name)
        if destination is None:  # else _subsections weakens it
            difference.weaken(*_conditions(source))


def _place(subsection: Subsection) -> tuple[int, str, str]:
    """The list that a subsection is in, and its name: the key by which the destination finds it."""
    return id(subsection.parent), subsection.path, subsection.vmsd.name


def _may_be_left_out(subsection: Subsection) -> bool:
    """Whether a subsection has a needed, as nearly all have; QEMU's own dumps do not report it."""
    if subsection.needed is not None:
        return not subsection.needed
    return subsection.vmsd.needed or not subsection.vmsd.detailed


def _conditions(subsection: Subsection) -> list[str]:
    return [when_sent(subsection)] if _may_be_left_out(subsection) else []


def _is_looked_for(subsection: Subsection, parent: Description) -> bool:
    """Whether vmstate_subsection_load accepts the name as one of the description's; else it stops there."""
    return subsection.vmsd.name.startswith(parent.name) and len(subsection.vmsd.name) > len(parent.name)


def _is_never_empty(item: Item) -> bool:
    """Whether an item with a run-time length has at least one byte; lists end with a marker."""
    if item.info in LISTS:
        return True
    return bool(item.count) and item.body is not None and any(not each.test for each in item.body.items)

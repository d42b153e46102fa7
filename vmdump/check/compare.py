"""Two wires beside each other: what the source sends against what the destination reads, piece by piece.

Items of one name and size are anchors; what stands between two anchors is compared by its bytes, and explained: a
rename, the same bytes in other pieces, something added or removed. After a difference the next anchor is where the
comparison goes on. What the differences of a description add up to tells a load that ends in an error from one that
goes through with the wrong values.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from vmdump.check.results import Verdict
from vmdump.check.stream import (
    BUFFERS,
    COMPARING,
    FIXED,
    INFO_BYTES,
    LISTS,
    OPAQUE,
    RUN_TIME,
    UNKNOWN,
    UNUSED,
    Item,
    in_words,
)
from vmdump.check.tree_view import ARRAY_OF_POINTER, BUFFER, MULTIPLY, MULTIPLY_ELEMENTS, VBUFFER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.check.stream import Lowering, Subsection, Wire
    from vmdump.check.tree_view import Description

    Pair = tuple[Item | None, Item | None, str]

#: The largest region whose items are compared each with each.
_MAX_REGION = 40_000

#: Sizes of a timer that is there and of a pointer to one, both of which put the same on the wire.
_TIMER_SIZES = {8, 48}


class Difference:
    """What a rule is about: the rule's id, how bad it is, both sides, and facts for its texts."""

    __slots__ = ("conditions", "destination", "facts", "path", "rule", "source", "surplus", "verdict")

    def __init__(
        self,
        rule: str,
        verdict: Verdict,
        path: str,
        source: tuple[str, str] | None,
        destination: tuple[str, str] | None,
        facts: dict[str, Any],
    ) -> None:
        """Source and destination: a path and facts in words."""
        self.rule, self.verdict, self.path = rule, verdict, path
        self.source, self.destination, self.facts = source, destination, facts
        #: Bytes that the source sends and the destination does not read, whatever happens; negative: the other way.
        self.surplus = 0
        #: Conditions of the places around it: subsections that have to be sent, arrays that have to have elements.
        self.conditions: list[str] = []


class Part:
    """One description against another, or a subsection against its namesake: pairs of items in order, and parts
    within: of arrays of structs, by the item's index in pairs, and of subsections, by name.
    """

    __slots__ = ("elements", "pairs", "subsections")

    def __init__(self) -> None:
        """Nothing yet."""
        self.pairs: list[Pair] = []
        self.elements: dict[int, Part] = {}
        self.subsections: list[tuple[Subsection | None, Subsection | None, Part | None]] = []


class Comparison:
    """Of one section. Its differences stand in the order of the wire."""

    def __init__(self, section: str, sending: Lowering, loading: Lowering) -> None:
        """section: the name that travels."""
        self._section, self._sending, self._loading = section, sending, loading
        self.differences: list[Difference] = []
        self._told: set[tuple[str | None, int]] = set()
        self._refused = False

    def compare(self, source: Description, destination: Description, version: int, *, refused: bool = False) -> Part:
        """What the source sends of its description in its own version, and what the destination reads of it.

        refused: the destination does not look at it, because of its version; so nothing goes through unnoticed.
        """
        self._refused = refused
        return self._part(
            self._sending.lower(source, source.version_id), self._loading.lower(destination, version), destination.name
        )

    def _part(self, sent: Wire, read: Wire, name: str) -> Part:
        part, first = Part(), len(self.differences)
        for anchor, ours, theirs in _regions(sent.items, read.items):
            if anchor is not None:
                self._anchor(part, *anchor)
            else:
                self._region(part, ours, theirs, sent, read)
        self._checks(sent, read)
        self._tell_misloads(self.differences[first:], part)
        self._subsections(part, sent, read)
        return part

    # Pairs and regions ----------------------------------------------------------------------------------------------

    def _anchor(self, part: Part, ours: Item, theirs: Item) -> None:
        """Two items of one name and size."""
        self._pair(part, ours, theirs, "same" if ours.name == theirs.name else "renamed")

    def _pair(self, part: Part, ours: Item, theirs: Item, change: str) -> None:
        """Two items that stand for each other."""
        index = len(part.pairs)
        part.pairs.append((ours, theirs, change))
        if ours.body is not None and theirs.body is not None:
            first = len(self.differences)
            part.elements[index] = self._part(ours.body, theirs.body, theirs.path)
            self._weigh_elements(self.differences[first:], ours, theirs)
        if (ours.guard is None) != (theirs.guard is None):
            self._test(ours, theirs)
        if theirs.info in COMPARING and ours.info not in COMPARING and ours.info is not None:
            self._tell("value-compared", Verdict.CONDITIONAL, ours, theirs)
        if ours.info == theirs.info or ours.unused or theirs.unused:
            if ours.kind is OPAQUE and not self._refused:
                self._nested_version(ours, theirs)
            return
        if _reorders_bytes(ours, theirs):
            part.pairs[index] = (ours, theirs, "changed")
            self._tell("encoding-misload", Verdict.BREAKS, ours, theirs)
        elif OPAQUE in (ours.kind, theirs.kind) and ours.info != theirs.info:
            part.pairs[index] = (ours, theirs, "changed")
            self._tell("encoding-unknown", Verdict.CONDITIONAL, ours, theirs)

    def _nested_version(self, ours: Item, theirs: Item) -> None:
        """Values that code writes, of a struct in a version that would be refused if it travelled: as it does not get
        here from a section or a subsection, it is nested.
        """
        vmsd, version = theirs.description, ours.description.version_id
        told = ("version", id(vmsd))
        if not vmsd.minimum_version_id <= version <= vmsd.version_id and told not in self._told:
            self._told.add(told)
            facts = {"version": version, "local": vmsd.version_id, "minimum": vmsd.minimum_version_id}
            self._tell("nested-version-ignored", Verdict.CONDITIONAL, ours, theirs, **facts)

    def _weigh_elements(self, differences: Sequence[Difference], ours: Item, theirs: Item) -> None:
        """What is said of elements counts for each of them, and only if there is one."""
        conditions = []
        if ours.count is None or ours.field.flags & ARRAY_OF_POINTER:
            conditions.append(f"{ours.path} has elements")
        if ours.test:
            conditions.append(f"the test of {ours.path} passes")
        for difference in differences:
            difference.path = f"{theirs.path}[].{difference.path}"
            difference.surplus *= ours.count or 0
            _limit(difference, conditions)

    def _test(self, ours: Item, theirs: Item) -> None:
        """A test that one side alone has; of a struct, which has one for all of its fields, it is told once."""
        guard = (ours.guard or theirs.guard, ours.test)
        if guard not in self._told and (max(ours.size, theirs.size) or FIXED not in (ours.kind, theirs.kind)):
            self._told.add(guard)
            self._tell("test-dropped" if ours.test else "test-added", Verdict.CONDITIONAL, ours, theirs, guard=guard[0])

    def _region(self, part: Part, ours: list[Item], theirs: list[Item], sent: Wire, read: Wire) -> None:
        """What stands between two anchors."""
        balanced = _balanced(ours, theirs)
        first = len(self.differences)
        unlike: tuple[list[Item], list[Item]] = ([], [])
        for mine, yours, paired in _explained(ours, theirs):
            if paired and _stand_for(mine[0], yours[0]):
                self._renamed(part, mine[0], yours[0])
                continue
            unlike[0].extend(mine)
            unlike[1].extend(yours)
            if paired:
                part.pairs.append((mine[0], yours[0], "changed"))
                self._resized(mine[0], yours[0])
            else:
                self._rest(part, mine, yours, sent, read, balanced=balanced)
        if all(unlike) and None in map(_total, unlike) and _may_agree(*unlike):
            for difference in self.differences[first:]:
                if difference.verdict is Verdict.BREAKS:
                    _limit(difference, ["what run time decides of the fields beside it does not make up for it"])

    def _renamed(self, part: Part, ours: Item, theirs: Item) -> None:
        """Two items of other names and the same bytes."""
        if ours.name == theirs.name and ours.unused == theirs.unused:
            self._pair(part, ours, theirs, "same")
            return
        self._pair(part, ours, theirs, "renamed")
        if not ours.unused and not theirs.unused:
            self._tell("field-renamed", Verdict.SAFE, ours, theirs)
        elif ours.unused != theirs.unused:
            self._tell("field-retired" if theirs.unused else "field-revived", Verdict.SAFE, ours, theirs)

    def _rest(
        self, part: Part, ours: list[Item], theirs: list[Item], sent: Wire, read: Wire, *, balanced: bool
    ) -> None:
        """Items that have no counterpart each: the same bytes in other pieces, or other bytes."""
        if (balanced or _same_bytes(ours, theirs)) and not _displaced(ours, theirs):
            part.pairs += _side_by_side(ours, theirs, "regrouped")
            if ours and theirs:
                self._tell("fields-regrouped", Verdict.SAFE, ours[0], theirs[0], n=len(ours), m=len(theirs))
            return
        for item in ours:
            part.pairs.append((item, None, "removed"))
            self._alone("removed", item, None, read)
        for item in theirs:
            part.pairs.append((None, item, "added"))
            self._alone("added", None, item, sent)

    def _resized(self, ours: Item, theirs: Item) -> None:
        """Two items of one name and other bytes."""
        kinds = {ours.kind, theirs.kind}
        if kinds == {FIXED} or (kinds <= {FIXED, UNKNOWN} and ours.body is None is theirs.body):
            array = ours.unit == theirs.unit and ours.count != theirs.count
            rule = "array-length-changed" if array else "field-size-changed"
            verdict = Verdict.BREAKS
            if ours.test or theirs.test:
                verdict = Verdict.CONDITIONAL
            difference = self._tell(rule, verdict, ours, theirs)
            if verdict is Verdict.BREAKS:
                difference.surplus = ours.size - theirs.size
            else:
                _limit(difference, [f"the test of {ours.path} passes"])
        elif OPAQUE in kinds:
            self._tell("encoding-unknown", Verdict.CONDITIONAL, ours, theirs)
        elif ours.count is not None and theirs.count is not None and ours.count != theirs.count:
            self._tell("array-length-changed", Verdict.BREAKS, ours, theirs)
        else:
            self._tell("run-time-length", Verdict.CONDITIONAL, ours, theirs)

    def _alone(self, change: str, ours: Item | None, theirs: Item | None, other: Wire) -> None:
        """An item that the other side has nothing for."""
        item = ours or theirs
        assert item is not None
        if item.kind is FIXED and not item.size:
            return
        if item.test:
            guard = (item.guard, ours is not None)
            if guard not in self._told:  # a struct with a test is told of once
                self._told.add(guard)
                self._tell(f"field-{change}-with-test", Verdict.CONDITIONAL, ours, theirs, field=item.guard)
            return
        if (item.kind is RUN_TIME and not _always_there(item)) or (item.kind is UNKNOWN and not item.unit):
            self._tell("run-time-length", Verdict.CONDITIONAL, ours, theirs)
            return
        if item.kind in (RUN_TIME, OPAQUE):
            self._tell(f"field-{change}", Verdict.BREAKS, ours, theirs)
            return
        rule, facts = f"field-{change}", {}
        for field, vmsd, _ in other.skipped:
            if field.name == item.name and field.version_id > vmsd.version_id:
                rule, facts = "field-never-sent", {"gate": field.version_id, "version": vmsd.version_id}
        if change == "added" and item.nested and rule == "field-added":
            version = other.versions.get(item.description.name)
            if version is not None and version < item.field.version_id:
                rule, facts = "nested-version-guards-nothing", {"gate": item.field.version_id, "version": version}
        difference = self._tell(rule, Verdict.BREAKS, ours, theirs, **facts)
        difference.surplus = item.size if ours is not None else -item.size

    # What differences add up to -------------------------------------------------------------------------------------

    def _tell_misloads(self, differences: list[Difference], part: Part) -> None:
        """Where the bytes add up, or would with a test that answers differently, no error tells of the wrong values."""
        if self._refused:
            return
        moving = [each for each in differences if each.surplus]
        if sum(each.surplus for each in moving) == 0:
            for swapped in _swapped(part.pairs):
                self._tell("fields-swapped-misload", Verdict.BREAKS, *swapped)
        surplus = sum(each.surplus for each in moving)
        if not moving or not (surplus or self._sending.nums):
            return
        if surplus:
            explained = _unlike_tests(part.pairs, surplus)
            if explained is None:
                return
            facts = {"renamed": explained[0].path, "to": explained[1].path}
            rule = "test-shifted-misload"
        else:
            facts, rule = {}, "shifted-misload"
        for each in moving:
            each.rule = rule
            each.facts = {**each.facts, **facts}

    # Assertions and subsections -------------------------------------------------------------------------------------

    def _checks(self, sent: Wire, read: Wire) -> None:
        """Assertions of the destination that the source does not make."""
        made = [field.name for field, _, _ in sent.checks]
        unmade = [check for check in read.checks if check[0].name not in made]
        # One under another name, in the place of one that is gone, is taken for the same in other words.
        gone = len(set(made) - {field.name for field, _, _ in read.checks})
        for field, vmsd, path in unmade[gone:]:
            there = (f"{self._section} / {vmsd.name} / {field.name}", "an assertion (VMSTATE_VALIDATE)")
            facts = {"field": path, "description": vmsd.name, "name": field.name}
            self.differences.append(
                Difference("value-compared", Verdict.CONDITIONAL, path, None, there, self._facts(facts))
            )

    def _subsections(self, part: Part, sent: Wire, read: Wire) -> None:
        rest = list({_place(each): each for each in reversed(read.subsections)}.values())[::-1]  # the first of a name
        found: dict[tuple[int, str, str], Subsection | None] = {}
        for ours in sent.subsections:
            place = _place(ours)
            is_namesake = place in found
            if not is_namesake:
                found[place] = next((each for each in rest if each.vmsd.name == ours.vmsd.name), None)
            theirs = found[place]
            if theirs is None:
                part.subsections.append((ours, None, None))
                self._subsection_unknown(ours)
                continue
            first = len(self.differences)
            part.subsections.append((ours, theirs, self._subsection(ours, theirs)))
            if is_namesake:
                self._read_as_the_first(first, ours, theirs)
            else:
                rest.remove(theirs)
            for difference in self.differences[first:]:
                _limit(difference, [_when_sent(ours)] if _may_be_left_out(ours) else [])
        for theirs in rest:
            part.subsections.append((None, theirs, None))
            self._tell_subsection("subsection-added", Verdict.SAFE, None, theirs)

    def _read_as_the_first(self, first: int, ours: Subsection, theirs: Subsection) -> None:
        """Tells once what the comparison with another subsection of that name, from the difference first on, found."""
        is_alike = all(difference.verdict is Verdict.SAFE for difference in self.differences[first:])
        del self.differences[first:]
        if not is_alike:
            self._tell_subsection("subsection-namesake", Verdict.BREAKS, ours, theirs)

    def _subsection_unknown(self, ours: Subsection) -> None:
        if _may_be_left_out(ours):
            difference = self._tell_subsection("subsection-unknown", Verdict.CONDITIONAL, ours, None)
            difference.conditions.append(_when_sent(ours))
        else:
            self._tell_subsection("subsection-always-sent", Verdict.BREAKS, ours, None)

    def _subsection(self, ours: Subsection, theirs: Subsection) -> Part | None:
        """A subsection against its namesake: the only nested versions that travel."""
        version = ours.vmsd.version_id
        if not theirs.vmsd.name.startswith(theirs.parent.name) and ours.vmsd.name.startswith(ours.parent.name):
            self._tell_subsection("subsection-not-found", Verdict.BREAKS, ours, theirs)
            return None
        if not theirs.vmsd.minimum_version_id <= version <= theirs.vmsd.version_id:
            self._tell_subsection("subsection-version", Verdict.BREAKS, ours, theirs)
            return None
        first = len(self.differences)
        part = self._part(
            self._sending.lower(ours.vmsd, version), self._loading.lower(theirs.vmsd, version), theirs.vmsd.name
        )
        for difference in self.differences[first:]:
            difference.path = f"{ours.vmsd.name}.{difference.path}"
        return part

    # Telling --------------------------------------------------------------------------------------------------------

    def _facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        return {"section": self._section, **facts}

    def _tell(self, rule: str, verdict: Verdict, ours: Item | None, theirs: Item | None, **more: Any) -> Difference:
        item = theirs or ours
        assert item is not None
        facts = {
            "field": (ours or item).path,
            "description": item.description.name,
            "name": item.name,
            "source": in_words(ours) if ours else "nothing",
            "destination": in_words(theirs) if theirs else "nothing",
            "other": theirs.path if theirs else None,
            "bytes": item.size or None,
            "info": item.info,
            **more,
        }
        difference = Difference(
            rule, verdict, item.path, self._side(ours), self._side(theirs), self._facts(facts)
        )  # fmt: skip
        self.differences.append(difference)
        return difference

    def _side(self, item: Item | None) -> tuple[str, str] | None:
        if item is None:
            return None
        return f"{self._section} / {item.description.name} / {item.name}", in_words(item)

    def _tell_subsection(
        self, rule: str, verdict: Verdict, ours: Subsection | None, theirs: Subsection | None
    ) -> Difference:
        subsection = ours or theirs
        assert subsection is not None
        facts = {
            "subsection": subsection.vmsd.name,
            "description": (theirs or subsection).parent.name,
            "version": subsection.vmsd.version_id,
            "local": theirs.vmsd.version_id if theirs else None,
            "minimum": theirs.vmsd.minimum_version_id if theirs else None,
        }
        path = subsection.path + subsection.vmsd.name
        difference = Difference(
            rule, verdict, path, self._subsection_side(ours), self._subsection_side(theirs), self._facts(facts)
        )
        self.differences.append(difference)
        return difference

    def _subsection_side(self, subsection: Subsection | None) -> tuple[str, str] | None:
        if subsection is None:
            return None
        path = f"{self._section} / {subsection.parent.name} / {subsection.vmsd.name}"
        return path, _subsection_in_words(subsection)


def _limit(difference: Difference, conditions: list[str]) -> None:
    """What is true under conditions only is conditional."""
    if conditions:
        difference.conditions = [*conditions, *difference.conditions]
        if difference.verdict is Verdict.BREAKS:
            difference.verdict = Verdict.CONDITIONAL
        difference.surplus = 0


def _place(subsection: Subsection) -> tuple[int, str, str]:
    """The list that a subsection is in, and its name: of those at one place the first is found, always."""
    return id(subsection.parent), subsection.path, subsection.vmsd.name


def _may_be_left_out(subsection: Subsection) -> bool:
    """Dumps that QEMU wrote do not tell whether there is a needed; nearly all have."""
    return subsection.vmsd.needed or not subsection.vmsd.detailed


def _when_sent(subsection: Subsection) -> str:
    return f"{subsection.vmsd.name} is sent (its needed says so)"


def _subsection_in_words(subsection: Subsection) -> str:
    vmsd = subsection.vmsd
    words = [f"subsection, version {vmsd.version_id}, minimum {vmsd.minimum_version_id}"]
    if vmsd.detailed:
        words.append("if needed" if vmsd.needed else "always sent")
    return ", ".join(words)


# Alignment ----------------------------------------------------------------------------------------------------------


def _regions(
    ours: Sequence[Item], theirs: Sequence[Item]
) -> Iterator[tuple[tuple[Item, Item] | None, list[Item], list[Item]]]:
    """Anchors, and what stands between them, in order."""
    begin, end = 0, 0
    shorter = min(len(ours), len(theirs))
    while begin < shorter and _anchors(ours[begin], theirs[begin]):
        begin += 1
    while end < shorter - begin and _anchors(ours[-1 - end], theirs[-1 - end]):
        end += 1
    pairs = [(index, index) for index in range(begin)]
    pairs += _common(ours, theirs, begin, len(ours) - end, len(theirs) - end)
    pairs += [(len(ours) - index, len(theirs) - index) for index in range(end, 0, -1)]
    i = j = 0
    for mine, yours in [*pairs, (len(ours), len(theirs))]:
        if i < mine or j < yours:
            yield None, list(ours[i:mine]), list(theirs[j:yours])
        if mine < len(ours):
            yield (ours[mine], theirs[yours]), [], []
        i, j = mine + 1, yours + 1


def _common(
    ours: Sequence[Item], theirs: Sequence[Item], begin: int, our_end: int, their_end: int
) -> list[tuple[int, int]]:
    """The longest list of anchors that do not cross, as indices: an increasing subsequence of all that could be."""
    if begin in (our_end, their_end):
        return []
    if _ranks_behind(ours[begin:our_end], theirs[begin:their_end]):
        return [(i, j) for j, i in _common(theirs, ours, begin, their_end, our_end)]
    places: dict[str, list[int]] = {}
    for index in range(their_end - 1, begin - 1, -1):
        if not theirs[index].unused:
            for key in _keys(theirs[index]):
                places.setdefault(key, []).append(index)
    tails: list[int] = []
    chains: list[tuple[tuple[int, int], Any]] = []
    for i in range(begin, our_end):
        if ours[i].unused:
            continue
        candidates = sorted({j for key in _keys(ours[i]) for j in places.get(key, ())}, reverse=True)
        for j in candidates:
            if _anchors(ours[i], theirs[j]):
                at = bisect_left(tails, j)
                chain = ((i, j), chains[at - 1] if at else None)
                tails[at : at + 1] = [j]
                chains[at : at + 1] = [chain]
    found = []
    last: Any = chains[-1] if chains else None
    while last is not None:
        found.append(last[0])
        last = last[1]
    return found[::-1]


def _ranks_behind(ours: Sequence[Item], theirs: Sequence[Item]) -> bool:
    """An order of lists: where several alignments are as good, the same one is taken in both directions."""

    def rank(items: Sequence[Item]) -> list[tuple[str, str, str, str, str, bool]]:
        return [(each.name, each.kind, str(each.unit), str(each.count), str(each.info), each.test) for each in items]

    return rank(ours) > rank(theirs)


def _keys(item: Item) -> tuple[str, ...]:
    """Names under which an item finds its counterpart."""
    if item.body is not None and item.field.vmsd is not None:
        return item.name, f"struct {item.field.vmsd.name}"
    return (item.name,)


def _anchors(ours: Item, theirs: Item) -> bool:
    """Whether two items are surely one: name and size agree."""
    if ours.body is not None and theirs.body is not None:
        return (
            not set(_keys(ours)).isdisjoint(_keys(theirs))
            and ours.count == theirs.count
            and ours.framing == theirs.framing
            and _length(ours) == _length(theirs)
        )
    if ours.name != theirs.name or ours.unused != theirs.unused or (ours.body is None) != (theirs.body is None):
        return False
    return _same_size(ours, theirs)


def _same_size(ours: Item, theirs: Item) -> bool:
    """Whether two items take the same bytes, as far as both sides tell."""
    if ours.kind is FIXED is theirs.kind:
        return ours.size == theirs.size
    if UNKNOWN in (ours.kind, theirs.kind):
        units = {ours.unit, theirs.unit}
        if len(units) == 1 or 0 in units or units == _TIMER_SIZES:
            return True
        # An array whose number of elements is unknown, against bytes that nobody looks at.
        return (ours.unused or theirs.unused) and _divides(ours, theirs)
    if ours.kind is OPAQUE is theirs.kind:
        # A buffer's code gets its size; of other values the size is that of the member in memory.
        sized = ours.field.flags & theirs.field.flags & BUFFER
        return ours.info == theirs.info and (not sized or ours.field.size == theirs.field.size)
    return ours.kind is theirs.kind and ours.unit == theirs.unit and _length(ours) == _length(theirs)


def _stand_for(ours: Item, theirs: Item) -> bool:
    """Whether two items that may stand for each other do: their bytes agree, or those of their elements will tell."""
    if ours.body is not None and theirs.body is not None:
        return ours.count == theirs.count and ours.framing == theirs.framing and _length(ours) == _length(theirs)
    return _same_size(ours, theirs)


def _divides(ours: Item, theirs: Item) -> bool:
    small, large = sorted((ours.unit or 1, theirs.unit or 1))
    return large % small == 0


def _length(item: Item) -> tuple[Any, ...]:
    """What decides the bytes of an item beside what the device says: its encoding, and factors of the length."""
    flags = item.field.flags
    factor = item.field.num if item.count is None and flags & MULTIPLY_ELEMENTS else 1
    unit = item.field.size if flags & VBUFFER and flags & MULTIPLY else 1
    return item.info if item.unit is None else None, item.count is None, factor, unit


def _total(items: Sequence[Item]) -> int | None:
    """The bytes of items, one element of those whose number is unknown; None: they depend on something."""
    if any(
        item.kind not in (FIXED, UNKNOWN) or item.test or (item.kind is UNKNOWN and not item.unit) for item in items
    ):
        return None
    return sum(item.size for item in items)


def _balanced(ours: Sequence[Item], theirs: Sequence[Item]) -> bool:
    """Whether items are the same bytes in all, whatever the device does."""
    total = _total(ours)
    return total is not None and total == _total(theirs)


def _displaced(ours: Sequence[Item], theirs: Sequence[Item]) -> bool:
    """Whether an item of a name that both sides have begins at another byte: it is read from what others were."""
    if any(item.kind is not FIXED for item in (*ours, *theirs)):
        return False
    mine, yours = (
        {item.name: end - item.size for item, end in zip(items, accumulate(each.size for each in items), strict=True)}
        for items in (ours, theirs)
    )
    return any(mine[name] != yours[name] for name in mine.keys() & yours.keys() if name != UNUSED)


def _same_bytes(ours: Sequence[Item], theirs: Sequence[Item]) -> bool:
    """Whether items without counterparts are the same bytes in other pieces, as far as both sides tell."""
    if not ours or not theirs or any(item.test for item in (*ours, *theirs)):
        return False
    mine, yours = (sum(item.size for item in items) for items in (ours, theirs))
    if all(item.kind is FIXED for item in (*ours, *theirs)):
        return mine == yours
    if any(item.kind in (RUN_TIME, OPAQUE) for item in (*ours, *theirs)):
        return False
    if {item.name for item in ours} & {item.name for item in theirs if not item.unused}:
        return False
    return mine == yours or (mine < yours) == any(item.kind is UNKNOWN for item in ours)


def _may_agree(ours: Sequence[Item], theirs: Sequence[Item]) -> bool:
    """Whether items may take the same bytes, by what tests and lengths are at run time."""
    (mine_least, mine_most), (yours_least, yours_most) = map(_bounds, (ours, theirs))
    return mine_least <= yours_most and yours_least <= mine_most


def _bounds(items: Sequence[Item]) -> tuple[float, float]:
    """The least and the most bytes that items take."""
    least = most = 0.0
    for item in items:
        if item.kind is FIXED or (item.kind is UNKNOWN and item.unit):
            most += item.size
            least += 0 if item.test else item.size
        else:
            most = float("inf")
            least += 0 if item.test or item.kind is not OPAQUE else 1
    return least, most


def _explained(ours: list[Item], theirs: list[Item]) -> list[tuple[list[Item], list[Item], bool]]:
    """A region in pieces: pairs that may stand for each other (True), and what is left between them.

    The best pairs in order: as many as possible, alike as much as possible.
    """
    n, m = len(ours), len(theirs)
    if not n or not m or n * m > _MAX_REGION:
        return [(ours, theirs, False)]
    if _ranks_behind(ours, theirs):
        return [(mine, yours, paired) for yours, mine, paired in _explained(theirs, ours)]
    best = [[0] * (m + 1) for _ in range(n + 1)]
    likes = [[_likeness(mine, yours) for yours in theirs] for mine in ours]
    for i in range(n - 1, -1, -1):
        for j in range(m - 1, -1, -1):
            like = likes[i][j]
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + like if like else 0)
    pieces: list[tuple[list[Item], list[Item], bool]] = []
    i = j = begin_i = begin_j = 0
    while i < n and j < m:
        like = likes[i][j]
        if like and best[i][j] == best[i + 1][j + 1] + like:
            pieces += [(ours[begin_i:i], theirs[begin_j:j], False), ([ours[i]], [theirs[j]], True)]
            i, j = i + 1, j + 1
            begin_i, begin_j = i, j
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    pieces.append((ours[begin_i:], theirs[begin_j:], False))
    pieces = [piece for piece in pieces if piece[0] or piece[1]]
    if _balanced(ours, theirs) and not all(_balanced(mine, yours) for mine, yours, _ in pieces):
        return [(ours, theirs, False)]
    return pieces


def _likeness(ours: Item, theirs: Item) -> int:
    """How much two items are alike; 0: they can't stand for each other."""
    if (ours.body is None) != (theirs.body is None):
        return 0
    if ours.body is not None and (ours.count != theirs.count or ours.framing != theirs.framing):
        return 5 if ours.name == theirs.name else 0
    if ours.kind is not theirs.kind and OPAQUE in (ours.kind, theirs.kind) and ours.count == theirs.count:
        return 8 if _similar(ours.name, theirs.name) else 2  # code may put the same bytes
    if ours.body is None and not _same_size(ours, theirs):
        return 0 if ours.name != theirs.name or ours.unused or theirs.unused else 5
    score = 10
    if ours.name == theirs.name:
        score += 30
    elif _similar(ours.name, theirs.name):
        score += 12
    if ours.unused or theirs.unused:
        score -= 4
    elif ours.info == theirs.info:
        score += 4
    if ours.test != theirs.test:
        score -= 6
    return score


def _similar(ours: str, theirs: str) -> bool:
    """Whether one name is the other with something before or behind it, or the last member is the same."""
    short, long = sorted((ours, theirs), key=len)
    if len(short) >= 3 and (long.startswith(short) or long.endswith(short)):
        return True
    return ours.rpartition(".")[2] == theirs.rpartition(".")[2]


def _side_by_side(ours: list[Item], theirs: list[Item], change: str) -> Iterator[Pair]:
    for index in range(max(len(ours), len(theirs))):
        yield (
            ours[index] if index < len(ours) else None,
            theirs[index] if index < len(theirs) else None,
            change,
        )


def _swapped(pairs: Sequence[Pair]) -> Iterator[tuple[Item, Item]]:
    """Fields that both sides have, in the same bytes, at places that are not each other's."""
    theirs = {
        yours.name: yours
        for mine, yours, change in pairs
        if yours is not None and change in ("renamed", "added") and not yours.unused and yours.kind is not UNKNOWN
    }
    for mine, yours, change in pairs:
        if mine is not None and change in ("renamed", "removed") and not mine.unused:
            other = theirs.get(mine.name)
            if other is not None and other is not yours and _same_size(mine, other) and mine.info == other.info:
                yield mine, other


def _reorders_bytes(ours: Item, theirs: Item) -> bool:
    """Whether one side sends numbers, big end first, and the other takes memory as it is."""
    for number, memory in ((ours, theirs), (theirs, ours)):
        if memory.info in BUFFERS and number.info in INFO_BYTES and (number.unit or 0) > 1:
            return True
    return False


def _unlike_tests(pairs: Sequence[Pair], surplus: int) -> tuple[Item, Item] | None:
    """A field with a test that was renamed on the way, of just the bytes that do not add up: where its new name comes
    with a new test, one side leaves it out, and the bytes add up again.
    """
    for ours, theirs, change in reversed(pairs):
        if change == "renamed" and ours and theirs and ours.test and theirs.test and ours.size == abs(surplus):
            return ours, theirs
    return None


def _always_there(item: Item) -> bool:
    """Whether an item that takes bytes as run time tells takes some whatever the device does: lists have an end."""
    if item.info in LISTS:
        return True
    return bool(item.count) and item.body is not None and any(not each.test for each in item.body.items)

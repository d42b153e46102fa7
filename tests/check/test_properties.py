"""Properties of the check that hold for any descriptions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.descriptions import array, desc, dump, field, findings, plain, rules, struct, unused, varray, verdicts

from vmdump.check import match_sections as match
from vmdump.check.results import Verdict
from vmdump.check.tree_view import Native
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateInfo

NAMES = st.sampled_from([f"f{number}" for number in range(12)])


@st.composite
def field_lists(draw: st.DrawFn) -> list[VMStateField]:
    """Fields with unique names: values, arrays, unused bytes, some with a test."""
    made = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=8, unique=True)):
        kind = draw(st.sampled_from(["value", "array", "varray", "unused"]))
        info = draw(st.sampled_from(["uint8", "uint16", "uint32", "uint64", "bool", "timer"]))
        if kind == "value":
            made.append(field(name, info, field_exists=draw(st.sampled_from([None, True]))))
        elif kind == "array":
            made.append(array(name, draw(st.integers(1, 9)), info))
        elif kind == "varray":
            made.append(varray(name, info))
        else:
            made.append(unused(draw(st.integers(2, 64))))
    return made


@st.composite
def descriptions(draw: st.DrawFn) -> VMStateDescription:
    """A description with nested ones and subsections."""
    fields = draw(field_lists())
    if draw(st.booleans()):
        part = desc("part", *draw(field_lists()), version_id=draw(st.integers(1, 3)))
        more = draw(st.sampled_from([{}, {"num": 3}]))
        fields.insert(draw(st.integers(0, len(fields))), struct("s", part, **more))
    subsections = [desc("dev/sub", *draw(field_lists()), needed=True)] if draw(st.booleans()) else None
    return desc("dev", *fields, subsections=subsections)


@given(descriptions())
def test_any_description_loads_itself(vmsd: VMStateDescription) -> None:
    """A -> A is safe for a binary; for a dump without array lengths it is unknown."""
    assert findings(dump(vmsd), dump(vmsd)) == []
    assert set(verdicts(dump(vmsd), plain(dump(vmsd))).values()) <= {Verdict.SAFE, Verdict.UNKNOWN}


@given(field_lists(), st.data())
def test_renaming_is_safe(fields: list[VMStateField], data: st.DataObject) -> None:
    """A renamed field is the same field."""
    index = data.draw(st.integers(0, len(fields) - 1))
    old = fields[index]
    kept = {name: getattr(old, name) for name in old.__struct_fields__}
    renamed = [*fields[:index], VMStateField(**{**kept, "name": "another"}), *fields[index + 1 :]]
    for pair in ((fields, renamed), (renamed, fields)):
        assert verdicts(*[dump(desc("dev", *each)) for each in pair]) == {"dev": Verdict.SAFE}


@given(field_lists(), field_lists(), st.integers(2, 64), st.data())
def test_splitting_unused_is_safe(
    before: list[VMStateField], after: list[VMStateField], size: int, data: st.DataObject
) -> None:
    """Unused bytes may be split anywhere."""
    cut = data.draw(st.integers(1, size - 1))
    whole = dump(desc("dev", *before, unused(size), *after))
    split = dump(desc("dev", *before, unused(cut), unused(size - cut), *after))
    assert verdicts(whole, split) == verdicts(split, whole) == {"dev": Verdict.SAFE}


@given(field_lists(), st.sampled_from(["uint8", "uint32", "timer"]))
def test_appending_breaks(fields: list[VMStateField], info: str) -> None:
    """An unguarded appended field breaks in both directions."""
    old, new = (dump(desc("dev", *each)) for each in (fields, [*fields, field("appended", info)]))
    assert verdicts(old, new) == verdicts(new, old) == {"dev": Verdict.BREAKS}


def test_the_same_bytes_at_other_places() -> None:
    """Fields with equal total size are not regrouped if one would be read from another's bytes."""
    source, destination = (dump(desc("dev", field("a", a), field("b", b), field("c", c))) for a, b, c in (
        ("uint8", "uint32", "uint16"), ("uint32", "uint8", "uint16"),
    ))  # fmt: skip
    assert verdicts(source, destination) == verdicts(destination, source) == {"dev": "breaks"}
    joined = dump(desc("dev", field("ab", "uint32"), field("x", "uint8"), field("c", "uint16")))
    assert verdicts(source, joined) == verdicts(joined, source) == {"dev": "safe"}


def test_subsections_with_equal_names_match_by_place() -> None:
    """A subsection matches the one of that name in the same list, at any depth, not one of another struct."""

    def part(*names: str) -> VMStateDescription:
        fields = {"same": field("a"), "other": field("a", "uint64")}
        return desc("part", field("x"), subsections=[desc("part/sub", fields[name], needed=True) for name in names])

    nested = [
        dump(desc("dev", struct("s", part(*names)))) for names in (("same", "other"), ("same", "same"), ("same",))
    ]
    assert rules(nested[0], nested[0]) == ["subsection-duplicate-name"]
    assert rules(nested[1], nested[1]) == ["subsection-duplicate-name"]  # the second's values are read into the first
    assert rules(nested[2], nested[0]) == []  # the destination never finds its second
    two = dump(desc("dev", struct("s", part("same")), struct("t", part("other"))))
    assert rules(two, two) == []


@given(field_lists(), field_lists())
def test_symmetry(source: list[VMStateField], destination: list[VMStateField]) -> None:
    """Without versions and subsections, what is safe in one direction is safe in the other."""
    one, two = dump(desc("dev", *source)), dump(desc("dev", *destination))
    assert (verdicts(one, two) == {"dev": "safe"}) == (verdicts(two, one) == {"dev": "safe"})
    known = [
        [each for each in side if not each.field_exists and each.num_offset is None] for side in (source, destination)
    ]
    one, two = [dump(desc("dev", *side)) for side in known]
    assert verdicts(one, two) == verdicts(two, one)


@given(field_lists(), field_lists())
def test_never_safe_with_other_bytes(source: list[VMStateField], destination: list[VMStateField]) -> None:
    """If all sizes are known and the totals differ, the verdict is not safe; totals are computed independently here."""
    bytes_of = {"uint8": 1, "bool": 1, "uint16": 2, "uint32": 4, "uint64": 8, "timer": 8}

    def total(fields: list[VMStateField]) -> int:
        return sum(
            each.size if each.name == "unused" else bytes_of[(each.info or VMStateInfo("")).name] * (each.num or 1)
            for each in fields
        )

    known = [
        [each for each in side if not each.field_exists and each.num_offset is None] for side in (source, destination)
    ]
    if total(known[0]) != total(known[1]):
        pair = [dump(desc("dev", *fields)) for fields in known]
        assert verdicts(*pair) == {"dev": Verdict.BREAKS}


def test_many_sections_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each matches the one whose type has the most similar name, and few are examined for that."""
    looked_at = []
    similarity = match._similarity
    monkeypatch.setattr(match, "_similarity", lambda *pair: (looked_at.append(1), similarity(*pair))[1])
    part = desc("part", field("a"))
    source = dump(**{f"type{n:04}_old": part for n in range(600)})
    destination = dump(**{f"type{n:04}_new": part for n in range(600)})
    sides = Native(source), Native(destination)
    matcher = match.Matcher(*sides, nums=True)
    for n, section in enumerate(sides[0].devices.values()):
        found = matcher.match(section)
        assert found is not None
        assert (found.section.type, found.kind) == (f"type{n:04}-new", "section")
    assert len(looked_at) <= 600 * match._MANY

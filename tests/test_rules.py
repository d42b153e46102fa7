"""The rules: each fires on what it is about, keeps still on what is nearly that, and explains itself."""

import pytest
from descriptions import array, desc, dump, field, lint_rules, rules, struct, unused, validate, varray

from vmdump.check.rules import rule, rule_ids
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Defect, Producer
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo

A, B, C = field("a"), field("b"), field("c")
TESTED = field("t", field_exists=True)
PAIR = tuple[DeviceDump, DeviceDump]


def pair(ours: VMStateDescription, theirs: VMStateDescription) -> PAIR:
    """The same type on both sides."""
    return dump(dev=ours), dump(dev=theirs)


def fields(ours: tuple[VMStateField, ...], theirs: tuple[VMStateField, ...]) -> PAIR:
    """Descriptions that differ in their fields alone."""
    return pair(desc("dev", *ours), desc("dev", *theirs))


def subsections(ours: list[VMStateDescription], theirs: list[VMStateDescription]) -> PAIR:
    """Descriptions that differ in their subsections alone."""
    return pair(desc("dev", A, subsections=ours), desc("dev", A, subsections=theirs))


def nested(ours: VMStateDescription, theirs: VMStateDescription) -> PAIR:
    """Descriptions that differ in what they nest."""
    return fields((struct("s", ours), B), (struct("s", theirs), B))


def sub(name: str = "dev/sub", *more: VMStateField, needed: bool = True, version_id: int = 1) -> VMStateDescription:
    """A subsection."""
    return desc(name, C, *more, needed=needed, version_id=version_id, minimum_version_id=version_id)


def custom(name: str, info: str) -> VMStateField:
    """A field with a VMStateInfo of the device's own."""
    return VMStateField(name, info=VMStateInfo(info), size=4, flags=VMStateFlags.SINGLE)


def buffer(name: str, size: int) -> VMStateField:
    """Memory as it is."""
    return field(name, "buffer", size=size, flags=VMStateFlags.BUFFER)


#: For each rule of the check: two dumps that it fires on, and two that are nearly such.
CHECK: dict[str, tuple[PAIR, PAIR]] = {
    "section-version-too-new": (
        pair(desc("dev", A, version_id=2), desc("dev", A)),
        pair(desc("dev", A), desc("dev", A, version_id=2)),
    ),
    "section-version-too-old": (
        pair(desc("dev", A), desc("dev", A, version_id=2, minimum_version_id=2)),
        pair(desc("dev", A, version_id=2), desc("dev", A, version_id=3, minimum_version_id=2)),
    ),
    "section-renamed": (
        pair(desc("npcm7xx-gcr", A), desc("npcm-gcr", A)),
        # Only the type is called otherwise.
        (dump(npcm7xx_gcr=desc("gcr", A)), dump(npcm_gcr=desc("gcr", A))),
    ),
    "type-absent": ((dump(desc("dev", A)), dump(desc("other", A))), (dump(desc("dev", A)), dump(other=desc("dev", A)))),
    "type-moved": (
        (dump(desc("ide", A)), dump(desc("other", A), roots=((desc("ide", A), "register"),))),
        (dump(desc("ide", A)), dump(desc("ide", A), roots=((desc("ide", A), "register"),))),
    ),
    "unmigratable": (
        pair(desc("dev", A, unmigratable=True), desc("dev", A)),
        # What can't be sent anyway is sent no more.
        pair(desc("dev", A, unmigratable=True), desc("dev", A, unmigratable=True)),
    ),
    "field-added": (fields((A,), (A, B)), pair(desc("dev", A), desc("dev", A, field("b", version_id=2), version_id=2))),
    "field-removed": (fields((A, B), (A,)), fields((A, B), (A, unused(4)))),
    "field-size-changed": (fields((A, B), (field("a", "uint64"), B)), fields((A, B), (field("a", "int32"), B))),
    "array-length-changed": (
        fields((array("a", 333), B), (array("a", 384), B)),
        fields((array("a", 4), B), (array("a", 3), field("a3"), B)),
    ),
    "nested-version-guards-nothing": (
        nested(desc("part", A), desc("part", A, field("n", version_id=2), version_id=2)),
        # Both sides have it, whatever their versions say.
        nested(desc("part", A, field("n")), desc("part", A, field("n", version_id=2), version_id=2)),
    ),
    "nested-version-ignored": (
        nested(
            desc("part", custom("a", "tlb"), version_id=2),
            desc("part", custom("a", "tlb"), version_id=3, minimum_version_id=3),
        ),
        # A version that the destination reads, and one of which nothing is written by code.
        (
            dump(
                dev=desc("dev", struct("s", desc("part", custom("a", "tlb"), version_id=2))),
                other=desc("other", struct("s", desc("part", A, version_id=2))),
            ),
            dump(
                dev=desc("dev", struct("s", desc("part", custom("a", "tlb"), version_id=3, minimum_version_id=2))),
                other=desc("other", struct("s", desc("part", A, version_id=3, minimum_version_id=3))),
            ),
        ),
    ),
    "field-never-sent": (
        fields((A, B), (A, field("b", version_id=2))),
        fields((A, field("b", version_id=2)), (A, field("b", version_id=2), unused(0))),
    ),
    "field-added-with-test": (fields((A,), (A, TESTED)), fields((A, TESTED), (A, TESTED, unused(0)))),
    "field-removed-with-test": (fields((A, TESTED), (A,)), fields((A, TESTED), (A, TESTED, unused(0)))),
    "test-dropped": (
        fields((A, field("b", field_exists=True)), (A, B)),
        fields((A, field("b", field_exists=True)), (field("x"), field("b", field_exists=True))),
    ),
    "test-added": (
        fields((A, B), (A, field("b", field_exists=True))),
        # A test alone decides: the version that it stands beside does not count.
        fields(
            (A, field("b", field_exists=True)), (A, field("b", field_exists=True, version_id=9)),
        ),
    ),
    "run-time-length": (
        fields((varray("a"), B), (varray("a", "uint8"), B)),
        fields((varray("a"), B), (varray("renamed_a"), B)),
    ),
    "encoding-unknown": (
        fields((custom("a", "fsr"), B), (field("env.a"), B)),
        fields((custom("a", "fsr"), B), (custom("env.a", "fsr"), B)),
    ),
    "encoding-misload": (
        fields((array("a", 2), B), (buffer("a", 8), B)),
        fields((array("a", 8, "uint8"), B), (buffer("a", 8), B)),
    ),
    "fields-swapped-misload": (fields((A, B, C), (B, A, C)), fields((A, B, C), (field("x"), field("y"), C))),
    "shifted-misload": (
        fields((field("n"), A, B, C), (A, B, C, field("m"))),
        # The bytes add up, but for what is never read.
        fields((field("n"), A, B, C), (A, B, C, field("m", "uint64"))),
    ),
    "test-shifted-misload": (
        fields(
            (A, field("mig_x", field_exists=True), C, field("n")), (A, field("x", field_exists=True), C),
        ),
        fields((A, field("x", field_exists=True), C, field("n")), (A, field("x", field_exists=True), C)),
    ),
    "value-compared": (
        fields((A, B), (A, field("b", "uint32 equal"))),
        fields((A, field("b", "uint32 equal")), (field("x"), field("b", "uint32 equal"))),
    ),
    "subsection-unknown": (subsections([sub()], []), subsections([sub()], [sub(), sub("dev/other")])),
    "subsection-always-sent": (subsections([sub(needed=False)], []), subsections([sub()], [])),
    "subsection-version": (
        subsections([sub(version_id=2)], [sub()]),
        subsections([sub()], [desc("dev/sub", C, version_id=2, needed=True)]),
    ),
    "subsection-namesake": (
        subsections([sub(), sub("dev/sub", B)], [sub(), sub("dev/sub", B)]),
        # What is sent is what the first reads.
        subsections([sub(), sub()], [sub(), sub("dev/sub", B)]),
    ),
    "subsection-not-found": (
        nested(desc("part", A, subsections=[sub("part/x")]), desc("piece", A, subsections=[sub("part/x")])),
        nested(desc("part", A, subsections=[sub("part/x")]), desc("par", A, subsections=[sub("part/x")])),
    ),
    "subsection-added": (subsections([], [sub()]), subsections([sub()], [])),
    "field-renamed": (fields((A, B), (field("x"), B)), fields((A, B), (A, field("b", "int32")))),
    "fields-regrouped": (
        fields((A, B, C), (array("ab", 2), C)),
        fields((A, B, C), (field("x"), field("y"), C)),
    ),
    "field-retired": (fields((A, B), (unused(4), B)), fields((unused(4), B), (field("a"), B))),
    "field-revived": (fields((unused(4), B), (A, B)), fields((A, B), (unused(4), B))),
}  # fmt: skip


def defective(*defects: Defect) -> DeviceDump:
    """A dump of a binary in which something was wrong."""
    return DeviceDump(dump(desc("dev", A)).tree, Producer("image", defects=defects))


#: For each rule of the linter: a dump that it fires on, and one that is nearly such.
LINT: dict[str, tuple[DeviceDump, DeviceDump]] = {
    "minimum-above-version": (dump(desc("dev", A, minimum_version_id=2)), dump(desc("dev", A, minimum_version_id=1))),
    "field-above-version": (dump(desc("dev", field("a", version_id=2))), dump(desc("dev", field("a", version_id=1)))),
    "nested-version-guard": (
        dump(desc("dev", struct("s", desc("part", field("a", version_id=2), version_id=2)))),
        dump(desc("dev", field("a", version_id=2), version_id=2)),
    ),
    "subsection-prefix": (dump(desc("dev", A, subsections=[sub("x")])), dump(desc("dev", A, subsections=[sub()]))),
    "duplicate-subsection": (
        dump(desc("dev", A, subsections=[sub(), sub()])),
        dump(desc("dev", A, subsections=[sub(), sub("dev/sub2")])),
    ),
    "duplicate-section": (
        dump(one=desc("dev", A), two=desc("dev", B)),
        dump(one=desc("dev", A), two=desc("dev", A)),
    ),
    "subsection-without-needed": (
        dump(desc("dev", A, subsections=[sub(needed=False)])),
        dump(desc("dev", A, subsections=[sub()])),
    ),
    "compared-with-configuration": (dump(desc("dev", field("a", "uint32 equal"))), dump(desc("dev", A))),
    "size-zero": (dump(desc("dev", unused(0))), dump(desc("dev", varray("a")))),
    "broken-structure": (defective(Defect("a list of fields has no terminator", 0x40)), defective()),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECK)
def test_check_rule(name: str) -> None:
    """The rule fires on its hit, in one finding at least, and not on its near miss."""
    hit, miss = CHECK[name]
    assert name in rules(*hit)
    assert name not in rules(*miss)


@pytest.mark.parametrize("name", LINT)
def test_lint_rule(name: str) -> None:
    """Likewise."""
    hit, miss = LINT[name]
    assert name in lint_rules(hit)
    assert name not in lint_rules(miss)


def test_validation_is_compared() -> None:
    """An assertion that is new in the destination compares; one under another name in its place is taken for it."""
    assert rules(*fields((A,), (A, validate("a in range")))) == ["value-compared"]
    assert rules(*fields((A, validate("a must match")), (A, validate("a in range")))) == []
    assert "compared-with-configuration" in lint_rules(dump(desc("dev", A, validate("a in range"))))


def test_every_rule_has_both() -> None:
    """A hit and a near miss for each file in the package, and no other."""
    assert sorted([*CHECK, *LINT]) == rule_ids()


@pytest.mark.parametrize("name", rule_ids())
def test_rule_explains_itself(name: str) -> None:
    """All of a rule's texts are there; a misload says so in its name; a conditional one names its condition."""
    found = rule(name)
    assert all((found.WHAT, found.WHY, found.EXAMPLE, found.REMEDY, found.REFERENCES, found.MESSAGE))
    assert found.VERDICT in ("breaks", "conditional", "absent", "safe")
    assert (found.CONDITION is not None) == (found.VERDICT == "conditional" or name == "section-version-too-old")
    assert found.LEVEL in ((None,) if name in CHECK else ("defect", "notice"))
    assert all("QEMU" in reference for reference in found.REFERENCES)


@pytest.mark.parametrize("name", ["", "field_added", "fields-added", "../finding", "__init__"])
def test_no_such_rule(name: str) -> None:
    """What is no rule is told by a KeyError, whatever it looks like."""
    with pytest.raises(KeyError):
        rule(name)

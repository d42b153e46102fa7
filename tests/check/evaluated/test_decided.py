"""Conditional findings that answers of VMs decide, and those that they do not."""

from typing import Any

from support.descriptions import desc, dump, field, varray
from support.evaluated import FakeEvaluations, evaluated

from vmdump.check.checker import Labelled, check
from vmdump.check.evaluated.answers import Answer, merge
from vmdump.check.results import Verdict
from vmdump.vmstate.model import VMStateField, VMStateInfo

A, B = field("a"), field("b", field_exists=True)
SUB = desc("dev/sub", field("c"), needed=True)
OLD, NEW = dump(desc("dev", A)), dump(desc("dev", A, B))
WITH_SUB = dump(desc("dev", A, subsections=[SUB]))
WITH_ROOT = dump(desc("dev", A), roots=((desc("other", A), "register"),))
TEST, NEEDED = ("dev", "b", 0), ("dev/sub", "", 0)
OFF, ON = Answer(0, ("x-b = off",)), Answer(1, ("x-b = on",))
STATE = Answer(0, (), "it reads the state of dev (offset 0x10)")


def test_test_is_false() -> None:
    """A field that the destination provably does not read is no difference; the finding names the property."""
    result = evaluated((OLD, NEW), {(1, "dev"): {TEST: OFF}})
    assert result.verdict is Verdict.SAFE
    (finding,) = result.findings
    message = "under pc-q35-7.2, the destination's test of b returns false, reads only x-b = off"
    assert (finding.rule, finding.path, finding.message) == ("decided-by-configuration", "dev / b", message)


def test_test_is_true() -> None:
    """A field that the destination provably reads breaks the load."""
    result = evaluated((OLD, NEW), {(1, "dev"): {TEST: ON}})
    assert result.verdict is Verdict.BREAKS
    assert [each.rule for each in result.findings] == ["field-added", "decided-by-configuration"]


def test_source_side() -> None:
    """The source's test decides about what only the source sends; the destination's answers do not matter."""
    assert evaluated((NEW, OLD), {(0, "dev"): {TEST: OFF}}).verdict is Verdict.SAFE
    assert evaluated((NEW, OLD), {(1, "dev"): {TEST: OFF}}).verdict is Verdict.CONDITIONAL


def test_state() -> None:
    """A test that reads state stays conditional, with its result at reset."""
    result = evaluated((OLD, NEW), {(1, "dev"): {TEST: STATE}})
    assert result.verdict is Verdict.CONDITIONAL
    said = "the destination's test of b returns false there, but it reads the state of dev (offset 0x10)"
    assert result.findings[0].note == f"under pc-q35-7.2, not at reset: {said}"


def test_no_answer() -> None:
    """Without an answer nothing changes, and the reason is noted."""
    for answers, note in (
        ({}, None),
        ({(1, "dev"): "not evaluated: no VM"}, "not evaluated: no VM"),
        ({(1, "dev"): {}}, "not evaluated under pc-q35-7.2: it is not reached at reset"),
    ):
        result = evaluated((OLD, NEW), answers)
        assert (result.verdict, result.findings[0].note) == (Verdict.CONDITIONAL, note)


def test_subsection() -> None:
    """A subsection that is provably not sent is no difference; one that is provably sent breaks the load."""
    assert evaluated((WITH_SUB, OLD), {(0, "dev"): {NEEDED: OFF}}).verdict is Verdict.SAFE
    result = evaluated((WITH_SUB, OLD), {(0, "dev"): {NEEDED: ON}})
    assert (result.verdict, result.findings[0].rule) == (Verdict.BREAKS, "subsection-always-sent")
    assert evaluated((WITH_SUB, OLD), {(0, "dev"): {NEEDED: STATE}}).verdict is Verdict.CONDITIONAL


def test_inside_a_subsection() -> None:
    """A difference inside a subsection that is provably not sent does not matter; inside one that is, it breaks."""
    longer = desc("dev/sub", field("c"), field("d"), needed=True)
    pair = WITH_SUB, dump(desc("dev", A, subsections=[longer]))
    assert evaluated(pair, {}).verdict is Verdict.CONDITIONAL
    assert evaluated(pair, {(0, "dev"): {NEEDED: OFF}}).verdict is Verdict.SAFE
    assert evaluated(pair, {(0, "dev"): {NEEDED: ON}}).verdict is Verdict.BREAKS


def test_second_field_of_a_name() -> None:
    """Fields of one name have tests of their own."""
    twice = dump(desc("dev", A, field("b", field_exists=True), field("b", field_exists=True, size=8)))
    both = {("dev", "b", 0): OFF, ("dev", "b", 1): OFF}
    assert evaluated((OLD, twice), {(1, "dev"): both}).verdict is Verdict.SAFE
    assert evaluated((OLD, twice), {(1, "dev"): {("dev", "b", 0): OFF}}).verdict is Verdict.CONDITIONAL


def test_only_what_decides_is_evaluated() -> None:
    """Only the functions of conditional findings are evaluated: a test that both sides have is not."""
    shared = field("s", field_exists=True)
    pair = dump(desc("dev", shared, A)), dump(desc("dev", shared, A, B))
    evaluations = FakeEvaluations({})
    check([Labelled("A", pair[0]), Labelled("B", pair[1])], directions=[(0, 1)], evaluations=evaluations)  # type: ignore[arg-type]
    assert [(at, each.description, each.keys) for at, each in evaluations.wanted] == [(1, "dev", frozenset({TEST}))]


def test_breaks_are_not_evaluated() -> None:
    """A result that breaks anyway is not evaluated."""
    evaluations = FakeEvaluations({})
    pair = dump(desc("dev", A)), dump(desc("dev", A, field("d"), B))
    dumps = [Labelled("A", pair[0]), Labelled("B", pair[1])]
    check(dumps, directions=[(0, 1)], evaluations=evaluations)  # type: ignore[arg-type]
    assert evaluations.wanted == []


def test_merge() -> None:
    """Answers of several instances are definite only if all are, and equal."""
    assert merge([(TEST, OFF), (TEST, OFF)]) == {TEST: OFF}
    assert not merge([(TEST, OFF), (TEST, ON)])[TEST].is_definite
    assert not merge([(TEST, OFF), (TEST, STATE)])[TEST].is_definite
    assert not merge([(TEST, STATE), (TEST, OFF)])[TEST].is_definite
    assert merge([(TEST, STATE), (TEST, ON)])[TEST].value == 1


def test_array_length() -> None:
    """Arrays whose length is configuration are compared by it; a length that is state stays conditional."""
    pair = dump(desc("dev", varray("v"), A)), dump(desc("dev", varray("v", "uint64"), A))
    key, sides = ("dev", "v", 0), {(0, "dev"): {}, (1, "dev"): {}}
    assert evaluated(pair, sides).verdict is Verdict.CONDITIONAL
    for answer, verdict in (
        (Answer(3, ("queues = 3",)), Verdict.BREAKS),
        (Answer(0, ("queues = 0",)), Verdict.SAFE),
        (Answer(3, (), "it is migrated"), Verdict.CONDITIONAL),
    ):
        assert evaluated(pair, sides, {key: answer}).verdict is verdict


def test_registered_section() -> None:
    """A section that a device registers only with a property that is off is not sent; else it stays conditional."""
    early = desc("dev-early", field("a"))
    dumps = [Labelled("A", dump(desc("dev", A), roots=((early, "register"),))), Labelled("B", WITH_ROOT)]
    for answer, verdict, words in (
        (Answer(0, ("x-early = off",)), Verdict.SAFE, "the source does not register dev-early, as x-early = off"),
        (Answer(1, (), "a VM with -device dev registers it"), Verdict.CONDITIONAL, "a VM with -device dev"),
        ("not evaluated: no VM", Verdict.CONDITIONAL, "not evaluated: no VM"),
    ):
        evaluations: Any = FakeEvaluations({}, registered={"dev-early": answer})
        result = check(dumps, directions=[(0, 1)], evaluations=evaluations).results["A -> B"][-1]
        (finding,) = result.findings
        assert (result.type, result.verdict) == ("dev-early", verdict)
        assert words in f"{finding.message} {finding.note}"


def test_length_at_reset() -> None:
    """A length that is state is named in a note, as it is at reset."""
    old, new = desc("e", A), desc("e", A, field("z"))
    lists = (VMStateField("l", vmsd=each, info=VMStateInfo("qtailq")) for each in (old, new))
    pair = [dump(desc("dev", each)) for each in lists]
    length = {("dev", "l", 0): Answer(0, (), "it is a list of the device's state")}
    result = evaluated((pair[0], pair[1]), {(0, "dev"): {}}, length)
    assert result.verdict is Verdict.CONDITIONAL
    note = "under pc-q35-7.2, not at reset: the source's l has 0 elements there, but it is a list of the device's state"
    assert note in str(result.findings[0].note)

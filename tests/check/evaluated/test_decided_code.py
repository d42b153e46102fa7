"""Findings about code, which hooks that always return 0 and runs of the code in VMs decide."""

from typing import Any

from support.descriptions import desc, dump, field
from support.evaluated import FakeEvaluations

from vmdump.check.checker import Labelled, check
from vmdump.check.evaluated.replay import Replayed, Sent
from vmdump.check.results import TypeResult, Verdict
from vmdump.vmstate.model import VMStateField, VMStateFlags, VMStateInfo

FIELD = VMStateField("msix", info=VMStateInfo("msix state"), size=0, flags=VMStateFlags.SINGLE)
CODE = dump(desc("dev", field("a"), FIELD)), dump(desc("dev", field("a"), FIELD))
HOOK = dump(desc("dev", field("a"))), dump(desc("dev", field("a"), post_load=True))
SENT = Sent("0000:00:01.0/dev", arguments=("dev",), body=b"abc", states=((0, 1, 1),), varied=("msix",))


def result(pair: tuple[Any, Any], **known: Any) -> TypeResult:
    """Check source -> destination with what is known from VMs."""
    evaluations: Any = FakeEvaluations({}, **known)
    dumps = [Labelled("A", pair[0]), Labelled("B", pair[1])]
    return check(dumps, directions=[(0, 1)], evaluations=evaluations).results["A -> B"][0]


def test_hook() -> None:
    """A hook that always returns 0 is no reason for doubt; any other is."""
    found = result(HOOK, hooks={("dev", "post_load"): True})
    assert (found.verdict, [each.rule for each in found.findings]) == (Verdict.SAFE, ["hook-always-loads"])
    assert result(HOOK).verdict is Verdict.UNKNOWN


def test_code_alike() -> None:
    """Code that loads and saves varied states unchanged is compared."""
    found = result(CODE, compared={"dev": (SENT, Replayed())})
    assert (found.verdict, [each.rule for each in found.findings]) == (Verdict.SAFE, ["code-compared"])
    assert found.findings[0].path == "dev / msix"
    assert "the state at reset and 1 states derived from it (msix)" in found.findings[0].message


def test_field_not_varied() -> None:
    """A field without contents at reset is not compared, although the section is loaded."""
    found = result(CODE, compared={"dev": (Sent("dev", states=((0, 1, 1),), varied=("other",)), Replayed())})
    assert found.verdict is Verdict.UNKNOWN
    assert "no byte of this can be varied" in str(found.findings[0].note)


def test_states_differ() -> None:
    """States that the destination refuses, or changes, are reported and decide nothing."""
    for replayed, words in (
        (Replayed(refused_states=1, words="no such queue"), "it refuses 1 (no such queue)"),
        (Replayed(changed_states=1), "it changes 1"),
        (Replayed(changed=3), "saves 3 bytes with other values"),
        (Replayed(why="not compared in a VM: it crashes"), "not compared in a VM: it crashes"),
    ):
        found = result(CODE, compared={"dev": (SENT, replayed)})
        assert (found.verdict, found.findings[0].rule) == (Verdict.UNKNOWN, "code-not-compared")
        assert words in str(found.findings[0].note)


def test_state_at_reset_is_refused() -> None:
    """A destination that refuses the state at reset breaks, with QEMU's message."""
    found = result(CODE, compared={"dev": (SENT, Replayed(refused="VQ 0 vring.num 1024 exceeds allocated max 8"))})
    assert (found.verdict, found.findings[-1].rule) == (Verdict.BREAKS, "reset-state-refused")
    assert found.findings[-1].error == "VQ 0 vring.num 1024 exceeds allocated max 8"
    assert "a VM with -device dev" in found.findings[-1].message

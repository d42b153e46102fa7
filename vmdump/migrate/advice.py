"""Explanations of failed loads: the finding of the check that predicts one, the meaning of QEMU's lines, a remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.results import Verdict
from vmdump.errors import VmdumpError
from vmdump.explain.explainer import CAUSE, WHERE, explain, find

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vmdump.check.results import Finding
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.migrate.failure import Failure
    from vmdump.stream.saved_vm import SavedVM

#: Verdicts that predict a failure.
_PREDICTING = (Verdict.BREAKS, Verdict.CONDITIONAL, Verdict.ABSENT)


class Advice(NamedTuple):
    """The explanation of one failure.

    Attributes:
        finding: of the check of the saved VM against the destination; None: the check has none for this section.
        meaning: what QEMU's line says; None: not known.
        remedy: what to do; None: not known.
    """

    finding: Finding | None
    meaning: str | None
    remedy: str | None


def advise(failures: Sequence[Failure], vm: SavedVM, open_dump: Callable[[], DeviceDump]) -> list[Advice]:
    """Return an advice for each failure.

    Args:
        failures: of a load.
        vm: the saved VM.
        open_dump: returns the destination's dump; only called if there are failures in sections.
    """
    findings: Sequence[Finding] = ()
    if any(each.section is not None for each in failures):
        findings = _findings(vm, open_dump)
    names = _description_names(vm)
    return [_advice(each, findings, names) for each in failures]


def _findings(vm: SavedVM, open_dump: Callable[[], DeviceDump]) -> Sequence[Finding]:
    """Return the findings that predict a failure; none if the check cannot compare the VM."""
    from vmdump.check.api import check
    from vmdump.stream.stream_dump import StreamDump

    try:
        result = check(StreamDump(vm), open_dump(), directions="forward", any_target=True, evaluate=False)
    except VmdumpError:  # no vmdescription, or a binary that is not read within its limits
        return ()
    return [each for each in result.findings if each.verdict in _PREDICTING]


def _description_names(vm: SavedVM) -> dict[str, str]:
    """Return the name of the description of each section, by the section's name."""
    listed = vm.document.get("devices") if vm.document is not None else None
    return {
        each["name"]: each["vmsd_name"]
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict) and isinstance(each.get("name"), str) and isinstance(each.get("vmsd_name"), str)
    }


def _advice(failure: Failure, findings: Sequence[Finding], names: dict[str, str]) -> Advice:
    finding = None
    if failure.section is not None:
        name = names.get(failure.section, failure.section)
        finding = _best([each for each in findings if each.path.split(" / ")[0] == name], failure)
    explanations = explain("\n".join(failure.lines))
    cause = next((each for kind in (CAUSE, WHERE) for each in explanations if each.kind == kind), None)
    meaning = None if cause is None else cause.what or None
    remedy = next((each.remedy for each in explanations if each.kind == CAUSE and each.remedy), None)
    return Advice(finding, meaning, remedy or (None if finding is None else finding.remedy))


def _best(findings: Sequence[Finding], failure: Failure) -> Finding | None:
    """Return the finding that predicts the failure's lines, or else the worst one."""
    printed = {known.key for line in failure.lines for known, _ in find(line)}

    def rank(each: Finding) -> tuple[bool, int]:
        predicted = {known.key for known, _ in find(each.error)} if each.error else set()
        return not predicted.isdisjoint(printed), each.verdict.severity()

    return max(findings, key=rank, default=None)

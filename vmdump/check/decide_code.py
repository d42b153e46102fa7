"""Decides findings about code in VMs: fields that code saves and loads, and load hooks that only the destination has.

A hook that always returns 0 can't refuse a state. Else the destination's code is run with states of the source's VM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.check.evaluated.answers import Wanted
from vmdump.check.results import Finding, TypeResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.check.direction import DirectionCheck, Place
    from vmdump.check.evaluated.evaluations import Evaluations
    from vmdump.check.evaluated.replay import Replayed, Sent
    from vmdump.check.results import Direction

_FIELD, _HOOK = "code-not-compared", "hook-added"


class _Undecided(NamedTuple):
    """A result that would be safe without findings about code: its index, and the section."""

    at: int
    place: Place


def decide_code(
    results: list[TypeResult],
    places: Sequence[Place],
    indices: Direction,
    check: DirectionCheck,
    evaluations: Evaluations,
    machine: str,
) -> None:
    """Replace findings about code in the results of one direction.

    Args:
        results: changed in place.
        places: the sections of the results.
        indices: the dumps of both sides.
        check: makes findings.
        evaluations: of the dumps.
        machine: the machine type of the VMs.
    """
    undecided = _decide_hooks(_find(results, places), results, indices.destination, check, evaluations)
    wanted = [(_wanted(each.place), _fields(results[each.at])) for each in undecided]
    compared = evaluations.compare_code(*indices, wanted) if wanted else []
    for each, (sent, replayed) in zip(undecided, compared, strict=False):
        before = results[each.at]
        found = _Compared(check, before, each.place, machine, sent, replayed).findings()
        results[each.at] = _with(before, found)


def _find(results: Sequence[TypeResult], places: Sequence[Place]) -> list[_Undecided]:
    return [
        _Undecided(at, place)
        for at, (result, place) in enumerate(zip(results, places, strict=False))
        if place.match is not None and result.verdict is Verdict.UNKNOWN and any(map(_is_of_code, result.findings))
    ]


def _is_of_code(finding: Finding) -> bool:
    return finding.rule in (_FIELD, _HOOK)


def _decide_hooks(
    undecided: list[_Undecided],
    results: list[TypeResult],
    destination: int,
    check: DirectionCheck,
    evaluations: Evaluations,
) -> list[_Undecided]:
    """Replace findings about hooks that accept every state; return the results that are still undecided."""
    hooks = sorted({_hook(f) for each in undecided for f in results[each.at].findings if f.rule == _HOOK})
    accept = dict(zip(hooks, evaluations.never_refuses(destination, hooks) if hooks else (), strict=False))
    for each in undecided:
        before, found = results[each.at], list[Finding]()
        for finding in before.findings:
            if finding.rule == _HOOK and accept.get(_hook(finding)):
                description, hook = _hook(finding)
                finding = _make(check, before, each.place, "hook-always-loads", finding.path, description=description,
                                hook=hook)  # fmt: skip
            found.append(finding)
        results[each.at] = _with(before, found)
    return [each for each in undecided if any(map(_is_of_code, results[each.at].findings))]


def _hook(finding: Finding) -> tuple[str, str]:
    """Return the description and the name of a hook."""
    assert finding.destination is not None
    _, description, hook = finding.destination.path.rsplit(" / ", 2)
    return description, hook


def _wanted(place: Place) -> Wanted:
    section = place.section
    return Wanted(section.type if section.root is None else None, section.name)


def _fields(result: TypeResult) -> tuple[str, ...]:
    """Return the names of the fields that code saves and loads."""
    return tuple(dict.fromkeys(_field(each) for each in result.findings if each.rule == _FIELD))


def _field(finding: Finding) -> str:
    return finding.path.rpartition(" / ")[2].rpartition(".")[2].removesuffix("[]")


class _Compared:
    """Findings about a section whose code was run."""

    def __init__(
        self, check: DirectionCheck, before: TypeResult, place: Place, machine: str, sent: Sent, replayed: Replayed
    ) -> None:
        self._check, self._before, self._place, self._machine = check, before, place, machine
        self._sent, self._replayed = sent, replayed

    def findings(self) -> list[Finding]:
        """Return all findings of the result."""
        if self._replayed.refused is not None:
            arguments = " ".join(f"-device {each}" for each in self._sent.arguments) or "no further devices"
            refused = self._make("reset-state-refused", arguments=arguments, refusal=self._replayed.refused)
            return [*self._before.findings, refused]
        return [self._of(each) if _is_of_code(each) else each for each in self._before.findings]

    def _of(self, finding: Finding) -> Finding:
        if self._replayed.is_alike and self._is_exercised(finding):
            what = _field(finding) if finding.rule == _FIELD else _hook(finding)[1]
            return self._make("code-compared", finding.path, count=len(self._sent.states), what=what)
        return finding._replace(note=self._note())

    def _is_exercised(self, finding: Finding) -> bool:
        """Whether states were tried in which the field has other values; for a hook, any other states."""
        return bool(self._sent.states) if finding.rule == _HOOK else _field(finding) in self._sent.varied

    def _note(self) -> str:
        replayed, count = self._replayed, len(self._sent.states)
        if replayed.why is not None:
            return replayed.why
        where = f"under {self._machine}, the destination's code"
        if replayed.changed:
            return f"{where} loads the state at reset, but saves {replayed.changed} bytes with other values"
        if replayed.is_alike:
            return f"{where} loads and saves unchanged the state at reset, in which no byte of this can be varied"
        refused = f"refuses {replayed.refused_states} ({replayed.words})" if replayed.refused_states else ""
        changed = f"changes {replayed.changed_states}" if replayed.changed_states else ""
        return (
            f"{where} loads and saves unchanged the state at reset; of {count} states derived from it, which the "
            f"source's code accepts, it {' and '.join(filter(None, (refused, changed)))}"
        )

    def _make(self, rule_id: str, path: str | None = None, **facts: Any) -> Finding:
        return _make(self._check, self._before, self._place, rule_id, path, machine=self._machine, **facts)


def _make(
    check: DirectionCheck, before: TypeResult, place: Place, rule_id: str, path: str | None, **facts: Any
) -> Finding:
    """Return a finding about a section. path: default: the section's."""
    assert place.match is not None
    findings = check.no_findings(before.type, before.section)
    findings.report(rule_id, place.section, place.match.section, **facts)
    (finding,) = findings.findings
    return finding if path is None else finding._replace(path=path)


def _with(before: TypeResult, found: list[Finding]) -> TypeResult:
    return before._replace(findings=found, verdict=Verdict.worst(each.verdict for each in found))

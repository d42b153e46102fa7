"""Resolves in VMs what is known at run time only: conditional results, and what every VM of a machine type has.

The functions and array lengths that conditional findings depend on are evaluated once for each dump; results whose
answers are definite are compared again with them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.board import BoardCheck, differing_tests
from vmdump.check.decide_code import decide_code
from vmdump.check.evaluated.answers import Wanted
from vmdump.check.results import TypeResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.check.direction import DirectionCheck, Known, Place
    from vmdump.check.evaluated.answers import Key
    from vmdump.check.evaluated.board import Board
    from vmdump.check.evaluated.evaluations import Evaluations
    from vmdump.check.results import Direction
    from vmdump.check.tree_view import Section

_SIDES = ("source", "destination")

#: The device type (None: a standalone VMSD) and the description of a section; see Wanted.
_Where = tuple[str | None, str]


def decide(
    results: dict[str, list[TypeResult]],
    checks: Sequence[tuple[Direction, DirectionCheck]],
    evaluations: Evaluations,
    *,
    boards: bool,
) -> None:
    """Replace results that depend on what a VM decides.

    Args:
        results: of each direction, by label; changed in place.
        checks: the directions, with the indices of their dumps.
        evaluations: of the dumps.
        boards: whether to add a result for the machine type, which compares what every VM has.
    """
    directions = [_Direction(indices, check, results[check.label]) for indices, check in checks]
    wanted: dict[int, dict[_Where, set[Key]]] = {}
    for direction in directions:
        for each in direction.undecided:
            for dump, where, keys in zip(direction.indices, each.where, each.keys, strict=True):
                wanted.setdefault(dump, {}).setdefault(where, set()).update(keys)
    known: dict[tuple[int, _Where], Known] = {}
    for dump, places in wanted.items():
        asked = [Wanted(*where, frozenset(keys)) for where, keys in places.items() if keys]
        known.update(
            ((dump, (each.type, each.description)), found) for each, found in evaluations.evaluate(dump, asked).items()
        )
    for direction in directions:
        for each in direction.undecided:
            sides = [known.get((dump, where)) for dump, where in zip(direction.indices, each.where, strict=True)]
            direction.decide(each, *sides)
        direction.decide_registered(evaluations)
        direction.decide_code(evaluations)
        direction.compare_boards(evaluations, add=boards)


class _Undecided(NamedTuple):
    """A conditional result.

    Attributes:
        at: index in the direction's results.
        place: the section.
        where: the section on each side.
        keys: the functions and array lengths that decide, of each side.
    """

    at: int
    place: Place
    where: tuple[_Where, _Where]
    keys: tuple[frozenset[Key], frozenset[Key]]


class _Direction:
    """Decides the results of one direction."""

    def __init__(self, indices: Direction, check: DirectionCheck, results: list[TypeResult]) -> None:
        self.indices, self._check, self._results = indices, check, results
        self._places = list(check.places)
        self.undecided = self._find_undecided()

    def _find_undecided(self) -> list[_Undecided]:
        """Return the conditional results, each with what decides it."""
        undecided = []
        for at, (result, place) in enumerate(zip(self._results, self._places, strict=True)):
            if result.verdict is not Verdict.CONDITIONAL or place.match is None:
                continue
            findings, _ = self._check.compare_with(place)
            source, destination = (frozenset(key for side, key in findings.deciding if side == each) for each in _SIDES)
            if source or destination:
                where = _where(place.section), _where(place.match.section)
                undecided.append(_Undecided(at, place, where, (source, destination)))
        return undecided

    def decide(self, undecided: _Undecided, source: Known, destination: Known) -> None:
        """Replace a result by one that uses what is known from VMs of both sides."""
        place = undecided.place
        assert place.match is not None
        findings, layout = self._check.compare_with(place, source, destination)
        for side, known in zip(_SIDES, (source, destination), strict=True):
            answers = None if isinstance(known, str) else known
            findings.report_answers(side, answers, place.section, place.match.section)
        verdict = Verdict.worst(finding.verdict for finding in findings.findings)
        before = self._results[undecided.at]
        found = [finding._replace(type=before.type) for finding in findings.findings]
        self._results[undecided.at] = before._replace(verdict=verdict, findings=found, layout=layout)

    def decide_registered(self, evaluations: Evaluations) -> None:
        """Replace results about sections that the destination lacks, if a device registers them."""
        for at, (result, place) in enumerate(zip(self._results, self._places, strict=True)):
            if result.verdict is not Verdict.CONDITIONAL or place.match is not None:
                continue
            answer = evaluations.registration(self.indices.source, place.section.name)
            if answer is None:
                continue
            machine = evaluations.machine(self.indices.source)
            if isinstance(answer, str) or not answer.is_definite:
                note = answer if isinstance(answer, str) else f"under {machine}, {answer.obstacle}"
                found = [each._replace(note=note) for each in result.findings]
                self._results[at] = result._replace(findings=found)
                continue
            findings = self._check.no_findings(result.type, result.section)
            switch = ", ".join(answer.configuration)
            words = f"the source does not register {place.section.name}, as {switch}; a device would, if it were not"
            findings.report("decided-by-configuration", place.section, None, machine=machine, answer=words)
            self._results[at] = result._replace(verdict=Verdict.SAFE, findings=findings.findings)

    def decide_code(self, evaluations: Evaluations) -> None:
        """Replace findings about code by what it does in VMs of both sides."""
        machines = {evaluations.machine(index) for index in self.indices}
        if len(machines) == 1 and (machine := machines.pop()) is not None:
            decide_code(self._results, self._places, self.indices, self._check, evaluations, machine)

    def compare_boards(self, evaluations: Evaluations, *, add: bool) -> None:
        """Compare VMs without further devices. add: whether to add a result for the machine type."""
        source, destination = (evaluations.board(index) for index in self.indices)
        if source is None or destination is None or source.machine != destination.machine:
            return
        self._compare_tests(source, destination, evaluations)
        if add:
            accepts = partial(evaluations.accepts, self.indices.destination)
            lines = self._check.destination_lines
            check = BoardCheck(
                self._check.label, source, destination, lines, accepts, partial(self._with_defaults, evaluations)
            )
            self._results.append(check.result())

    def _with_defaults(self, evaluations: Evaluations) -> tuple[Board | None, Board | None]:
        """Return the boards of both sides with QEMU's default devices."""
        source, destination = (evaluations.board(index, defaults=True) for index in self.indices)
        return source, destination

    def _compare_tests(self, source: Board, destination: Board, evaluations: Evaluations) -> None:
        """Add findings to results of types whose fields have tests that provably differ between the VMs."""
        places = {(each.type, each.section): at for at, each in enumerate(self._results)}
        for wanted in differing_tests(source, destination):
            at = places.get((wanted.type or wanted.description, wanted.description))
            if at is None or self._results[at].verdict is Verdict.BREAKS:
                continue
            before = self._results[at]
            findings = self._check.no_findings(before.type, before.section)
            sides = [evaluations.evaluate(index, [wanted]).get(wanted) for index in self.indices]
            findings.report_differing(wanted, *sides)
            found = [*before.findings, *findings.findings]
            verdict = Verdict.worst([before.verdict, *(each.verdict for each in findings.findings)])
            self._results[at] = before._replace(findings=found, verdict=verdict)


def _where(section: Section) -> _Where:
    return (section.type if section.root is None else None), section.name

"""Evaluations of all dumps of a check, each in VMs of its own binary; see evaluation.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.evaluated.evaluation import Evaluation
from vmdump.check.evaluated.replay import Replayed, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vmdump.check.evaluated.answers import Answer, Answers, Wanted
    from vmdump.check.evaluated.board import Board
    from vmdump.check.evaluated.evaluation import ImageOfMachine

#: Number of dumps up to which code is compared in VMs, which takes a minute for a pair.
_COMPARED_MAX = 2


class Evaluations:
    """Evaluations of several images; a dump that is not of an image is not evaluated."""

    def __init__(
        self,
        images: Sequence[ImageOfMachine | None],
        report: Callable[[object], None],
        *,
        cache: bool = True,
        timeout: float | None = None,
    ) -> None:
        """``images``: of the dumps of a check, in their order. The rest: see Evaluation."""
        self._evaluations = [
            None if image is None else Evaluation(image, report, cache=cache, timeout=timeout) for image in images
        ]

    def machine(self, dump: int) -> str | None:
        """Return the machine type of a dump's VMs; None: it has none."""
        evaluation = self._evaluations[dump]
        return None if evaluation is None else evaluation.machine

    def evaluate(self, dump: int, wanted: Sequence[Wanted]) -> dict[Wanted, Answers | str]:
        """Evaluate sections of a dump."""
        evaluation = self._evaluations[dump]
        return {} if evaluation is None else evaluation.evaluate(wanted)

    def registration(self, dump: int, description: str) -> Answer | str | None:
        """Return whether a device registers a section; see Evaluation. None: the dump has no VMs."""
        evaluation = self._evaluations[dump]
        return None if evaluation is None else evaluation.registration(description)

    def never_refuses(self, dump: int, hooks: Sequence[tuple[str, str]]) -> list[bool]:
        """Return whether load hooks of a dump provably accept every state."""
        evaluation = self._evaluations[dump]
        return [False] * len(hooks) if evaluation is None else evaluation.never_refuses(hooks)

    def compare_code(
        self, source: int, destination: int, wanted: Sequence[tuple[Wanted, Sequence[str]]]
    ) -> list[tuple[Sent, Replayed]]:
        """Load states of sections of one dump into VMs of another. wanted: sections, and fields to vary first."""
        sending, loading = self._evaluations[source], self._evaluations[destination]
        if sending is None or loading is None or len(self._evaluations) > _COMPARED_MAX:
            return []
        states = sending.states(wanted)
        there = [(each, sent) for (each, _), sent in zip(wanted, states, strict=True) if sent.why is None]
        replayed = iter(loading.replay(there))
        return [(sent, next(replayed) if sent.why is None else Replayed(why=sent.why)) for sent in states]

    def board(self, dump: int, *, defaults: bool = False) -> Board | None:
        """Return what every VM of the dump's machine type has; None if that is not known. defaults: see Evaluation."""
        evaluation = self._evaluations[dump]
        return None if evaluation is None else evaluation.board(defaults=defaults)

    def accepts(self, dump: int, block: str, size: int) -> str | None:
        """Return why a VM of the dump refuses a RAM block of this size; None: it does not."""
        evaluation = self._evaluations[dump]
        return None if evaluation is None else evaluation.accepts(block, size)

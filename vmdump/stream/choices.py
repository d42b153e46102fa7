"""A search over what a stream does not contain: results of run-time tests, lengths from the device, NULL pointers.

A reader asks for choices in a fixed order; an attempt presets some of them and takes the first option for all others.
Attempts are made cheapest first, where each deviation from a first option costs.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import log2

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    T = TypeVar("T")

#: Limits of the attempts for a section, and of the choices of an attempt that are varied.
MAX_ATTEMPTS, MAX_VARIED = 1500, 4096


class Choices:
    """The choices of one attempt.

    Args:
        preset: Index of the option for each choice, in order.
        is_shared: All choices of one key get the same option, as elements of an array usually do.
    """

    def __init__(self, preset: Sequence[int], is_shared: bool) -> None:
        self._preset, self._is_shared = preset, is_shared
        self._known: dict[str, object] = {}
        #: Index taken and number of options of each choice.
        self.taken: list[tuple[int, int]] = []

    def choose(self, key: str, options: Sequence[T]) -> T:
        """Return an option of a choice; the first is the likeliest."""
        if self._is_shared and key in self._known and self._known[key] in options:
            return self._known[key]  # type: ignore[return-value]
        position = len(self.taken)
        index = self._preset[position] if position < len(self._preset) else 0
        index = min(index, len(options) - 1)
        self.taken.append((index, len(options)))
        self._known[key] = options[index]
        return options[index]


def search(attempt: Callable[[Choices], bool]) -> Choices | None:
    """Return the choices of the first attempt that succeeds; None if none of MAX_ATTEMPTS does."""
    for is_shared, most in ((True, MAX_ATTEMPTS), (False, MAX_ATTEMPTS // 3)):
        found = _search(attempt, is_shared, most)
        if found is not None:
            return found
    return None


def _search(attempt: Callable[[Choices], bool], is_shared: bool, most: int) -> Choices | None:
    queue: list[tuple[float, int, list[int]]] = [(0.0, 0, [])]
    order = 0
    for _ in range(most):
        if not queue:
            return None
        cost, _, preset = heappop(queue)
        choices = Choices(preset, is_shared)
        if attempt(choices):
            return choices
        taken = choices.taken[:MAX_VARIED]
        if preset and len(preset) <= len(taken) and preset[-1] + 1 < taken[len(preset) - 1][1]:
            order += 1
            more = log2(preset[-1] + 2) - log2(preset[-1] + 1)
            heappush(queue, (cost + more, order, [*preset[:-1], preset[-1] + 1]))
        indices = [index for index, _ in taken]
        for position in range(len(preset), len(taken)):
            if taken[position][1] > 1:
                order += 1
                heappush(queue, (cost + 1, order, [*indices[:position], 1]))
    return None

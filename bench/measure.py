"""Interleaved measurement.

Cases take turns, A B C A B C ..., because a machine's speed drifts (clock frequency, other load). A ratio is taken
within a round, between neighbours in time, and the median over all rounds is the result. The garbage collector is
enabled, as in any program, and runs before each case.
"""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

#: One turn of a case: measurements by row name, in seconds or bytes, in total or for each field.
Case = Callable[[], dict[str, float]]

#: Minimum duration of a turn in seconds, by repeated calls, so that caches are warm and clock resolution does not
#: matter.
TURN = 0.005

CPU_CLOCK = "CPU time of this process"


@dataclass(frozen=True)
class Goal:
    """A goal of a ratio, or of a figure without one: a lower or an upper bound."""

    at_least: float | None = None
    at_most: float | None = None

    def text(self, amount: Callable[[float], str] = "{:g}".format) -> str:
        """Format for a table; amount formats a number."""
        return f">= {amount(self.at_least)}" if self.at_least is not None else f"<= {amount(self.at_most)}"

    def verdict(self, low: float, high: float) -> str:
        """Judge the middle half of the rounds' values; a goal inside it is unclear."""
        worst, best = (low, high) if self.at_least is not None else (-high, -low)
        goal = self.at_least if self.at_least is not None else -self.at_most
        if worst >= goal:
            return "met"
        return "missed" if best < goal else "unclear"


@dataclass(frozen=True)
class Row:
    """A line of the table. The ratio is this row's figure over that of the row named by against; the goal applies to
    the ratio, or without one to the figure. promise: the row's name in the last table, in the issue's words. curve and
    at: the plot to which the row contributes a point, and its x coordinate.
    """

    name: str
    against: str | None = None
    goal: Goal | None = None
    unit: str = "s"
    promise: str = ""
    curve: str = ""
    at: float = 0


@dataclass(frozen=True)
class Comparison:
    """Cases that are interleaved, and the rows made from them. Without cases, the notes give the reason."""

    title: str
    cases: Sequence[Case] = ()
    rows: Sequence[Row] = ()
    clock: str = CPU_CLOCK
    notes: Sequence[str] = ()
    max_rounds: int | None = None  # for rounds that take long or have no noise


@dataclass(frozen=True)
class Result:
    """A row with its figures, one for each round."""

    row: Row
    figures: list[float]
    ratios: list[float] = field(default_factory=list)

    @property
    def figure(self) -> float:
        return statistics.median(self.figures)

    @property
    def ratio(self) -> float | None:
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def verdict(self) -> str | None:
        if self.row.goal is None:
            return None
        return self.row.goal.verdict(*middle_half(self.ratios or self.figures))

    def goal_text(self, amount: Callable[[float], str]) -> str | None:
        """Format the goal for a table; amount formats a figure."""
        if self.row.goal is None:
            return None
        return self.row.goal.text() if self.ratios else self.row.goal.text(amount)


def middle_half(values: list[float]) -> tuple[float, float]:
    """Return the lower and upper quartile."""
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def cpu_timed(name: str, function: Callable[[], object]) -> Case:
    """Return a case that measures this process's CPU seconds (user and system) for one call."""
    number = 0

    def turn() -> dict[str, float]:
        nonlocal number
        if not number:
            number = max(1, round(TURN / max(_seconds(function, 3) / 3, 1e-9)))
        return {name: _seconds(function, number) / number}

    return turn


def divided(case: Case, number: float) -> Case:
    """Return a case with figures divided by number."""
    return lambda: {name: figure / number for name, figure in case().items()}


def _seconds(function: Callable[[], object], number: int) -> float:
    start = time.process_time_ns()
    for _ in range(number):
        function()
    return (time.process_time_ns() - start) * 1e-9


def interleave(cases: Sequence[Case], rounds: int) -> dict[str, list[float]]:
    """Run every case once a round, after one warm-up round, and return the figures of each row, one for each round."""
    figures: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for case in cases:
            gc.collect()
            measured = case()
            if turn:
                for name, figure in measured.items():
                    figures.setdefault(name, []).append(figure)
    return figures


def measure(comparison: Comparison, rounds: int) -> list[Result]:
    """Return the comparison's rows."""
    figures = interleave(comparison.cases, min(rounds, comparison.max_rounds or rounds))
    results = []
    for row in comparison.rows:
        against = figures[row.against] if row.against else []
        ratios = [mine / other for mine, other in zip(figures[row.name], against, strict=False)]
        results.append(Result(row, figures[row.name], ratios))
    return results

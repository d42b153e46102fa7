"""Interleaved measuring. Nothing to run here; compare.py does.

What is compared takes turns, A B C A B C ..., because a machine's speed drifts: it changes clocks, others work on it. A
ratio is taken within a round, between neighbours in time, and the median of all rounds is what counts. The garbage
collector is on, as in any program, and has nothing left to do when a case begins.
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
    """A line of the table. The ratio is this row's figure over that of the row against; the goal is the ratio's, or,
    without one, the figure's. promise: the line of the last table that it is, in the issue's words. curve and at: the
    plot that it is a point of, and where.
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
    """What is measured in turns, and which rows it makes. Without cases, the notes say why it is skipped."""

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

"""The last table: each promised result, and whether it is met."""

from collections.abc import Iterable

from amount import amount
from measure import Result, middle_half

HEADS = ("what", "goal", "figure", "+-", "verdict")


def promise_rows(results: Iterable[Result]) -> list[tuple[str, ...]]:
    """Return a line for each result with a promise, under HEADS."""
    rows = []
    for result in results:
        if result.row.promise:
            values = result.ratios or result.figures
            low, high = middle_half(values)
            value = result.figure if result.ratio is None else result.ratio
            unit = result.row.unit
            figure = f"{value:.3g} times" if result.ratios else amount(value, unit)
            goal = result.goal_text(lambda each, unit=unit: amount(each, unit)) or ""
            spread = f"{50 * (high - low) / value:.0f}%" if value else ""
            rows.append((result.row.promise, goal, figure, spread, result.verdict or ""))
    return rows


def text_table(rows: list[tuple[str, ...]]) -> str:
    """Format for a terminal."""
    rows = [HEADS, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return "\n".join("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def markdown_table(rows: list[tuple[str, ...]]) -> str:
    """Format for a file."""
    lines = [HEADS, tuple("---" for _ in HEADS), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

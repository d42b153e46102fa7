"""Comparison with the last run. Ratios and instruction counts are comparable between days, times hardly."""

import json
from collections.abc import Iterable
from pathlib import Path

from measure import Comparison, Result

BUILD = Path(__file__).parent.parent / "build" / "bench"
LAST = BUILD / "last.json"

#: Smaller changes are not printed.
NOISE = 0.05


def changes_since(runs: Iterable[tuple[Comparison, list[Result]]]) -> list[str]:
    """Return a line for each row that differs from the last run by more than noise, and store this run as the last.
    Rows that were not measured are kept.
    """
    kept: dict[str, float] = json.loads(LAST.read_text()) if LAST.exists() else {}
    values = {_key(comparison, result): _value(result) for comparison, results in runs for result in results}
    lines = [
        f"{key}: {kept[key]:.3g} -> {value:.3g} ({value / kept[key] - 1:+.0%})"
        for key, value in values.items()
        if kept.get(key) and abs(value / kept[key] - 1) > NOISE
    ]
    BUILD.mkdir(parents=True, exist_ok=True)
    LAST.write_text(json.dumps({**kept, **values}, indent=1) + "\n")
    return lines


def _key(comparison: Comparison, result: Result) -> str:
    row = result.row
    return f"{comparison.title} | {row.name}" + (f" / {row.against}" if row.against else f", {row.unit}")


def _value(result: Result) -> float:
    return result.figure if result.ratio is None else result.ratio

"""vmdump against what it is measured by, interleaved, as ratios.

    python bench/compare.py                       everything, 15 rounds: some minutes
    python bench/compare.py --quick               3 rounds, small sizes: whether it runs
    python bench/compare.py --rounds 31 --json FILE
    python bench/compare.py engine process        these groups alone

Figures are medians of the rounds; a ratio is the median of the rounds' ratios, each taken within one round. Only ratios
bear comparison between machines or days. +- is half the distance between the quartiles. A goal is what an issue asks of
a ratio or a figure; "unclear" means that it lies between the quartiles. No result is a failure: the exit code is 0
unless something breaks.

To add a comparison: yield a Comparison (measure.py) from a compare_*.py, and list its function in GROUPS.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from compare_bulk import compare_bulk
from compare_engine import compare_engine
from compare_image import compare_image
from compare_memory import compare_memory
from compare_process import compare_process
from compare_registry import compare_registry
from machine import describe_machine
from measure import Comparison, Result, measure, middle_half

GROUPS: dict[str, Callable[[bool], Iterator[Comparison]]] = {
    "engine": compare_engine,
    "registry": compare_registry,
    "process": compare_process,
    "image": compare_image,
    "memory": compare_memory,
    "bulk": compare_bulk,
}

ROUNDS, QUICK_ROUNDS = 15, 3

HEADS = ("what", "figure", "+-", "ratio", "goal", "verdict")


def main() -> None:
    """Measures, prints, and writes the JSON file."""
    args = _parse_arguments()
    rounds = args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS)
    machine = describe_machine()
    for name, value in machine.items():
        print(f"{name + ':':<10} {value}")
    print(f"{'rounds:':<10} {rounds}, interleaved", flush=True)
    comparisons = []
    for group in args.groups or GROUPS:
        for comparison in GROUPS[group](args.quick):
            results = measure(comparison, rounds)
            print(f"\n{comparison.title}\n{_table(comparison, results)}", flush=True)
            comparisons.append(_record(group, comparison, results))
    if args.json:
        record = {"machine": machine, "rounds": rounds, "comparisons": comparisons}
        args.json.write_text(json.dumps(record, indent=2) + "\n")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures vmdump against what it is measured by.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)} (default: all)")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default: {ROUNDS}, with --quick {QUICK_ROUNDS}")
    parser.add_argument("--quick", action="store_true", help="few rounds, small sizes: not for judging")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round's figures here")
    args = parser.parse_args()
    unknown = [group for group in args.groups if group not in GROUPS]
    if unknown or (args.rounds is not None and args.rounds < 1):
        parser.error(f"no such group: {unknown[0]}" if unknown else "--rounds takes 1 or more")
    return args


def _table(comparison: Comparison, results: Sequence[Result]) -> str:
    lines = [f"  {note}" for note in comparison.notes]
    if results:
        lines.insert(0, f"  clock: {comparison.clock}")
        rows = [HEADS, *(_cells(result) for result in results)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
        lines += ["  " + "  ".join(map(_pad, row, widths, range(len(HEADS)))).rstrip() for row in rows]
    return "\n".join(lines)


def _pad(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if HEADS[column] in ("figure", "+-") else cell.ljust(width)


def _cells(result: Result) -> tuple[str, ...]:
    low, high = middle_half(result.figures)
    spread = f"{50 * (high - low) / result.figure:.0f}%" if result.figure else ""
    ratio = "" if result.ratio is None else f"{result.ratio:.3g} x {result.row.against}"
    amount = _amount(result.figure, result.row.unit)
    return result.row.name, amount, spread, ratio, _goal(result) or "", result.verdict or ""


def _goal(result: Result) -> str | None:
    return result.goal_text(lambda figure: _amount(figure, result.row.unit))


def _amount(value: float, unit: str) -> str:
    """0.000203 and "s a field" as "203 us a field"; bytes in KiB or MiB."""
    base, _, per = unit.partition(" ")
    if base == "B":
        scale, prefix = (1 << 20, "MiB") if value >= 1 << 20 else (1 << 10, "KiB")
        return f"{value / scale:.1f} {prefix}{per and ' ' + per}"
    scales = ((1, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
    scale, prefix = next((each for each in scales if value >= each[0]), scales[-1])
    return f"{value / scale:.3g} {prefix}{per and ' ' + per}"


def _record(group: str, comparison: Comparison, results: Sequence[Result]) -> dict[str, object]:
    return {
        "group": group,
        "title": comparison.title,
        "clock": comparison.clock,
        "notes": list(comparison.notes),
        "rows": [
            {
                "what": result.row.name,
                "unit": result.row.unit,
                "figures": result.figures,
                "median": result.figure,
                "against": result.row.against,
                "ratios": result.ratios,
                "ratio": result.ratio,
                "goal": _goal(result),
                "verdict": result.verdict,
            }
            for result in results
        ],
    }


if __name__ == "__main__":
    main()

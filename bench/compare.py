"""Benchmarks of vmdump: interleaved comparisons, as ratios.

    python bench/compare.py                       everything, 15 rounds at most: ten minutes
    python bench/compare.py --quick               3 rounds, small sizes: a smoke test
    python bench/compare.py --rounds 31 --json FILE
    python bench/compare.py engine process        only these groups

Figures are medians over the rounds; a ratio is the median of the rounds' ratios, each within one round. Only ratios
are comparable between machines or days. +- is half the interquartile range. A goal is an issue's requirement on a ratio
or a figure; "unclear" means that it lies between the quartiles. Missed goals do not change the exit code, which is 0
unless an error occurs.

The last table shows the promised results. Before it, differences from the last full run are printed, which is stored in
build/bench/last.json, beside a plot of each curve.

To add a comparison: yield a Comparison (measure.py) from a compare_*.py, and list its function in GROUPS.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from amount import amount
from compare_bulk import compare_bulk
from compare_check import compare_check
from compare_convert import compare_convert
from compare_engine import compare_engine
from compare_growth import compare_growth
from compare_image import compare_image
from compare_instructions import compare_instructions
from compare_large import compare_large
from compare_load import compare_load
from compare_machine import compare_machine
from compare_memory import compare_memory
from compare_migrate import compare_migrate
from compare_process import compare_process
from compare_registry import compare_registry
from compare_stream import compare_stream
from last_run import BUILD, changes_since
from machine import describe_machine
from measure import Comparison, Result, measure, middle_half
from plot import plot_curves
from promises import promise_rows, text_table
from results import results_page

GROUPS: dict[str, Callable[[bool], Iterator[Comparison]]] = {
    "engine": compare_engine,
    "large": compare_large,
    "convert": compare_convert,
    "registry": compare_registry,
    "process": compare_process,
    "image": compare_image,
    "machine": compare_machine,
    "migrate": compare_migrate,
    "memory": compare_memory,
    "growth": compare_growth,
    "check": compare_check,
    "stream": compare_stream,
    "load": compare_load,
    "instructions": compare_instructions,
    "bulk": compare_bulk,
}

ROUNDS, QUICK_ROUNDS = 15, 3

HEADS = ("what", "figure", "+-", "ratio", "goal", "verdict")


def main() -> None:
    """Measure, print, and write the JSON file."""
    args = _parse_arguments()
    rounds = args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS)
    machine = describe_machine()
    for name, value in machine.items():
        print(f"{name + ':':<10} {value}")
    print(f"{'rounds:':<10} {rounds}, interleaved", flush=True)
    runs: list[tuple[str, Comparison, list[Result]]] = []
    for group in args.groups or GROUPS:
        for comparison in GROUPS[group](args.quick):
            results = measure(comparison, rounds)
            print(f"\n{comparison.title}\n{_table(comparison, results)}", flush=True)
            runs.append((group, dataclasses.replace(comparison, cases=()), results))  # cases hold references to trees
    if not args.quick:
        _compare_with_last(runs)
    promised = promise_rows(result for _, _, results in runs for result in results)
    if promised:
        print(f"\nPromised results\n{text_table(promised)}")
    if args.results:
        args.results.write_text(results_page(machine, rounds, promised))
    if args.json:
        record = {"machine": machine, "rounds": rounds, "comparisons": [_record(*run) for run in runs]}
        args.json.write_text(json.dumps(record, indent=2) + "\n")


def _compare_with_last(runs: list[tuple[str, Comparison, list[Result]]]) -> None:
    """Print changes since the last run, plot, and store this run."""
    changes = changes_since((comparison, results) for _, comparison, results in runs)
    print("\nChanges since the last run" + "".join(f"\n  {line}" for line in changes or ["none, or no earlier run"]))
    for path in plot_curves((result for _, _, results in runs for result in results), BUILD):
        print(f"plotted: {path}")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare vmdump with QEMU, libraries and its own reference engine.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)} (default: all)")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default: {ROUNDS}, with --quick {QUICK_ROUNDS}")
    parser.add_argument("--quick", action="store_true", help="few rounds, small sizes: not for conclusions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round's figures here")
    parser.add_argument("--results", type=Path, metavar="FILE", help="also write the last table here, as Markdown")
    args = parser.parse_args()
    unknown = [group for group in args.groups if group not in GROUPS]
    if unknown or (args.rounds is not None and args.rounds < 1):
        parser.error(f"no such group: {unknown[0]}" if unknown else "--rounds must be at least 1")
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
    return (
        result.row.name,
        amount(result.figure, result.row.unit),
        spread,
        ratio,
        _goal(result) or "",
        result.verdict or "",
    )


def _goal(result: Result) -> str | None:
    return result.goal_text(lambda figure: amount(figure, result.row.unit))


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

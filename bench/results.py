"""The page of a run's results, RESULTS.md (compare.py --results)."""

from promises import markdown_table

PAGE = """# Results of one run

Written by `python bench/compare.py --results bench/RESULTS.md`; `make bench` repeats it. Cases are interleaved;
figures are medians over the rounds, ratios medians of ratios within a round, in CPU time. +- is half the interquartile
range; a goal between the quartiles is unclear.

{machine}

{table}
"""


def results_page(machine: dict[str, str], rounds: int, rows: list[tuple[str, ...]]) -> str:
    """Return the page; rows as promises.py makes them."""
    lines = [f"- {name}: {value}" for name, value in {**machine, "rounds": f"{rounds} at most"}.items()]
    return PAGE.format(machine="\n".join(lines), table=markdown_table(rows))
